"""Prints what a run holds, as JSON: its step, a digest of its whole state, the parameter counts and the flags.

    python -m experiments.inspect --workdir=W

Two runs with the same digest are the same to the bit.
"""

import dataclasses
import json

import jax

from experiments.cli import command, schema
from experiments.cli.schema import option
from experiments.run.restore import load_run
from jaxgan.host.digest import digest


@dataclasses.dataclass(frozen=True)
class Inspect:
    """The flags of this command."""

    workdir: str | None = option(None, "the directory of the run", path=True)


def main() -> None:
    """Reads the newest intact checkpoint and describes it."""
    run = load_run(schema.given_flags(Inspect).get("workdir"))
    players = {"generator": run.state.generator, "discriminator": run.state.discriminator}
    described = {
        "step": run.step,
        "digest": digest(run.state),
        "parameters": {name: sum(leaf.size for leaf in jax.tree.leaves(p.params)) for name, p in players.items()},
        "image_shape": list(run.gan.image_shape),
        "condition_names": list(run.condition_names),
        "flags": {name: value for name, value in dataclasses.asdict(run.recipe).items() if value is not None},
    }
    command.answer(json.dumps(described, indent=2))


if __name__ == "__main__":
    command.run(main, schema.define_flags(Inspect))
