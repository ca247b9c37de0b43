"""What ``experiments.sample`` shows beside plain samples: ways through latent space, all conditions, neighbours."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.run.references import reference_pictures, reference_split, training_pictures
from experiments.run.restore import TrainedRun
from jaxgan.data.conditions import captions, every, row_length
from jaxgan.host.errors import UserError
from jaxgan.metrics.neighbours import nearest_neighbours
from jaxgan.ops import latent_paths
from jaxgan.systems.outputs import Exhibit

STEPS = 8  # pictures in a row of an interpolation, both ends among them
NEAREST = 5  # training pictures beside a sample
RECONSTRUCTED = 8  # pictures in a row, above their reconstructions
STATION = 16  # frames of a walk from one station to the next


def interpolation(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None) -> Exhibit:
    """Draws pictures between latents: a row along the straight line, and below it a row along the arc.

    Args:
      run: the run.
      z: (n, latent_dim), taken in pairs.
      conditions: (n, c); a pair has the condition of its first noise.
    """
    start, end = z[0::2], z[1::2]
    ways = [latent_paths.between(start, end, STEPS, straight=straight) for straight in (True, False)]
    points = jnp.stack(ways, axis=1).reshape(-1, z.shape[1])
    chosen = None if conditions is None else np.repeat(conditions[0::2], 2 * STEPS, axis=0)
    return _drawn(run, points, chosen, STEPS, together=2, rows=("straight", "arc"))


def walk(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None, frames: int) -> Exhibit:
    """Draws a closed walk past all the latents (n, latent_dim), under the first condition: one picture a frame."""
    points = latent_paths.walk(z, frames)
    return _drawn(run, points, None if conditions is None else np.repeat(conditions[:1], frames, axis=0), frames)


def interpolation_of_styles(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None) -> Exhibit:
    """Draws straight ways between the styles of latents (n, latent_dim), in pairs, a row each."""
    latent: Any = run.latent
    w = latent.single_styles(run.state, z, conditions)
    return _of_styles(run, latent_paths.between(w[0::2], w[1::2], STEPS, straight=True).reshape(-1, w.shape[1]), STEPS)


def walk_of_styles(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None, frames: int) -> Exhibit:
    """Draws a closed walk of straight ways past the styles of all the latents (n, latent_dim): one picture a frame."""
    latent: Any = run.latent
    return _of_styles(
        run, latent_paths.walk(latent.single_styles(run.state, z, conditions), frames, straight=True), frames
    )


def all_conditions(run: TrainedRun, z: jax.Array, *, one_noise: bool) -> Exhibit:
    """Draws every condition, once a set: digits in a row, faces by hair (rows) and eyes (columns).

    Args:
      run: of a conditional model.
      z: as many noises as pictures fit in whole sets, one set at least: see `condition_count`.
      one_noise: whether a set has one noise in all places, or each picture its own.
    """
    asked = conditions_of(run)
    sets = len(z) // len(asked)
    if one_noise:
        z = jnp.repeat(z[:sets], len(asked), axis=0)
    columns = row_length(run.condition_names, len(asked))
    rows, heads = captions(run.condition_names)
    together = len(rows)  # a set of faces has a row for each hair colour, one of digits is a single row
    return _drawn(run, z, np.tile(asked, (sets, 1)), columns, together=together, rows=rows, heads=heads)


def neighbours(run: TrainedRun, pictures: np.ndarray, labels: np.ndarray) -> Exhibit:
    """Puts beside each picture the training pictures that are nearest to it, pixel by pixel."""
    training = training_pictures(run.recipe, run.pictures_digest)
    if len(training) < NEAREST:
        raise UserError(f"--show=neighbours: the run has only {len(training)} training pictures")
    nearest = nearest_neighbours(pictures, training.images, count=NEAREST).indices
    rows = np.concatenate([pictures[:, None], training.images[nearest]], axis=1)
    if labels.shape[1] and training.conditions is not None:
        beside = training.conditions[nearest]
    else:
        beside = np.zeros((*nearest.shape, labels.shape[1]), np.uint8)
    all_labels = np.concatenate([labels[:, None], beside], axis=1)
    shown, columns = rows.reshape(-1, *pictures.shape[1:]), 1 + NEAREST
    heads = ("sample", "nearest training picture", *(f"{number}." for number in range(2, NEAREST + 1)))
    return Exhibit(shown, all_labels.reshape(len(shown), -1), columns, apart=1, heads=heads)


def reconstructions(run: TrainedRun, count: int, seed: int) -> Exhibit:
    """Rows of real pictures, and below each row what the system makes of them.

    Args:
      run: of a system that reconstructs.
      count: pictures and reconstructions together; of the last row as many as fill it, one pair at least.
      seed: chooses the pictures, from those that the run has not seen, where there are any.

    Raises:
      UserError: if the system does not reconstruct, or the pictures are others than those of the run.
    """
    reconstruct = run.system.outputs.require("reconstruct", run.recipe.model)
    columns = max(1, min(RECONSTRUCTED, count // 2))
    wanted = max(1, count // (2 * columns)) * columns
    split = reference_split(run.recipe)
    if split == "train":
        training_pictures(run.recipe, run.pictures_digest)  # another folder's would stand for them
    real = reference_pictures(run.recipe, split, wanted, seed).images
    columns = min(columns, len(real))
    real = real[: len(real) // columns * columns]
    rows = [images.reshape(-1, columns, *real.shape[1:]) for images in (real, reconstruct(run.state, real))]
    shown = np.stack(rows, axis=1).reshape(-1, *real.shape[1:])
    pair = ("real", "reconstruction")
    return Exhibit(shown, np.zeros((len(shown), 0), np.uint8), columns, together=len(pair), rows=pair)


def conditions_of(run: TrainedRun) -> np.ndarray:
    """Lists every condition that can be asked for, uint8 (k, c): the classes, or hair by hair each eye colour."""
    if not run.condition_dim:
        raise UserError(f"--show: {run.recipe.model} takes no condition; train a model of experiments.cgan")
    return every(run.condition_names, run.condition_dim)


def _of_styles(run: TrainedRun, w: jax.Array, columns: int) -> Exhibit:
    latent: Any = run.latent
    pictures = latent.images_of_styles(run.state, latent.for_layers(run.state, w))
    return Exhibit(pictures, np.zeros((len(pictures), 0), np.uint8), columns)


def _drawn(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None, columns: int, **arrangement: Any) -> Exhibit:
    pictures = run.latent.images(run.state, z, conditions)
    labels = np.zeros((len(pictures), 0), np.uint8) if conditions is None else conditions
    return Exhibit(pictures, labels, columns, **arrangement)
