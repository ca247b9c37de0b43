"""Fréchet distance between two sets of features, the "FID" of the field.

Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (2017).
A score is comparable with another only if both come from the same feature network, the same number of pictures, the
same split and the same resolution; with another network than Inception it is a different number altogether.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, jackknife_standard_error
from jaxgan.metrics.statistics import FeatureStatistics, feature_matrix, feature_statistics, merge_statistics


def gaussian_frechet_distance(
    mean_a: ArrayLike, covariance_a: ArrayLike, mean_b: ArrayLike, covariance_b: ArrayLike
) -> float:
    """Squared Fréchet (2-Wasserstein) distance of two normal distributions.

    |mean_a - mean_b|² + tr(A) + tr(B) - 2 tr((A^½ B A^½)^½). The product in the last term is symmetric, so its root's
    trace is the sum of the roots of real eigenvalues: no complex numbers and no failure on singular covariances.

    Args:
      mean_a: (d,).
      covariance_a: (d, d), symmetric and positive semi-definite.
      mean_b: (d,).
      covariance_b: (d, d), symmetric and positive semi-definite.
    """
    return _distance_from_root(
        np.asarray(mean_a, np.float64),
        _square_root(np.asarray(covariance_a, np.float64)),
        np.asarray(mean_b, np.float64),
        np.asarray(covariance_b, np.float64),
    )


def frechet_distance(real: FeatureStatistics, generated: FeatureStatistics) -> float:
    """FID from statistics. It is biased upwards by about a constant over n; see `frechet_distance_infinity`.

    Raises:
      ValueError: if the sets differ in their number of features, or either holds fewer examples than features: its
        covariance is then singular for want of data, and the distance says nothing of the distribution.
    """
    _check(real, generated)
    return gaussian_frechet_distance(real.mean, real.covariance, generated.mean, generated.covariance)


def frechet_distance_estimate(real: FeatureStatistics, generated: ArrayLike, *, groups: int = 10) -> Estimate:
    """FID with its standard error over draws of the generated set, the real set held fixed.

    Args:
      real: statistics of the real features.
      generated: (n, d) features in random order.
      groups: how many groups the jackknife leaves out one at a time.

    Raises:
      ValueError: as `frechet_distance`.
    """
    parts = [feature_statistics(part) for part in np.array_split(feature_matrix(generated), groups)]
    whole = merge_statistics(parts)
    _check(real, whole)
    root = _square_root(real.covariance)

    def distance(sample: FeatureStatistics) -> float:
        return _distance_from_root(real.mean, root, sample.mean, sample.covariance)

    without_one = [distance(merge_statistics(parts[:i] + parts[i + 1 :])) for i in range(groups)]
    return Estimate(distance(whole), jackknife_standard_error(without_one))


def frechet_distance_infinity(
    real: ArrayLike, generated: ArrayLike, *, parts: Sequence[int] = (1, 2, 3, 4, 5), groups: int = 10
) -> Estimate:
    """FID extrapolated to endless sets: without the bias that a finite number of pictures brings.

    Both sets are cut into p disjoint parts and the p distances are averaged, for each p in `parts`; the bias is linear
    in 1/n, hence in p, so a straight line through the averages reaches the unbiased value at p = 0. It can come out
    slightly below zero when the distributions agree.

    Source: Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them" (2020); there only
    the generated set is extrapolated, here the real one too.

    Args:
      real: (n, d) features in random order.
      generated: (m, d) features in random order.
      parts: at least two different numbers of parts.
      groups: how many groups the jackknife leaves out one at a time, of both sets at once.

    Raises:
      ValueError: if the smallest part holds fewer examples than features.
    """
    real, generated = feature_matrix(real), feature_matrix(generated)
    if len(set(parts)) < 2 or min(parts) < 1:
        raise ValueError(f"a line needs at least two different numbers of parts, got {tuple(parts)}")
    without_one = [
        _extrapolate(_without(real, group, groups), _without(generated, group, groups), parts)
        for group in range(groups)
    ]
    return Estimate(_extrapolate(real, generated, parts), jackknife_standard_error(without_one))


def _extrapolate(real: np.ndarray, generated: np.ndarray, parts: Sequence[int]) -> float:
    averages = [
        np.mean(
            [
                frechet_distance(feature_statistics(real_part), feature_statistics(generated_part))
                for real_part, generated_part in zip(
                    np.array_split(real, count), np.array_split(generated, count), strict=True
                )
            ]
        )
        for count in parts
    ]
    _, intercept = np.polyfit(np.asarray(parts, np.float64), averages, deg=1)
    return float(intercept)


def _without(features: np.ndarray, group: int, groups: int) -> np.ndarray:
    return np.delete(features, np.s_[group::groups], axis=0)


def _check(real: FeatureStatistics, generated: FeatureStatistics) -> None:
    if real.dimension != generated.dimension:
        raise ValueError(f"real pictures have {real.dimension} features, generated ones {generated.dimension}")
    for name, statistics in (("real", real), ("generated", generated)):
        if statistics.count < statistics.dimension:
            raise ValueError(
                f"{statistics.count} {name} examples cannot fix the covariance of {statistics.dimension} features; "
                f"give at least {statistics.dimension}"
            )


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _distance_from_root(mean_a: np.ndarray, root_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray) -> float:
    product = root_a @ covariance_b @ root_a
    # Rounding leaves the product a hair off symmetric, and its zero eigenvalues a hair off zero.
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    trace_of_root = np.sum(np.sqrt(np.maximum(eigenvalues, 0.0)))
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(root_a**2) + np.trace(covariance_b) - 2 * trace_of_root
    return float(max(distance, 0.0))
