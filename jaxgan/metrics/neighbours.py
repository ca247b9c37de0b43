"""Nearest training pictures, to detect a generator that copies."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.distances import slabs, squared_distances
from jaxgan.metrics.estimate import Estimate, mean_estimate


class Neighbours(NamedTuple):
    """Nearest references of each query, nearest first.

    Attributes:
      distances: (queries, count) float64, Euclidean.
      indices: (queries, count) int64, into the references.
    """

    distances: np.ndarray
    indices: np.ndarray


def nearest_neighbours(
    queries: ArrayLike, references: np.ndarray, *, count: int = 1, chunk_size: int = 1000
) -> Neighbours:
    """Finds the nearest references of each query, in pixels or in features.

    Args:
      queries: (n, ...) features, or pictures of the references' shape; they are flattened.
      references: (m, ...); may be a memory map, of which `chunk_size` rows are held in float64 at a time.
      count: number of neighbours.
      chunk_size: references handled at a time.

    Raises:
      ValueError: if the shapes differ, or there are fewer than `count` references.
    """
    queries = np.asarray(queries, np.float64)
    if queries.shape[1:] != references.shape[1:]:
        raise ValueError(
            f"queries of shape {queries.shape[1:]} and references of {references.shape[1:]} do not compare"
        )
    if not 1 <= count <= len(references):
        raise ValueError(f"{len(references)} references do not have {count} neighbours")
    queries = queries.reshape(len(queries), -1)
    distances = np.empty((len(queries), 0))
    indices = np.empty((len(queries), 0), np.int64)
    for rows in slabs(len(references), chunk_size):
        slab = np.asarray(references[rows], np.float64).reshape(rows.stop - rows.start, -1)
        to_slab = squared_distances(queries, slab)
        nearest = _nearest(to_slab, count)
        distances = np.concatenate([distances, np.take_along_axis(to_slab, nearest, axis=1)], axis=1)
        indices = np.concatenate([indices, nearest + rows.start], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        distances = np.take_along_axis(distances, order, axis=1)
        indices = np.take_along_axis(indices, order, axis=1)
    return Neighbours(np.sqrt(np.maximum(distances, 0.0)), indices)


def authenticity(
    training: np.ndarray, generated: ArrayLike, *, nearest: Neighbours | None = None, chunk_size: int = 1000
) -> Estimate:
    """Returns the share of generated points that are not copies.

    A point is no copy if it is farther from its nearest training point than that point is from its own nearest
    neighbour. The share is about one half for new draws from the training distribution, and 0 for copies.

    Args:
      training: (m, ...) features or pictures, at least two.
      generated: (n, ...) of the same shape.
      nearest: nearest training points of the generated ones, if they are already known.
      chunk_size: training points handled at a time.

    Reference:
      Alaa et al., "How Faithful is your Synthetic Data?", 2022.
    """
    to_training = nearest or nearest_neighbours(generated, training, chunk_size=chunk_size)
    matched, back = np.unique(to_training.indices[:, 0], return_inverse=True)
    among_training = nearest_neighbours(training[matched], training, count=2, chunk_size=chunk_size)
    # The first neighbour of a training point is itself, or its exact copy; the second is its own neighbour.
    return mean_estimate(to_training.distances[:, 0] > among_training.distances[back, 1])


def _nearest(distances: np.ndarray, count: int) -> np.ndarray:
    """Returns the columns of the `count` smallest values of each row, in any order."""
    if count == 1:
        return distances.argmin(axis=1)[:, None]  # an order of magnitude faster than a partition
    if count >= distances.shape[1]:
        return np.broadcast_to(np.arange(distances.shape[1]), distances.shape)
    return np.argpartition(distances, count - 1, axis=1)[:, :count]
