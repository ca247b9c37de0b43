r"""Several steps in one call of the device against one step a call.

    python -m benchmarks.fused --model=dcgan_anime_a --batch_size=64 --steps_per_call=10

Both take turns in one process. Prints one JSON object; "ratio" is how many times as many images a second the fused
steps train on.
"""

import json

from benchmarks.comparison import ROUNDS, TURN_SECONDS, compare, in_this_process
from experiments.cli import command, schema
from experiments.run.recipes import all_options, resolve
from jaxgan import systems


def main() -> None:
    """Runs the command."""
    given = {"steps_per_call": 10, **schema.given_flags(all_options())}
    recipe = resolve(given, systems.names())
    given["model"] = recipe.model
    fused = {"side": "jaxgan", "flags": given}
    single = {"side": "jaxgan", "flags": {**given, "steps_per_call": 1}}
    names = f"{recipe.steps_per_call} steps a call", "1 step a call"
    sides = dict(zip(names, (fused, single), strict=True))
    result = compare(sides, rounds=ROUNDS.value, turn_seconds=TURN_SECONDS.value, start=in_this_process)
    ratio = {key: result["sides"][names[1]][key] for key in ("ratio", "ratio_range")}
    settings = {"model": recipe.model, "batch_size": recipe.batch_size, "precision": recipe.precision}
    print(json.dumps({"benchmark": "fused", **settings, **ratio, **result}, indent=1))


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
