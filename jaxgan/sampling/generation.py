"""The best of many samples."""

import numpy as np


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """Chooses the pictures that a discriminator believes most, best first.

    Args:
      scores: its logits of the candidates, (N,); see `jaxgan.sampling.scores`.
      count: how many to keep, at most N.

    Returns:
      Their indices among the candidates, (count,).

    Reference:
      Tutorial 001, which keeps 64 of 512.
    """
    return np.argsort(-scores, kind="stable")[:count]
