"""How far a run has come, read from what it writes while it goes on."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from experiments.run.recipes import total_steps
from experiments.run.restore import workdir_recipe
from jaxgan.host import images
from jaxgan.training.files import metrics_log, plots
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import read_description
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.restoring import system_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAPER, _INK = "#1e293b", "#e2e8f0"
DARK = {"figure.facecolor": _PAPER, "axes.facecolor": _PAPER} | dict.fromkeys(
    ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), _INK
)
"""Colours of a plot on a dark page."""
_COLOURS = threading.Lock()  # matplotlib's settings are those of all threads


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """What a workdir shows at one moment.

    Attributes:
      lines: of metrics.jsonl.
      grids: the grids of samples, with their steps, in order.
      checkpoint: the step of the newest checkpoint, if there is one.
    """

    lines: list[metrics_log.Line]
    grids: list[tuple[int, Path]]
    checkpoint: int | None


def read(workdir: Workdir) -> RunStatus:
    """Reads a run as it is now."""
    steps = Checkpoints(workdir.checkpoints).steps()
    return RunStatus(metrics_log.read(workdir.metrics), images.grids(workdir.samples), max(steps, default=None))


def signature(workdir: Workdir) -> str:
    """Returns a text that changes when the run goes on; much faster than reading the log."""
    try:
        status = workdir.metrics.stat()
        written = (status.st_size, status.st_mtime_ns)
    except OSError:
        written = (0, 0)
    grids = images.grids(workdir.samples)
    return json.dumps([str(workdir.path), *written, len(grids), Checkpoints(workdir.checkpoints).steps()])


def describe(workdir: Workdir, status: RunStatus) -> str:
    """Describes a run in a line: the model, its pictures, and how far it has come."""
    recipe = workdir_recipe(str(workdir.path))
    described = read_description(workdir.path)
    height, width, _ = described.shape
    parts = [f"**{recipe.model}** on {recipe.dataset}, {height}×{width}"]
    if workdir.weights.is_file():
        return " · ".join([*parts, "trained weights, without a log"])
    last = status.lines[-1] if status.lines else None
    schedule = system_of(workdir.path).schedule
    known = recipe.steps is not None or described.pictures
    total = total_steps(recipe, described.pictures, schedule) if known else None
    of = "" if total is None else f" of {total:,}"
    parts.append("no step logged yet" if last is None else f"step {last['step']:,}{of}")
    parts.append("no checkpoint yet" if status.checkpoint is None else f"newest checkpoint {status.checkpoint:,}")
    if last is not None and "images_per_sec" in last:
        parts.append(f"{last['images_per_sec']:,.0f} pictures/s")
        if total is not None and last["step"] < total and workdir.in_use():
            left = schedule.examples_before(total) - schedule.examples_before(last["step"])
            parts.append(f"{_duration(left / max(last['images_per_sec'], 1e-9))} left")
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    hours, minutes = divmod(minutes, 60)
    return f"about {hours:,} h {minutes} min" if hours else f"about {minutes} min"


def curves(workdir: Workdir, status: RunStatus, *, dark: bool = False) -> "Figure | None":
    """Plots the metrics, for a light page or a dark one; None before the first line."""
    if not status.lines:
        return None
    import matplotlib  # Slow to import.

    with _COLOURS, matplotlib.rc_context(DARK if dark else {}):
        return plots.draw_metrics(status.lines, system_of(workdir.path).report, title="")


def curves_in_words(status: RunStatus) -> str:
    """Says what the curves show, for who cannot see them."""
    last = status.lines[-1]
    values = [f"{name} {value:.3g}" for name, value in last.items() if isinstance(value, float)]
    return f"Curves of the metrics up to step {last['step']:,}; the newest values: {', '.join(values)}"


def read_grid(path: Path) -> np.ndarray:
    """Reads a grid of samples, uint8 (height, width, 3).

    Raises:
      OSError: if it is no longer there, or damaged.
    """
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (ValueError, SyntaxError) as error:  # Pillow, for damage in some places
        raise OSError(f"{path}: damaged ({error})") from error
