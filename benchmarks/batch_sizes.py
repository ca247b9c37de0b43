r"""What an image costs in batches of different sizes.

    python -m benchmarks.batch_sizes --model=dcgan_anime_a --batch_sizes=16,64,256

Prints one JSON object; a side's "ratio" is how many times as many images a second the first batch size trains on.
"""

import json

from absl import flags

from benchmarks.comparison import ROUNDS, TURN_SECONDS, compare
from experiments.cli import command, schema
from experiments.run.recipes import all_options, resolve
from jaxgan import systems

_BATCH_SIZES = flags.DEFINE_list("batch_sizes", ["16", "64", "256"], "pictures in a batch")


def main() -> None:
    """Runs the command."""
    given = schema.given_flags(all_options())
    recipe = resolve(given, systems.names())
    sides = {
        f"batch {size}": {"side": "jaxgan", "flags": {**given, "model": recipe.model, "batch_size": int(size)}}
        for size in _BATCH_SIZES.value
    }
    result = compare(sides, rounds=ROUNDS.value, turn_seconds=TURN_SECONDS.value)
    cost = {name: float(f"{1e3 / row['images_per_second']:.4g}") for name, row in result["sides"].items()}
    settings = {"model": recipe.model, "precision": recipe.precision}
    print(json.dumps({"benchmark": "batch_sizes", **settings, "milliseconds_per_image": cost, **result}, indent=1))


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
