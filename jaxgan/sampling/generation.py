"""Selection of the best samples."""

import numpy as np


def best(scores: np.ndarray, count: int) -> np.ndarray:
    """Selects the images with the highest scores of a discriminator, best first.

    Args:
      scores: logits of the candidates, (N,); see `jaxgan.sampling.scores`.
      count: number of images to keep, at most N.

    Returns:
      Indices of the selected candidates, (count,).

    Reference:
      Tutorial 001, which keeps 64 of 512.
    """
    return np.argsort(-scores, kind="stable")[:count]
