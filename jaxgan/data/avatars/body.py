"""Neck, shoulders and clothes.

Head coordinates without the head's tilt: (0, 0) is between the eyes, y points down.
"""

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import bend, curve, grown, joined, loop, mirrored, stroke
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import SKINS, Colour, blend, darker, shifted
from jaxgan.data.avatars.traits import Traits

_CLOTHES = (
    (246, 246, 250), (62, 72, 120), (196, 72, 84), (92, 128, 176), (250, 206, 120),
    (148, 196, 160), (122, 92, 140), (70, 74, 84), (240, 170, 176), (230, 222, 204),
)  # fmt: skip
_SHOULDERS = joined(
    curve((-0.62, 0.60), (-0.46, 0.43), (-0.24, 0.37), (-0.11, 0.33)),
    curve((0.11, 0.33), (0.24, 0.37), (0.46, 0.43), (0.62, 0.60)),
)
_NECK = joined(
    curve((-0.075, 0.18), (-0.08, 0.30), (-0.14, 0.38), (-0.16, 0.60)),
    curve((0.16, 0.60), (0.14, 0.38), (0.08, 0.30), (0.075, 0.18)),
)


def draw_neck(canvas: Canvas, traits: Traits) -> None:
    """Draws the neck and the shadow of the chin on it."""
    skin = SKINS[traits.skin]
    canvas.fill(grown(_NECK, 0.008), darker(skin, 0.55))
    canvas.fill(_NECK, skin)
    with canvas.inside(_NECK) as neck:
        shade = loop((-0.2, 0.1), (0.2, 0.1), (0.16, 0.31), (0.02, 0.37), (-0.16, 0.31))
        neck.fill(shade, blend(skin, (150, 70, 90), 0.33))


def _sailor(canvas: Canvas, cloth: Colour, trim: Colour) -> None:
    collar = joined(curve((0.10, 0.335), (0.26, 0.38), (0.40, 0.43)), curve((0.38, 0.60), (0.2, 0.56), (0.0, 0.50)))
    for side in (collar, mirrored(collar)):
        canvas.fill(grown(side, 0.007), darker(trim, 0.5))
        canvas.fill(side, trim)
    canvas.fill(stroke(bend((0.13, 0.37), (0.09, 0.44), (0.0, 0.475)), 0.012, 1, 1), shifted(cloth, 0.7))
    canvas.fill(stroke(bend((-0.13, 0.37), (-0.09, 0.44), (0.0, 0.475)), 0.012, 1, 1), shifted(cloth, 0.7))


def _shirt(canvas: Canvas, cloth: Colour, trim: Colour) -> None:
    tie = np.array([(-0.03, 0.40), (0.03, 0.40), (0.055, 0.60), (-0.055, 0.60)])
    canvas.fill(tie, trim)
    wing = np.array([(0.075, 0.30), (0.17, 0.37), (0.10, 0.46), (0.0, 0.40)])
    for side in (wing, mirrored(wing)):
        canvas.fill(grown(side, 0.007), darker(cloth, 0.5))
        canvas.fill(side, shifted(cloth, 0.35))


def _band(canvas: Canvas, colour: Colour, top: float, width: float) -> None:
    band = loop((-width, top), (0, top + 0.035), (width, top), (width * 1.25, 0.43), (0, 0.49), (-width * 1.25, 0.43))
    canvas.fill(grown(band, 0.008), darker(colour, 0.5))
    canvas.fill(band, colour)
    canvas.fill(stroke(curve((-width, top + 0.03), (0, top + 0.075), (width, top + 0.03)), 0.012), darker(colour, 0.8))


def cloth_colour(dice: Dice) -> Colour:
    """Returns the main colour of the clothes; collars, ties and scarves have another."""
    return dice.pick("cloth", _CLOTHES)


def draw_clothes(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws the shoulders and clothes.

    Args:
      canvas: the canvas, in head coordinates without the head's tilt.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    cloth = cloth_colour(dice)
    trim = dice.pick("trim", [colour for colour in _CLOTHES if colour != cloth])
    kind = traits.clothes
    skin = SKINS[traits.skin]
    canvas.fill(grown(_SHOULDERS, 0.009), darker(cloth, 0.45))
    canvas.fill(_SHOULDERS, cloth)
    throat = loop((-0.105, 0.31), (0.105, 0.31), (0.06, 0.42), (0.0, 0.47), (-0.06, 0.42))
    if kind in ("sailor", "shirt", "blouse"):
        canvas.fill(throat, skin)
        draw_neck(canvas.moved(0, 0, 0.98), traits)
    if kind == "sailor":
        _sailor(canvas, cloth, trim)
    elif kind == "shirt":
        _shirt(canvas, cloth, trim)
    elif kind == "turtleneck":
        _band(canvas, shifted(cloth, 0.15), 0.32, 0.11)
    elif kind == "hoodie":
        _band(canvas, shifted(cloth, -0.1), 0.33, 0.20)
    elif kind == "scarf":
        _band(canvas, trim, 0.315, 0.155)
    else:
        canvas.fill(
            stroke(curve((-0.112, 0.325), (-0.07, 0.41), (0, 0.44), (0.07, 0.41), (0.112, 0.325)), 0.03, 1, 1), trim
        )
