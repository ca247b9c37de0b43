"""Estimates: numbers with standard errors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Estimate(NamedTuple):
    """A score and its standard error, in the same unit."""

    value: float
    standard_error: float


def mean_estimate(values: ArrayLike) -> Estimate:
    """Returns the mean of independent values with its standard error.

    Args:
      values: (n,) at least two numbers, or booleans, whose mean is a share.

    Raises:
      ValueError: if there are fewer than two values, or more than one dimension.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"a standard error needs at least two values in one dimension, got shape {values.shape}")
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def jackknife_standard_error(without_one: ArrayLike) -> float:
    """Returns the standard error of a score, from its values with one group of the sample left out at a time.

    Args:
      without_one: (groups,) the score of the sample without group 0, without group 1, and so on; groups of equal size.

    Raises:
      ValueError: if there are fewer than two groups.

    Reference:
      Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11, applied to groups.
    """
    without_one = np.asarray(without_one, np.float64)
    groups = len(without_one)
    if groups < 2:
        raise ValueError("the jackknife needs at least two groups")
    return float(np.sqrt((groups - 1) / groups * np.sum((without_one - without_one.mean()) ** 2)))
