"""The inception-type score: a classifier is sure of each picture, and the pictures differ.

Source: Salimans et al., "Improved Techniques for Training GANs" (2016). With another classifier than Inception the
number is on that classifier's scale: from 1 (collapsed or unsure) to its number of classes.
"""

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.metrics.estimate import Estimate, mean_estimate


def inception_score(logits: ArrayLike, *, splits: int = 10) -> Estimate:
    """The exponential of the mean divergence of p(class | picture) from p(class), averaged over consecutive splits.

    Args:
      logits: (n, classes) of pictures in random order (sorted by class, each split would look collapsed).
      splits: how many equal parts are scored apart, at least 2; n is best a multiple of it.

    Returns:
      The mean over the splits and its standard error (papers print the standard deviation, √splits times as much).

    Raises:
      ValueError: if there are fewer pictures than splits.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or len(logits) < splits:
        raise ValueError(f"{splits} splits need logits (pictures, classes) of as many pictures, got {logits.shape}")
    return mean_estimate([_score(part) for part in np.array_split(logits, splits)])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis, stable for logits of any size."""
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
