"""Features without any network: what is left of a picture at 8×8.

They see colours, layout and variety, and no fine detail: cheap, and the same everywhere and for ever.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.metrics.features import FeatureNetwork, from_function
from jaxgan.ops import pixels

SIDE = 8
_DEFINITION = f"area means of {SIDE}x{SIDE} cells, pixels in [-1, 1]"


def thumbnails() -> FeatureNetwork:
    """Features (n, 64 · channels): the mean of each cell of an 8×8 grid, of pictures of any size from 8×8."""
    return from_function(
        _means, name=f"thumbnails-{SIDE}x{SIDE}", digest=hashlib.sha256(_DEFINITION.encode()).hexdigest()
    )


def cell_means(images: jax.Array) -> jax.Array:
    """The mean of each cell, pixels that lie across a border counted by their areas: (N, H, W, C) -> (N, 8, 8, C).

    Args:
      images: uint8 or in [−1, 1].

    Raises:
      ValueError: the pictures are smaller than the grid.
    """
    height, width = images.shape[1:3]
    if min(height, width) < SIDE:
        raise ValueError(f"pictures of {height}x{width} have no thumbnail of {SIDE}x{SIDE}")
    rows, columns = _shares(height), _shares(width)
    return jnp.einsum("ih,nhwc,jw->nijc", rows, pixels.normalize(images), columns, precision="highest")


def _means(images: np.ndarray) -> jax.Array:
    return _flat_means(images)


@jax.jit
def _flat_means(images: jax.Array) -> jax.Array:
    return cell_means(images).reshape(len(images), -1)


def _shares(size: int) -> np.ndarray:
    """(8, size): the share that each pixel of a line has in each cell's mean."""
    edges = np.linspace(0.0, size, SIDE + 1)
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)[None]
    overlap = np.clip(np.minimum(last, pixel + 1) - np.maximum(first, pixel), 0.0, None)
    return (overlap / (last - first)).astype(np.float32)
