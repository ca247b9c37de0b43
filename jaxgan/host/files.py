"""Files that are whole or absent: appended records, atomic replacement, synchronisation with the disk."""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO


class AppendedFile:
    """A file that grows by whole records and never keeps a part of one.

    What cannot be written now (a save that is under way has filled the disk) waits for the next record, or for `sync`.

    Args:
      path: a file that exists.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (open until `close`)
        self._whole = self._file.seek(0, os.SEEK_END)
        self._waiting = b""

    def append(self, record: bytes) -> None:
        """Writes a record, or keeps it for later."""
        self._waiting += record
        with contextlib.suppress(OSError):
            self._write()

    def sync(self) -> None:
        """Waits until everything is on the disk; OSError if that cannot be."""
        self._write()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; OSError if something could not be written."""
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
            self._file.truncate(self._whole)  # Takes back the part of a record.
            raise
        self._whole += len(self._waiting)
        self._waiting = b""


def replace_atomically(path: str | Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file under a temporary name, then gives it its own: it is there whole or not at all.

    Args:
      path: the file; its directory is made if it is missing.
      write: is given the open temporary file.
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
    """Waits until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Some network file systems know no such thing for directories.
            raise
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    replace_atomically(path, lambda file: file.write(text.encode()))


def remove_temporaries(directory: Path) -> None:
    """Removes what a process that died in the middle of `replace_atomically` left in a directory."""
    for path in directory.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}\.tmp", path.name):
            path.unlink(missing_ok=True)
