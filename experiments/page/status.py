"""How far a run has come, read from what it writes while it goes on."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from experiments.run.restore import workdir_recipe
from jaxgan.host import images
from jaxgan.training.files import metrics_log, plots
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import read_description
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.restoring import system_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    height, width, _ = read_description(workdir.path).shape
    parts = [f"**{recipe.model}** on {recipe.dataset}, {height}×{width}"]
    if workdir.weights.is_file():
        return " · ".join([*parts, "trained weights, without a log"])
    last = status.lines[-1] if status.lines else None
    parts.append("no step logged yet" if last is None else f"step {last['step']:,}")
    parts.append("no checkpoint yet" if status.checkpoint is None else f"newest checkpoint {status.checkpoint:,}")
    if last is not None and "images_per_sec" in last:
        parts.append(f"{last['images_per_sec']:,.0f} pictures/s")
    return " · ".join(parts)


def curves(workdir: Workdir, status: RunStatus) -> "Figure | None":
    """Plots the metrics; None before the first line."""
    if not status.lines:
        return None
    return plots.draw_metrics(status.lines, system_of(workdir.path).report, title="")


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
