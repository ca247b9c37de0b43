"""From a checked request to pictures: pure functions of a run and a request, and the file that is downloaded."""

import re
import shutil
import uuid
from pathlib import Path

import jax
import numpy as np

from experiments import sample
from experiments.page.requests import Walk
from experiments.run.output import square_grid
from experiments.run.restore import TrainedRun
from jaxgan.host import images
from jaxgan.ops.latent_paths import spherical_interpolation

FILES_KEPT = 100


def created(run: TrainedRun, asked: sample.Sample) -> np.ndarray:
    """Draws the grid that `experiments.sample` writes for the same flags, uint8 (height, width, channels)."""
    sample.check(asked)
    pictures, _ = sample.draw_samples(run, asked)
    return square_grid(pictures)


def on_the_way(run: TrainedRun, walk: Walk, fractions: np.ndarray) -> np.ndarray:
    """Draws the faces at some places of a walk along the great arc between two latents.

    Args:
      run: the run to draw from.
      walk: its two ends; its fraction is not looked at.
      fractions: places from 0, the first picture of the first seed, to 1, that of the second: (N,).

    Returns:
      uint8 (N, H, W, C).

    Raises:
      UserError: where the run cannot take the condition.
    """
    start, end = (run.latent.latents(jax.random.key(seed), 1) for seed in (walk.first, walk.second))
    z = spherical_interpolation(start, end, np.asarray(fractions, np.float32))
    condition = sample.conditions(run, walk.condition, 1)  # one for the whole walk, also where none is asked for
    condition = None if condition is None else np.repeat(condition, len(fractions), axis=0)
    return run.latent.images(run.state, z, condition)


def save(directory: Path, image: np.ndarray, asked: sample.Sample, step: int) -> Path:
    """Writes a picture for download, with the command that draws it inside as PNG text.

    Args:
      directory: made for such files: all but the newest FILES_KEPT are removed.
      image: uint8 (height, width, channels).
      asked: the flags that made it.
      step: the step of the checkpoint that drew it.

    Returns:
      The file, with a name for people in a folder of its own.
    """
    words = re.findall(r"\w+", (asked.condition or "").lower())
    path = directory / uuid.uuid4().hex / f"{'-'.join((*words, 'seed', str(asked.seed), 'step', str(step)))}.png"
    images.save_png(path, image, {"Software": "jaxgan", "Comment": sample.command_line(asked), "Step": str(step)})
    others = [file for file in directory.glob("*/*.png") if file != path]
    others.sort(key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for old in others[FILES_KEPT - 1 :]:
        shutil.rmtree(old.parent, ignore_errors=True)
    return path
