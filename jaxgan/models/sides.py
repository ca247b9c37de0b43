"""The sides of pictures that translating networks take: they halve a picture twice, and double it again."""

import jax

from jaxgan.host.errors import UserError

MULTIPLE, SMALLEST = 4, 8  # in pixels; at 4, blocks would reflect or normalise single pixels


def check_pictures(x: jax.Array, takes: str) -> None:
    """Checks the sides of pictures (N, H, W, C).

    Args:
      x: the pictures.
      takes: begins the reason, such as "a style transformer takes".

    Raises:
      UserError: for a height or width that is no multiple of 4, or below 8.
    """
    height, width = x.shape[1:3]
    if any(side % MULTIPLE or side < SMALLEST for side in (height, width)):
        raise UserError(
            f"pictures of {height}×{width}: {takes} multiples of {MULTIPLE} pixels, from {SMALLEST} on; resize them"
        )


def check_size(image_size: int, takes: str) -> None:
    """Checks the side of square pictures; arguments and what is raised as of `check_pictures`."""
    if image_size % MULTIPLE or image_size < SMALLEST:
        nearest = max(SMALLEST, round(image_size / MULTIPLE) * MULTIPLE)
        raise UserError(
            f"--image_size={image_size}: {takes} multiples of {MULTIPLE}, from {SMALLEST} on; choose {nearest}"
        )
