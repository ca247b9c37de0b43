"""Classes of generated pictures: counts, coverage, a classifier's confidence, and agreement with what was asked for."""

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.metrics.inception import log_softmax


def class_histogram(logits: ArrayLike) -> np.ndarray:
    """Counts the pictures that a classifier assigns to each class: (n, classes) -> (classes,) int64.

    Raises:
      ValueError: if the logits are not a matrix.
    """
    logits = np.asarray(logits)
    if logits.ndim != 2:
        raise ValueError(f"logits are a matrix (pictures, classes), got shape {logits.shape}")
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1])


def mode_coverage(histogram: ArrayLike, *, threshold: float = 0.05) -> float:
    """Returns the share of classes that hold at least `threshold` of the pictures; 1 if none is missing.

    Args:
      histogram: (classes,) counts, see `class_histogram`.
      threshold: share of all pictures in (0, 1]. The default is half the fair share of ten classes.

    Raises:
      ValueError: if the histogram is empty or the threshold is out of range.
    """
    histogram = np.asarray(histogram, np.float64)
    total = histogram.sum()
    if histogram.ndim != 1 or total <= 0:
        raise ValueError("the histogram is empty")
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is a share in (0, 1], got {threshold}")
    # The slack counts a class that holds exactly the threshold, even if the product was rounded up.
    return float(np.mean(histogram >= threshold * total * (1 - 1e-9)))


def confidence(logits: ArrayLike) -> Estimate:
    """Returns how sure a classifier is: the mean over the pictures of the probability of their likeliest class.

    Pictures that lie between two classes, or are none of them, lower it.

    Args:
      logits: (n, classes).

    Raises:
      ValueError: if the logits are not a matrix.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2:
        raise ValueError(f"logits are a matrix (pictures, classes), got shape {logits.shape}")
    return mean_estimate(np.exp(log_softmax(logits).max(axis=1)))


def conditional_accuracy(logits: ArrayLike, labels: ArrayLike) -> Estimate:
    """Returns the share of pictures that a classifier assigns to the requested class.

    Args:
      logits: (n, classes).
      labels: (n,) requested class numbers.

    Raises:
      ValueError: if the shapes do not match.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits (n, classes) and labels (n,) do not match: {logits.shape} and {labels.shape}")
    return mean_estimate(logits.argmax(axis=1) == labels)
