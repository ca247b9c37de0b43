"""Grids whose rows and columns have captions."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgan.host.images import enlarged, grid

LEGIBLE = 48  # pixels: smaller pictures are enlarged by a whole factor, so that a caption fits beside them
FONT_SIZE = 13
MARGIN = 6  # pixels around a caption


def captioned_grid(
    images: np.ndarray,
    columns: int,
    *,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
    apart: int = 0,
    together: int = 0,
) -> np.ndarray:
    """Tiles images row by row, on white, with a caption for each row and each column.

    Args:
      images: uint8 (N, height, width, channels), N at least 1.
      columns: images per row. The rest of the last row is white.
      rows: a caption for each row, at its left; a sequence that is shorter than the grid is repeated.
      heads: a caption for each column, above it.
      apart: number of leading columns that are followed by a gap; 0 for no gap.
      together: number of rows that belong together; a gap stands between such groups. 0 for no gap.

    Returns:
      uint8 (height, width, channels). With captions, images lower than 48 pixels are enlarged by
      a whole factor.

    Raises:
      ValueError: if the images have another shape or dtype, or there are no columns.
    """
    images = np.asarray(images)
    factor = -(-LEGIBLE // images.shape[1]) if rows or heads else 1
    images = enlarged(images, factor)
    height, width = images.shape[1:3]
    count = -(-len(images) // columns)
    blank = np.full((count * columns - len(images), *images.shape[1:]), 255, np.uint8)
    tiled = grid(np.concatenate([images, blank]), columns, apart=apart)
    gap = np.full((-(-height // 8), *tiled.shape[1:]), 255, np.uint8)
    together = together or count
    groups = np.split(tiled, range(together * height, len(tiled), together * height))
    tiled = np.concatenate([part for group in groups for part in (group, gap)][:-1])

    offset = [row * height + row // together * len(gap) for row in range(count)]
    after = [column * width + (tiled.shape[1] - columns * width) * (column >= apart > 0) for column in range(columns)]
    left = max((_length(text) for text in rows), default=-2 * MARGIN) + 2 * MARGIN
    above = max((_lines(text, width).count("\n") + 1 for text in heads), default=0) * (FONT_SIZE + 3)
    canvas = Image.new("RGB", (left + tiled.shape[1], above + tiled.shape[0]), "white")
    canvas.paste(Image.fromarray(np.broadcast_to(tiled, (*tiled.shape[:2], 3))), (left, above))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT_SIZE)
    for row, top in enumerate(offset if rows else ()):
        draw.text((left - MARGIN, above + top + height // 2), rows[row % len(rows)], "black", font, anchor="rm")
    for text, start in zip(heads, after, strict=False):
        text = _lines(text, width)
        draw.text((left + start + width // 2, above - 2), text, "black", font, anchor="md", spacing=1, align="center")
    drawn = np.asarray(canvas)
    return drawn if images.shape[3] == 3 else drawn[:, :, : images.shape[3]]


def _length(text: str) -> int:
    return round(ImageFont.load_default(FONT_SIZE).getlength(text))


def _lines(text: str, width: int) -> str:
    """Breaks a text between words into lines that are no wider than `width` pixels, if words are not."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _length(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return "\n".join(lines)
