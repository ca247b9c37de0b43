"""A number and how far it may be off."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Estimate(NamedTuple):
    """A score and its standard error, in the score's own unit."""

    value: float
    standard_error: float


def mean_estimate(values: ArrayLike) -> Estimate:
    """The mean of independent values and its standard error.

    Args:
      values: (n,) at least two numbers, or as many booleans (their mean is a share).

    Raises:
      ValueError: with fewer than two values, whose spread nobody can know.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"a standard error needs at least two values in one dimension, got shape {values.shape}")
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def jackknife_standard_error(without_one: ArrayLike) -> float:
    """Standard error of a score from its values with one group of the sample left out at a time.

    Args:
      without_one: (groups,) the score of the sample without group 0, without group 1, and so on; equal groups.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 11, on groups.
    """
    without_one = np.asarray(without_one, np.float64)
    groups = len(without_one)
    if groups < 2:
        raise ValueError("the jackknife needs at least two groups")
    return float(np.sqrt((groups - 1) / groups * np.sum((without_one - without_one.mean()) ** 2)))
