"""Face without the eyes: contour, ears, nose, mouth and cheeks."""

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import bend, curve, ellipse, grown, joined, loop, mirrored, sided, stroke
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import SKINS, Colour, blend, darker, shifted
from jaxgan.data.avatars.traits import Traits

# Half widths of the contour at the cheeks, the jaw and beside the chin, and the height of the chin.
_SHAPES = {
    "round": (0.285, 0.255, 0.125, 0.295),
    "oval": (0.272, 0.235, 0.100, 0.312),
    "heart": (0.282, 0.230, 0.080, 0.318),
    "soft square": (0.278, 0.256, 0.145, 0.300),
}


def contour(traits: Traits) -> np.ndarray:
    """Returns the outline of the face in head coordinates: (0, 0) is between the eyes, y points down."""
    cheek, jaw, near, chin = _SHAPES[traits.face]
    lean = 0.028 * traits.turn
    right = [(near + lean, chin - 0.038), (jaw + 0.4 * lean, 0.145), (cheek, 0.02), (cheek - 0.015, -0.15)]
    left = [(-near + lean, chin - 0.038), (-jaw + 0.4 * lean, 0.145), (-cheek, 0.02), (-cheek + 0.015, -0.15)]
    return loop((lean, chin), *right, (0.2, -0.3), (0, -0.36), (-0.2, -0.3), *left[::-1])


def skin_shade(traits: Traits) -> Colour:
    """Returns the colour of a soft shadow on the skin."""
    return blend(SKINS[traits.skin], (176, 76, 92), 0.28)


def draw_ears(canvas: Canvas, traits: Traits) -> None:
    """Draws both ears, which most hair styles hide."""
    skin = SKINS[traits.skin]
    ear = loop((0.255, -0.02), (0.315, -0.02), (0.325, 0.04), (0.295, 0.11), (0.255, 0.11))
    for side in (ear, mirrored(ear)):
        canvas.fill(grown(side, 0.008), darker(skin, 0.5))
        canvas.fill(side, skin)
    inner = ellipse(0.292, 0.04, 0.014, 0.035)
    for side in (inner, mirrored(inner)):
        canvas.fill(side, skin_shade(traits))


def draw_face(canvas: Canvas, traits: Traits, dice: Dice, fringe: np.ndarray) -> None:
    """Draws the face, with the shadow of the fringe on it.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
      fringe: outline of the fringe, (n, 2).
    """
    skin = SKINS[traits.skin]
    outline = contour(traits)
    canvas.fill(grown(outline, 0.008), blend(darker(skin, 0.5), (90, 30, 40), 0.25))
    with canvas.inside(outline) as face:
        face.fill(outline, skin)
        edge = joined(outline, (outline * (0.93, 0.955) + (-0.012, -0.008))[::-1])
        face.fill(edge, skin_shade(traits), 0.55)
        face.fill(fringe + (0.006, 0.034), skin_shade(traits))
        _draw_cheeks(face, traits, dice)
    _draw_nose(canvas, traits, dice)


def _draw_cheeks(face: Canvas, traits: Traits, dice: Dice) -> None:
    turn = 0.03 * traits.turn
    blush = blend(SKINS[traits.skin], (255, 84, 104), 0.62)
    for side in (-1, 1):
        x = side * 0.178 + turn
        if traits.blush > 0:
            for radius in (1.0, 0.72, 0.45):
                face.fill(ellipse(x, 0.125, 0.062 * radius, 0.034 * radius), blush, 0.30 * traits.blush)
        if traits.freckles:
            for n in range(4):
                dot = ellipse(x + 0.026 * (n - 1.5), 0.118 + 0.02 * (n % 2), 0.0065)
                face.fill(dot, blend(SKINS[traits.skin], (140, 70, 40), 0.55))


def _draw_nose(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    x = 0.045 * traits.turn
    side = 1 if traits.turn >= 0 else -1
    shade = blend(darker(SKINS[traits.skin], 0.66), (170, 50, 60), 0.3)
    if dice.chance("nose as a line", 0.5):
        canvas.fill(stroke(sided(curve((0.0, 0.105), (0.016, 0.128), (0.0, 0.134)), side) + (x, 0), 0.011), shade)
    else:
        canvas.fill(ellipse(x, 0.128, 0.013, 0.008), shade)


def draw_mouth(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws the mouth.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    at = canvas.moved(0.036 * traits.turn, 0.196 + dice.uniform("mouth height", -0.006, 0.008))
    _MOUTHS[traits.mouth](at, darker(blend(SKINS[traits.skin], (120, 10, 30), 0.62), 0.72), dice)


_RED, _TONGUE, _TEETH = (168, 44, 58), (240, 124, 124), (255, 252, 248)


def _lips(canvas: Canvas, line: np.ndarray, colour: Colour) -> None:
    canvas.fill(stroke(line, 0.013, 0.25, 0.25), colour)


def _smile(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    half = dice.uniform("mouth width", 0.045, 0.07)
    _lips(canvas, bend((-half, -0.010), (0, 0.042), (half, -0.010)), colour)


def _open(canvas: Canvas, colour: Colour, half: float, deep: float, teeth: bool) -> None:
    shape = joined(
        bend((-half, -0.016), (0, 0.004), (half, -0.016)), bend((half, -0.016), (0, 2 * deep), (-half, -0.016))
    )
    canvas.fill(grown(shape, 0.008), colour)
    with canvas.inside(shape) as mouth:
        mouth.fill(shape, _RED)
        mouth.fill(ellipse(0, deep + 0.012, half * 0.62, 0.026), _TONGUE)
        if teeth:
            mouth.fill(np.array([(-half, -0.03), (half, -0.03), (half, 0.002), (-half, 0.002)]), _TEETH)


def _laugh(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    _open(canvas, colour, dice.uniform("mouth width", 0.05, 0.075), dice.uniform("mouth depth", 0.034, 0.05), True)


def _small_o(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    width = dice.uniform("mouth width", 0.02, 0.03)
    canvas.fill(ellipse(0, 0.006, width + 0.008, 0.034), colour)
    canvas.fill(ellipse(0, 0.006, width, 0.026), _RED)
    canvas.fill(ellipse(0, 0.018, width * 0.7, 0.013), _TONGUE)


def _cat(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    for side in (-1, 1):
        _lips(canvas, sided(bend((0.0, -0.004), (0.03, 0.036), (0.058, -0.010)), side), colour)


def _line(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    half = dice.uniform("mouth width", 0.03, 0.045)
    _lips(canvas, bend((-half, 0.0), (0, 0.006), (half, 0.0)), colour)


def _pout(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    half = dice.uniform("mouth width", 0.03, 0.045)
    _lips(canvas, bend((-half, 0.012), (0, -0.024), (half, 0.012)), colour)


def _grin(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    half = 0.062
    shape = joined(bend((-half, -0.016), (0, 0.0), (half, -0.016)), bend((half, -0.016), (0, 0.066), (-half, -0.016)))
    canvas.fill(grown(shape, 0.008), colour)
    canvas.fill(shape, _TEETH)
    canvas.fill(stroke(bend((-half * 0.85, 0.0), (0, 0.014), (half * 0.85, 0.0)), 0.006), shifted(colour, 0.4))


def _smirk(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    side = dice.pick("smirk", (-1, 1))
    _lips(canvas, sided(bend((-0.04, 0.010), (0.02, 0.022), (0.058, -0.020)), side), colour)


def _fang(canvas: Canvas, colour: Colour, dice: Dice) -> None:
    _open(canvas, colour, 0.05, 0.034, False)
    side = dice.pick("fang", (-1, 1))
    canvas.fill(sided(np.array([(0.016, -0.008), (0.042, -0.014), (0.030, 0.016)]), side), _TEETH)


_MOUTHS = {
    "smile": _smile, "laugh": _laugh, "small o": _small_o, "cat": _cat, "line": _line,
    "pout": _pout, "grin": _grin, "smirk": _smirk, "fang": _fang,
}  # fmt: skip
