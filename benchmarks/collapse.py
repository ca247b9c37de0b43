r"""How tutorial 003's learning rate of 2e-3 ruins `mlp_b` on MNIST, and what each remedy does: numbers, and a figure.

    python -m benchmarks.collapse --data_dir=TFDS_DIRECTORY --figure=docs/collapse.png

Each way trains for the same number of real pictures. Prints a JSON object a run: the watch's first alarm, the FID of
10,000 samples, the share of the ten digits that it draws, and D's mean opinions over the last tenth of the run:
probabilities, and scores for least squares.
"""

import contextlib
import dataclasses
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cli import command, schema
from experiments.run import start
from experiments.run.evaluation import make_evaluator
from experiments.run.recipes import Recipe, resolve
from experiments.run.restore import load_run
from jaxgan import systems
from jaxgan.systems.settings import option
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files import metrics_log
from jaxgan.training.trainer import Collapsed

PICTURES = 300_000  # five epochs
LOG_EVERY = 2_000  # pictures
RATE = 2e-3

REMEDIES: dict[str, dict[str, Any]] = {
    "as the tutorial has it": {},
    "both rates 2e-4": {"generator_learning_rate": 2e-4, "discriminator_learning_rate": 2e-4},
    "D's rate 2e-4": {"discriminator_learning_rate": 2e-4},
    "β1 0.5": {"beta1": 0.5},
    "β1 0.5, rates 2e-4": {"beta1": 0.5, "generator_learning_rate": 2e-4, "discriminator_learning_rate": 2e-4},
    "β1 0.5, average 0.998": {"beta1": 0.5, "average_decay": 0.998},
    "batch 400": {"batch_size": 400},
    "dropout 0.3 in D": {"dropout_rate": 0.3},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "real digits turned by 15°": {"rotation": 15.0},
    "least squares": {"loss": "least_squares"},
    "back to the last good\ncheckpoint, three times": {"on_collapse": "rollback"},
}


@dataclasses.dataclass(frozen=True)
class Collapse:
    data_dir: str | None = option(None, "TFDS's directory, with mnist")
    seeds: int = option(1, "runs of each remedy; the figure shows the first")
    figure: str | None = option(None, "where the figure goes, a .png; default: no figure")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a run: its log, its first samples, and what is printed of it."""

    lines: list[metrics_log.Line]
    samples: np.ndarray
    row: dict[str, Any]


def main() -> None:
    """Runs the command."""
    asked = Collapse(**schema.given_flags(Collapse))
    outcomes = {}
    for remedy, changes in REMEDIES.items():
        for seed in range(asked.seeds):
            outcome = run(changes, seed, asked.data_dir)
            print(json.dumps({"remedy": remedy.replace("\n", " "), "seed": seed, **outcome.row}), flush=True)
            outcomes.setdefault(remedy, outcome)
    if asked.figure:
        draw(outcomes).savefig(asked.figure, dpi=80)


def run(changes: dict[str, Any], seed: int, data_dir: str | None) -> Outcome:
    """Trains in one way and measures what came of it."""
    flags = {"model": "mlp_b", "dataset": "mnist", "data_dir": data_dir, "seed": seed}
    flags |= {"generator_learning_rate": RATE, "discriminator_learning_rate": RATE} | changes
    batch_size = flags.get("batch_size", 100)
    steps = PICTURES // batch_size
    flags |= {"steps": steps, "log_every": LOG_EVERY // batch_size}
    flags |= {"sample_every": steps, "checkpoint_every": 100 if "on_collapse" in changes else steps}
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        recipe = resolve(flags | {"workdir": f"{folder}/run"}, systems.names())
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                start.train(recipe, Processes())
            except Collapsed as collapsed:
                print(collapsed)
        lines = metrics_log.read(Path(folder) / "run" / "metrics.jsonl")
        return measured(recipe, lines, said.getvalue())


def measured(recipe: Recipe, lines: list[metrics_log.Line], said: str) -> Outcome:
    """Measures the scores of a run's last checkpoint, and collects what the watch had to say."""
    trained = load_run(recipe.workdir)
    evaluator = make_evaluator(recipe, trained.system, num=10_000, progress=False)
    scores = evaluator(trained.state)
    alarm = re.search(r"Step (\d+): (.*?)\. What usually helps", said)
    last = lines[-max(len(lines) // 10, 1) :]
    row: dict[str, Any] = {"alarm": alarm and f"step {alarm[1]}: {alarm[2]}", "steps": trained.step}
    row["batch_size"] = recipe.batch_size
    row |= {name: round(scores[name]["value"], 2) for name in ("fid", "mode_coverage")}
    row |= {name: round(float(np.mean([line[name] for line in last])), 4) for name in ("d_real", "d_fake")}
    return Outcome(lines, evaluator.draw_images(trained.state)[:16], row)


def draw(outcomes: dict[str, Outcome]) -> Any:
    """Draws a panel for each remedy: the generator's loss, the tutorial's in grey, and 16 samples."""
    from matplotlib.figure import Figure

    columns = 6
    figure = Figure(figsize=(17, 9), layout="constrained")
    rows = -(-len(outcomes) // columns)
    axes = figure.subplots(2 * rows, columns, height_ratios=[3, 4] * rows).reshape(rows, 2, columns)
    untreated = next(iter(outcomes.values()))
    for index, (remedy, outcome) in enumerate(outcomes.items()):
        curve, picture = axes[index // columns, :, index % columns]
        for shown, colour in ((untreated, "0.8"), (outcome, "#d95f02")):
            seen = [line["step"] * shown.row["batch_size"] for line in shown.lines]
            curve.plot(seen, [line["g_loss"] for line in shown.lines], colour)
        curve.set(title=remedy, yscale="log", xlim=(0, PICTURES), ylim=(0.1, 300))
        curve.spines[["top", "right"]].set_visible(False)
        curve.set_xticks([0, PICTURES], ["0", f"{PICTURES:,}"])
        curve.set_xlabel("pictures seen", labelpad=-8)
        if index % columns == 0:
            curve.set_ylabel("generator's loss")
        picture.imshow(grid(outcome.samples), cmap="gray", vmin=0, vmax=255)
        alarm = outcome.row["alarm"]
        picture.set_title(
            f"FID {outcome.row['fid']:.0f}; " + (f"alarm at {alarm.split(':')[0]}" if alarm else "no alarm")
        )
        picture.set_axis_off()
    for empty in axes.transpose(0, 2, 1).reshape(-1, 2)[len(outcomes) :].flat:
        empty.set_axis_off()
    figure.suptitle("mlp_b on MNIST with Adam at 2e-3, five epochs: grey without a remedy, orange with it")
    return figure


def grid(samples: np.ndarray) -> np.ndarray:
    """Tiles 16 pictures (16, H, W, 1) into one, (4·H, 4·W)."""
    height, width = samples.shape[1:3]
    return samples.reshape(4, 4, height, width).transpose(0, 2, 1, 3).reshape(4 * height, 4 * width)


if __name__ == "__main__":
    command.run(main, schema.define_flags(Collapse))
