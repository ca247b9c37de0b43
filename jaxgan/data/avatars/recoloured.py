"""Faces beside themselves in another colour of the hair or the eyes: the right answers of a translation.

The inputs are the faces of `avatars.load`, and everything else of a face stays as it is: its background and its
accessories go on suiting the colour that it had, or suit every colour from the first.
"""

import dataclasses
import functools
import os

import numpy as np

from jaxgan.data import avatars, cache
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import CONDITION_NAMES, EYE_COLOURS, HAIR_COLOURS, condition
from jaxgan.data.avatars.scene import paint
from jaxgan.data.avatars.traits import choose
from jaxgan.data.examples import Examples
from jaxgan.data.pairs import split_pairs
from jaxgan.host.errors import UserError, printable

COLOURS = {"hair": HAIR_COLOURS, "eyes": EYE_COLOURS}
"""By part of a face, its colours."""

_EDITION = 1  # raised when the faces change, so that cached ones are redrawn


def draw_recoloured(
    index: int, *, seed: int, size: int, part: str, any_hair: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face in another colour above the face itself, in the form that the cache expects.

    Args:
      index: number of the face in the set.
      seed: random seed of the set.
      size: side of a picture in pixels.
      part: "hair" or "eyes".
      any_hair: see `avatars.load`.

    Returns:
      Both pictures, uint8 (2·size, size, 3), and the condition vector of the first, uint8 (23,).
    """
    dice = Dice(seed, index)
    chosen = choose(dice)
    plain = avatars.recolourable(chosen) if any_hair else dataclasses.replace(chosen, against=(chosen.hair,))
    colours = len(COLOURS[part])
    colour = (getattr(plain, part) + dice.pick("another colour", range(1, colours))) % colours
    change: dict[str, int] = {part: colour}
    other = dataclasses.replace(plain, **change)  # type: ignore[arg-type]
    return np.concatenate([paint(traits, dice, size) for traits in (other, plain)]), condition(other.hair, other.eyes)


def load(
    *,
    part: str,
    size: int,
    count: int = 30_000,
    seed: int = 0,
    any_hair: bool = False,
    cache_dir: str | os.PathLike | None = None,
) -> Examples:
    """Opens a set of faces in another colour, with the faces beside them; draws it where it is not cached.

    Args:
      part: "hair" or "eyes".
      size: side of the pictures in pixels, 16 to 256.
      count: number of faces.
      seed: random seed of the set.
      any_hair: see `avatars.load`.
      cache_dir: directory of the cache; None selects the user's cache directory.

    Returns:
      `count` examples: "image", the face in another colour, "input", as it is in `avatars.load`, uint8 (size, size, 3)
      each, and "condition", that of the image, uint8 (23,).

    Raises:
      UserError: if an argument is out of range, or the cache cannot be written.
    """
    if part not in COLOURS:
        raise UserError(f"faces have colours of {' and '.join(COLOURS)}, not of {printable(part)}")
    avatars.check_set(size, count)
    settings = {
        "edition": [avatars.EDITION, _EDITION],
        "part": part,
        "size": int(size),
        "count": int(count),
        "seed": int(seed),
        **({"any_hair": True} if any_hair else {}),  # Those without keep the names of their entries.
    }
    stacked = cache.load_or_build(
        "avatars_recoloured",
        settings,
        int(count),
        (2 * size, size, 3),
        functools.partial(draw_recoloured, seed=int(seed), size=int(size), part=part, any_hair=any_hair),
        condition_names=CONDITION_NAMES,
        cache_dir=cache_dir,
        description="drawing avatars in other colours",
    )
    return split_pairs(stacked)
