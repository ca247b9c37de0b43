"""Checkpoints of a run: saved in the background with a retry, bounded in number, the newest intact one restored.

The format of a checkpoint and its verification are in `jaxgan.training.files.checkpoint_format`.
"""

import functools
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.host import console
from jaxgan.host.digest import host_leaves
from jaxgan.host.errors import UserError, named
from jaxgan.training.files import checkpoint_format
from jaxgan.training.files.checkpoint_format import Retention, SavedCheckpoint, UnreadableCheckpoint


class CheckpointError(UserError):
    """Raised when two saves in a row have failed: the disk is full, read-only or gone."""


def print_report(message: str) -> None:
    """Prints a message to the standard error stream."""
    print(message, file=console.err, flush=True)


class Checkpoints:
    """The checkpoints of one run, in `directory/<step>/`.

    Args:
      directory: the directory of the checkpoints; created by the first save.
      keep: number of newest checkpoints to keep, at least 1.
      keep_every: checkpoints at multiples of this step are kept forever; None: none are.
      report: called with one line for each failed save and each damaged checkpoint.
      retry_after: seconds between a failed save and its second attempt.

    Raises:
      ValueError: if `keep` or `keep_every` is less than 1.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        keep: int = 3,
        keep_every: int | None = None,
        report: Callable[[str], None] = print_report,
        retry_after: float = 1.0,
    ) -> None:
        if keep < 1 or (keep_every is not None and keep_every < 1):
            raise ValueError(f"keep and keep_every must be at least 1, not {keep} and {keep_every}")
        self.directory = Path(directory).absolute()
        self._retention = Retention(keep, keep_every)
        self._report = report
        self._retry_after = retry_after
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._saving: Future[Exception | None] | None = None
        self._failures = 0

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, intact or not, in ascending order."""
        try:
            if not self.directory.is_dir():
                return []
            names = [entry.name for entry in self.directory.iterdir() if entry.is_dir()]
        except FileNotFoundError:  # It was removed in the meantime.
            return []
        except OSError as error:
            raise UserError(f"--workdir={self.directory.parent}: cannot be read ({error.strerror})") from error
        return sorted(int(name) for name in names if name.isascii() and name.isdigit() and str(int(name)) == name)

    # Saving

    def save(
        self,
        step: int,
        state: Any,
        metadata: dict[str, Any],
        *,
        good_until: int | None = None,
        best: int | None = None,
        first: Callable[[], None] | None = None,
        confirm: Callable[[], None] = lambda: None,
    ) -> None:
        """Saves a state in the background; returns as soon as the state has been copied to the host.

        A save that fails is tried once more, then reported.

        Args:
          step: the name of the checkpoint.
          state: a pytree of arrays, on any number of devices.
          metadata: anything that JSON can hold.
          good_until: the last step at which the run is known to be good; the newest checkpoint up to it is kept.
          best: the step of the best checkpoint so far, which is kept.
          first: called before the checkpoint is written, to put what it refers to on disk; an exception counts as a
            failed save.
          confirm: raises if the directory no longer belongs to the run; called before each attempt, in the background.

        Raises:
          CheckpointError: if this is the second save in a row that failed.
        """
        self._settle()
        self._retention.good_until, self._retention.best = good_until, best
        failure = self._try_twice(step, first) if first is not None else None
        if failure is None:
            write = functools.partial(self._write, step, host_leaves(state), metadata, confirm)
            self._saving = self._worker.submit(self._try_twice, step, write)
        else:
            self._saving = Future()
            self._saving.set_result(failure)

    def check(self) -> None:
        """Raises CheckpointError if the last two saves failed; does not wait for one in progress."""
        if self._saving is not None and self._saving.done():
            self._settle()

    def wait(self) -> None:
        """Waits until the last save is on disk.

        Raises:
          CheckpointError: if it could not be saved.
        """
        self._settle(failures_allowed=0)

    def close(self) -> None:
        """Waits for the save in progress, so that afterwards another process may use the directory."""
        self._worker.shutdown()

    def _settle(self, failures_allowed: int = 1) -> None:
        """Waits for the save in progress and counts consecutive failures."""
        if self._saving is None:
            return
        failure = self._saving.result()
        self._saving = None
        self._failures = 0 if failure is None else self._failures + 1
        if failure is not None and self._failures > failures_allowed:
            raise CheckpointError(
                f"--workdir={self.directory.parent}: saving failed again ({named(failure)}); free space or fix the"
                f" directory and rerun the command: it resumes from step {max(self.steps(), default=0)}"
            ) from failure

    def _try_twice(self, step: int, write: Callable[[], None]) -> Exception | None:
        """Calls a function up to twice; returns the error of the second attempt, or None if one succeeded."""
        for attempt in (1, 2):
            try:
                write()
                return None
            except Exception as error:  # Orbax and TensorStore raise errors of any type, even a bare Exception.
                failure = error
                self._report(f"Saving checkpoint {step} failed (attempt {attempt} of 2): {named(error)}")
                self._sweep()
                if attempt == 1:
                    time.sleep(self._retry_after)
        return failure

    def _write(
        self, step: int, leaves: dict[str, np.ndarray], metadata: dict[str, Any], confirm: Callable[[], None]
    ) -> None:
        confirm()
        record = checkpoint_format.make_record(step, leaves, metadata)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._sweep()
        # A checkpoint that already exists is damaged, or of an attempt that failed after its last rename.
        if step in self.steps() and not checkpoint_format.is_saved(self.directory, record):
            self.set_aside([step])
        if step not in self.steps():
            checkpoint_format.write(self.directory, record, leaves)
        checkpoint_format.sync_all(self.directory, step)  # before older ones are removed, in case the power fails
        for superfluous in self._retention.superfluous(self.steps()):
            _remove(self.directory / str(superfluous))

    def _sweep(self) -> None:
        """Removes leftovers of dead processes and failed saves; not left to Orbax, whose sweep races with the save."""
        for leftover in self.directory.glob(f"*{checkpoint_format.TEMPORARY}"):
            shutil.rmtree(leftover, ignore_errors=True)
        for step in self.steps():
            _remove_empty(self.directory / str(step))

    # Restoring

    def restore_latest(self, template: Any, *, at_most: int | None = None) -> tuple[int, Any, dict[str, Any]] | None:
        """Restores the newest intact checkpoint, and reports each one that it skips with the reason.

        Args:
          template: a state of the same structure, such as the initial one. The restored arrays are placed on its
            devices, or on the first where it has only shapes.
          at_most: checkpoints newer than this step are ignored.

        Returns:
          The step, the state and the metadata, or None if no checkpoint is intact.

        Raises:
          UserError: if the checkpoint is intact but of another model.
        """
        found = self.read_latest(at_most=at_most)
        if found is None:
            return None
        return found.step, checkpoint_format.rebuild(template, found, self.directory), found.metadata

    def read_latest(self, *, at_most: int | None = None) -> SavedCheckpoint | None:
        """Reads the newest intact checkpoint as named arrays, without a template; see `restore_latest`."""
        self._settle()
        damaged: set[int] = set()
        while True:
            steps = self.steps()
            for step in reversed(steps):
                if step in damaged or (at_most is not None and step > at_most):
                    continue
                try:
                    return checkpoint_format.read(self.directory, step)
                except UnreadableCheckpoint:
                    raise
                except Exception as error:  # Damage shows as any error, from KeyError to a bare Exception.
                    path = self.directory / str(step)
                    if path.is_dir():  # otherwise the run that writes here has just removed it
                        damaged.add(step)
                        self._report(f"Checkpoint {path} is damaged and was skipped: {named(error)}")
            if self.steps() == steps:
                return None

    # Removing

    def set_aside(self, steps: Sequence[int]) -> None:
        """Renames checkpoints to `<step>.damaged`, which keeps them for inspection but out of the way.

        Only the newest of these are kept, so that a failing disk does not fill up.
        """
        for step in steps:
            if _remove_empty(self.directory / str(step)):
                continue
            _remove(self.directory / f"{step}.damaged")
            (self.directory / str(step)).rename(self.directory / f"{step}.damaged")
        damaged = [path for path in self.directory.glob("*.damaged") if path.stem.isdecimal()]
        for path in sorted(damaged, key=lambda path: int(path.stem))[: -self._retention.keep]:
            _remove(path)

    def delete_after(self, step: int) -> None:
        """Deletes every checkpoint after a step, newest first; a rollback has abandoned their future."""
        self._settle()
        for later in reversed([later for later in self.steps() if later > step]):
            _remove(self.directory / str(later))


def _remove(path: Path) -> None:
    """Removes a directory atomically, by renaming it before its contents are deleted."""
    if path.exists():
        doomed = path.with_name(
            f"{path.name}.deleted{checkpoint_format.TEMPORARY}"
        )  # If this is killed, the next save sweeps it away.
        path.rename(doomed)
        shutil.rmtree(doomed)


def _remove_empty(path: Path) -> bool:
    """Removes a directory if nothing is in it; returns whether it did."""
    try:
        path.rmdir()
    except OSError:
        return False
    return True
