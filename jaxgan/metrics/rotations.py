"""Rotation labels for pictures without labels.

Reference:
  Gidaris, Singh and Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", 2018.
"""

import numpy as np

from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError

ROTATIONS = (Head("rotation", ("0°", "90°", "180°", "270°")),)
"""The single head of a network that predicts the rotation of a picture."""


def rotated(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotates each picture by a random number of right angles.

    Args:
      images: (N, S, S, C).
      seed: random seed of the angles.

    Returns:
      The rotated pictures, and their angles as one-hot labels, (N, 4) uint8.

    Raises:
      UserError: if the pictures are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise UserError(f"pictures of {images.shape[1]}x{images.shape[2]} without labels: give square ones, or labels")
    turns = np.random.Generator(np.random.PCG64(seed)).integers(0, 4, len(images))
    turned = np.empty(images.shape, images.dtype)
    for turn in range(4):
        turned[turns == turn] = np.rot90(images[turns == turn], turn, axes=(1, 2))
    return turned, np.eye(4, dtype=np.uint8)[turns]
