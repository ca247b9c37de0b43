"""Pictures that a user gives to a run: a file, or a folder of them."""

import os
from pathlib import Path

import numpy as np

from experiments.run.restore import TrainedRun
from jaxgan.data.decode import EXTENSIONS, decode
from jaxgan.host.errors import UserError, printable


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
    height, _, channels = run.system.image_shape
    return np.stack([_decoded(file, height, channels) for file in files])


def _decoded(file: Path, image_size: int, channels: int) -> np.ndarray:
    try:
        return decode(file, image_size, channels)
    except Exception as error:  # Pillow raises almost anything for a damaged file
        raise UserError(f"--input={printable(file)}: cannot be read as a picture ({printable(error)})") from error
