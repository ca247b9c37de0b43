"""Image source that reads the arrays of a `.npz` or `.npy` file."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from jaxgan.data import cache, framing
from jaxgan.data.decode import VERSION, fit
from jaxgan.data.examples import Examples, from_arrays
from jaxgan.data.workers import Chunk
from jaxgan.host.errors import UserError, printable

SUFFIXES = (".npz", ".npy")
IMAGES, LABELS = ("images", "image", "x", "x_train", "arr_0"), ("labels", "label", "y", "y_train")
"""The names that arrays of pictures and of labels may have, in the order in which they are looked for."""


def load(
    path: str | os.PathLike, image_size: int, *, labels: bool = False, cache_dir: str | os.PathLike | None = None
) -> Examples:
    """Opens the pictures of a file; their middle squares are resized to `image_size` where they have another size.

    Args:
      path: a `.npy` of pictures, uint8 (N, height, width[, channels]), or a `.npz` of `images` and perhaps `labels`,
        integers (N,) or multi-hot (N, classes), and `names` of the classes.
      image_size: height and width of the pictures, in pixels.
      labels: whether to read the labels.
      cache_dir: see `cache.cache_directory`.

    Raises:
      UserError: if the file cannot be read or holds no such arrays, or the labels are missing.
    """
    path = Path(os.path.expanduser(path)).resolve()
    try:
        status = path.stat()
        identity = [os.fsencode(path).hex(), status.st_size, status.st_mtime_ns]
        settings = {"file": identity, "image_size": image_size, "labels": labels, "decoding": VERSION}
        found = cache.find("arrays", settings, cache_dir=cache_dir)
        if found is not None:
            return found
        with path.open("rb") as file:
            pictures = _read(file, labels)
    except UserError as error:
        raise UserError(f"--data_dir={printable(path)}: {error.as_flags}") from None
    except Exception as error:  # NumPy, zipfile and zlib raise almost anything for a damaged file
        raise UserError(f"--data_dir={printable(path)}: cannot be read as arrays ({printable(error)})") from error
    height, width = pictures.image_shape[:2]
    found_faults = [(fault, f"{width} by {height} pixels") for fault in framing.faults(width, height, image_size)]
    framing.tell(printable(path), found_faults * len(pictures), len(pictures))
    channels = 1 if pictures.image_shape[2] <= 2 else 3
    shape = (image_size, image_size, channels)
    return cache.build(
        "arrays",
        settings,
        _fitted(pictures, shape),
        len(pictures),
        shape,
        condition_names=pictures.condition_names,
        cache_dir=cache_dir,
        description="reading pictures",
    )


def _read(file: IO[bytes], labels: bool) -> Examples:
    """Reads the arrays of a file; the pictures keep their size."""
    opened = np.load(file, allow_pickle=False)
    if isinstance(opened, np.ndarray):
        if labels:
            raise UserError("a conditional model needs labels too; save a .npz with `images` and `labels`")
        return from_arrays(_pictures(opened))
    with opened:
        image, label = (_first(opened, names) for names in (IMAGES, LABELS))
        if image is None:
            raise UserError(f"has no array `images`, but {', '.join(map(printable, opened.files)) or 'nothing'}")
        if not labels:
            return from_arrays(_pictures(opened[image]))
        if label is None:
            raise UserError("a conditional model needs labels too; add an array `labels`")
        names = [str(name) for name in opened["names"]] if "names" in opened.files else None
        return from_arrays(_pictures(opened[image]), opened[label], condition_names=names)


def _first(opened: np.lib.npyio.NpzFile, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in opened.files), None)


def _pictures(images: np.ndarray) -> np.ndarray:
    if images.ndim == 3 and images.shape[-1] in (3, 4) and images.shape[1] > 4:
        raise UserError(f"images of shape {images.shape} are a single picture; give (N, height, width, channels)")
    if images.ndim == 4 and images.shape[-1] not in (1, 2, 3, 4):
        order = "; bring the channels to the end: images.transpose(0, 2, 3, 1)" if images.shape[1] in (1, 3, 4) else ""
        raise UserError(f"images of shape {images.shape} have {images.shape[-1]} channels, not 1 to 4{order}")
    return images


def _fitted(pictures: Examples, shape: tuple[int, int, int]) -> Generator[Chunk, None, None]:
    length = cache.chunk_length(shape)
    for start in range(0, len(pictures), length):
        part = slice(start, start + length)
        images = [fit(_pillow(pixels), shape[0], shape[2]) for pixels in pictures.images[part]]
        conditions = pictures.conditions
        yield Chunk(np.stack(images), None if conditions is None else np.asarray(conditions[part]))


def _pillow(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
