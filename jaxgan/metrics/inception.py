"""Inception score, with any classifier.

With a classifier other than Inception the score is on that classifier's scale, from 1 (collapsed or uncertain) to its
number of classes.

Reference:
  Salimans et al., "Improved Techniques for Training GANs", 2016.
"""

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate


def inception_score(logits: ArrayLike, *, splits: int = 10) -> Estimate:
    """Computes the exponential of the mean divergence of p(class | picture) from p(class), averaged over splits.

    Args:
      logits: (n, classes) of pictures in random order (if they were sorted by class, each split would look collapsed).
      splits: number of equal, consecutive parts that are scored separately, at least 2; n should be a multiple of it.

    Returns:
      The mean over the splits and its standard error (papers print the standard deviation, larger by a factor √splits).

    Raises:
      ValueError: if there are fewer pictures than splits.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or len(logits) < splits:
        raise ValueError(f"{splits} splits need logits (pictures, classes) of as many pictures, got {logits.shape}")
    return mean_estimate([_score(part) for part in np.array_split(logits, splits)])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns log-probabilities along the last axis, stable for logits of any size."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _score(logits: np.ndarray) -> float:
    log_given_picture = log_softmax(logits)
    given_picture = np.exp(log_given_picture)
    overall = given_picture.mean(axis=0)
    # Where a class has no probability in any picture its terms are 0 · log 0 = 0.
    log_overall = np.log(np.where(overall > 0, overall, 1.0))
    divergence = np.sum(given_picture * (log_given_picture - log_overall), axis=1)
    return float(np.exp(divergence.mean()))
