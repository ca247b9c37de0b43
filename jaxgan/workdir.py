"""The directory of a run: where everything lies, and that only one process writes there."""

import contextlib
import errno
import fcntl
import os
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from jaxgan.errors import UserError


class Workdir:
    """The paths of a run. Within `with`, this process is the only one that writes there.

    The lock is the kernel's (`flock`): a process that dies leaves none behind.

    Args:
      path: the directory; made when it is entered.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._lock_file: IO[bytes] | None = None

    @property
    def flags(self) -> Path:
        """The whole run as a flag file."""
        return self.path / "flags.txt"

    @property
    def metrics(self) -> Path:
        """A JSON object a line; see `jaxgan.runlog`."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Orbax checkpoints; see `jaxgan.checkpoints`."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Scalars and grids as TensorBoard reads them; see `jaxgan.events`."""
        return self.path / "tensorboard"

    @property
    def samples(self) -> Path:
        """Grids from fixed noise, one file a step."""
        return self.path / "samples"

    def sample(self, step: int) -> Path:
        """The grid of one step."""
        return self.samples / f"{step:08d}.png"

    @property
    def evolution(self) -> Path:
        """The grids as an animation."""
        return self.path / "evolution.gif"

    @property
    def losses(self) -> Path:
        """A plot of the metrics."""
        return self.path / "losses.png"

    def __enter__(self) -> "Workdir":
        """Makes the directory, locks it, and removes what a process that died left half-written.

        Raises:
          UserError: if it cannot be written to, or another process is at work there.
        """
        with contextlib.ExitStack() as opened:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                # Without a buffer, which would be written again when the file is closed.
                self._lock_file = opened.enter_context(open(self.path / ".lock", "a+b", buffering=0))
                self._lock(self._lock_file)
                self._lock_file.truncate(0)
                self._lock_file.write(str(os.getpid()).encode())
                for directory in (self.path, self.samples, self.tensorboard):
                    remove_temporaries(directory)  # of a process that died, now that no other writes here
            except OSError as error:
                raise UserError(
                    f"--workdir {self.path} cannot be written to ({error.strerror}); choose another."
                ) from error
            opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._lock_file is not None
        self._lock_file.close()

    def confirm(self) -> None:
        """Raises OSError if the directory is not the one that was locked: it was removed, moved, or unmounted."""
        assert self._lock_file is not None
        if not os.path.samestat(os.stat(self.path / ".lock"), os.fstat(self._lock_file.fileno())):
            raise FileNotFoundError(errno.ENOENT, "It is not the directory that it was", str(self.path))

    def _lock(self, file: IO[bytes]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().decode(errors="replace").strip() or "(unknown)"
            raise UserError(
                f"--workdir {self.path} is in use by process {holder}: wait for it, stop it, or choose another."
            ) from None
        except OSError as error:
            raise UserError(
                f"--workdir {self.path} cannot be locked ({error.strerror}): its file system has no locks; choose one"
                " on another, such as a local disk."
            ) from error


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
