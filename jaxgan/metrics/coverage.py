"""Precision, recall, density and coverage of generated samples.

Reference:
  Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019; Naeem et al.,
  "Reliable Fidelity and Diversity Metrics for Generative Models", 2020.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.distances import neighbour_radii, slabs, squared_distances
from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.metrics.statistics import feature_matrix


class ManifoldScores(NamedTuple):
    """Scores based on balls around each point that reach to its k-th nearest neighbour.

    Attributes:
      precision: share of generated points that lie in the ball of some real point.
      recall: share of real points that lie in the ball of some generated point.
      density: mean number of real balls that contain a generated point, divided by k; about 1 if the distributions
        agree.
      coverage: share of real points whose ball contains some generated point.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def manifold_scores(
    real: ArrayLike, generated: ArrayLike, *, neighbours: int = 5, chunk_size: int = 500
) -> ManifoldScores:
    """Computes precision, recall, density and coverage in one pass over the distances.

    The standard errors are those of a mean over points, with the other set held fixed. The scores depend on the sizes
    of the sets, so compare only scores from sets of equal sizes.

    Args:
      real: (n, d) features.
      generated: (m, d) features.
      neighbours: k, the number of neighbours that a ball reaches to.
      chunk_size: rows handled at a time; memory grows with chunk_size · max(n, m).

    Returns:
      The four scores with their standard errors.

    Raises:
      ValueError: if a set has k points or fewer, or the sets differ in their number of features.
    """
    real_points, generated_points = feature_matrix(real), feature_matrix(generated)
    if real_points.shape[1] != generated_points.shape[1]:
        raise ValueError(
            f"real pictures have {real_points.shape[1]} features, generated ones {generated_points.shape[1]}"
        )
    centre = real_points.mean(axis=0)  # distances near the origin lose less to rounding
    real_points, generated_points = real_points - centre, generated_points - centre
    real_radii = neighbour_radii(real_points, neighbours=neighbours, chunk_size=chunk_size)
    generated_radii = neighbour_radii(generated_points, neighbours=neighbours, chunk_size=chunk_size)

    balls_holding_generated = np.empty(len(generated_points))
    real_is_recalled = np.zeros(len(real_points), np.bool_)
    real_is_covered = np.zeros(len(real_points), np.bool_)
    for rows in slabs(len(generated_points), chunk_size):
        distances = squared_distances(generated_points[rows], real_points)
        in_real_ball = distances <= real_radii
        balls_holding_generated[rows] = in_real_ball.sum(axis=1)
        real_is_covered |= in_real_ball.any(axis=0)
        real_is_recalled |= (distances <= generated_radii[rows, None]).any(axis=0)
    return ManifoldScores(
        precision=mean_estimate(balls_holding_generated > 0),
        recall=mean_estimate(real_is_recalled),
        density=mean_estimate(balls_holding_generated / neighbours),
        coverage=mean_estimate(real_is_covered),
    )
