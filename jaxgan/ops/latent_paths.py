"""Paths through latent space: straight lines, arcs and closed walks."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


@jax.jit
def linear_interpolation(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> jax.Array:
    """Interpolates linearly between latents (lerp).

    The middle between independent normal latents is shorter than they are by a factor √½, and so less typical of the
    noise.

    Args:
      start: (..., d).
      end: (..., d).
      fraction: (...); 0 gives `start` and 1 gives `end`.

    Returns:
      (..., d).
    """
    start, end, fraction = jnp.asarray(start), jnp.asarray(end), jnp.asarray(fraction)[..., None]
    return (1.0 - fraction) * start + fraction * end


@jax.jit
def spherical_interpolation(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> jax.Array:
    """Interpolates between latents along a great arc (slerp), which preserves the distribution of normal noise.

    Args:
      start: (..., d). From or to the origin there is no arc, and the way is straight.
      end: (..., d).
      fraction: (...); 0 gives `start` and 1 gives `end`.

    Returns:
      (..., d).

    Reference:
      Shoemake, "Animating Rotation with Quaternion Curves", 1985.
    """
    start, end, fraction = jnp.asarray(start), jnp.asarray(end), jnp.asarray(fraction)[..., None]
    lengths = jnp.linalg.norm(start, axis=-1, keepdims=True) * jnp.linalg.norm(end, axis=-1, keepdims=True)
    products = jnp.sum(start * end, -1, keepdims=True)
    cosine = jnp.where(lengths > 0, products / jnp.where(lengths > 0, lengths, 1.0), 1.0)
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    # Parallel vectors have no arc, and sin(angle) would divide by zero: interpolate linearly.
    straight = jnp.sin(angle) < 1e-6
    sine = jnp.where(straight, 1.0, jnp.sin(angle))
    start_weight = jnp.where(straight, 1.0 - fraction, jnp.sin((1.0 - fraction) * angle) / sine)
    end_weight = jnp.where(straight, fraction, jnp.sin(fraction * angle) / sine)
    return start_weight * start + end_weight * end


def between(start: ArrayLike, end: ArrayLike, count: int, *, straight: bool = False) -> jax.Array:
    """Returns evenly spaced points from each start to its end, including both ends.

    Args:
      start: (n, d).
      end: (n, d).
      count: number of points per pair, at least 2.
      straight: whether to follow a line rather than an arc.

    Returns:
      (n, count, d).

    Raises:
      ValueError: if the count is below 2.
    """
    if count < 2:
        raise ValueError(f"a way has at least its two ends, not {count} points")
    start, end = jnp.asarray(start)[:, None], jnp.asarray(end)[:, None]
    interpolation = linear_interpolation if straight else spherical_interpolation
    fractions = jnp.linspace(0.0, 1.0, count, dtype=jnp.result_type(start, end, jnp.float32))
    return interpolation(start, end, fractions[None])


def walk(stations: ArrayLike, count: int, *, straight: bool = False) -> jax.Array:
    """Returns a closed walk through the stations and back to the first, so that its frames loop seamlessly.

    Args:
      stations: (k, d) with k at least 2.
      count: number of points of the whole walk, evenly spaced; the first is the first station.
      straight: whether to follow lines rather than arcs.

    Returns:
      (count, d).

    Raises:
      ValueError: if there are fewer than two stations or no points.
    """
    stations = jnp.asarray(stations)
    if len(stations) < 2 or count < 1:
        raise ValueError(f"a walk needs two stations and a point, not {len(stations)} and {count}")
    way = jnp.arange(count) * (len(stations) / count)
    last = jnp.minimum(way.astype(jnp.int32), len(stations) - 1)
    interpolation = linear_interpolation if straight else spherical_interpolation
    return interpolation(stations[last], stations[(last + 1) % len(stations)], way - last)
