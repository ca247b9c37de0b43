"""Grids of images, PNG files and animations. Files are written atomically."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, PngImagePlugin

from jaxgan.host.files import replace_atomically


def grid(images: np.ndarray, columns: int, *, apart: int = 0) -> np.ndarray:
    """Tiles images row by row without gaps.

    Args:
      images: uint8 (N, height, width, channels), N at least 1.
      columns: images per row. The rest of the last row is white.
      apart: number of leading columns that are followed by a white gap of an eighth of an image; 0 for no gap.

    Returns:
      uint8 (rows · height, columns · width, channels), wider by the gap if there is one.

    Raises:
      ValueError: if the images have another shape or dtype, or there are no columns.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 (N, height, width, channels), got {images.dtype} {images.shape}")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    number, height, width, channels = images.shape
    rows = -(-number // columns)
    cells = np.full((rows * columns, height, width, channels), 255, np.uint8)
    cells[:number] = images
    cells = cells.reshape(rows, columns, height, width, channels)
    tiled = cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    gap = np.full((len(tiled), -(-width // 8) if apart else 0, channels), 255, np.uint8)
    return np.concatenate([tiled[:, : apart * width], gap, tiled[:, apart * width :]], axis=1)


def enlarged(images: np.ndarray, factor: int) -> np.ndarray:
    """Enlarges images (…, height, width, channels) by a whole factor: each pixel becomes a square."""
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def to_pillow(image: np.ndarray) -> Image.Image:
    """Converts uint8 (height, width, channels), with 1 (grey), 3 (RGB) or 4 (RGBA) channels, to a Pillow image.

    Raises:
      ValueError: if the image has another shape or dtype.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (height, width, 1, 3 or 4), got {image.dtype} {image.shape}")
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def save_png(path: str | Path, image: np.ndarray, texts: Mapping[str, str] | None = None) -> None:
    """Saves an image as PNG.

    Args:
      path: the PNG file.
      image: uint8 (height, width, channels).
      texts: texts to embed, by keyword (1 to 79 characters of Latin-1).
    """
    picture = to_pillow(image)
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in (texts or {}).items():
        chunks.add_itxt(keyword, text)
    replace_atomically(path, lambda file: picture.save(file, "PNG", pnginfo=chunks))


def save_evolution(
    path: str | Path, samples: str | Path, *, max_frames: int = 60, max_side: int = 640, seconds: float = 0.15
) -> bool:
    """Saves an animation of the grids `<step>.png` of a directory, in the order of their steps.

    Args:
      path: the GIF file.
      samples: the directory of the grids. Files with other names, unreadable files, and grids of another size than the
        last one are skipped.
      max_frames: maximum number of frames; of more grids, evenly spaced ones are used, including the first and the
        last.
      max_side: larger grids are scaled down to this, in pixels.
      seconds: duration of a frame; the last frame lasts two seconds.

    Returns:
      Whether there was a grid to animate.
    """
    steps = grids(samples)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(max_frames, len(steps))).round().astype(int))
    frames = list(_read_frames([steps[index][1] for index in chosen], max_side))
    if not frames:
        return False
    durations = [round(1000 * seconds)] * (len(frames) - 1) + [2000]

    _save_gif(path, frames, durations)
    return True


def save_animation(path: str | Path, images: np.ndarray, *, seconds: float = 0.06, min_side: int = 192) -> None:
    """Saves a looping animation of images.

    Args:
      path: the GIF file.
      images: uint8 (N, height, width, channels), in order.
      seconds: duration of a frame.
      min_side: smaller images are enlarged by an integer factor, to about this many pixels.
    """
    factor = max(1, min_side // images.shape[1])
    frames = [to_pillow(enlarged(image, factor)) for image in images]
    _save_gif(path, frames, [round(1000 * seconds)] * len(frames))


def _save_gif(path: str | Path, frames: Sequence[Image.Image], milliseconds: Sequence[int]) -> None:
    def write(file: IO[bytes]) -> None:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=list(milliseconds), loop=0)

    replace_atomically(path, write)


def grids(samples: str | Path) -> list[tuple[int, Path]]:
    """Returns the grids `<step>.png` of a directory as (step, path), in the order of their steps."""
    return sorted((int(file.stem), file) for file in Path(samples).glob("*.png") if file.stem.isdecimal())


def _read_frames(paths: Sequence[Path], max_side: int) -> Iterator[Image.Image]:
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as file:
                pictures.append(file.convert("L" if file.mode == "L" else "RGB"))
        except (OSError, SyntaxError, ValueError):
            continue
    for picture in pictures:
        if picture.size == pictures[-1].size:
            picture.thumbnail((max_side, max_side))
            yield picture
