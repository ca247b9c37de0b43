"""Perceptual path length: how far a small step in latent space moves the picture.

Reference:
  Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, §4.1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.models import Network
from jaxgan.models.inference import draw
from jaxgan.ops.latent_paths import spherical_interpolation


def path_length(
    embed: Callable[[jax.Array], ArrayLike],
    key: jax.Array,
    *,
    latent_dim: int,
    samples: int = 1000,
    batch_size: int = 100,
    step: float = 1e-3,
) -> Estimate:
    """Computes the mean squared feature distance of two close points on a random arc, divided by the squared step.

    Args:
      embed: latents (n, latent_dim) -> features (n, ...), that is, the generator followed by any feature function. The
        pictures in between must not be rounded to uint8, which would hide small steps.
      key: PRNG key of the arcs (both ends standard normal) and of the points on them.
      latent_dim: length of a latent.
      samples: number of pairs of points; the score is their mean.
      batch_size: pairs per call of `embed`.
      step: distance of the two points, as a fraction of the arc. The paper's 1e-4 is lost in float32 rounding if
        features are large.
    """
    squared_lengths = []
    for first in range(0, samples, batch_size):
        count = min(batch_size, samples - first)
        points = _near_points(jax.random.fold_in(key, first), count, latent_dim, step)
        here, there = (np.asarray(embed(point), np.float64).reshape(count, -1) for point in points)
        squared_lengths.append(np.sum((there - here) ** 2, axis=1) / step**2)
    return mean_estimate(np.concatenate(squared_lengths))


def generator_path_length(
    generator: Network,
    variables: Any,
    embed: Callable[[jax.Array], ArrayLike],
    key: jax.Array,
    *,
    conditions: np.ndarray | None = None,
    samples: int = 1000,
) -> Estimate:
    """Computes the path length of a generator. Both ends of an arc have the model's own latent scale and one condition.

    Args:
      generator: the generator.
      variables: the generator's variables.
      embed: pictures (n, H, W, C) in [-1, 1] -> features (n, ...).
      key: see `path_length`.
      conditions: (k, condition_dim), used cyclically, for conditional networks.
      samples: see `path_length`.
    """

    def features(z: jax.Array) -> ArrayLike:
        turns = np.arange(len(z)) % (1 if conditions is None else len(conditions))
        condition = None if conditions is None else conditions[turns]
        return embed(draw(generator, variables, generator.latent_std * z, condition))

    return path_length(features, key, latent_dim=generator.latent_dim, samples=samples)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _near_points(key: jax.Array, count: int, latent_dim: int, step: float) -> tuple[jax.Array, jax.Array]:
    start_key, end_key, fraction_key = jax.random.split(key, 3)
    start = jax.random.normal(start_key, (count, latent_dim))
    end = jax.random.normal(end_key, (count, latent_dim))
    fraction = jax.random.uniform(fraction_key, (count,), maxval=1.0 - step)
    return spherical_interpolation(start, end, fraction), spherical_interpolation(start, end, fraction + step)
