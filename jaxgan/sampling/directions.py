"""Directions in the space of styles along which a picture gains an attribute, found from labelled samples.

Reference:
  Shen, Gu, Tang and Zhou, "Interpreting the Latent Space of GANs for Semantic Face Editing", 2020, who take the normal
  of a linear boundary between styles with and without the attribute. Here that is Fisher's, in closed form.
"""

from typing import NamedTuple

import numpy as np

RIDGE = 1e-2  # added to the covariance, as a share of its mean variance
LEAST = 8  # styles with an attribute, and without, in each half


class Direction(NamedTuple):
    """A direction of an attribute.

    Attributes:
      vector: (d,), of such a length that a step of 1 is a standard deviation of the styles along it.
      separation: how far apart the means with and without the attribute are along it, in standard deviations of either
        kind, of styles that the direction was not found from. 0: it says nothing.
    """

    vector: np.ndarray
    separation: float


def find_direction(styles: np.ndarray, has: np.ndarray) -> Direction | None:
    """Finds the direction of an attribute from every other style, and measures it by the rest.

    It is Σ⁻¹(μ₁ − μ₀), with the covariance Σ within both kinds. The difference of means alone would also go along
    whatever varies most in w; a logistic regression gives the same direction, where styles are normal, by iterations.

    Args:
      styles: (N, d).
      has: whether the picture of each has the attribute, bool (N,).

    Returns:
      The direction; None if too few have the attribute, or too few have not.

    Raises:
      ValueError: if the numbers differ.
    """
    styles, has = np.asarray(styles, np.float64), np.asarray(has, bool)
    if styles.ndim != 2 or has.shape != styles.shape[:1]:
        raise ValueError(f"styles of shape {styles.shape}, and {has.shape} labels")
    halves = [(styles[first::2], has[first::2]) for first in (0, 1)]
    if any(min(known.sum(), (~known).sum()) < LEAST for _, known in halves):
        return None
    (learnt, known), (others, truth) = halves
    between = learnt[known].mean(axis=0) - learnt[~known].mean(axis=0)
    within = _within(learnt, known)
    within = within.T @ within / len(within)
    ridge = RIDGE * np.trace(within) / len(within)
    if not ridge > 0.0:
        return None
    vector = np.linalg.solve(within + ridge * np.eye(len(within)), between)
    vector /= np.linalg.norm(vector)
    along = others @ vector
    gap = along[truth].mean() - along[~truth].mean()
    return Direction(vector * np.std(styles @ vector), float(gap / _within(along, truth).std()))


def _within(values: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Returns values (N, …) less the mean of their kind."""
    means = np.stack([values[~has].mean(axis=0), values[has].mean(axis=0)])
    return values - means[has.astype(int)]
