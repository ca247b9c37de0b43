"""Hair behind the face, with one function per hair style.

Head coordinates: (0, 0) is between the eyes, y points down.
"""

from collections.abc import Callable

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import bend, curve, ellipse, grown, joined, loop, mirrored, sided, stroke
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import HAIR_PAINTS, HairPaint, shifted
from jaxgan.data.avatars.traits import Traits

CONTOUR = 0.009

# Right half of the hair around the skull, from the crown to the temple; the fringe follows it as well.
CROWN = ((0.0, -0.475), (0.12, -0.456), (0.225, -0.395), (0.305, -0.285), (0.345, -0.14), (0.345, 0.0))


def hair_paint(traits: Traits) -> HairPaint:
    """Returns the tones of the hair in the light of this picture."""
    return HairPaint(*(shifted(colour, traits.light) for colour in HAIR_PAINTS[traits.hair]))


def draw_tress(canvas: Canvas, points: np.ndarray, paint: HairPaint) -> None:
    """Draws a piece of hair: its dark contour and its base tone.

    Args:
      canvas: the canvas, in head coordinates.
      points: outline of the piece, (n, 2).
      paint: the tones of the hair.
    """
    canvas.fill(grown(points, CONTOUR), paint.outline)
    canvas.fill(points, paint.base)


def _both(right: np.ndarray) -> np.ndarray:
    """Returns a closed outline from its right half, which runs from top to bottom."""
    return joined(right, mirrored(right)[::-1])


def _curtain(canvas: Canvas, right: np.ndarray, paint: HairPaint) -> None:
    """Draws hair that hangs behind the face, shaded around the neck."""
    shape = _both(right)
    canvas.fill(grown(shape, CONTOUR), paint.outline)
    with canvas.inside(shape) as hair:
        hair.fill(shape, paint.base)
        hair.fill(loop((-0.29, -0.1), (0, -0.3), (0.29, -0.1), (0.25, 0.3), (0.24, 0.62), (-0.24, 0.62), (-0.25, 0.3)),
                  paint.shade)  # fmt: skip
        for x in (0.285, 0.335):
            line = stroke(curve((x, -0.12), (x + 0.02, 0.12), (x - 0.01, 0.46)), 0.011)
            hair.fill(line, paint.shade)
            hair.fill(mirrored(line), paint.shade)


def _cap(canvas: Canvas, paint: HairPaint, low: float = 0.10) -> None:
    _curtain(canvas, curve(*CROWN, (0.325, low), (0.22, low + 0.08), (0.0, low + 0.08)), paint)


def _long(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    wide = dice.uniform("long width", 0.36, 0.43)
    _curtain(canvas, curve(*CROWN, (0.5 * (0.345 + wide), 0.22), (wide, 0.62), (0.0, 0.64)), paint)


def _wavy(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    swing = dice.uniform("wave", 0.02, 0.035)
    waves = [(0.37 + swing * (1 if n % 2 else -1) + 0.01 * n, 0.07 + 0.085 * n) for n in range(7)]
    _curtain(canvas, curve(*CROWN[:-1], *waves, (0.0, 0.68)), paint)


def _short(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    low = dice.uniform("short length", 0.08, 0.15)
    right = joined(
        curve(*CROWN),
        bend((0.345, 0.0), (0.35, low - 0.02), (0.315, low + 0.05)),
        bend((0.30, low), (0.29, low + 0.05), (0.255, low + 0.10)),
        bend((0.24, low), (0.2, low + 0.06), (0.16, low + 0.12)),
        np.array([(0.0, low + 0.12)]),
    )
    _curtain(canvas, right, paint)


def _bob(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    low = dice.uniform("bob length", 0.22, 0.31)
    puff = dice.uniform("bob puff", 0.365, 0.405)
    right = joined(
        curve(*CROWN, (puff, 0.5 * low), (puff - 0.01, low - 0.02)),
        bend((puff - 0.03, low + 0.02), (0.30, low + 0.05), (0.22, low + 0.03)),
        np.array([(0.0, low + 0.02)]),
    )
    _curtain(canvas, right, paint)


def _spiky(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    spikes, base = [], (0.05, -0.45)
    for n, angle in enumerate((-1.12, -0.66, -0.22, 0.2, 0.58)):
        reach = dice.uniform(f"spike {n}", 1.10, 1.30)
        tip = (0.36 * reach * np.cos(angle + 0.16), -0.10 + 0.375 * reach * np.sin(angle + 0.16))
        root = (0.335 * np.cos(angle + 0.30), -0.10 + 0.36 * np.sin(angle + 0.30))
        over = (0.42 * np.cos(angle - 0.08), -0.10 + 0.435 * np.sin(angle - 0.08))
        spikes += [bend(base, over, tip), bend(tip, (0.6 * tip[0] + 0.4 * root[0], 0.4 * tip[1] + 0.6 * root[1]), root)]
        base = root
    right = joined(np.array([(0.0, -0.46)]), *spikes, np.array([(0.24, 0.22), (0.0, 0.22)]))
    _curtain(canvas, right, paint)


def _twin_tails(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    reach = dice.uniform("tail reach", 0.44, 0.50)
    root = dice.uniform("tail root", -0.30, -0.20)
    tail = joined(
        curve(
            (0.29, root), (0.40, root - 0.05), (reach + 0.02, root + 0.12), (reach + 0.02, 0.2), (reach - 0.03, 0.48)
        ),
        curve((reach - 0.08, 0.40), (0.36, 0.2), (0.335, 0.0), (0.28, root + 0.08)),
    )
    knot = ellipse(0.325, root + 0.012, 0.034, 0.045, 0.5)
    tie = dice.pick("tie", ((232, 60, 84), (60, 70, 140), (250, 240, 240), (250, 200, 70), (40, 40, 52)))
    for side in (-1, 1):
        draw_tress(canvas, sided(tail, side), paint)
        for shift in (0.05, 0.10):
            line = curve((0.335 + shift, root + 0.05), (0.37 + shift, 0.04), (0.34 + shift, 0.36))
            canvas.fill(sided(stroke(line, 0.014), side), paint.shade)
    _cap(canvas, paint)
    for side in (-1, 1):
        canvas.fill(sided(grown(knot, CONTOUR), side), shifted(tie, -0.5))
        canvas.fill(sided(knot, side), tie)


def _ponytail(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    tail = joined(
        curve((0.10, -0.44), (0.25, -0.53), (0.42, -0.44), (0.49, -0.2), (0.46, 0.1), (0.40, 0.34)),
        curve((0.40, 0.30), (0.36, 0.1), (0.33, -0.1), (0.22, -0.34)),
    )
    draw_tress(canvas, sided(tail, traits.side), paint)
    for shift in (0.0, 0.05):
        line = curve((0.27 + shift, -0.43), (0.40 + shift, -0.2), (0.39 + shift, 0.12))
        canvas.fill(sided(stroke(line, 0.016), traits.side), paint.shade)
    _cap(canvas, paint)


def _bun(canvas: Canvas, paint: HairPaint, x: float, y: float, radius: float) -> None:
    shape = ellipse(x, y, radius, radius * 0.94)
    canvas.fill(grown(shape, CONTOUR), paint.outline)
    with canvas.inside(shape) as bun:
        bun.fill(shape, paint.base)
        bun.fill(ellipse(x, y + 0.55 * radius, radius, 0.62 * radius), paint.shade)
        swirl = curve((x - 0.6 * radius, y + 0.1 * radius), (x, y - 0.5 * radius), (x + 0.6 * radius, y),
                      (x + 0.1 * radius, y + 0.4 * radius))  # fmt: skip
        bun.fill(stroke(swirl, 0.014), paint.shade)
        bun.fill(ellipse(x - 0.35 * radius, y - 0.45 * radius, 0.25 * radius, 0.16 * radius, -0.6), paint.shine)


def _buns(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    radius = dice.uniform("bun size", 0.10, 0.125)
    for side in (-1, 1):
        _bun(canvas, paint, side * 0.27, -0.415, radius)
    _cap(canvas, paint)


def _top_bun(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    _bun(canvas, paint, 0.05 * traits.side, -0.455, dice.uniform("bun size", 0.13, 0.16))
    _cap(canvas, paint)


def _curly(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    low = dice.pick("curly length", (0.18, 0.34, 0.5))
    places = [(0.0, -0.46), (0.13, -0.445), (0.25, -0.375), (0.335, -0.265), (0.37, -0.13), (0.38, 0.01)]
    places += [(0.38, 0.01 + 0.12 * n) for n in range(1, 2 + int((low - 0.1) / 0.12))]
    curls = []
    for n, (x, y) in enumerate(places):
        radius = dice.uniform(f"curl {n}", 0.07, 0.09)
        curls += [ellipse(side * x, y, radius) for side in ((-1, 1) if x else (1,))]
    for curl in curls:
        canvas.fill(grown(curl, CONTOUR), paint.outline)
    _curtain(canvas, curve(*CROWN, (0.35, low), (0.0, low)), paint)
    for curl in curls:
        canvas.fill(curl, paint.base)
    for x, y in places[1:]:
        for side in (-1, 1):
            swirl = bend((x + 0.045, y - 0.02), (x + 0.035, y + 0.055), (x - 0.03, y + 0.035))
            canvas.fill(sided(stroke(swirl, 0.014), side), paint.shade)


def _braids(canvas: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    _cap(canvas, paint, 0.16)


_STYLES: dict[str, Callable[[Canvas, HairPaint, Traits, Dice], None]] = {
    "long": _long, "wavy": _wavy, "short": _short, "bob": _bob, "spiky": _spiky, "twin tails": _twin_tails,
    "ponytail": _ponytail, "buns": _buns, "top bun": _top_bun, "curly": _curly, "braids": _braids,
}  # fmt: skip


def draw_back_hair(canvas: Canvas, traits: Traits, dice: Dice) -> None:
    """Draws the hair behind the face.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
    """
    _STYLES[traits.style](canvas, hair_paint(traits), traits, dice)


def draw_braids(canvas: Canvas, traits: Traits) -> None:
    """Draws two braids in front of the shoulders."""
    paint = hair_paint(traits)
    for side in (-1, 1):
        for n in range(5):
            y, x = 0.14 + 0.085 * n, 0.315 + 0.012 * n
            for half in (-1, 1):
                knot = ellipse(side * (x + 0.026 * half), y, 0.040, 0.054, -0.55 * half * side)
                draw_tress(canvas, knot, paint)
                canvas.fill(ellipse(side * (x + 0.03 * half), y + 0.022, 0.022, 0.024), paint.shade)
