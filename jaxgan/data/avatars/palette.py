"""Palette of 12 hair colours and 11 eye colours in the order of the tags, and condition vectors of colours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.data import tags

Colour = tuple[int, int, int]

HAIR_COLOURS = tags.HAIR
EYE_COLOURS = tags.EYES
CONDITION_NAMES = tags.CONDITION_NAMES


class HairPaint(NamedTuple):
    """Four tones of one hair colour."""

    base: Colour
    shade: Colour
    shine: Colour
    outline: Colour


class EyePaint(NamedTuple):
    """Three tones of one eye colour."""

    base: Colour
    shade: Colour
    light: Colour


HAIR_PAINTS = (
    HairPaint((244, 132, 36), (204, 92, 24), (255, 190, 110), (112, 44, 18)),
    HairPaint((238, 240, 248), (196, 202, 226), (255, 255, 255), (104, 108, 142)),
    HairPaint((78, 218, 214), (36, 172, 182), (184, 250, 242), (16, 84, 98)),
    HairPaint((140, 144, 154), (104, 108, 122), (192, 196, 204), (48, 50, 62)),
    HairPaint((66, 172, 80), (36, 128, 66), (150, 222, 130), (14, 64, 40)),
    HairPaint((208, 40, 48), (156, 20, 44), (250, 120, 110), (80, 8, 28)),
    HairPaint((144, 76, 196), (102, 46, 152), (204, 150, 240), (50, 20, 86)),
    HairPaint((252, 152, 192), (226, 104, 158), (255, 212, 228), (132, 42, 86)),
    HairPaint((54, 92, 218), (34, 58, 164), (130, 168, 252), (16, 24, 84)),
    HairPaint((50, 46, 60), (32, 28, 40), (106, 104, 132), (12, 10, 18)),
    HairPaint((126, 76, 46), (92, 50, 32), (180, 124, 82), (46, 24, 18)),
    HairPaint((248, 216, 104), (218, 170, 62), (255, 244, 182), (124, 82, 26)),
)

EYE_PAINTS = (
    EyePaint((144, 150, 160), (84, 90, 104), (212, 216, 222)),
    EyePaint((50, 46, 56), (22, 20, 28), (104, 100, 116)),
    EyePaint((244, 136, 30), (160, 70, 12), (255, 204, 104)),
    EyePaint((248, 108, 172), (170, 44, 112), (255, 186, 216)),
    EyePaint((240, 210, 44), (172, 128, 14), (255, 244, 150)),
    EyePaint((54, 208, 216), (14, 128, 148), (170, 248, 244)),
    EyePaint((148, 78, 214), (78, 30, 132), (212, 160, 250)),
    EyePaint((56, 176, 82), (16, 96, 54), (158, 232, 130)),
    EyePaint((134, 82, 44), (76, 40, 24), (204, 146, 90)),
    EyePaint((216, 40, 50), (124, 10, 34), (255, 128, 116)),
    EyePaint((52, 100, 232), (22, 42, 142), (140, 190, 255)),
)

SKINS = (
    (255, 232, 216), (255, 224, 202), (254, 214, 188), (246, 202, 168), (232, 182, 144),
    (206, 150, 112), (168, 114, 82),
)  # fmt: skip


def condition(hair: int, eyes: int) -> np.ndarray:
    """Returns the multi-hot condition vector of a hair and an eye colour.

    Args:
      hair: index into `HAIR_COLOURS`.
      eyes: index into `EYE_COLOURS`.

    Returns:
      uint8 (23,): ones at `hair` and at `12 + eyes`; `CONDITION_NAMES` has the names.

    Raises:
      ValueError: if an index is out of range.
    """
    if not 0 <= hair < len(HAIR_COLOURS):
        raise ValueError(f"hair must be an index from 0 to {len(HAIR_COLOURS) - 1}, not {hair!r}")
    if not 0 <= eyes < len(EYE_COLOURS):
        raise ValueError(f"eyes must be an index from 0 to {len(EYE_COLOURS) - 1}, not {eyes!r}")
    vector = np.zeros(len(CONDITION_NAMES), np.uint8)
    vector[[hair, len(HAIR_COLOURS) + eyes]] = 1
    return vector


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mixes two colours.

    Args:
      first: the colour at share 0.
      second: the colour at share 1.
      share: share of the second colour, 0 to 1.
    """
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, factor: float) -> Colour:
    """Returns the colour with every channel multiplied by `factor`, at most 1."""
    return blend((0, 0, 0), colour, factor)


def shifted(colour: Colour, light: float) -> Colour:
    """Lightens a colour towards white (`light` > 0) or darkens it towards black (`light` < 0)."""
    return blend(colour, (255, 255, 255), light) if light >= 0 else darker(colour, 1 + light)


def most_unlike(thrown: Sequence[Colour], hair: Sequence[int]) -> Colour:
    """Returns the colour that differs most from the nearest of some hair colours, indices into `HAIR_COLOURS`."""
    bases = [np.array(HAIR_PAINTS[index].base) for index in hair]
    return max(thrown, key=lambda colour: min(int(((base - colour) ** 2).sum()) for base in bases))
