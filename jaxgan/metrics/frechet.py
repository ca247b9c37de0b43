"""Fréchet distance between two sets of features, known as FID.

Two scores are comparable only if they share the feature network, the number of pictures, the split and the resolution.
With a network other than Inception the number is not the FID of the literature.

Reference:
  Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, jackknife_standard_error
from jaxgan.metrics.statistics import FeatureStatistics, feature_matrix, feature_statistics, merge_statistics


def gaussian_frechet_distance(
    mean_a: ArrayLike, covariance_a: ArrayLike, mean_b: ArrayLike, covariance_b: ArrayLike
) -> float:
    """Computes the squared Fréchet (2-Wasserstein) distance of two normal distributions.

    |mean_a - mean_b|² + tr(A) + tr(B) - 2 tr((A^½ B A^½)^½). The product in the last term is symmetric, so the trace of
    its root is the sum of the roots of real eigenvalues. This needs no complex numbers and works with singular
    covariances.

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
    """Computes the FID from statistics.

    It is biased upwards by about a constant over n; see `frechet_distance_infinity`.

    Raises:
      ValueError: if the sets differ in their number of features, or a set holds fewer examples than features. Its
        covariance would be singular, and the distance meaningless.
    """
    _check(real, generated)
    return gaussian_frechet_distance(real.mean, real.covariance, generated.mean, generated.covariance)


def frechet_distance_estimate(real: FeatureStatistics, generated: ArrayLike, *, groups: int = 10) -> Estimate:
    """Computes the FID and its standard error over draws of the generated set, with the real set held fixed.

    Args:
      real: statistics of the real features.
      generated: (n, d) features in random order.
      groups: number of groups that the jackknife leaves out one at a time.

    Raises:
      ValueError: under the conditions of `frechet_distance`.
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
    """Extrapolates the FID to infinite sets, which removes the bias of a finite number of pictures.

    For each p in `parts`, both sets are cut into p disjoint parts and the p distances are averaged. The bias is linear
    in 1/n, hence in p, so a line fitted to the averages gives the unbiased value at p = 0. The result can be slightly
    negative if the distributions agree.

    Args:
      real: (n, d) features in random order.
      generated: (m, d) features in random order.
      parts: at least two different numbers of parts.
      groups: number of groups that the jackknife leaves out one at a time, from both sets at once.

    Raises:
      ValueError: if the smallest part holds fewer examples than features, or `parts` has fewer than two numbers.

    Reference:
      Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", 2020; they extrapolate
      the generated set only, this function also the real one.
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
    # Rounding leaves the product slightly asymmetric, and its zero eigenvalues slightly off zero.
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    trace_of_root = np.sum(np.sqrt(np.maximum(eigenvalues, 0.0)))
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(root_a**2) + np.trace(covariance_b) - 2 * trace_of_root
    return float(max(distance, 0.0))
