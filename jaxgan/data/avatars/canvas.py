"""A drawing surface whose coordinates do not depend on its size in pixels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from jaxgan.data.avatars.palette import Colour

_SHADE = 0.7  # opacity below which a filling only tints what is there


@dataclass(frozen=True)
class Canvas:
    """A Pillow picture with an affine map from drawing coordinates to pixels.

    Attributes:
      image: the RGB picture.
      opaque: Pillow's drawing context for opaque colours.
      blending: Pillow's drawing context for transparent colours.
      matrix: (2, 2), from drawing coordinates (row vectors) to pixels.
      offset: (2,), the pixel of the drawing's origin.
      flat: colour -> the one that stands for it, in a drawing without shades; None: as it is.
    """

    image: Image.Image
    opaque: ImageDraw.ImageDraw
    blending: ImageDraw.ImageDraw
    matrix: np.ndarray
    offset: np.ndarray
    flat: Callable[[Colour], Colour] | None = None

    @classmethod
    def on(cls, image: Image.Image, matrix: np.ndarray, offset: np.ndarray) -> "Canvas":
        """Returns a canvas on an RGB picture.

        Args:
          image: the picture.
          matrix: (2, 2), from drawing coordinates (row vectors) to pixels.
          offset: (2,), the pixel of the drawing's origin.
        """
        return cls(image, ImageDraw.Draw(image), ImageDraw.Draw(image, "RGBA"), matrix, offset)

    @classmethod
    def blank(cls, side: int, colour: Colour) -> "Canvas":
        """Returns a canvas of one colour, with (0, 0) at the top left corner and (1, 1) at the bottom right one."""
        # Pillow places pixel centres at integers, hence the half.
        return cls.on(Image.new("RGB", (side, side), colour), np.eye(2) * side, np.full(2, -0.5))

    def moved(self, x: float, y: float, scale: float = 1.0, angle: float = 0.0) -> "Canvas":
        """Returns a canvas on the same picture in other coordinates.

        Args:
          x: horizontal position of the new origin.
          y: vertical position of the new origin.
          scale: factor by which the new unit is larger.
          angle: rotation of the new axes in radians.
        """
        cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
        matrix = np.array([[cosine, sine], [-sine, cosine]]) @ self.matrix
        offset = np.array([x, y]) @ self.matrix + self.offset
        return replace(self, matrix=matrix, offset=offset)

    def flattened(self, flat: Callable[[Colour], Colour]) -> "Canvas":
        """Returns a canvas on the same picture that draws in flat colours, and leaves shades out."""
        return replace(self, flat=flat)

    def fill(self, points: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        """Fills an outline with a colour.

        Args:
          points: the outline, (n, 2).
          colour: the colour.
          alpha: opacity of the colour, 0 to 1.
        """
        pixels = (points @ self.matrix + self.offset).ravel().tolist()
        if self.flat is not None:
            if alpha < _SHADE:
                return
            colour, alpha = self.flat(colour), 1.0
        if alpha >= 1:
            self.opaque.polygon(pixels, fill=colour)
        else:
            self.blending.polygon(pixels, fill=(*colour, round(255 * alpha)))

    @contextmanager
    def inside(self, outline: np.ndarray) -> Iterator["Canvas"]:
        """Yields a canvas on which only the inside of the outline (n, 2) will be kept."""
        pixels = outline @ self.matrix + self.offset
        low = np.maximum(np.floor(pixels.min(0)).astype(int), 0)
        high = np.maximum(np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, self.image.size), low + 1)
        box = (*low.tolist(), *high.tolist())
        layer = self.image.crop(box)
        yield replace(Canvas.on(layer, self.matrix, self.offset - low), flat=self.flat)
        mask = Image.new("L", layer.size)
        ImageDraw.Draw(mask).polygon((pixels - low).ravel().tolist(), fill=255)
        self.image.paste(layer, box, mask)
