"""Backgrounds, in picture coordinates: (0, 0) is the top left corner and (1, 1) the bottom right one."""

import colorsys

import numpy as np

from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.curves import ellipse
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import Colour, blend, most_unlike, shifted
from jaxgan.data.avatars.traits import Traits


def _pastel(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def backdrop(traits: Traits, dice: Dice) -> Colour:
    """Returns the background colour: of four random colours, the one that differs most from the hair."""
    thrown = [
        _pastel(
            dice.unit(f"backdrop hue {n}"),
            dice.uniform(f"backdrop saturation {n}", 0.12, 0.42),
            dice.uniform(f"backdrop value {n}", 0.72, 1.0),
        )
        for n in range(4)
    ]
    return most_unlike(thrown, traits.contrasting_hair)


def _quad(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _gradient(canvas: Canvas, base: Colour, other: Colour, diagonal: bool) -> None:
    bands = 32
    for n in range(1, bands):
        edge, share = n / bands, n / (bands - 1)
        corner = np.array([(2 * edge, 0), (2, 0), (2, 2), (0, 2), (0, 2 * edge)])
        canvas.fill(corner if diagonal else _quad(0, edge, 1, 1), blend(base, other, share))


def _stripes(canvas: Canvas, other: Colour, dice: Dice) -> None:
    count = dice.pick("stripes", (5, 6, 8))
    lean = dice.pick("stripes' lean", (-0.5, 0.0, 0.5))
    width = 1 / count
    for n in range(-count, 2 * count):
        left = n * width
        canvas.fill(np.array([(left, 0), (left + width / 2, 0), (left + width / 2 + lean, 1), (left + lean, 1)]), other)


def _dots(canvas: Canvas, other: Colour, dice: Dice) -> None:
    count = dice.pick("dots", (5, 6, 7))
    step = 1 / count
    for row in range(count + 1):
        for column in range(count + 1):
            canvas.fill(ellipse((column + 0.5 * (row % 2)) * step, row * step, 0.24 * step), other)


def _checks(canvas: Canvas, other: Colour, dice: Dice) -> None:
    count = dice.pick("checks", (4, 5, 6))
    step = 1 / count
    for row in range(count):
        for column in range(row % 2, count, 2):
            canvas.fill(_quad(column * step, row * step, (column + 1) * step, (row + 1) * step), other)


def _rays(canvas: Canvas, other: Colour, dice: Dice) -> None:
    count = dice.pick("rays", (8, 10, 12))
    start = dice.uniform("rays' start", 0, 1)
    angles = (np.arange(2 * count) + start) * np.pi / count
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.5
    for n in range(count):
        canvas.fill(np.array([(0.5, 0.5), rim[2 * n], rim[2 * n + 1]]), other)


def _bokeh(canvas: Canvas, light: Colour, dice: Dice) -> None:
    for n in range(9):
        x, y = dice.unit(f"bokeh x {n}"), dice.unit(f"bokeh y {n}")
        canvas.fill(ellipse(x, y, dice.uniform(f"bokeh size {n}", 0.05, 0.16)), light, 0.35)


def draw_background(canvas: Canvas, traits: Traits, dice: Dice, base: Colour) -> None:
    """Draws the background pattern onto a canvas that is filled with the background colour.

    Args:
      canvas: the canvas, in picture coordinates.
      traits: the traits of the face, which name the pattern.
      dice: the random numbers of the picture.
      base: the background colour.
    """
    soft = shifted(base, dice.pick("pattern light", (-0.12, 0.35, 0.35)))
    kind = traits.background
    if kind in ("gradient", "diagonal"):
        _gradient(canvas, base, shifted(base, dice.pick("gradient light", (-0.3, 0.6))), kind == "diagonal")
    elif kind == "halo":
        canvas.fill(ellipse(0.5 + traits.x, 0.48, 0.47), soft)
    elif kind == "stripes":
        _stripes(canvas, soft, dice)
    elif kind == "dots":
        _dots(canvas, soft, dice)
    elif kind == "checks":
        _checks(canvas, soft, dice)
    elif kind == "rays":
        _rays(canvas, soft, dice)
    elif kind == "bokeh":
        _bokeh(canvas, shifted(base, 0.6), dice)
    elif kind == "two-tone":
        edge = dice.uniform("two-tone edge", 0.35, 0.65)
        canvas.fill(_quad(0, edge, 1, 1), soft)
