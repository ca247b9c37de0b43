"""Mean and covariance of features in float64, mergeable over batches."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of a set of features, sufficient for a Fréchet distance.

    Attributes:
      count: number of examples.
      mean: (d,) float64.
      scatter: (d, d) float64, the sum of the outer products of the deviations from the mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @property
    def dimension(self) -> int:
        """Number of features per example."""
        return len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance, (d, d).

        Raises:
          ValueError: if there are fewer than two examples.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least two examples, got {self.count}")
        return self.scatter / (self.count - 1)


def feature_matrix(features: ArrayLike) -> np.ndarray:
    """Returns features as a float64 matrix (n, d).

    Raises:
      ValueError: if they are not two-dimensional, are empty, or hold a number that is not finite.
    """
    matrix = np.asarray(features, np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"features are a matrix (examples, features), got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("features hold numbers that are not finite")
    return matrix


def feature_statistics(features: ArrayLike) -> FeatureStatistics:
    """Computes the statistics of the rows of a matrix (n, d)."""
    matrix = feature_matrix(features)
    mean = matrix.mean(axis=0)
    deviations = matrix - mean
    return FeatureStatistics(len(matrix), mean, deviations.T @ deviations)


def merge_statistics(parts: Iterable[FeatureStatistics]) -> FeatureStatistics:
    """Merges the statistics of disjoint sets; `parts` may be a generator over batches.

    Raises:
      ValueError: if there are no parts, or they differ in their number of features.

    Reference:
      Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """
    return reduce(_merge_two, _at_least_one(parts))


def _at_least_one(parts: Iterable[FeatureStatistics]) -> Iterable[FeatureStatistics]:
    empty = True
    for part in parts:
        empty = False
        yield part
    if empty:
        raise ValueError("there are no statistics to merge")


def _merge_two(left: FeatureStatistics, right: FeatureStatistics) -> FeatureStatistics:
    if left.dimension != right.dimension:
        raise ValueError(f"cannot merge statistics of {left.dimension} and {right.dimension} features")
    count = left.count + right.count
    shift = right.mean - left.mean
    mean = left.mean + shift * (right.count / count)
    scatter = left.scatter + right.scatter + np.outer(shift, shift) * (left.count * right.count / count)
    return FeatureStatistics(count, mean, scatter)
