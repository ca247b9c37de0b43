"""Features without a network: pictures reduced to 8×8.

They capture colours, layout and variety, but no fine detail. They are cheap and identical on every machine.
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
    """Returns a network whose features (n, 64 · channels) are the cell means of an 8×8 grid.

    Pictures must be 8×8 or larger.
    """
    return from_function(
        _means, name=f"thumbnails-{SIDE}x{SIDE}", digest=hashlib.sha256(_DEFINITION.encode()).hexdigest()
    )


def cell_means(images: jax.Array) -> jax.Array:
    """Averages each cell of an 8×8 grid, (N, H, W, C) -> (N, 8, 8, C). Pixels across a border count by their areas.

    Args:
      images: uint8 or floats in [−1, 1].

    Raises:
      ValueError: if the pictures are smaller than the grid.
    """
    height, width = images.shape[1:3]
    if min(height, width) < SIDE:
        raise ValueError(f"pictures of {height}x{width} are smaller than a thumbnail, {SIDE}x{SIDE}")
    rows, columns = _shares(height), _shares(width)
    return jnp.einsum("ih,nhwc,jw->nijc", rows, pixels.normalize(images), columns, precision="highest")


def _means(images: np.ndarray) -> jax.Array:
    return _flat_means(images)


@jax.jit
def _flat_means(images: jax.Array) -> jax.Array:
    return cell_means(images).reshape(len(images), -1)


def _shares(size: int) -> np.ndarray:
    """Returns (8, size): the weight of each pixel of a line in each cell's mean."""
    edges = np.linspace(0.0, size, SIDE + 1)
    first, last = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)[None]
    overlap = np.clip(np.minimum(last, pixel + 1) - np.maximum(first, pixel), 0.0, None)
    return (overlap / (last - first)).astype(np.float32)
