"""Pairs of a face and a drawing of it to be translated into the face: a sketch, a map of its parts, or a grey picture.

Both show the same face, so that the right answer of a translation is known, pixel by pixel. A map shows hair and eyes
in the colours of their classes, skin and clothes in one flat colour each, and accessories and the background as they
are: a translation can only get right what its input shows.
"""

import functools
import os
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from jaxgan.data import avatars, cache
from jaxgan.data.avatars.body import cloth_colour
from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.eyes import lash_colour
from jaxgan.data.avatars.palette import CONDITION_NAMES, EYE_PAINTS, HAIR_PAINTS, SKINS, Colour, condition
from jaxgan.data.avatars.scene import oversampling, paint_background, paint_parts
from jaxgan.data.avatars.traits import Traits, choose
from jaxgan.data.examples import Examples
from jaxgan.data.pairs import check_pair, split_pairs

INPUTS = ("parts", "sketch", "grey")

_EDITION = 2  # raised when the drawing of a (seed, index) changes, so that cached pairs are redrawn
_PAPER = (176, 196, 222)  # under a sketch: no part has this colour, so that every outline is a change
_MOUTH = (170, 30, 60)
_WHITE, _LASHES = (255, 255, 255), (0, 0, 0)
_BALL = (253, 252, 255)  # in which `eyes` draws the white of an eye
_INK = 6  # times a difference of colours becomes ink


def draw_pair(index: int, *, seed: int, size: int, pair_input: str) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face and its input in the form that the cache expects.

    Args:
      index: number of the face in the set.
      seed: random seed of the set.
      size: side of the pictures in pixels.
      pair_input: one of `INPUTS`.

    Returns:
      The face above its input, uint8 (2·size, size, 3), and its condition vector, uint8 (23,).
    """
    avatar = avatars.draw(seed, index, size)
    beside = _grey(avatar.image) if pair_input == "grey" else _drawing(Dice(seed, index), size, pair_input)
    return np.concatenate([avatar.image, beside]), condition(avatar.hair, avatar.eyes)


def load(
    *, pair_input: str, size: int, count: int = 30_000, seed: int = 0, cache_dir: str | os.PathLike | None = None
) -> Examples:
    """Opens a set of faces with an input beside each; draws it in parallel processes if it is not cached.

    Args:
      pair_input: one of `INPUTS`.
      size: side of the pictures in pixels, 16 to 256.
      count: number of faces.
      seed: random seed of the set.
      cache_dir: directory of the cache; None selects the user's cache directory.

    Returns:
      `count` examples: "image", the face, "input", uint8 (size, size, 3) each, and "condition", uint8 (23,).

    Raises:
      UserError: if an argument is out of range, or the cache cannot be written.
    """
    check_pair("pair_input", pair_input, INPUTS)
    avatars.check_set(size, count)
    settings = {"edition": [avatars.EDITION, _EDITION], "input": pair_input, "size": size, "count": count, "seed": seed}
    pairs = cache.load_or_build(
        "avatars_pairs",
        settings,
        count,
        (2 * size, size, 3),
        functools.partial(draw_pair, seed=seed, size=size, pair_input=pair_input),
        condition_names=CONDITION_NAMES,
        cache_dir=cache_dir,
        description="drawing pairs of avatars",
    )
    return split_pairs(pairs)


def _grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def _drawing(dice: Dice, size: int, pair_input: str) -> np.ndarray:
    traits, factor = choose(dice), oversampling(size)
    if pair_input == "sketch":
        page = Canvas.blank(size * factor, _PAPER)
        paint_parts(page, traits, dice)
        return np.asarray(_lines(page.image).reduce(factor))
    tones = _tones(traits, dice)
    page = paint_background(traits, dice, size * factor)
    paint_parts(page, traits, dice, lambda part, canvas: canvas.flattened(tones[part]) if part in tones else canvas)
    return np.asarray(page.image.reduce(factor))


def _tones(traits: Traits, dice: Dice) -> dict[str, Callable[[Colour], Colour]]:
    """Returns for the parts that a map flattens the colour that stands in it for each colour of the face."""
    lash = lash_colour(traits)

    def eye(colour: Colour) -> Colour:
        return _WHITE if colour == _BALL else _LASHES if colour == lash else EYE_PAINTS[traits.eyes].base

    flat = {
        "hair": HAIR_PAINTS[traits.hair].base,
        "skin": SKINS[traits.skin],
        "clothes": cloth_colour(dice),
        "mouth": _MOUTH,
        "brows": _LASHES,
    }
    return {part: lambda _, colour=colour: colour for part, colour in flat.items()} | {"eyes": eye}


def _lines(image: Image.Image) -> Image.Image:
    """Draws dark lines on white where colours change; `image` is uint8 RGB of any size."""
    change = ImageChops.subtract(image.filter(ImageFilter.MaxFilter(3)), image.filter(ImageFilter.MinFilter(3)))
    red, green, blue = change.split()
    ink = ImageChops.lighter(ImageChops.lighter(red, green), blue).point(lambda value: 255 - min(255, _INK * value))
    return ink.convert("RGB")
