"""Tells the classes of your own pictures, by a run whose discriminator classifies; prints a JSON object a picture.

    python -m experiments.classify --workdir=W --input=PICTURES    # a file, or a folder with its subfolders

Each line has the file, its class, and how sure the classifier is: a probability, to be believed as far as
`experiments.evaluate` finds `accuracy` and `confidence` alike.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from experiments.cli import command, schema
from experiments.run import given_pictures
from experiments.run.restore import STEP_HELP, TrainedRun, load_run
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import option

AT_ONCE = 256  # pictures in memory


@dataclasses.dataclass(frozen=True)
class Classify:
    """The flags of this command."""

    workdir: str | None = option(None, "Directory of the run", path=True)
    step: str | None = option(None, STEP_HELP)
    input: str | None = option(None, "Picture file, or folder of pictures, to classify", path=True)


def main() -> None:
    """Reads a checkpoint and classifies pictures."""
    asked = Classify(**schema.given_flags(Classify))
    if asked.input is None:
        raise UserError("--input: name a picture file, or a folder of pictures")
    files = given_pictures.files_of(asked.input)
    for line in classified(load_run(asked.workdir, asked.step), files):
        command.answer(line)


def classified(run: TrainedRun, files: list[Path]) -> Iterator[str]:
    """Yields a JSON object for each file: "file", "class" and "confidence".

    Raises:
      UserError: if the system does not classify, or a picture cannot be read.
    """
    classifier = run.system.outputs.classify
    if classifier is None:
        raise UserError(
            f"--workdir: {run.recipe.model} does not classify pictures; name a run of a system"
            " that does, such as those of experiments.semi_supervised"
        )
    given_pictures.tell_cut("--input", files)
    for some in (files[first : first + AT_ONCE] for first in range(0, len(files), AT_ONCE)):
        probabilities = classifier.probabilities(run.state, given_pictures.read(run, some))
        for file, chances in zip(some, probabilities, strict=True):
            best = int(chances.argmax())
            name, confidence = classifier.kind.classes[best], round(float(chances[best]), 4)
            yield json.dumps({"file": str(file), "class": name, "confidence": confidence}, ensure_ascii=False)


if __name__ == "__main__":
    command.run(main, schema.define_flags(Classify))
