"""Hair in front of the face: the fringe, its shine, and the locks at the sides."""

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import bend, curve, grown, joined, mirrored, sided, stroke
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.hair_back import CONTOUR, CROWN, draw_tress, hair_paint
from jaxgan.data.avatars.palette import HairPaint
from jaxgan.data.avatars.traits import Traits

_FAR = np.array([(0.5, 0.5), (0.5, -0.42)])

# Strands of each fringe from left to right between the two locks: x and y of alternating notches and tips.
_FRINGES = {
    "straight": [(-0.215, -0.115), (-0.14, -0.078), (-0.07, -0.115), (-0.01, -0.080), (0.06, -0.115), (0.13, -0.078),
                 (0.215, -0.115)],
    "zigzag": [(-0.195, -0.19), (-0.135, -0.06), (-0.065, -0.20), (-0.01, -0.045), (0.05, -0.20), (0.12, -0.055),
               (0.195, -0.19)],
    "swept": [(-0.16, -0.28), (0.04, -0.075), (0.04, -0.15), (0.155, -0.055), (0.205, -0.16)],
    "parted": [(-0.215, -0.13), (-0.185, -0.055), (0.0, -0.345), (0.185, -0.055), (0.215, -0.13)],
    "tuft": [(-0.195, -0.16), (-0.12, -0.07), (-0.055, -0.21), (0.005, 0.035), (0.055, -0.21), (0.12, -0.07),
             (0.195, -0.16)],
    "arched": [(-0.215, -0.10), (-0.16, -0.09), (-0.085, -0.15), (-0.005, -0.12), (0.08, -0.15), (0.16, -0.09),
               (0.215, -0.10)],
    "high": [(-0.215, -0.18), (-0.15, -0.165), (-0.08, -0.22), (-0.03, -0.18), (0.02, -0.225), (0.08, -0.17),
             (0.15, -0.21), (0.19, -0.15), (0.225, -0.16)],
    "locks": [(-0.20, -0.17), (-0.08, -0.06), (-0.02, -0.25), (0.07, -0.045), (0.10, -0.19), (0.17, -0.06),
              (0.205, -0.17)],
}  # fmt: skip
_LENGTHS = {
    "long": (0.25, 0.44), "wavy": (0.22, 0.42), "bob": (0.14, 0.24), "spiky": (0.05, 0.12), "short": (0.03, 0.11),
    "curly": (0.10, 0.20), "braids": (0.10, 0.24),
}  # fmt: skip


def _edge(traits: Traits, dice: Dice) -> np.ndarray:
    """Returns alternating notches and tips of the fringe from left to right, with a notch at both ends."""
    points = np.array(_FRINGES[traits.fringe])
    points[1:-1, 0] += [dice.uniform(f"fringe x {n}", -0.012, 0.012) for n in range(1, len(points) - 1)]
    points[1:-1, 1] += [dice.uniform(f"fringe y {n}", -0.018, 0.010) for n in range(1, len(points) - 1)]
    return points if traits.side > 0 else mirrored(points)[::-1]


def _lock(side: int, notch: np.ndarray, low: float, inner: float) -> np.ndarray:
    """Returns the lock at one side of the face, from the rim of the hair to its tip and up to the fringe's notch."""
    x, y = abs(notch[0]), notch[1]
    outer = curve((0.345, 0.0), (0.343, 0.45 * low), (inner + 0.052, low))
    back = curve((inner + 0.052, low), (inner + 0.012, 0.5 * low), (inner, 0.3 * y), (x + 0.01, y))
    return sided(joined(outer, back), side)


def fringe_outline(traits: Traits, dice: Dice) -> np.ndarray:
    """Returns the closed outline of the front hair (crown, locks and strands) in head coordinates."""
    edge = _edge(traits, dice)
    low = dice.uniform("lock length", *_LENGTHS.get(traits.style, (0.12, 0.34)))
    inner = 0.242 + dice.uniform("lock width", -0.004, 0.016)
    crown = curve(*CROWN)
    lines = []
    for n in range(0, len(edge) - 1, 2):
        notch, tip, end = edge[n], edge[n + 1], edge[n + 2]
        lines.append(bend(notch, (0.5 * (notch[0] + tip[0]) - 0.012, 0.35 * notch[1] + 0.65 * tip[1]), tip))
        lines.append(bend(tip, (0.5 * (tip[0] + end[0]) + 0.010, 0.65 * tip[1] + 0.35 * end[1]), end))
    left, right = _lock(-1, edge[0], low, inner), _lock(1, edge[-1], low, inner)
    return joined(mirrored(crown)[::-1], crown, right, joined(*lines)[::-1], left[::-1])


def _draw_shine(hair: Canvas, paint: HairPaint, traits: Traits, dice: Dice) -> None:
    """Draws the ring of light around the hair, as a few pieces with ragged edges."""
    height = dice.uniform("shine height", -0.335, -0.29)
    thick = dice.uniform("shine width", 0.035, 0.06)
    pieces = dice.pick(
        "shine pieces", (((-0.25, -0.07), (-0.04, 0.20)), ((-0.22, 0.10), (0.14, 0.24)), ((-0.24, 0.24),))
    )
    for left, right in pieces:
        x = np.linspace(left, right, 13)
        arch = height + 1.17 * x**2
        swell = np.sin(np.linspace(0, np.pi, 13)) ** 0.5
        ragged = 0.011 * (-1.0) ** np.arange(13)
        upper = np.stack([x, arch - (0.35 * thick + ragged) * swell], axis=1)
        lower = np.stack([x, arch + (0.65 * thick + ragged[::-1]) * swell], axis=1)
        hair.fill(sided(joined(upper, lower[::-1]), traits.side), paint.shine, 0.85)


def draw_fringe(canvas: Canvas, traits: Traits, dice: Dice, outline: np.ndarray) -> None:
    """Draws the fringe: contour, tones, lines between its strands, and shine.

    Args:
      canvas: the canvas, in head coordinates.
      traits: the traits of the face.
      dice: the random numbers of the picture.
      outline: outline of the front hair, see `fringe_outline`.
    """
    paint = hair_paint(traits)
    whorl = np.array([0.06 * traits.side + 0.05 * traits.turn, -0.455])
    if dice.chance("cowlick", 0.3):
        _draw_cowlick(canvas, paint, traits)
    canvas.fill(grown(outline, CONTOUR), paint.outline)
    with canvas.inside(outline) as hair:
        hair.fill(outline, paint.base)
        _draw_sides(hair, paint)
        _draw_shine(hair, paint, traits, dice)
        _draw_strands(hair, paint, _edge(traits, dice), whorl)
        parting = bend(whorl + (0, -0.02), whorl + (0.012, 0.05), whorl + (0.002, 0.10))
        hair.fill(stroke(parting, 0.012, 0.8, 0.0), paint.outline, 0.7)


def _draw_sides(hair: Canvas, paint: HairPaint) -> None:
    """Draws the shade at the rim, and a line along each lock."""
    rim = joined(curve((0.225, -0.42), (0.285, -0.25), (0.305, -0.05), (0.30, 0.2), (0.29, 0.5)), _FAR)
    line = stroke(curve((0.262, -0.22), (0.285, -0.05), (0.285, 0.14)), 0.016, 0.0, 0.0)
    for side in (-1, 1):
        hair.fill(sided(rim, side), paint.shade, 0.6)
        hair.fill(sided(line, side), paint.shade)


def _draw_strands(hair: Canvas, paint: HairPaint, edge: np.ndarray, whorl: np.ndarray) -> None:
    """Draws a line from each notch towards the whorl, and the shaded side of each strand."""
    for notch in edge[::2]:
        end = 0.6 * whorl + 0.4 * notch
        middle = 0.5 * (notch + end) + (0.10 * notch[0], -0.01)
        hair.fill(stroke(bend(notch + (0, 0.01), middle, end), 0.016, 0.9, 0.0), paint.shade)
    for tip, notch in zip(edge[1::2], edge[2::2], strict=True):
        lit = bend(notch, 0.5 * (tip + notch) + (-0.012, -0.05), tip)
        hair.fill(joined(lit, bend(tip, 0.5 * (tip + notch) + (0.02, 0.0), notch)), paint.shade, 0.55)


def _draw_cowlick(canvas: Canvas, paint: HairPaint, traits: Traits) -> None:
    line = curve((0.0, -0.455), (0.01, -0.495), (0.055, -0.522), (0.11, -0.505))
    tuft = stroke(line, 0.04, 0.7, 0.0)
    draw_tress(canvas, sided(tuft, traits.side) + (0.03 * traits.turn, 0), paint)
    canvas.fill(sided(stroke(line, 0.022, 1.0, 0.0), traits.side) + (0.03 * traits.turn, 0.012), paint.base)
