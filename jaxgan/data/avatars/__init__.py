"""Labelled cartoon faces, drawn by the library itself at any size and reproducible across versions.

A face is a pure function of (seed, index): the choices come from a hash defined here, and the geometry does not depend
on the size of the picture. Hair and eyes have the 12 and 11 colours of the tags of tutorial 000, so the pictures can
train a conditional network. `measure_hair_colour` and `measure_eye_colour` check whether its samples match their
conditions.
"""

import dataclasses
import functools
import os

import numpy as np

from jaxgan.data import cache
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.measure import measure_eye_colour, measure_hair_colour
from jaxgan.data.avatars.palette import CONDITION_NAMES, EYE_COLOURS, HAIR_COLOURS, condition
from jaxgan.data.avatars.scene import paint
from jaxgan.data.avatars.traits import Traits, choose
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError

__all__ = [
    "CONDITION_NAMES",
    "EYE_COLOURS",
    "HAIR_COLOURS",
    "SIZES",
    "Avatar",
    "Traits",
    "condition",
    "draw",
    "draw_example",
    "load",
    "measure_eye_colour",
    "measure_hair_colour",
]

SIZES = range(16, 257)
"""Valid sizes of a face, in pixels."""

EDITION = 1  # raised when the face of a (seed, index) changes, so that cached faces are redrawn


@dataclasses.dataclass(frozen=True)
class Avatar:
    """A drawn face.

    Attributes:
      image: uint8 (size, size, 3).
      traits: its appearance.
    """

    image: np.ndarray
    traits: Traits

    @property
    def hair(self) -> int:
        """Index of the hair colour in `HAIR_COLOURS`."""
        return self.traits.hair

    @property
    def eyes(self) -> int:
        """Index of the eye colour in `EYE_COLOURS`."""
        return self.traits.eyes


def draw(seed: int, index: int, size: int) -> Avatar:
    """Draws a face.

    Args:
      seed: random seed of the set of faces, 0 <= seed < 2**64.
      index: number of the face in the set, 0 <= index < 2**64.
      size: side of the picture in pixels, 16 to 256. The face is the same at every size.

    Returns:
      The picture and its traits.

    Raises:
      ValueError: if an argument is out of range.
    """
    if size not in SIZES:
        raise ValueError(f"size must be an integer from {SIZES[0]} to {SIZES[-1]}, not {size!r}")
    dice = Dice(seed, index)
    traits = choose(dice)
    return Avatar(paint(traits, dice, int(size)), traits)


def recolourable(traits: Traits) -> Traits:
    """Returns the face with a background and accessories that suit every colour of hair, and so tell none."""
    return dataclasses.replace(traits, against=tuple(range(len(HAIR_COLOURS))))


def draw_example(index: int, *, seed: int, size: int, any_hair: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face in the form that the cache expects.

    Args:
      index: number of the face in the set.
      seed: random seed of the set.
      size: side of the picture in pixels.
      any_hair: see `load`.

    Returns:
      The picture, uint8 (size, size, 3), and its condition vector, uint8 (23,).
    """
    dice = Dice(seed, index)
    traits = choose(dice)
    painted = paint(recolourable(traits) if any_hair else traits, dice, size)
    return painted, condition(traits.hair, traits.eyes)


def check_set(size: int, count: int) -> None:
    """Raises a UserError for a size at which nothing is drawn, or a set of none."""
    if size not in SIZES:
        raise UserError(
            f"--image_size={size}: the avatars are drawn at {SIZES[0]} to {SIZES[-1]} pixels; choose one of these"
        )
    if count < 1:
        raise UserError(f"{count} avatars cannot be drawn: ask for at least 1")


def load(
    *,
    size: int,
    count: int = 30_000,
    seed: int = 0,
    any_hair: bool = False,
    cache_dir: str | os.PathLike | None = None,
) -> Examples:
    """Opens a set of faces with their hair and eye colours; draws it in parallel processes if it is not cached.

    Args:
      size: side of the pictures in pixels, 16 to 256.
      count: number of faces.
      seed: random seed of the set.
      any_hair: whether backgrounds and accessories suit every colour of hair, see `recolourable`, or that of the face,
        which they then tell something of.
      cache_dir: directory of the cache; None selects the user's cache directory.

    Returns:
      `count` pictures uint8 (size, size, 3) with conditions uint8 (23,).

    Raises:
      UserError: if the size or the count is out of range, or the cache cannot be written.
    """
    check_set(size, count)
    if not 0 <= seed < 1 << 64:
        raise UserError(f"--seed={seed}: the avatars take a seed from 0 to 2**64 - 1")
    return cache.load_or_build(
        "avatars_recolourable" if any_hair else "avatars",
        {"edition": EDITION, "size": int(size), "count": int(count), "seed": int(seed)},
        int(count),
        (int(size), int(size), 3),
        functools.partial(draw_example, seed=int(seed), size=int(size), any_hair=any_hair),
        condition_names=CONDITION_NAMES,
        cache_dir=cache_dir,
        description="drawing avatars",
    )
