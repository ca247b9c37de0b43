"""Prints a description of a run as JSON: its step, a digest of its whole state, the parameter counts and the flags.

    python -m experiments.inspect --workdir=W
    python -m experiments.inspect --workdir=W --metrics=metrics.csv    # the run's log as a table, for a spreadsheet

Two runs with the same digest are the same bit for bit.
"""

import csv
import dataclasses
import io
import json
from pathlib import Path

from experiments.cli import command, schema
from experiments.run import pretrained
from experiments.run.restore import STEP_HELP, load_run
from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError, named
from jaxgan.host.files import write_text
from jaxgan.systems.settings import option
from jaxgan.training.files import metrics_log
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import count_parameters


@dataclasses.dataclass(frozen=True)
class Inspect:
    """The flags of this command."""

    workdir: str | None = option(None, "Directory of the run", path=True)
    pretrained: str | None = option(None, pretrained.HELP)
    step: str | None = option(None, STEP_HELP)
    metrics: str | None = option(
        None, "Write the run's log to this .csv instead: a row a step, a column a metric", path=True
    )


def main() -> None:
    """Reads a checkpoint and describes it."""
    asked = Inspect(**schema.given_flags(Inspect))
    asked = dataclasses.replace(asked, workdir=pretrained.folder_of(asked.workdir, asked.pretrained))
    if asked.metrics is not None:
        command.answer(write_metrics(asked.workdir, Path(asked.metrics)))
        return
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


def write_metrics(workdir: str | None, path: Path) -> str:
    """Writes the log of a run as a table; returns what to say of it. A number that is missing or not finite is empty.

    Raises:
      UserError: where there is no log, or the file cannot be written.
    """
    lines = metrics_log.read(Workdir(workdir).metrics) if workdir else []
    if not lines:
        raise UserError(f"--workdir={workdir or ''}: has no log of metrics; name the directory of a run")
    names = dict.fromkeys(name for line in lines for name in line if name != "non_finite")
    text = io.StringIO()
    table = csv.DictWriter(text, list(names), extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise UserError(f"--metrics={path}: cannot be written ({named(error)})") from error
    return f"{len(lines):,} steps of {workdir}: {path}"


if __name__ == "__main__":
    command.run(main, schema.define_flags(Inspect))
