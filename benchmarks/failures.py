r"""How trainings fail, and what helps: pairs of short runs on faces that the library draws; numbers, and a figure.

    python -m benchmarks.failures --figure=docs/failures.png

Each pair is one recipe, as it fails and with a remedy, trained for the same number of steps. Prints a JSON object a
run: the watch's first alarm, D's mean probabilities over the last tenth of the run, and how much the samples differ, as
a share of what real faces do. Runs that are there already are only read.
"""

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from experiments.cli import command, schema
from experiments.run import start
from experiments.run.recipes import resolve
from experiments.run.references import load_sources
from experiments.run.restore import load_run
from jaxgan import systems
from jaxgan.host import images
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import option
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files import metrics_log
from jaxgan.training.watch import diversity

COMMON: dict[str, Any] = {
    "model": "dcgan_64",
    "dataset": "avatars",
    "num_examples": 2000,
    "image_size": 32,
    "generator_width": 16,
    "discriminator_width": 16,
    "initial_std": 0.02,
    "batch_size": 32,
    "loss": "nonsaturating",
    "upsampling": "nearest",
    "generator_learning_rate": 2e-4,
    "discriminator_learning_rate": 2e-4,
    "beta1": 0.5,
    "log_every": 20,
}
DRAWN = 64  # samples of each run that are compared; the figure shows the first
SHOWN, COLUMNS, SCALE = 12, 6, 2
TITLE, CAPTION, MARGIN = 34, 62, 12  # pixels: the heights of a row's title and of a panel's caption, and the gaps


@dataclasses.dataclass(frozen=True)
class Failure:
    """A way to fail, and out of it.

    Attributes:
      steps: of each of both runs.
      wrong: the flags that make it fail.
      remedy: those in their place.
    """

    steps: int
    wrong: dict[str, Any]
    remedy: dict[str, Any]


FAILURES = {
    "D learns nothing": Failure(
        2000,
        {"discriminator_width": 1, "discriminator_learning_rate": 1e-4},
        {"discriminator_width": 16, "discriminator_learning_rate": 2e-4},
    ),
    "Samples are all alike": Failure(
        1000,
        {"generator_learning_rate": 2e-3, "discriminator_learning_rate": 1e-4},
        {"generator_learning_rate": 2e-4, "discriminator_learning_rate": 2e-4},
    ),
    "Checkerboards and speckles": Failure(
        1000,
        {"upsampling": "transposed"},
        {"upsampling": "nearest", "average_decay": 0.995},
    ),
}


@dataclasses.dataclass(frozen=True)
class Failures:
    runs: str = option("runs/failures", "folder of the runs; those that are finished are not trained again")
    only: str | None = option(None, "one of the failures, by its name; default: all of them")
    figure: str | None = option(None, "where the figure goes, a .png; default: no figure")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a run: its samples, uint8 (DRAWN, H, W, 3), and what is printed of it."""

    samples: np.ndarray
    row: dict[str, Any]


def main() -> None:
    """Runs the command."""
    asked = Failures(**schema.given_flags(Failures))
    if asked.only not in (None, *FAILURES):
        raise UserError(f"--only={asked.only}: is one of {', '.join(FAILURES)}")
    pairs = {}
    for name, failure in FAILURES.items():
        if asked.only in (None, name):
            folder = Path(asked.runs) / name.lower().replace(" ", "_")
            wrong = run(failure, failure.wrong, folder / "wrong")
            pairs[name] = (wrong, run(failure, failure.remedy, folder / "remedy"))
            for outcome in pairs[name]:
                print(json.dumps({"failure": name, **outcome.row}), flush=True)
    if asked.figure:
        images.save_png(asked.figure, draw(pairs))


def run(failure: Failure, changes: dict[str, Any], workdir: Path) -> Outcome:
    """Trains a run and measures it; its messages go into a text file beside its workdir."""
    once = ("steps", "sample_every", "checkpoint_every")
    flags = COMMON | changes | dict.fromkeys(once, failure.steps) | {"workdir": str(workdir)}
    recipe, said = resolve(flags, systems.names()), workdir.with_suffix(".txt")
    said.parent.mkdir(parents=True, exist_ok=True)
    with said.open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        start.train(recipe, Processes())
    trained = load_run(recipe.workdir)
    samples = trained.system.sample(trained.state, DRAWN)
    alarm = re.search(r"Step (\d+): (.*?)\. What usually helps", said.read_text())
    row: dict[str, Any] = {"changes": changes, "steps": trained.step}
    row["alarm"] = alarm and f"step {alarm[1]}: {alarm[2]}"
    lines = metrics_log.read(workdir / "metrics.jsonl")
    last = lines[-max(len(lines) // 10, 1) :]
    row |= {name: round(float(np.mean([line[name] for line in last])), 3) for name in ("d_real", "d_fake")}
    real = np.asarray(load_sources(recipe).images[:DRAWN])
    row["diversity"] = round(diversity(samples) / diversity(real), 2)
    return Outcome(samples, row)


def draw(pairs: dict[str, tuple[Outcome, ...]]) -> np.ndarray:
    """Draws a row for each failure: its name, samples as it fails and with the remedy, and what they are like.

    Returns:
      uint8 (height, width, 3).
    """
    tiles = {
        name: [images.enlarged(images.grid(each.samples[:SHOWN], COLUMNS), SCALE) for each in pair]
        for name, pair in pairs.items()
    }
    tall, wide, _ = next(iter(tiles.values()))[0].shape
    height = TITLE + tall + CAPTION
    picture = Image.new("RGB", (2 * wide + 3 * MARGIN, len(pairs) * height + MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    for row, (name, pair) in enumerate(pairs.items()):
        top = row * height
        pen.text((MARGIN, top + TITLE - 8), name, "black", ImageFont.load_default(18), anchor="ls")
        for column, outcome in enumerate(pair):
            left = MARGIN + column * (wide + MARGIN)
            picture.paste(images.to_pillow(tiles[name][column]), (left, top + TITLE))
            below = (left, top + TITLE + tall + 4)
            pen.multiline_text(below, caption(outcome), "black", ImageFont.load_default(13), spacing=3)
    return np.asarray(picture)


def caption(outcome: Outcome) -> str:
    """Returns what is said of a run: the flags in which a pair differs, one a line, and what the run is like."""
    row, flags = outcome.row, outcome.row["changes"]
    found = f"D(x) {row['d_real']:.2f}, D(G(z)) {row['d_fake']:.2f}, variety {row['diversity']:.2f}"
    alarm = f"; alarm at {row['alarm'].split(':')[0]}" if row["alarm"] else ""
    return "\n".join([*map(as_flag, flags, flags.values()), found + alarm])


def as_flag(name: str, value: Any) -> str:
    """Writes a setting as a flag of the training commands."""
    return f"--{name}={value:g}" if isinstance(value, float) else f"--{name}={value}"


if __name__ == "__main__":
    command.run(main, schema.define_flags(Failures))
