"""Kernel distance between two sets of features, known as KID; unbiased for any number of pictures.

Reference:
  Bińkowski et al., "Demystifying MMD GANs", 2018.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.metrics.statistics import feature_matrix


def polynomial_kernel(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Computes (a·b / d + 1)³ for every pair of rows: (n, d), (m, d) -> (n, m)."""
    a, b = feature_matrix(a), feature_matrix(b)
    return (a @ b.T / a.shape[1] + 1.0) ** 3


def squared_maximum_mean_discrepancy(a: ArrayLike, b: ArrayLike) -> float:
    """Estimates the squared MMD under the polynomial kernel without bias; the estimate can be slightly negative.

    Args:
      a: (n, d) with n at least 2.
      b: (m, d) with m at least 2.

    Raises:
      ValueError: if a set has fewer than two examples.
    """
    a, b = feature_matrix(a), feature_matrix(b)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"the unbiased estimate needs at least two examples a set, got {len(a)} and {len(b)}")
    return _mean_of_pairs(a) + _mean_of_pairs(b) - 2 * float(polynomial_kernel(a, b).mean())


def kernel_distance(
    real: ArrayLike, generated: ArrayLike, *, seed: int, subsets: int = 10, subset_size: int | None = None
) -> Estimate:
    """Computes the KID: the mean over random subsets, with its standard error.

    By default the subsets are disjoint, and so independent, which makes the standard error valid. Overlapping subsets,
    such as the 100 of 1,000 from 10,000 pictures that papers use, understate it.

    Args:
      real: (n, d).
      generated: (m, d).
      seed: random seed of the subsets.
      subsets: number of subsets, at least 2.
      subset_size: examples of each set per subset. The default is the largest size that keeps the subsets disjoint, at
        most 1,000.

    Raises:
      ValueError: if a set is too small for the subsets, or the sets differ in their number of features.
    """
    real, generated = feature_matrix(real), feature_matrix(generated)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"real pictures have {real.shape[1]} features, generated ones {generated.shape[1]}")
    smaller = min(len(real), len(generated))
    size = min(1000, smaller // subsets) if subset_size is None else subset_size
    if not 2 <= size <= smaller:
        raise ValueError(f"sets of {len(real)} and {len(generated)} cannot fill {subsets} subsets of {size} examples")
    random = np.random.Generator(np.random.PCG64(seed))
    pairs = zip(
        _subsets(random, len(real), subsets, size), _subsets(random, len(generated), subsets, size), strict=True
    )
    return mean_estimate([squared_maximum_mean_discrepancy(real[i], generated[j]) for i, j in pairs])


def _mean_of_pairs(a: np.ndarray) -> float:
    kernel = polynomial_kernel(a, a)
    return float((kernel.sum() - np.trace(kernel)) / (len(a) * (len(a) - 1)))


def _subsets(random: np.random.Generator, count: int, subsets: int, size: int) -> Iterator[np.ndarray]:
    """Yields index sets cut from successive permutations; no set repeats an index."""
    each = count // size
    for subset in range(subsets):
        if subset % each == 0:
            order = random.permutation(count)
        start = subset % each * size
        yield order[start : start + size]
