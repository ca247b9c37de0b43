"""Prints a description of a run as JSON: its step, a digest of its whole state, the parameter counts and the flags.

    python -m experiments.inspect --workdir=W

Two runs with the same digest are the same bit for bit.
"""

import dataclasses
import json

from experiments.cli import command, schema
from experiments.run.restore import STEP_HELP, load_run
from jaxgan.host.digest import digest
from jaxgan.systems.settings import option
from jaxgan.training.fitting import count_parameters


@dataclasses.dataclass(frozen=True)
class Inspect:
    """The flags of this command."""

    workdir: str | None = option(None, "Directory of the run", path=True)
    step: str | None = option(None, STEP_HELP)


def main() -> None:
    """Reads a checkpoint and describes it."""
    asked = Inspect(**schema.given_flags(Inspect))
    run = load_run(asked.workdir, asked.step, finite=False)
    networks = run.system.networks(run.state)
    described = {
        "step": run.step,
        "digest": digest(run.state),
        "parameters": {name: count_parameters(params) for name, params in networks.items()},
        "image_shape": list(run.system.image_shape),
        "condition_names": list(run.condition_names),
        "flags": {name: value for name, value in dataclasses.asdict(run.recipe).items() if value is not None},
    }
    command.answer(json.dumps(described, indent=2))


if __name__ == "__main__":
    command.run(main, schema.define_flags(Inspect))
