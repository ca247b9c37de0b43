"""Checkpoints that can be trusted: saved in the background, sealed with a digest, checked when they are read.

Orbax writes and reads the files (`StandardSave` for the arrays, `JsonSave` for the record) and makes each save atomic.
It restores a flipped bit without a word, so the record carries a digest of the state and a seal of its own, and nothing
that fails them is used. This is the only module that knows of Orbax.
"""

import contextlib
import functools
import hashlib
import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.digest import digest_leaves, host_leaves, is_key, key_data, path_name
from jaxgan.errors import UserError

_FORMAT = 1
_TEMPORARY = ".orbax-checkpoint-tmp"  # How Orbax names what is not whole yet.


class CheckpointError(UserError):
    """Saving failed again and again: the disk is full, read-only or gone."""


class DamagedCheckpoint(Exception):
    """A checkpoint is not what was saved."""


@dataclass(frozen=True)
class Stored:
    """A checkpoint as it lies on disk, verified.

    Attributes:
      step: the step at which it was saved.
      leaves: every array of the state by its path; see `jaxgan.digest.host_leaves`.
      metadata: what the caller of `save` gave.
      digest: the digest of the state; see `jaxgan.digest.digest`.
    """

    step: int
    leaves: dict[str, np.ndarray]
    metadata: dict[str, Any]
    digest: str


def print_report(message: str) -> None:
    """Prints a message to the standard error stream."""
    print(message, file=sys.stderr, flush=True)


class Checkpoints:
    """The checkpoints of one run, in `directory/<step>/`.

    Args:
      directory: where they lie; made with the first save.
      keep: how many of the newest are kept (at least 1).
      keep_every: those at multiples of this step are kept for ever; None: none are.
      report: takes one line for each thing that a person should hear of: a failed save, a damaged checkpoint.
      retry_after: seconds between a failed save and its second attempt.
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
            raise ValueError(f"keep and keep_every must be at least 1, not {keep} and {keep_every}.")
        self.directory = Path(directory).absolute()
        self._retention = _Retention(keep, keep_every)
        self._report = report
        self._retry_after = retry_after
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._saving: Future[Exception | None] | None = None
        self._failures = 0

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, damaged ones among them, in ascending order."""
        if not self.directory.is_dir():
            return []
        names = (entry.name for entry in self.directory.iterdir() if entry.is_dir())
        return sorted(int(name) for name in names if name.isascii() and name.isdigit() and str(int(name)) == name)

    # Saving

    def save(
        self,
        step: int,
        state: Any,
        metadata: dict[str, Any],
        *,
        good_until: int | None = None,
        first: Callable[[], None] | None = None,
    ) -> None:
        """Saves a state in the background; returns as soon as the state has been copied to the host.

        A save that fails is tried once more, then reported.

        Args:
          step: the name of the checkpoint.
          state: a pytree of arrays, on any number of devices.
          metadata: anything that JSON can hold.
          good_until: the step up to which the run is known to be well: the newest checkpoint up to it is kept.
          first: what has to be on the disk before the checkpoint may be; if it raises, the save has failed.

        Raises:
          CheckpointError: if this is the second save in a row that failed.
        """
        self._settle()
        self._retention.good_until = good_until
        failure = self._try_twice(step, first) if first is not None else None
        if failure is None:
            write = functools.partial(self._write, step, host_leaves(state), metadata)
            self._saving = self._worker.submit(self._try_twice, step, write)
        else:
            self._saving = Future()
            self._saving.set_result(failure)

    def check(self) -> None:
        """Raises CheckpointError if the last two saves failed; does not wait for one that is under way."""
        if self._saving is not None and self._saving.done():
            self._settle()

    def wait(self) -> None:
        """Waits until the last save is on disk.

        Raises:
          CheckpointError: if it could not be saved.
        """
        self._settle(failures_allowed=0)

    def close(self) -> None:
        """Lets the save under way come to its end, however it ends; another process may have the directory then."""
        self._worker.shutdown()

    def _settle(self, failures_allowed: int = 1) -> None:
        """Waits for the save under way and counts the failures in a row."""
        if self._saving is None:
            return
        failure = self._saving.result()
        self._saving = None
        self._failures = 0 if failure is None else self._failures + 1
        if failure is not None and self._failures > failures_allowed:
            raise CheckpointError(
                f"--workdir {self.directory.parent}: saving failed again ({_one_line(failure)}). Free space or mend"
                f" the directory and start the same command: the run goes on from step {max(self.steps(), default=0)}."
            ) from failure

    def _try_twice(self, step: int, write: Callable[[], None]) -> Exception | None:
        """Why both attempts to write something of a checkpoint failed; None if one did not."""
        for attempt in (1, 2):
            try:
                write()
                return None
            except Exception as error:  # Orbax and TensorStore raise anything, bare Exception too.
                failure = error
                self._report(f"Saving checkpoint {step} failed (attempt {attempt} of 2): {_one_line(error)}")
                self._sweep()
                if attempt == 1:
                    time.sleep(self._retry_after)
        return failure

    def _write(self, step: int, leaves: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        record = _record(step, leaves, metadata)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._sweep()
        if step in self.steps():  # Of an attempt that failed after its last rename, or of a damaged one.
            if _is_stored(self.directory, step, record):
                return
            self.set_aside([step])
        # TensorStore does not save arrays of size zero; the record has their dtype and shape.
        arrays = {name: leaf for name, leaf in leaves.items() if leaf.size}
        with _manager(self.directory, self._retention) as manager:
            items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record))
            manager.save(step, args=items, force=True)

    def _sweep(self) -> None:
        """Removes what a dead process or a failed save left; Orbax's own sweep races with the save."""
        for leftover in self.directory.glob(f"*{_TEMPORARY}"):
            shutil.rmtree(leftover, ignore_errors=True)

    # Restoring

    def restore_latest(self, template: Any, *, at_most: int | None = None) -> tuple[int, Any, dict[str, Any]] | None:
        """Restores the newest intact checkpoint; each one that is skipped is reported with the reason.

        Args:
          template: a state of the same structure, such as the initial one. The restored arrays take its
            placement on devices.
          at_most: newer checkpoints than this step are not looked at.

        Returns:
          The step, the state and the metadata, or None if no checkpoint is intact.

        Raises:
          UserError: if the checkpoint is intact and of another model.
        """
        stored = self.read_latest(at_most=at_most)
        if stored is None:
            return None
        return stored.step, _rebuild(template, stored, self.directory), stored.metadata

    def read_latest(self, *, at_most: int | None = None) -> Stored | None:
        """Reads the newest intact checkpoint as named arrays, without a template; see `restore_latest`."""
        self._settle()
        for step in reversed(self.steps()):
            if at_most is not None and step > at_most:
                continue
            try:
                return _read(self.directory, step)
            except Exception as error:  # Damage shows as anything, from KeyError to bare Exception.
                self._report(f"Checkpoint {self.directory / str(step)} is damaged and was skipped: {_one_line(error)}")
        return None

    # Removing

    def set_aside(self, steps: Sequence[int]) -> None:
        """Renames checkpoints to `<step>.damaged`, where they are in nobody's way and can be looked at.

        Of those, too, only the newest are kept: a failing disk must not fill itself.
        """
        for step in steps:
            _remove(self.directory / f"{step}.damaged")
            (self.directory / str(step)).rename(self.directory / f"{step}.damaged")
        damaged = [path for path in self.directory.glob("*.damaged") if path.stem.isdecimal()]
        for path in sorted(damaged, key=lambda path: int(path.stem))[: -self._retention.keep]:
            _remove(path)

    def delete_after(self, step: int) -> None:
        """Deletes every checkpoint beyond a step, the newest first: they belong to a future that was given up."""
        self._settle()
        for later in reversed([later for later in self.steps() if later > step]):
            _remove(self.directory / str(later))


@dataclass
class _Retention:
    """Orbax's preservation policy of a run: the newest, every so many steps, and the last good one."""

    keep: int
    keep_every: int | None
    good_until: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        kept = set(steps[-self.keep :])
        if self.keep_every is not None:
            kept.update(step for step in steps if step % self.keep_every == 0)
        if self.good_until is not None:
            kept.update([step for step in steps if step <= self.good_until][-1:])
        return [checkpoint.step in kept for checkpoint in checkpoints]


@contextlib.contextmanager
def _manager(directory: Path, retention: _Retention | None = None) -> Iterator[ocp.CheckpointManager]:
    """A manager for one save or one restore: nothing that a failure left in memory reaches the next."""
    options = ocp.CheckpointManagerOptions(
        create=False,
        preservation_policy=retention,
        enable_async_checkpointing=False,
        save_root_metadata=False,
        lightweight_initialize=True,
        multiprocessing_options=_alone(),
    )
    logger = logging.getLogger("absl")
    logger.addFilter(_is_not_orbax)
    try:
        with ocp.CheckpointManager(directory, options=options) as manager:
            yield manager
    finally:
        logger.removeFilter(_is_not_orbax)


def _alone() -> Any:
    """Of several processes this one alone reads and writes: Orbax is not to wait for the others."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"jaxgan-{index}"
    )


def _is_not_orbax(record: logging.LogRecord) -> bool:
    """Leaves out what Orbax logs: pages of traceback for a failure that is reported in a line."""
    return "orbax" not in Path(record.pathname).parts


def _record(step: int, leaves: dict[str, np.ndarray], metadata: dict[str, Any]) -> dict[str, Any]:
    record = {
        "format": _FORMAT,
        "step": step,
        "digest": digest_leaves(leaves),
        "leaves": {name: [leaf.dtype.name, list(leaf.shape)] for name, leaf in leaves.items()},
        "metadata": metadata,
    }
    return json.loads(json.dumps({**record, "seal": _seal(record)}))


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read(directory: Path, step: int) -> Stored:
    """Reads and verifies one checkpoint; raises whatever damage makes of it."""
    with _manager(directory) as manager:
        record = dict(manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore())).record)
        seal = record.pop("seal", None)
        if seal != _seal(record):
            raise DamagedCheckpoint("its record does not match its seal")
        if record["format"] != _FORMAT or record["step"] != step:
            raise DamagedCheckpoint(f"its record is of step {record['step']}, format {record['format']}")
        found = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore())).state
    empty = {name: np.zeros(shape, dtype) for name, (dtype, shape) in record["leaves"].items() if 0 in shape}
    leaves = {name: np.asarray(leaf) for name, leaf in found.items()} | empty
    if digest_leaves(leaves) != record["digest"]:
        raise DamagedCheckpoint("its arrays do not match their digest")
    return Stored(step, leaves, record["metadata"], record["digest"])


def _is_stored(directory: Path, step: int, record: dict[str, Any]) -> bool:
    try:
        stored = _read(directory, step)
    except Exception:
        return False
    return (stored.digest, stored.metadata) == (record["digest"], record["metadata"])


def _rebuild(template: Any, stored: Stored, directory: Path) -> Any:
    """Puts stored arrays into the structure of a template, on its devices."""
    paths_and_leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    expected = {path_name(path): _abstract(leaf) for path, leaf in paths_and_leaves}
    differences = [name for name in expected.keys() | stored.leaves.keys() if not _fits(name, expected, stored.leaves)]
    if differences:
        raise UserError(
            f"--workdir {directory.parent}: checkpoint {stored.step} is of another model ({min(differences)} differs,"
            f" {len(differences)} arrays in all). Give the flags of that run, or another --workdir."
        )
    return jax.tree.unflatten(
        structure, [_place(stored.leaves[path_name(path)], leaf) for path, leaf in paths_and_leaves]
    )


def _abstract(leaf: Any) -> Any:
    """The dtype and shape under which a leaf is stored."""
    if is_key(leaf):
        return jax.eval_shape(key_data, leaf)
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)


def _fits(name: str, expected: dict[str, Any], found: dict[str, np.ndarray]) -> bool:
    if name not in expected or name not in found:
        return False
    return (expected[name].dtype, expected[name].shape) == (found[name].dtype, found[name].shape)


def _place(value: np.ndarray, like: Any) -> Any:
    """The value as an array of its own (safe to donate), on the devices of the template's leaf."""
    if isinstance(like, np.ndarray | np.generic):
        return value
    array = jnp.array(value)
    if is_key(like):
        array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
    if isinstance(like, jax.Array) and like.committed:
        array = jax.device_put(array, like.sharding)
    return array


def _remove(path: Path) -> None:
    """Removes a directory in one stroke: it loses its name before its contents."""
    if path.exists():
        doomed = path.with_name(f"{path.name}.deleted{_TEMPORARY}")  # If this is killed, the next save sweeps it away.
        path.rename(doomed)
        shutil.rmtree(doomed)


def _one_line(error: BaseException) -> str:
    """An error in a line. TensorStore's are long, with the cause at the end."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) < 300 else f'{text[:100]} ... {text[-180:]}'}"
