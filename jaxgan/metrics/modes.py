"""Which classes a generator makes, and whether it makes the one it was asked for."""

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate


def class_histogram(logits: ArrayLike) -> np.ndarray:
    """How many pictures a classifier takes for each class: (n, classes) -> (classes,) int64."""
    logits = np.asarray(logits)
    if logits.ndim != 2:
        raise ValueError(f"logits are a matrix (pictures, classes), got shape {logits.shape}")
    return np.bincount(logits.argmax(axis=1), minlength=logits.shape[1])


def mode_coverage(histogram: ArrayLike, *, threshold: float = 0.05) -> float:
    """Share of the classes that hold at least `threshold` of the pictures: 1 when none is missing.

    Args:
      histogram: (classes,) counts, as `class_histogram` gives them.
      threshold: share of all pictures in (0, 1]. The default is half the fair share of ten classes.
    """
    histogram = np.asarray(histogram, np.float64)
    total = histogram.sum()
    if histogram.ndim != 1 or total <= 0:
        raise ValueError("the histogram is empty")
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold is a share in (0, 1], got {threshold}")
    # The slack keeps a class that holds exactly the threshold, whichever way its product was rounded.
    return float(np.mean(histogram >= threshold * total * (1 - 1e-9)))


def conditional_accuracy(logits: ArrayLike, labels: ArrayLike) -> Estimate:
    """Share of pictures that a classifier takes for the class that was asked for.

    Args:
      logits: (n, classes).
      labels: (n,) class numbers that the generator was given.
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits (n, classes) and labels (n,) do not match: {logits.shape} and {labels.shape}")
    return mean_estimate(logits.argmax(axis=1) == labels)
