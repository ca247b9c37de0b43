"""Affine maps of pictures: where each pixel of the result comes from, and the reading of it.

A map is a matrix (3, 3) on (x, y, 1) about the centre, in pixels, from the result to the picture.
"""

import jax
import jax.numpy as jnp

from jaxgan.ops.augment import bilinear


def warp(images: jax.Array, matrices: jax.Array) -> jax.Array:
    """Reads each pixel of the result where it comes from, bilinearly, with mirrors at the edges.

    Args:
      images: (N, H, W, C).
      matrices: (N, 3, 3), from (x, y, 1) in the result to where it is in the image; both about the centre, in pixels.

    Returns:
      (N, H, W, C), in the dtype of the images.
    """
    height, width = images.shape[1:3]
    rows, columns = (jnp.arange(side, dtype=matrices.dtype) - (side - 1) / 2 for side in (height, width))
    y, x = jnp.meshgrid(rows, columns, indexing="ij")

    def one(image: jax.Array, matrix: jax.Array) -> jax.Array:
        source_x, source_y = (line[0] * x + line[1] * y + line[2] for line in matrix[:2])
        return bilinear(
            image, _mirrored(source_y + (height - 1) / 2, height), _mirrored(source_x + (width - 1) / 2, width)
        )

    return jax.vmap(one)(images, matrices)


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiplies matrices (N, n, n) without the rounding that some accelerators do by default."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def rotation(angle: jax.Array) -> jax.Array:
    """Returns where the pixels of pictures come from that are turned anticlockwise by angles (N,): (N, 3, 3)."""
    cos, sin, zero, one = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle), jnp.ones_like(angle)
    return _stacked([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])


def scaling(x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the maps that multiply coordinates by x and by y, (N,) each: (N, 3, 3)."""
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    return _stacked([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def leaning(by: jax.Array) -> jax.Array:
    """Returns the maps that add so many times y to x, (N,): (N, 3, 3)."""
    zero, one = jnp.zeros_like(by), jnp.ones_like(by)
    return _stacked([[one, by, zero], [zero, one, zero], [zero, zero, one]])


def translation(shift: jax.Array) -> jax.Array:
    """Returns the maps that add (x, y) in pixels, (N, 2): (N, 3, 3)."""
    x, y = shift[:, 0], shift[:, 1]
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    return _stacked([[one, zero, x], [zero, one, y], [zero, zero, one]])


def _mirrored(position: jax.Array, length: int) -> jax.Array:
    """Reflects positions about the first and the last pixel, until they are from 0 to length − 1."""
    if length == 1:
        return jnp.zeros_like(position)
    position = jnp.mod(position, 2 * (length - 1))
    return jnp.minimum(position, 2 * (length - 1) - position)


def _stacked(rows: list[list[jax.Array]]) -> jax.Array:
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
