"""Workdir: the directory of a run, with the paths in it and a lock that lets a single process write there."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from jaxgan.host.errors import UserError
from jaxgan.host.files import remove_temporaries


class Workdir:
    """The paths of a run's files. Within `with`, this process is the only one that writes there.

    The lock is the kernel's (`flock`), so a process that dies releases it.

    Args:
      path: the directory; created on entry. A leading ~ is the home directory.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(os.path.expanduser(path)).absolute()
        self._lock_file: IO[bytes] | None = None

    @property
    def flags(self) -> Path:
        """A flag file that repeats the run."""
        return self.path / "flags.txt"

    @property
    def dataset(self) -> Path:
        """The description of the pictures; see `jaxgan.training.files.description`."""
        return self.path / "dataset.json"

    @property
    def real(self) -> Path:
        """A grid of real pictures."""
        return self.path / "real.png"

    @property
    def metrics(self) -> Path:
        """The log, one JSON object per line; see `jaxgan.training.files.metrics_log`."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Orbax checkpoints; see `jaxgan.training.files.checkpoints`."""
        return self.path / "checkpoints"

    @property
    def weights(self) -> Path:
        """Weights alone, in a folder that holds no training state; see `jaxgan.training.files.weights`."""
        return self.path / "weights.npz"

    @property
    def tensorboard(self) -> Path:
        """Scalars and grids for TensorBoard; see `jaxgan.training.files.tensorboard`."""
        return self.path / "tensorboard"

    @property
    def wandb(self) -> Path:
        """What the client of Weights & Biases keeps; see `jaxgan.training.files.tracking`."""
        return self.path / "wandb"

    @property
    def samples(self) -> Path:
        """The directory of grids from fixed noise, one file per step."""
        return self.path / "samples"

    def sample(self, step: int) -> Path:
        """Returns the path of the grid of a step."""
        return self.samples / f"{step:08d}.png"

    @property
    def directions(self) -> Path:
        """The directory of editing directions, one file per step; see `experiments.run.directions`."""
        return self.path / "directions"

    def directions_of(self, step: int) -> Path:
        """Returns the path of the editing directions of a step."""
        return self.directions / f"{step:08d}.npz"

    @property
    def evolution(self) -> Path:
        """The grids as an animation."""
        return self.path / "evolution.gif"

    @property
    def losses(self) -> Path:
        """A plot of the metrics."""
        return self.path / "losses.png"

    def in_use(self) -> bool:
        """Whether the process of this machine that last wrote there is alive; another machine's is not known."""
        try:
            os.kill(int((self.path / ".lock").read_bytes()), 0)
        except PermissionError:
            return True  # a process of another user
        except (OSError, ValueError, OverflowError):
            return False
        return True

    def __enter__(self) -> "Workdir":
        """Creates the directory, locks it, and removes unfinished files of a process that died.

        Raises:
          UserError: if it cannot be written to, or another process holds the lock.
        """
        with contextlib.ExitStack() as opened:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                # Unbuffered, because closing the file would flush a buffer again.
                self._lock_file = opened.enter_context(open(self.path / ".lock", "a+b", buffering=0))
                self._lock(self._lock_file)
                self._lock_file.truncate(0)
                self._lock_file.write(str(os.getpid()).encode())
                for directory in (self.path, self.samples, self.directions, self.tensorboard):
                    remove_temporaries(directory)  # of a process that died, now that no other writes here
            except OSError as error:
                raise UserError(
                    f"--workdir={self.path} cannot be written to ({error.strerror}); choose another"
                ) from error
            opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._lock_file is not None
        with contextlib.suppress(OSError):
            self._lock_file.truncate(0)  # this process may live on, without using the directory
        self._lock_file.close()

    def confirm(self) -> None:
        """Raises OSError if the directory at this path is not the one that was locked, as after a move or unmount."""
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
                f"--workdir={self.path} is in use by process {holder}: wait for it, stop it, or choose another"
            ) from None
        except OSError as error:
            raise UserError(
                f"--workdir={self.path} cannot be locked ({error.strerror}): its file system has no locks; choose one"
                " on another, such as a local disk"
            ) from error
