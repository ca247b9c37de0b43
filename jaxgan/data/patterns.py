"""Patterns that the library draws, as pictures of a style: waves, and tiles."""

from collections.abc import Callable, Mapping

import numpy as np

NAMES = ("waves", "tiles")

_OVERSAMPLED = 4  # rows and columns that are averaged to a pixel's one
_SEA = ((12, 44, 92), (24, 92, 148), (66, 158, 196), (236, 232, 214), (232, 120, 60))
_CLAY = ((196, 74, 50), (238, 178, 74), (38, 120, 122), (244, 232, 204), (74, 54, 92))
_GROUT = (30, 26, 34)


def draw(name: str, height: int, width: int) -> np.ndarray:
    """Draws a pattern, the same at every call.

    Args:
      name: one of `NAMES`.
      height: in pixels.
      width: in pixels.

    Returns:
      (height, width, 3) uint8. Details are as large at every size of the picture, which then has more of them.
    """
    down, right = np.mgrid[: height * _OVERSAMPLED, : width * _OVERSAMPLED] / _OVERSAMPLED + 0.5 / _OVERSAMPLED
    fine = _DRAWN[name](down, right)
    coarse = fine.reshape(height, _OVERSAMPLED, width, _OVERSAMPLED, 3).mean(axis=(1, 3))
    return coarse.round().astype(np.uint8)


def _waves(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Bands of five colours, 4 pixels each, that swing by 5 pixels over 24, and a second, slower swing."""
    level = down + 5.0 * np.sin(2 * np.pi * right / 24.0) + 3.0 * np.sin(2 * np.pi * right / 61.0 + 1.0)
    return np.asarray(_SEA, np.float64)[(level // 4.0).astype(int) % len(_SEA)]


def _tiles(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Irregular tiles of about 10 pixels with dark grout: the cells that are nearest to shaken points of a lattice."""
    rows, columns = (int(places.max() // 10) + 3 for places in (down, right))
    random = np.random.Generator(np.random.PCG64(7))
    points = np.mgrid[-1 : rows - 1, -1 : columns - 1].reshape(2, -1).T * 10.0 + random.uniform(
        0, 10, (rows * columns, 2)
    )
    colours = np.asarray(_CLAY, np.float64)[random.integers(0, len(_CLAY), len(points))]
    nearest, second = np.full(down.shape, np.inf), np.full(down.shape, np.inf)
    found = np.zeros((*down.shape, 3))
    for (y, x), colour in zip(points, colours, strict=True):
        # The two nearest points of any place are in its cell and the cells beside it, so no further away than this.
        near = tuple(
            slice(max(0, int((at - 25) * _OVERSAMPLED)), max(0, int((at + 25) * _OVERSAMPLED))) for at in (y, x)
        )
        distance = np.hypot(down[near] - y, right[near] - x)
        nearer = distance < nearest[near]
        second[near] = np.where(nearer, nearest[near], np.minimum(second[near], distance))
        nearest[near] = np.where(nearer, distance, nearest[near])
        found[near] = np.where(nearer[..., None], colour, found[near])
    return np.where((second - nearest < 1.6)[..., None], np.asarray(_GROUT, np.float64), found)


_DRAWN: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"waves": _waves, "tiles": _tiles}
