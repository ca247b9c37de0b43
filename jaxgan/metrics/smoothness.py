"""Latent path smoothness: how far a small step in latent space moves the picture.

Source: Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks" (2019), §4.1.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate


@jax.jit
def spherical_interpolation(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> jax.Array:
    """The point at `fraction` of the great arc from `start` to `end` (slerp), which keeps normal noise normal.

    Args:
        start: (..., d).
        end: (..., d); neither of the two is zero.
        fraction: (...), 0 gives start and 1 gives end.

    Source: Shoemake, "Animating Rotation with Quaternion Curves" (1985).
    """
    start, end, fraction = jnp.asarray(start), jnp.asarray(end), jnp.asarray(fraction)[..., None]
    cosine = jnp.sum(start * end, -1, keepdims=True) / (
        jnp.linalg.norm(start, axis=-1, keepdims=True) * jnp.linalg.norm(end, axis=-1, keepdims=True)
    )
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    # Between parallel vectors the arc is a straight line.
    straight = jnp.sin(angle) < 1e-6
    sine = jnp.where(straight, 1.0, jnp.sin(angle))
    start_weight = jnp.where(straight, 1.0 - fraction, jnp.sin((1.0 - fraction) * angle) / sine)
    end_weight = jnp.where(straight, fraction, jnp.sin(fraction * angle) / sine)
    return start_weight * start + end_weight * end


def path_length(
    embed: Callable[[jax.Array], ArrayLike],
    key: jax.Array,
    *,
    latent_dim: int,
    samples: int = 1000,
    batch_size: int = 100,
    step: float = 1e-3,
) -> Estimate:
    """Mean squared distance between the features at two near points of a random arc, over the squared step.

    Args:
        embed: latents (n, latent_dim) -> features (n, ...): the generator, followed by any feature function of its
            pictures. The pictures must not be rounded to whole pixel values in between, which hides small steps.
        key: chooses the arcs (both ends standard normal) and the points on them.
        latent_dim: size of a latent.
        samples: how many pairs of points; the score is their mean.
        batch_size: how many pairs `embed` sees at a time.
        step: distance of the two points, as a fraction of the arc. The paper's 1e-4 is lost in float32 rounding when
            features are large.
    """
    squared_lengths = []
    for first in range(0, samples, batch_size):
        count = min(batch_size, samples - first)
        points = _near_points(jax.random.fold_in(key, first), count, latent_dim, step)
        here, there = (np.asarray(embed(point), np.float64).reshape(count, -1) for point in points)
        squared_lengths.append(np.sum((there - here) ** 2, axis=1) / step**2)
    return mean_estimate(np.concatenate(squared_lengths))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _near_points(key: jax.Array, count: int, latent_dim: int, step: float) -> tuple[jax.Array, jax.Array]:
    start_key, end_key, fraction_key = jax.random.split(key, 3)
    start = jax.random.normal(start_key, (count, latent_dim))
    end = jax.random.normal(end_key, (count, latent_dim))
    fraction = jax.random.uniform(fraction_key, (count,), maxval=1.0 - step)
    return spherical_interpolation(start, end, fraction), spherical_interpolation(start, end, fraction + step)
