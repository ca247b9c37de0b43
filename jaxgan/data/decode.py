"""Decoding of picture files to uint8 pixels of a fixed size, with Pillow."""

import os
import warnings
from typing import IO

import numpy as np
from PIL import ExifTags, Image

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""File name extensions of pictures, in lower case."""

OTHER_EXTENSIONS = frozenset(
    {".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".psd", ".svg"}
    | {".ico", ".icns", ".dng", ".cr2", ".nef", ".arw", ".exr", ".hdr"}
)
"""Those of pictures that are not read, in lower case."""

VERSION = 2
"""Raised when the pixels of some file become others, so that caches of decoded pictures are made anew."""

MAX_PIXELS = 1 << 26
"""Maximum number of pixels of a picture to decode, since a file of a few bytes can claim any size."""

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


def decode(
    path: str | os.PathLike | IO[bytes], image_size: int, channels: int, *, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Reads the first frame of a picture file as an upright square over white.

    The short side is resized to `image_size` and the centre is cut out. Of 16 bits per channel the upper 8 are kept, as
    in Pillow.

    Args:
      path: a JPEG, PNG, WebP, BMP, GIF or TIFF file, or one that is open.
      image_size: height and width of the result, in pixels.
      channels: 1 for grey or 3 for RGB.
      max_pixels: number of pixels above which a picture is refused.

    Returns:
      (image_size, image_size, channels) uint8.

    Raises:
      Exception: if the file cannot be read. Pillow raises almost any exception for a damaged file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata, whose pixels may be intact
        with Image.open(path, formats=_FORMATS) as picture:
            _check_decodable(picture, max_pixels)
            # JPEG can be decoded at a reduced size, which is faster; twice the size keeps what the resizing needs.
            drafted = picture.draft(None, (2 * image_size, 2 * image_size))
            extent = drafted[1][2:] if drafted else picture.size
            square = _middle(picture, extent, image_size, channels)
            return _pixels(_upright(square, picture))


def decode_whole(path: str | os.PathLike | IO[bytes], short_side: int, channels: int) -> np.ndarray:
    """Reads the first frame of a picture file as an upright rectangle over white, with its own proportions.

    Args:
      path: a JPEG, PNG, WebP, BMP, GIF or TIFF file, or one that is open.
      short_side: of the result, in pixels. The long side is at most 16 times as long.
      channels: 1 for grey or 3 for RGB.

    Returns:
      (height, width, channels) uint8.

    Raises:
      Exception: if the file cannot be read, or is too long for its width.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata, whose pixels may be intact
        with Image.open(path, formats=_FORMATS) as picture:
            _check_decodable(picture)
            whole = _upright(_over_white(picture).convert("L" if channels == 1 else "RGB"), picture)
    if max(whole.size) > 16 * min(whole.size):
        raise ValueError(f"{whole.size[0]} by {whole.size[1]} pixels are too long a strip")
    width, height = (max(1, round(side * short_side / min(whole.size))) for side in whole.size)
    resized = whole.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(height, width, channels)


def decode_halves(path: str | os.PathLike, image_size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads the left and the right half of a picture file, each as `decode` reads a picture of its own.

    Args:
      path: a JPEG, PNG, WebP, BMP, GIF or TIFF file, upright wider than high and of an even width.
      image_size: height and width of each result, in pixels.
      channels: 1 for grey or 3 for RGB.

    Returns:
      Two arrays (image_size, image_size, channels) uint8.

    Raises:
      Exception: if the file cannot be read, or holds no two pictures side by side.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata, whose pixels may be intact
        with Image.open(path, formats=_FORMATS) as picture:
            _check_decodable(picture)
            both = _upright(_over_white(picture).convert("L" if channels == 1 else "RGB"), picture)
    width, height = both.size
    if width % 2 or width <= height:
        raise ValueError(f"{width} by {height} pixels are no two pictures side by side")
    left, right = both.crop((0, 0, width // 2, height)), both.crop((width // 2, 0, width, height))
    return fit(left, image_size, channels), fit(right, image_size, channels)


def _check_decodable(picture: Image.Image, max_pixels: int = MAX_PIXELS) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise ValueError(f"{width} by {height} pixels are more than {max_pixels}")
    if picture.format == "TIFF" and picture.mode in ("I", "F"):
        raise ValueError("32 bits a channel, whose black and white are not known")


def size_of(path: str | os.PathLike) -> tuple[int, int]:
    """Reads the width and height of a picture file from its header.

    Raises:
      Exception: if the header cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_FORMATS) as picture:
            return picture.size


def fit(picture: Image.Image, image_size: int, channels: int) -> np.ndarray:
    """Cuts the middle square out of a picture, over white, and resizes it with anti-aliasing.

    Args:
      picture: a picture of any size and Pillow mode.
      image_size: height and width of the result, in pixels.
      channels: 1 for grey or 3 for RGB.

    Returns:
      (image_size, image_size, channels) uint8.
    """
    return _pixels(_middle(picture, picture.size, image_size, channels))


def is_colour(path: str | os.PathLike | IO[bytes]) -> bool:
    """Whether the header of a picture file allows colours; False if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.mode == "P":
                    palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
                    return bool((palette != palette[:, :1]).any())
                return picture.mode not in _GREY_MODES and not _is_deep_grey_with_alpha(picture)
    except Exception:  # Pillow raises almost anything for a damaged file
        return False


def _middle(picture: Image.Image, extent: tuple[float, float], image_size: int, channels: int) -> Image.Image:
    """Returns the middle square, resized. `extent` is the width and height in use, which can end within a pixel."""
    side = min(extent)
    left, top = (extent[0] - side) / 2, (extent[1] - side) / 2
    picture = _over_white(picture).convert("L" if channels == 1 else "RGB")
    if side == image_size:
        left, top = int(left), int(top)
        return picture.crop((left, top, left + image_size, top + image_size))
    box = (left, top, left + side, top + side)
    return picture.resize((image_size, image_size), Image.Resampling.BICUBIC, box)


def _upright(square: Image.Image, picture: Image.Image) -> Image.Image:
    """Applies the EXIF orientation of `picture` to its middle square."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged metadata, whose pixels may be intact
        orientation = None
    return square.transpose(_TRANSPOSITIONS[orientation]) if orientation in _TRANSPOSITIONS else square


def _pixels(square: Image.Image) -> np.ndarray:
    return np.asarray(square).reshape(*square.size, len(square.getbands()))


def _over_white(picture: Image.Image) -> Image.Image:
    key = picture.info.get("transparency")
    if picture.mode in _DEEP_MODES:
        deep = np.asarray(picture).clip(0, 65535)
        grey = (deep >> 8).astype(np.uint8)
        if isinstance(key, int):
            grey[deep == key] = 255
        return Image.fromarray(grey)
    if not picture.has_transparency_data or _is_opaque_bitmap(picture):
        return picture.convert("RGB") if picture.mode == "RGBA" else picture
    if picture.mode == "RGB" and isinstance(key, tuple) and "RGB;16B" in _raw_modes(picture):
        pixels = np.array(picture)
        pixels[(pixels == np.array(key) >> 8).all(-1)] = 255  # Pillow compares 8 bits of a pixel with 16 of the key.
        return Image.fromarray(pixels)
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA"))


def _raw_modes(picture: Image.Image) -> list[str]:
    """Returns how a file that is not loaded yet holds its pixels, in Pillow's words, such as "RGB;16B"."""
    found = [getattr(tile, "args", None) for tile in getattr(picture, "tile", ())]
    return [mode if isinstance(mode, str) else str(mode[0]) for mode in found if mode]


def _is_deep_grey_with_alpha(picture: Image.Image) -> bool:
    """Whether a PNG file has grey and alpha of 16 bits, which Pillow has no mode for and reads as RGBA."""
    return "LA;16B" in _raw_modes(picture)


def _is_opaque_bitmap(picture: Image.Image) -> bool:
    """Whether a BMP file of 32 bits has an alpha of 0 everywhere: programs that know of none leave it so."""
    return picture.format == "BMP" and picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (0, 0)
