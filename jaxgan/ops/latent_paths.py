"""Ways through latent space: straight lines, arcs, and walks that return to where they began."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


@jax.jit
def linear_interpolation(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> jax.Array:
    """The point at `fraction` of the straight line from `start` to `end` (lerp).

    Between independent normal latents its middle is shorter than they are, by √½: less typical noise.

    Args:
      start: (..., d).
      end: (..., d).
      fraction: (...), 0 gives start and 1 gives end.
    """
    start, end, fraction = jnp.asarray(start), jnp.asarray(end), jnp.asarray(fraction)[..., None]
    return (1.0 - fraction) * start + fraction * end


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


def between(start: ArrayLike, end: ArrayLike, count: int, *, straight: bool = False) -> jax.Array:
    """Evenly spaced points from each start to its end, both ends among them.

    Args:
      start: (n, d).
      end: (n, d).
      count: points of each pair, at least 2.
      straight: whether the way is a line, or an arc.

    Returns:
      (n, count, d).
    """
    if count < 2:
        raise ValueError(f"a way has at least its two ends, not {count} points")
    start, end = jnp.asarray(start)[:, None], jnp.asarray(end)[:, None]
    interpolation = linear_interpolation if straight else spherical_interpolation
    fractions = jnp.linspace(0.0, 1.0, count, dtype=jnp.result_type(start, end, jnp.float32))
    return interpolation(start, end, fractions[None])


def walk(stations: ArrayLike, count: int) -> jax.Array:
    """A closed walk along arcs from station to station and back to the first: its frames repeat without a seam.

    Args:
      stations: (k, d) with k at least 2.
      count: points of the whole walk, at even shares of the way; the first is the first station.

    Returns:
      (count, d).
    """
    stations = jnp.asarray(stations)
    if len(stations) < 2 or count < 1:
        raise ValueError(f"a walk needs two stations and a point, not {len(stations)} and {count}")
    way = jnp.arange(count) * (len(stations) / count)
    last = jnp.minimum(way.astype(jnp.int32), len(stations) - 1)
    return spherical_interpolation(stations[last], stations[(last + 1) % len(stations)], way - last)
