"""Arrays of a cache entry: `.npy` files that are written chunk by chunk and verified when they are opened."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from jaxgan.data.workers import Chunk


class BrokenEntryError(Exception):
    """Raised when a cache entry cannot be used."""


class ArraysWriter:
    """Writer that appends chunks to the arrays of an entry and computes their digests.

    The files grow as they are written, because a full disk would kill a process that writes to a memory-mapped file.

    Args:
      directory: directory of the entry.
      shape: (height, width, channels) of each picture.
      condition_dim: length of a condition; 0 without conditions.
    """

    def __init__(self, directory: Path, shape: tuple[int, int, int], condition_dim: int):
        self._images = _ArrayFile(directory / "images.npy", shape)
        self._conditions = _ArrayFile(directory / "conditions.npy", (condition_dim,)) if condition_dim else None

    def append(self, chunk: Chunk) -> None:
        """Appends the examples of a chunk.

        Raises:
          ValueError: if the shapes or dtypes do not match, or only some chunks have conditions.
        """
        self._images.append(chunk.images)
        if (chunk.conditions is None) != (self._conditions is None):
            raise ValueError("conditions and condition names go together")
        if self._conditions is not None and chunk.conditions is not None:
            if len(chunk.conditions) != len(chunk.images):
                raise ValueError(f"{len(chunk.conditions)} conditions for {len(chunk.images)} pictures")
            self._conditions.append(chunk.conditions)

    def finish(self) -> dict[str, Any]:
        """Completes the files on disk and returns their JSON-compatible descriptions."""
        return {
            "images": self._images.finish(),
            "conditions": self._conditions.finish() if self._conditions else None,
        }

    def close(self) -> None:
        """Closes the files, finished or not."""
        self._images.close()
        if self._conditions:
            self._conditions.close()


class _ArrayFile:
    """A `.npy` file of uint8 that grows along its first axis."""

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self._file = path.open("wb")
        self._shape = shape
        self._count = 0
        self._digest = hashlib.sha256()
        self._write_header()

    def append(self, array: np.ndarray) -> None:
        if array.dtype != np.uint8 or array.shape[1:] != self._shape:
            raise ValueError(f"expected uint8 of shape (n, *{self._shape}), got {array.dtype} of {array.shape}")
        data = np.ascontiguousarray(array).reshape(-1).data
        self._file.write(data)
        self._digest.update(data)
        self._count += len(array)

    def finish(self) -> dict[str, Any]:
        """Completes the file on disk and returns its description for `meta.json`."""
        self._file.seek(0)
        self._write_header()  # NumPy leaves room in the header for the first axis to grow
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"shape": [self._count, *self._shape], "sha256": self._digest.hexdigest()}

    def close(self) -> None:
        with contextlib.suppress(OSError):  # on a full disk, closing tries to write the rest of the buffer and fails
            self._file.close()

    def _write_header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._count, *self._shape)}
        npy.write_array_header_1_0(self._file, header)


def open_array(path: Path, expected: dict[str, Any]) -> np.ndarray:
    """Memory-maps a uint8 `.npy` file after verifying all of it.

    Args:
      path: the file.
      expected: its description, as returned by `ArraysWriter.finish`.

    Raises:
      BrokenEntryError: if the file is not the one that was written.
    """
    array = npy.open_memmap(path, mode="r")
    if array.dtype != np.uint8 or list(array.shape) != expected["shape"] or not array.flags.c_contiguous:
        raise BrokenEntryError(f"{path.name} is {array.dtype} of {array.shape}, not uint8 of {expected['shape']}")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != array.offset + array.nbytes:
            raise BrokenEntryError(f"{path.name} has {size} bytes, not {array.offset + array.nbytes}")
        file.seek(array.offset)
        if hashlib.file_digest(file, "sha256").hexdigest() != expected["sha256"]:
            raise BrokenEntryError(f"{path.name} has changed since it was written")
    return array
