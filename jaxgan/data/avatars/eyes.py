"""Eyes and brows."""

from dataclasses import dataclass

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import bend, curve, ellipse, joined, sided, stroke
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import EYE_PAINTS, HAIR_PAINTS, Colour, EyePaint, blend, darker
from jaxgan.data.avatars.traits import Traits

SPACING = 0.138
IRIS = (0.067, 0.084)


@dataclass(frozen=True)
class _Lids:
    """Opening of an eye: heights of inner corner, top, outer corner and bottom, and half its width."""

    inner: float
    top: float
    outer: float
    bottom: float
    half: float


_LIDS = {
    "round": _Lids(0.000, -0.088, -0.010, 0.088, 0.090),
    "wide": _Lids(-0.006, -0.096, -0.014, 0.092, 0.096),
    "sharp": _Lids(0.014, -0.080, -0.034, 0.078, 0.098),
    "droopy": _Lids(-0.012, -0.082, 0.014, 0.084, 0.094),
    "calm": _Lids(0.004, -0.068, -0.004, 0.082, 0.096),
}


def _upper(lids: _Lids) -> np.ndarray:
    half = lids.half
    return curve(
        (-half, lids.inner),
        (-0.62 * half, 0.72 * lids.top),
        (0.0, lids.top),
        (0.66 * half, 0.68 * lids.top + 0.2 * lids.outer),
        (half, lids.outer),
    )


def _lower(lids: _Lids) -> np.ndarray:
    half = lids.half
    return curve(
        (half, lids.outer), (0.76 * half, 0.74 * lids.bottom), (0.0, lids.bottom),
        (-0.70 * half, 0.68 * lids.bottom), (-half, lids.inner),
    )  # fmt: skip


def lash_colour(traits: Traits) -> Colour:
    """Returns the colour of the lashes: nearly black, with a tint of the hair's contour."""
    return darker(blend((40, 24, 32), HAIR_PAINTS[traits.hair].outline, 0.3), 0.85)


def _draw_iris(eye: Canvas, paint: EyePaint, x: float, y: float, highlight: str) -> None:
    """Draws the iris. Its highlights are at the upper left in both eyes, as from one light."""
    wide, tall = IRIS
    eye.fill(ellipse(x, y, wide, tall), darker(paint.shade, 0.62))
    eye.fill(ellipse(x, y + 0.002, wide * 0.88, tall * 0.90), paint.base)
    top = joined(bend((x - wide, y - 0.012), (x, y - 0.03), (x + wide, y - 0.012)), bend(
        (x + wide, y - tall), (x, y - 1.35 * tall), (x - wide, y - tall)))  # fmt: skip
    eye.fill(top, paint.shade, 0.62)
    glow = joined(
        bend((x - 0.72 * wide, y + 0.42 * tall), (x, y + 0.62 * tall), (x + 0.72 * wide, y + 0.42 * tall)),
        bend((x + 0.72 * wide, y + 0.42 * tall), (x, y + 1.25 * tall), (x - 0.72 * wide, y + 0.42 * tall)),
    )
    eye.fill(glow, paint.light)
    eye.fill(ellipse(x, y - 0.004, wide * 0.36, tall * 0.42), darker(paint.shade, 0.42))
    white = (255, 255, 255)
    if highlight == "oval":
        eye.fill(ellipse(x - 0.024, y - 0.038, 0.021, 0.027, -0.35), white)
        eye.fill(ellipse(x + 0.028, y + 0.038, 0.011), white)
    elif highlight == "round":
        eye.fill(ellipse(x - 0.026, y - 0.034, 0.023), white)
        eye.fill(ellipse(x + 0.022, y + 0.046, 0.009), white)
        eye.fill(ellipse(x + 0.034, y + 0.026, 0.006), white)
    else:
        eye.fill(ellipse(x - 0.018, y - 0.042, 0.029, 0.018, 0.15), white)
        eye.fill(ellipse(x - 0.026, y + 0.040, 0.010), white)


def _draw_lashes(eye: Canvas, lids: _Lids, side: int, colour: Colour, style: str) -> None:
    upper = _upper(lids)
    wing = np.array([(lids.half + 0.020, lids.outer - 0.014)])
    eye.fill(sided(stroke(joined(upper, wing) + (0, -0.008), 0.036, 0.12, 0.1), side), colour)
    flicks = {"plain": (), "flick": (0.9,), "long": (0.98, 0.72)}[style]
    for where in flicks:
        x, y = upper[int(where * (len(upper) - 1))]
        flick = np.array([(x - 0.020, y - 0.006), (x + 0.034, y - 0.032), (x + 0.006, y + 0.012)])
        eye.fill(sided(flick, side), colour)
    lower = _lower(lids)[4:-9]
    eye.fill(sided(stroke(lower, 0.012, 0.9, 0.1), side), colour, 0.8)


def draw_eyes(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws both eyes. The eye on the side to which the head turns is narrower.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    paint = EYE_PAINTS[traits.eyes]
    lids = _LIDS[traits.eye_shape]
    gaze = dice.uniform("gaze", -0.010, 0.010) + 0.008 * traits.turn
    opening = dice.uniform("opening", 0.95, 1.05)
    highlight = dice.pick("highlight", ("oval", "round", "wide"))
    lashes = dice.pick("lashes", ("plain", "flick", "long"))
    lash = lash_colour(traits)
    for side in (-1, 1):
        eye = canvas.moved(side * SPACING + 0.022 * traits.turn, 0.0)
        width = 1.0 - 0.09 * max(0.0, side * traits.turn)
        stretch = (width, opening)
        shape = sided(joined(_upper(lids), _lower(lids)), side) * stretch
        with eye.inside(shape) as ball:
            ball.fill(shape, (253, 252, 255))
            _draw_iris(ball, paint, gaze - 0.006 * side, 0.002, highlight)
            shadow = sided(joined(_upper(lids), _upper(lids)[::-1] + (0, 0.024)), side) * stretch
            ball.fill(shadow, (70, 60, 110), 0.35)
        squeezed = _Lids(
            lids.inner * opening, lids.top * opening, lids.outer * opening, lids.bottom * opening, lids.half * width
        )
        _draw_lashes(eye, squeezed, side, lash, lashes)


_BROWS = {
    "soft": ((-0.062, -0.128), (0.005, -0.158), (0.075, -0.138), 0.014),
    "raised": ((-0.062, -0.146), (0.005, -0.180), (0.075, -0.158), 0.014),
    "worried": ((-0.060, -0.162), (0.000, -0.156), (0.074, -0.128), 0.014),
    "firm": ((-0.066, -0.116), (0.005, -0.142), (0.080, -0.156), 0.018),
    "short": ((-0.030, -0.146), (0.002, -0.158), (0.034, -0.148), 0.024),
}


def draw_brows(canvas: Canvas, traits: Traits) -> None:
    """Draws the brows over the fringe, as is usual for cartoon faces."""
    start, middle, end, width = _BROWS[traits.brows]
    colour = blend(HAIR_PAINTS[traits.hair].outline, HAIR_PAINTS[traits.hair].shade, 0.25)
    for side in (-1, 1):
        line = sided(curve(start, middle, end), side) + (side * SPACING + 0.024 * traits.turn, 0)
        canvas.fill(stroke(line, width, 0.5, 0.1), colour, 0.75)
