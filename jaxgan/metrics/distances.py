"""Euclidean distances between many points, computed in slabs of bounded memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.statistics import feature_matrix


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes the squared Euclidean distance of every pair of rows: float64 (n, d), (m, d) -> (n, m).

    Rounding can make the distance between equal points slightly negative. On integers the result is exact.
    """
    # |a|² + |b|² - 2 a·b as one product of widened rows, because adding the squares afterwards would double the cost.
    left = np.concatenate([a, np.sum(a * a, axis=1)[:, None], np.ones((len(a), 1))], axis=1)
    right = np.concatenate([-2.0 * b, np.ones((len(b), 1)), np.sum(b * b, axis=1)[:, None]], axis=1)
    return left @ right.T


def slabs(count: int, size: int) -> Iterator[slice]:
    """Returns slices that cover range(count), `size` rows at a time.

    Raises:
      ValueError: if the size is not positive.
    """
    if size < 1:
        raise ValueError(f"a slab holds at least one row, got {size}")
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def neighbour_radii(features: ArrayLike, *, neighbours: int, chunk_size: int = 500) -> np.ndarray:
    """Computes the squared distance from each point to its k-th nearest other point of the same set.

    Args:
      features: (n, d).
      neighbours: k; the point itself is not counted.
      chunk_size: rows handled at a time.

    Returns:
      (n,) float64.

    Raises:
      ValueError: if the set has k points or fewer.
    """
    matrix = feature_matrix(features)
    if not 1 <= neighbours < len(matrix):
        raise ValueError(f"{len(matrix)} points have no neighbour number {neighbours}")
    radii = np.empty(len(matrix))
    for rows in slabs(len(matrix), chunk_size):
        distances = squared_distances(matrix[rows], matrix)
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    return radii
