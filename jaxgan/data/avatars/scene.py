"""Composition of a face, painted in order from the background to the accessories."""

from collections.abc import Callable

import numpy as np

from jaxgan.data.avatars.accessories import draw_earrings, draw_glasses, draw_headwear
from jaxgan.data.avatars.background import backdrop, draw_background
from jaxgan.data.avatars.body import draw_clothes, draw_neck
from jaxgan.data.avatars.canvas import Canvas
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.eyes import draw_brows, draw_eyes
from jaxgan.data.avatars.face import draw_ears, draw_face, draw_mouth
from jaxgan.data.avatars.hair_back import draw_back_hair, draw_braids
from jaxgan.data.avatars.hair_front import draw_fringe, fringe_outline
from jaxgan.data.avatars.traits import Traits

# Position of the point between the eyes in the picture.
CENTRE = (0.5, 0.565)
_SMALLEST = 192  # minimum side in pixels before downscaling, because thin lines need this resolution


def oversampling(size: int) -> int:
    """Returns the factor by which a picture of this size is drawn larger before it is downscaled."""
    return max(3 if size <= 128 else 2, -(-_SMALLEST // size))


def paint(traits: Traits, dice: Dice, size: int) -> np.ndarray:
    """Paints a face.

    Args:
      traits: the traits of the face.
      dice: the random numbers of the picture.
      size: side of the picture in pixels.

    Returns:
      uint8 (size, size, 3).
    """
    factor = oversampling(size)
    page = paint_background(traits, dice, size * factor)
    paint_parts(page, traits, dice)
    return np.asarray(page.image.reduce(factor))


def paint_background(traits: Traits, dice: Dice, side: int) -> Canvas:
    """Returns a page of ``side`` pixels with the background of a face."""
    colour = backdrop(traits, dice)
    page = Canvas.blank(side, colour)
    draw_background(page, traits, dice, colour)
    return page


def paint_parts(
    page: Canvas, traits: Traits, dice: Dice, on: Callable[[str, Canvas], Canvas] = lambda part, canvas: canvas
) -> None:
    """Paints everything but the background.

    Args:
      page: the whole picture.
      traits: the traits of the face.
      dice: the random numbers of the picture.
      on: (part, canvas) -> the canvas that the part is painted on: "hair", "skin", "clothes", "mouth", "eyes", "brows"
        or "accessories".
    """
    x, y = CENTRE[0] + traits.x, CENTRE[1] + traits.y
    head = page.moved(x, y, traits.scale, traits.tilt)
    body = page.moved(x, y, traits.scale, 0.25 * traits.tilt)
    fringe = fringe_outline(traits, dice)
    draw_back_hair(on("hair", head), traits, dice)
    draw_neck(on("skin", body), traits)
    draw_clothes(on("clothes", body), traits, dice)
    draw_ears(on("skin", head), traits)
    draw_face(on("skin", head), traits, dice, fringe)
    draw_mouth(on("mouth", head), traits, dice)
    draw_eyes(on("eyes", head), traits, dice)
    draw_earrings(on("accessories", head), traits, dice)
    if traits.style == "braids":
        draw_braids(on("hair", head), traits)
    draw_glasses(on("accessories", head), traits, dice)
    draw_fringe(on("hair", head), traits, dice, fringe)
    draw_brows(on("brows", head), traits)
    draw_headwear(on("accessories", head), traits, dice)
