"""Pictures that a user gives to a run: a file, or a folder of them."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from experiments.run.restore import TrainedRun
from jaxgan.data.decode import EXTENSIONS, MAX_PIXELS, decode, size_of
from jaxgan.host import console
from jaxgan.host.errors import UserError, printable

_NAMED = 3


def files_of(path: str) -> list[Path]:
    """Returns a picture file, or all those in a folder and its subfolders in the order of their paths.

    Raises:
      UserError: if there is none.
    """
    given = Path(os.path.expanduser(path))
    if given.is_file():
        return [given]
    found = sorted(file for file in given.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())
    if not found:
        where = "has no pictures" if given.is_dir() else "is not there"
        raise UserError(f"--input={printable(path)}: {where}; give a picture file, or a folder of them")
    return found


def read(run: TrainedRun, files: list[Path]) -> np.ndarray:
    """Reads pictures at the size of a run, uint8 (N, H, W, C).

    Raises:
      UserError: if one cannot be read.
    """
    return np.stack([read_one(run, file, f"--input={printable(file)}") for file in files])


def tell_cut(flag: str, files: Sequence[str | Path]) -> None:
    """Prints a line about those pictures that are not square: `read_one` takes the middle of them alone.

    Args:
      flag: by which the pictures were given.
      files: the pictures; of those that cannot be read `read_one` tells.
    """
    cut = []
    for file in files:
        with contextlib.suppress(Exception):  # Pillow raises almost anything for a damaged file
            width, height = size_of(file)
            if width != height:
                cut.append(f"{printable(Path(file).name)}, {width} by {height} pixels")
    if not cut:
        return
    few = "; ".join(cut[:_NAMED]) + "; ..." * (len(cut) > _NAMED)
    said = (
        f"the picture is not square ({few}): its middle square is taken"
        if len(files) == 1
        else f"{len(cut)} of {len(files)} pictures are not square ({few}): their middle squares are taken"
    )
    print(f"{flag}: {said}", file=console.err, flush=True)


def read_one(run: TrainedRun, file: str | Path | IO[bytes], called: str, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture at the size of a run, uint8 (H, W, C).

    Args:
      run: the run.
      file: a picture file, or one that is open.
      called: what an error calls it.
      max_pixels: number of pixels above which it is refused.

    Raises:
      UserError: if it cannot be read.
    """
    height, _, channels = run.system.image_shape
    try:
        return decode(file, height, channels, max_pixels=max_pixels)
    except Exception as error:  # Pillow raises almost anything for a damaged file
        raise UserError(f"{called}: cannot be read as a picture ({printable(error)})") from error
