r"""What the scores cost once the features are there: 10,000 pictures against 10,000, 128 features.

    python -m benchmarks.metrics [--count=10000] [--dimension=128]

Prints one JSON object: seconds of each score, the least of the repeats. "fid" is from features, statistics included.
"""

import json
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from benchmarks import machine
from experiments.cli import command
from jaxgan import metrics

_COUNT = flags.DEFINE_integer("count", 10_000, "pictures of each side", lower_bound=200)
_DIMENSION = flags.DEFINE_integer("dimension", 128, "features of a picture", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "how often each is timed", lower_bound=1)


def main() -> None:
    """Runs the command."""
    random = np.random.default_rng(0)
    shape = (_COUNT.value, _DIMENSION.value)
    real, generated = random.normal(size=shape).astype(np.float32), random.normal(0.1, 1.1, shape).astype(np.float32)
    statistics = metrics.feature_statistics(real)
    scores: dict[str, Callable[[], object]] = {
        "fid": lambda: metrics.frechet_distance(
            metrics.feature_statistics(real), metrics.feature_statistics(generated)
        ),
        "fid with its error": lambda: metrics.frechet_distance_estimate(statistics, generated),
        "kid": lambda: metrics.kernel_distance(real, generated, seed=0),
        "precision, recall, density, coverage": lambda: metrics.manifold_scores(real, generated),
        "authenticity": lambda: metrics.authenticity(real, generated),
    }
    busy = machine.busy_share(1.0)
    seconds = {name: min(timed(score) for _ in range(_REPEATS.value)) for name, score in scores.items()}
    settings = {"count": _COUNT.value, "dimension": _DIMENSION.value, "repeats": _REPEATS.value}
    about = {"others_busy": round(busy, 3), "machine": machine.describe()}
    print(json.dumps({"benchmark": "metrics", **settings, "seconds": seconds, **about}, indent=1))


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    function()
    return round(time.perf_counter() - began, 3)


if __name__ == "__main__":
    command.run(main)
