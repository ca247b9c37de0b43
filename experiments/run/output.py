"""The files that pictures are written to: a grid, arrays, an animation, or a folder with a file for each."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.host import images
from jaxgan.host.captions import captioned_grid
from jaxgan.host.errors import UserError, printable
from jaxgan.host.files import replace_atomically
from jaxgan.systems.outputs import Exhibit

OURS = {"Software": "jaxgan"}  # text in each file of a folder, by which it may be replaced


def square_grid(pictures: np.ndarray) -> np.ndarray:
    """Tiles pictures, uint8 (N, H, W, C), into one that is as square as possible, uint8 (H', W', C)."""
    return images.grid(pictures, math.isqrt(len(pictures) - 1) + 1)


def tiled(exhibit: Exhibit) -> np.ndarray:
    """Tiles an exhibit, with its captions, into one picture, uint8 (H', W', C)."""
    if exhibit.columns is None:
        return square_grid(exhibit.images)
    return captioned_grid(
        exhibit.images,
        exhibit.columns,
        rows=exhibit.rows,
        heads=exhibit.heads,
        apart=exhibit.apart,
        together=exhibit.together,
    )


def earlier_pictures(path: Path) -> list[Path]:
    """Returns the pictures of an earlier call in the folder that `--out` names; [] where it is no folder yet.

    Raises:
      UserError: if anything else is in it: pictures of several calls would lie there as if they were of one.
    """
    if path.suffix in (".png", ".gif", ".npz") or not path.is_dir():
        return []
    found = sorted(path.iterdir())
    for file in found:
        if not (re.fullmatch(r"\d{6,7}\.png", file.name) and _is_ours(file)):
            raise UserError(
                f"--out={path}: the folder holds {printable(file.name)}, which is no picture of this command; choose"
                " another folder, or an empty one"
            )
    return found


def _is_ours(path: Path) -> bool:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.info.get("Software") == OURS["Software"]
    except (OSError, ValueError, SyntaxError):  # Pillow, for damage in some places
        return False


def write(path: Path, exhibit: Exhibit) -> None:
    """Writes pictures in the format that the suffix of the path names."""
    pictures = exhibit.images
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            images.save_png(path, tiled(exhibit))
        elif path.suffix == ".gif":
            images.save_animation(path, pictures)
        elif path.suffix == ".npz":
            arrays: dict[str, Any] = {"images": pictures[..., 0] if pictures.shape[-1] == 1 else pictures}
            if exhibit.labels.shape[1]:
                arrays["labels"] = exhibit.labels
            replace_atomically(path, lambda file: np.savez_compressed(file, **arrays))
        else:
            for earlier in earlier_pictures(path):
                earlier.unlink()
            for number, picture in enumerate(pictures):
                images.save_png(path / f"{number:06d}.png", picture, OURS)
    except OSError as error:
        raise UserError(f"--out={path}: cannot be written ({error.strerror or error})") from error
