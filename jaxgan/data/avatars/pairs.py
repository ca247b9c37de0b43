"""Pairs of a face and a drawing of it to be translated into the face: a sketch, a map of its parts, or a grey picture.

Both show the same face, so that the right answer of a translation is known, pixel by pixel. A map shows hair and eyes
in the colours of their classes, and every other part in one colour of its own, whatever it is in the face.
"""

import functools
import os
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from jaxgan.data import avatars, cache
from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.eyes import lash_colour
from jaxgan.data.avatars.palette import CONDITION_NAMES, EYE_PAINTS, HAIR_PAINTS, Colour, condition
from jaxgan.data.avatars.scene import oversampling, paint_parts
from jaxgan.data.avatars.traits import Traits, choose
from jaxgan.data.examples import Examples
from jaxgan.data.pairs import check_pair, split_pairs

INPUTS = ("parts", "sketch", "grey")

_EDITION = 1  # raised when the drawing of a (seed, index) changes, so that cached pairs are redrawn
_PARTS = {
    "background": (176, 196, 222),
    "skin": (255, 214, 186),
    "mouth": (170, 30, 60),
    "clothes": (96, 128, 128),
    "accessories": (255, 0, 255),
}
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
    page = Canvas.blank(size * factor, _PARTS["background"])
    flat = _tones(traits) if pair_input == "parts" else None
    paint_parts(page, traits, dice, lambda part, canvas: canvas.flattened(flat[part]) if flat else canvas)
    image = page.image if pair_input == "parts" else _lines(page.image)
    return np.asarray(image.reduce(factor))


def _tones(traits: Traits) -> dict[str, Callable[[Colour], Colour]]:
    """Returns for each part the colour that stands in a map for each colour of the face."""
    hair, eyes = HAIR_PAINTS[traits.hair].base, EYE_PAINTS[traits.eyes].base
    lash = lash_colour(traits)

    def eye(colour: Colour) -> Colour:
        return _WHITE if colour == _BALL else _LASHES if colour == lash else eyes

    tones: dict[str, Callable[[Colour], Colour]] = {"hair": lambda _: hair, "eyes": eye, "brows": lambda _: _LASHES}
    return tones | {part: lambda _, colour=colour: colour for part, colour in _PARTS.items()}


def _lines(image: Image.Image) -> Image.Image:
    """Draws dark lines on white where colours change; `image` is uint8 RGB of any size."""
    change = ImageChops.subtract(image.filter(ImageFilter.MaxFilter(3)), image.filter(ImageFilter.MinFilter(3)))
    red, green, blue = change.split()
    ink = ImageChops.lighter(ImageChops.lighter(red, green), blue).point(lambda value: 255 - min(255, _INK * value))
    return ink.convert("RGB")
