"""Accessories, none of which hides much of the hair or of an iris. Head coordinates, as in `face`."""

from collections.abc import Callable

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import bend, curve, ellipse, grown, joined, loop, mirrored, sided, stroke
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.eyes import SPACING
from jaxgan.data.avatars.palette import Colour, darker, most_unlike, shifted
from jaxgan.data.avatars.traits import Traits

_COLOURS = (
    (236, 64, 88), (70, 96, 200), (255, 214, 80), (255, 250, 246), (90, 190, 150),
    (250, 140, 180), (60, 56, 76), (160, 110, 220), (250, 150, 60), (120, 200, 240),
)  # fmt: skip
_CONTOUR = 0.008


def accessory_colour(traits: Traits, dice: Dice) -> Colour:
    """Returns the colour of the accessories: of three random colours, the one that differs most from the hair."""
    thrown = [dice.pick(f"accessory {n}", _COLOURS) for n in range(3)]
    return most_unlike(thrown, traits.contrasting_hair)


def _part(canvas: Canvas, points: np.ndarray, colour: Colour) -> None:
    canvas.fill(grown(points, _CONTOUR), darker(colour, 0.42))
    canvas.fill(points, colour)


def _bow(canvas: Canvas, x: float, y: float, size: float, angle: float, colour: Colour) -> None:
    bow = canvas.moved(x, y, size, angle)
    wing = loop((0.1, -0.1), (0.62, -0.48), (0.92, -0.3), (0.92, 0.3), (0.62, 0.46), (0.1, 0.1))
    tail = np.array([(0.0, 0.0), (0.62, 0.78), (0.36, 0.84), (0.22, 1.0)])
    for side in (-1, 1):
        for part in (tail, wing):
            bow.fill(sided(grown(part, 0.07), side), darker(colour, 0.42))
            bow.fill(sided(part, side), colour if part is wing else darker(colour, 0.85))
        bow.fill(sided(stroke(bend((0.15, 0.0), (0.4, -0.05), (0.62, -0.12)), 0.1), side), darker(colour, 0.72))
    knot = ellipse(0, 0, 0.2, 0.24)
    bow.fill(grown(knot, 0.07), darker(colour, 0.42))
    bow.fill(knot, shifted(colour, 0.15))


def _ribbon(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    _bow(canvas, 0.24 * traits.side, -0.385, 0.125, 0.5 * traits.side, colour)


def _two_ribbons(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    for side in (-1, 1):
        _bow(canvas, 0.30 * side, -0.30, 0.085, 0.8 * side, colour)


def _headband(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    arch = curve(
        (-0.35, -0.17), (-0.27, -0.325), (-0.13, -0.40), (0.0, -0.42), (0.13, -0.40), (0.27, -0.325), (0.35, -0.17)
    )
    canvas.fill(stroke(arch, 0.056, 0.8, 0.8), darker(colour, 0.42))
    canvas.fill(stroke(arch, 0.040, 0.8, 0.8), colour)
    canvas.fill(stroke(arch[8:22] + (0, -0.006), 0.012), shifted(colour, 0.5))
    if dice.chance("bow on the band", 0.4):
        _bow(canvas, 0.22 * traits.side, -0.38, 0.10, 0.45 * traits.side, colour)


def _beret(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    hat = canvas.moved(0.05 * traits.side, -0.395, 1.0, 0.14 * traits.side)
    crown = loop(
        (-0.31, 0.05),
        (-0.33, -0.05),
        (-0.16, -0.15),
        (0.12, -0.16),
        (0.36, -0.06),
        (0.34, 0.06),
        (0.1, 0.04),
        (-0.1, 0.04),
    )
    _part(hat, crown, colour)
    hat.fill(
        stroke(curve((-0.28, 0.045), (-0.1, 0.02), (0.1, 0.02), (0.31, 0.05)), 0.03, 0.6, 0.6), darker(colour, 0.72)
    )
    hat.fill(ellipse(-0.12, -0.075, 0.09, 0.025, -0.25), shifted(colour, 0.3))


def _cat_ears(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    ear = joined(
        bend((0.10, -0.44), (0.20, -0.54), (0.315, -0.565)), bend((0.315, -0.565), (0.345, -0.44), (0.305, -0.30))
    )
    inner = joined(
        bend((0.16, -0.435), (0.22, -0.50), (0.29, -0.525)), bend((0.29, -0.525), (0.305, -0.44), (0.275, -0.345))
    )
    for side in (-1, 1):
        _part(canvas, sided(ear, side), colour)
        canvas.fill(sided(inner, side), (255, 186, 196))


def _flower(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    at = canvas.moved(0.255 * traits.side, -0.30, 1.0, dice.uniform("flower turn", 0, 1))
    petals = [ellipse(0.045 * np.cos(a), 0.045 * np.sin(a), 0.036, 0.030, a) for a in np.arange(5) * 2 * np.pi / 5]
    for petal in petals:
        at.fill(grown(petal, _CONTOUR), darker(colour, 0.5))
    for petal in petals:
        at.fill(petal, colour)
    at.fill(ellipse(0, 0, 0.026), (255, 224, 110) if colour != (255, 214, 80) else (240, 120, 70))


def _hair_clip(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    for n in range(dice.pick("clips", (1, 2))):
        clip = canvas.moved(0.225 * traits.side, -0.235 + 0.05 * n, 1.0, 0.5 * traits.side)
        _part(clip, np.array([(-0.055, -0.011), (0.055, -0.011), (0.055, 0.011), (-0.055, 0.011)]), colour)


def _crown(canvas: Canvas, traits: Traits, colour: Colour, dice: Dice) -> None:
    gold = (255, 214, 92)
    x = np.array([-0.15, -0.16, -0.08, 0.0, 0.08, 0.16, 0.15])
    y = np.array([-0.43, -0.545, -0.485, -0.56, -0.485, -0.545, -0.43])
    base = bend((0.15, -0.43), (0.0, -0.46), (-0.15, -0.43))
    _part(canvas, joined(np.stack([x, y], axis=1), base), gold)
    for side in (-0.085, 0.0, 0.085):
        canvas.fill(ellipse(side, -0.47 + 0.6 * side**2, 0.017), colour)


_HEADWEAR: dict[str, Callable[[Canvas, Traits, Colour, Dice], None]] = {
    "ribbon": _ribbon, "two ribbons": _two_ribbons, "headband": _headband, "beret": _beret,
    "cat ears": _cat_ears, "flower": _flower, "hair clip": _hair_clip, "crown": _crown,
}  # fmt: skip


def draw_headwear(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws the headwear, if any.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    if traits.headwear != "none":
        _HEADWEAR[traits.headwear](canvas, traits, accessory_colour(traits, dice), dice)


def draw_earrings(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws the earrings, if any.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    if not traits.earrings:
        return
    colour = dice.pick("earring", ((255, 214, 92), (240, 90, 110), (120, 200, 240), (250, 250, 255)))
    drop = ellipse(0.318, 0.155, 0.022, 0.030)
    for side in (drop, mirrored(drop)):
        _part(canvas, side, colour)


def draw_glasses(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws thin glasses, if any, without covering the irises.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    if traits.glasses == "none":
        return
    frame = dice.pick("frame", ((60, 44, 52), (150, 40, 56), (48, 60, 110), (110, 74, 44)))
    at = canvas.moved(0.022 * traits.turn, 0.012)
    lens = ellipse(0, 0, 0.118, 0.112)
    if traits.glasses == "square":
        lens = loop((-0.115, -0.07), (-0.09, -0.095), (0.09, -0.095), (0.115, -0.07), (0.108, 0.07), (0.08, 0.098),
                    (-0.08, 0.098), (-0.108, 0.07))  # fmt: skip
    for side in (-1, 1):
        ring = lens + (side * (SPACING + 0.006), 0)
        at.fill(joined(grown(ring, 0.006), ring[:1], (ring - ring.mean(0))[::-1] * 0.94 + ring.mean(0)), frame)
        at.fill(sided(stroke(curve((0.258, -0.02), (0.30, -0.03), (0.34, -0.02)), 0.012, 1, 1), side), frame)
    at.fill(stroke(bend((-0.03, 0.0), (0, -0.02), (0.03, 0.0)), 0.012, 1, 1), frame)
