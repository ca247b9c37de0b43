"""Files that are complete or absent: appended records, atomic replacement and synchronisation with the disk."""

import contextlib
import errno
import hashlib
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO


class AppendedFile:
    """File to which complete records are appended, never parts of a record.

    Records that cannot be written at once, for example because a save in progress has filled the disk, are written with
    the next record or by `sync`.

    Args:
      path: an existing file.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (open until `close`)
        self._whole = self._file.seek(0, os.SEEK_END)
        self._waiting = b""

    def append(self, record: bytes) -> None:
        """Writes a record, or keeps it to be written later."""
        self._waiting += record
        with contextlib.suppress(OSError):
            self._write()

    def sync(self) -> None:
        """Waits until all records are on disk.

        Raises:
          OSError: if a record cannot be written.
        """
        self._write()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file.

        Raises:
          OSError: if a record could not be written.
        """
        try:
            self._write()
        finally:
            self._file.close()

    def _write(self) -> None:
        try:
            written = 0
            while written < len(self._waiting):
                written += self._file.write(self._waiting[written:])
        except OSError:
            self._file.truncate(self._whole)  # removes an incomplete record
            raise
        self._whole += len(self._waiting)
        self._waiting = b""


def replace_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file under a temporary name and renames it, so that the file is always complete.

    Args:
      path: the file; its directory is created if it is missing.
      write: called with the open temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Waits until a file, or the entries of a directory, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot synchronise directories
            raise
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically, in UTF-8."""
    replace_atomically(path, lambda file: file.write(text.encode()))


def sha256_of(path: str | Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal.

    Raises:
      OSError: if it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_temporaries(directory: Path) -> None:
    """Removes the temporary files of processes that died during `replace_atomically`."""
    for path in directory.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}\.tmp", path.name):
            path.unlink(missing_ok=True)
