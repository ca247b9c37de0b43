r"""What an image costs in batches of different sizes.

    python -m benchmarks.batch_sizes --model=dcgan_anime_a --batch_sizes=16,64,256

Prints one JSON object; a side's "ratio" is how many times as many images a second the first batch size trains on.
"""

import json

from absl import flags

from benchmarks.train_step import compare
from experiments import command
from experiments.recipes import Recipe, resolve
from jaxgan import models

_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["16", "64", "256"], "pictures in a batch")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "timed turns of each side", lower_bound=1)
_TURN_SECONDS = flags.DEFINE_float("turn_seconds", 2.0, "about how long a turn is", lower_bound=0.0)


def main() -> None:
    """The command."""
    given = command.given_flags(Recipe)
    recipe = resolve(given, tuple(models.names()))
    sides = {
        f"batch {size}": {"side": "jaxgan", "flags": {**given, "model": recipe.model, "batch_size": int(size)}}
        for size in _BATCH_SIZES.value
    }
    result = compare(sides, rounds=_ROUNDS.value, turn_seconds=_TURN_SECONDS.value)
    cost = {name: float(f"{1e3 / row['images_per_second']:.4g}") for name, row in result["sides"].items()}
    settings = {"model": recipe.model, "precision": recipe.precision}
    print(json.dumps({"benchmark": "batch_sizes", **settings, "milliseconds_per_image": cost, **result}, indent=1))


if __name__ == "__main__":
    command.define_flags(Recipe)
    command.run(main)
