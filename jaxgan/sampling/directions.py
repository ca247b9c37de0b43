"""Editing directions: ways in a generator's space toward a class, such as "blue hair", that spare other kinds.

A classifier names samples. The way to a class is that from the mean of the others' points, styles or latents, to the
mean of its own. From it is taken what lies along axes that tell more of other kinds than of its own, where points are
scaled so that they have the same spread along every axis. Along an axis that tells as much of both, kinds go together.

Reference:
  Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", 2020, §3.2, which takes away the whole
  way of another attribute.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.data.heads import Head

LEAST = 20  # samples of a class and of the others, of which a mean says something
SHRINKAGE = 0.1  # of the mean variance, added along every axis: of the small variances little is known
LEAST_COSINE = 0.5  # between a way and its part; below, the part is not made to go as far as the way
MARGIN = 0.01  # of the variance along an axis: what other kinds must tell more of it than the own one
TINY = 1e-30


class Directions(NamedTuple):
    """A direction for each class of each kind.

    Attributes:
      kinds: the kinds, such as hair and eyes; their columns are rows of `steps`.
      steps: (classes, d) float32: what strength 1 adds to a point. A linear discriminant of the class changes by it as
        much as it does from the mean of the others to the mean of the class. Zero where `known` is false.
      counts: (classes,) int64: number of points that were called so.
    """

    kinds: tuple[Head, ...]
    steps: np.ndarray
    counts: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Which classes have a direction, (classes,) bool."""
        return np.any(self.steps != 0, axis=1)


def find(points: np.ndarray, logits: np.ndarray, kinds: Sequence[Head], *, least: int = LEAST) -> Directions:
    """Finds a direction for each class.

    Args:
      points: of the samples, in the space in which they are moved, (N, d).
      logits: a classifier's answers for the same samples, (N, classes).
      kinds: what the answers mean.
      least: a class of fewer points, or of all points but fewer, has no direction.

    Raises:
      ValueError: if the points and the answers differ in number, or there are no kinds.
    """
    from scipy.special import softmax  # not needed where directions are only applied

    points, logits = np.asarray(points, np.float64), np.asarray(logits, np.float64)
    if len(points) != len(logits) or not kinds:
        raise ValueError(f"{len(points)} points, {len(logits)} answers and {len(kinds)} kinds")
    shares = np.concatenate([softmax(logits[:, kind.columns], axis=1) for kind in kinds], axis=1)
    counts = np.concatenate(
        [np.bincount(logits[:, kind.columns].argmax(axis=1), minlength=len(kind.classes)) for kind in kinds]
    )
    known = (counts >= least) & (len(points) - counts >= least)
    spread, scale = _roots(np.cov(points.T, ddof=0))
    ways = np.where(known[:, None], _differences(points, shares), 0) @ scale
    steps = np.zeros_like(ways)
    between = ways * np.sqrt(shares.mean(axis=0) * (1 - shares.mean(axis=0)))[:, None]
    for kind in kinds:
        own = between[kind.columns]
        axes = _foreign_axes(own.T @ own, between.T @ between)
        steps[kind.columns] = _at_right_angles(ways[kind.columns], axes)
    return Directions(tuple(kinds), (steps @ spread).astype(np.float32), counts)


def offset(directions: Directions, strengths: Mapping[int, float]) -> np.ndarray:
    """Returns what is added to a point, (d,), for strengths by the numbers of the classes: the sum of their steps."""
    total = np.zeros(directions.steps.shape[1], np.float32)
    for number, strength in strengths.items():
        total += np.float32(strength) * directions.steps[number]
    return total


def moved(points: np.ndarray, offsets: np.ndarray, *, keep_length: bool) -> np.ndarray:
    """Adds offsets to points.

    Args:
      points: (..., d).
      offsets: (..., d), of shapes that are broadcast.
      keep_length: whether each point is then given the length that it had before, as latents of normal noise need: they
        lie near a sphere, and a generator has learnt nothing of what is inside or outside of it.
    """
    found = points + offsets
    if not keep_length:
        return found
    before, after = (np.linalg.norm(one, axis=-1, keepdims=True) for one in (points, found))
    return found * (before / np.maximum(after, TINY))


def _differences(points: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns for each class its mean point minus that of the others, (classes, d); each point counts by its share."""
    own = shares.T @ points / np.maximum(shares.sum(axis=0), TINY)[:, None]
    rest = (1 - shares).T @ points / np.maximum((1 - shares).sum(axis=0), TINY)[:, None]
    return own - rest


def _roots(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the root of a shrunken covariance (d, d), and the inverse of the root."""
    covariance = np.atleast_2d(covariance)
    variances, axes = np.linalg.eigh(covariance)
    deviations = np.sqrt(np.maximum(variances, 0) + SHRINKAGE * np.trace(covariance) / len(covariance) + TINY)
    return axes * deviations @ axes.T, axes / deviations @ axes.T


def _foreign_axes(own: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Returns the axes, (m, d), along which other kinds differ more than the own one.

    Args:
      own: how far the classes of a kind are apart, (d, d).
      every: the sum of that of all kinds, (d, d).
    """
    differences, axes = np.linalg.eigh(2 * own - every)
    return axes[:, differences < -MARGIN].T


def _at_right_angles(ways: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Returns of ways (k, d) the parts at right angles to axes (m, d), lengthened to go as far along the ways."""
    parts = ways - ways @ axes.T @ axes
    cosines = np.linalg.norm(parts, axis=1) / np.maximum(np.linalg.norm(ways, axis=1), TINY)
    return parts / np.maximum(cosines, LEAST_COSINE)[:, None] ** 2
