"""From a checked request to pictures: pure functions of a run and a request, and the file that is downloaded."""

import re
import shutil
import uuid
from pathlib import Path

import jax
import numpy as np

from experiments import sample
from experiments.page import pictures
from experiments.page.requests import LAST_NUMBER, Codes, Edit, Place, Walk
from experiments.run import directions
from experiments.run.output import square_grid
from experiments.run.restore import TrainedRun
from jaxgan.host import images
from jaxgan.host.errors import UserError
from jaxgan.ops.latent_paths import spherical_interpolation
from jaxgan.sampling.directions import Directions, offset
from jaxgan.systems.infogan_outputs import CodedLatentOutput

FILES_KEPT = 100


def created(run: TrainedRun, asked: sample.Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws what `experiments.sample` draws for the same flags; see `sample.draw_chosen`."""
    sample.check(asked)
    return sample.draw_chosen(run, asked)


def coded(run: TrainedRun, asked: Codes, count: int) -> np.ndarray:
    """Draws pictures of different noise and the same codes, uint8 (count, H, W, C).

    Raises:
      UserError: if the run has no codes.
    """
    latent = run.latent
    if not isinstance(latent, CodedLatentOutput):
        raise UserError(f"codes: {run.recipe.model} has none")
    z = latent.latents(jax.random.key(asked.seed), count)
    return latent.images(run.state, latent.with_codes(z, asked.classes, asked.values))


def edited(run: TrainedRun, found: Directions, asked: Edit, count: int) -> np.ndarray:
    """Draws the first pictures of a seed, moved toward classes, uint8 (count, H, W, C)."""
    z = run.latent.latents(jax.random.key(asked.seed), count)
    return directions.edited(run, z, offset(found, asked.strengths)[None])


def on_the_way(run: TrainedRun, walk: Walk, fractions: np.ndarray) -> np.ndarray:
    """Draws the faces at some places of a walk along the great arc between two latents.

    Args:
      run: the run to draw from.
      walk: its two ends; its fraction is not looked at.
      fractions: places from 0, the picture at its beginning, to 1, that at its end: (N,).

    Returns:
      uint8 (N, H, W, C).

    Raises:
      UserError: where the run cannot take the condition.
    """
    start, end = (_latent(run, place, walk.std) for place in (walk.first, walk.second))
    z = spherical_interpolation(start, end, np.asarray(fractions, np.float32))
    condition = sample.conditions(run, walk.condition, 1)  # one for the whole walk, also where none is asked for
    condition = None if condition is None else np.repeat(condition, len(fractions), axis=0)
    return run.latent.images(run.state, z, condition)


def _latent(run: TrainedRun, place: Place, std: float) -> jax.Array:
    """Draws the latent of one picture, (1, latent_dim)."""
    several = run.latent.latents(jax.random.key(place.seed), LAST_NUMBER, std=std)  # of one size, compiled once
    return several[place.number - 1, None]


def save(directory: Path, drawn: np.ndarray, asked: sample.Sample, step: int) -> tuple[Path, Path]:
    """Writes a grid of pictures for download, with the command that draws it inside as PNG text.

    Args:
      directory: made for such files: all but those of the newest FILES_KEPT calls are removed.
      drawn: uint8 (N, H, W, C).
      asked: the flags that made it.
      step: the step of the checkpoint that drew it.

    Returns:
      The file and one of the enlarged grid, with names for people in a folder of their own.
    """
    words = re.findall(r"\w+", (asked.condition or "").lower())
    name = "-".join((*words, "seed", str(asked.seed), "step", str(step)))
    folder, grid = directory / uuid.uuid4().hex, square_grid(drawn)
    texts = {"Software": "jaxgan", "Comment": sample.command_line(asked), "Step": str(step)}
    files = folder / f"{name}.png", folder / f"{name}-enlarged.png"
    for file, image in zip(files, (grid, pictures.enlarged(grid)), strict=True):
        images.save_png(file, image, texts)
    others = [other for other in directory.iterdir() if other != folder]
    others.sort(key=lambda other: other.stat().st_mtime_ns, reverse=True)
    for old in others[FILES_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return files
