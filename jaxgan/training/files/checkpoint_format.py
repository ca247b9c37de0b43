"""The format of a checkpoint on disk: written and read by Orbax, sealed with a digest, verified on reading.

Orbax writes and reads the files (`StandardSave` for the arrays, `JsonSave` for the record) and makes each save atomic.
Orbax restores a flipped bit silently, so the record holds a digest of the state and a seal of its own, and a checkpoint
that fails either is not used. This is the only module that knows of Orbax.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.host.digest import digest_leaves, is_key, key_data, path_name
from jaxgan.host.errors import UserError
from jaxgan.host.files import sync

TEMPORARY = ".orbax-checkpoint-tmp"  # the suffix of what Orbax has not finished writing
_FORMAT = 1
_REFUSALS = (  # errors of the system for files that may be intact
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE),
    *(errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN),
)


class DamagedCheckpoint(Exception):
    """Raised when a checkpoint is not what was saved."""


class UnreadableCheckpoint(UserError):
    """Raised when the system refuses to read a checkpoint that may be intact."""


@dataclass(frozen=True)
class SavedCheckpoint:
    """A verified checkpoint, as it is stored on disk.

    Attributes:
      step: the step at which it was saved.
      leaves: every array of the state by its path; see `jaxgan.host.digest.host_leaves`.
      metadata: the metadata that `Checkpoints.save` was given.
      digest: the digest of the state; see `jaxgan.host.digest.digest`.
    """

    step: int
    leaves: dict[str, np.ndarray]
    metadata: dict[str, Any]
    digest: str


@dataclass
class Retention:
    """Rules for which checkpoints of a run to keep: the newest, those at fixed intervals, and the last good one.

    Attributes:
      keep: number of newest checkpoints to keep.
      keep_every: checkpoints at multiples of this step are kept; None: none are.
      good_until: the newest checkpoint up to this step is kept; None: no such step is known.
      best: the checkpoint of this step is kept; None: none is the best.
    """

    keep: int
    keep_every: int | None
    good_until: int | None = None
    best: int | None = None

    def superfluous(self, steps: Sequence[int]) -> list[int]:
        """Returns those of the given steps, which must ascend, whose checkpoints are not kept."""
        kept = {*steps[-self.keep :], self.best}
        if self.keep_every is not None:
            kept.update(step for step in steps if step % self.keep_every == 0)
        if self.good_until is not None:
            kept.update([step for step in steps if step <= self.good_until][-1:])
        return [step for step in steps if step not in kept]


@contextlib.contextmanager
def _manager(directory: Path) -> Iterator[ocp.CheckpointManager]:
    """Opens a manager for one save or restore, so that no failure leaves anything in memory for the next."""
    options = ocp.CheckpointManagerOptions(
        create=False,
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
    """Returns options by which this process reads and writes alone, so that Orbax does not wait for the others."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"jaxgan-{index}"
    )


def _is_not_orbax(record: logging.LogRecord) -> bool:
    """Whether a log record is not from Orbax, which logs pages of traceback for a failure that we report in a line."""
    return "orbax" not in Path(record.pathname).parts


def make_record(step: int, leaves: dict[str, np.ndarray], metadata: dict[str, Any]) -> dict[str, Any]:
    """Returns the sealed record of a checkpoint: everything but its arrays, as JSON can hold it.

    Args:
      step: the step of the checkpoint.
      leaves: every array of the state by its path.
      metadata: anything that JSON can hold.
    """
    record = {
        "format": _FORMAT,
        "step": step,
        "digest": digest_leaves(leaves),
        "leaves": {name: [leaf.dtype.name, list(leaf.shape)] for name, leaf in leaves.items()},
        "metadata": metadata,
    }
    return json.loads(json.dumps({**record, "seal": seal_of(record)}))


def seal_of(record: dict[str, Any]) -> str:
    """Returns the seal of a record: the digest of everything else in it."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def write(directory: Path, record: dict[str, Any], leaves: dict[str, np.ndarray]) -> None:
    """Saves a checkpoint, completely or not at all; `sync_all` waits until it is on disk.

    Args:
      directory: the directory of the run's checkpoints.
      record: see `make_record`.
      leaves: every array of the state by its path.
    """
    # TensorStore does not save arrays of size zero; the record has their dtype and shape.
    arrays = {name: leaf for name, leaf in leaves.items() if leaf.size}
    with _manager(directory) as manager:
        items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), record=ocp.args.JsonSave(record))
        manager.save(record["step"], args=items, force=True)


def sync_all(directory: Path, step: int) -> None:
    """Waits until every file of a checkpoint and every directory entry that leads to it are on disk."""
    for folder, _, files in os.walk(directory / str(step), topdown=False):
        for path in [*(Path(folder, name) for name in files), Path(folder)]:
            sync(path)
    sync(directory)
    sync(directory.parent)


def read(directory: Path, step: int) -> SavedCheckpoint:
    """Reads and verifies one checkpoint.

    Raises:
      UnreadableCheckpoint: if the system refuses twice in a row to read it, which is not damage.
      Exception: of any type, if the checkpoint is damaged.
    """
    for attempt in (1, 2):
        try:
            return _read(directory, step)
        except Exception as error:
            reason = _refusal(error, directory / str(step))
            if reason is None:
                raise
            if attempt == 2:
                raise UnreadableCheckpoint(
                    f"--workdir={directory.parent}: checkpoint {step} cannot be read ({os.strerror(reason)}) and may be"
                    " intact; fix this and rerun the command, or move it away to resume from the one before"
                ) from error
    raise AssertionError("never reached")


def _refusal(error: BaseException | None, path: Path) -> int | None:
    """Returns the error number with which the system refused to read a checkpoint; None for any other cause."""
    numbers = []
    while error is not None:
        numbers += [error.errno] if isinstance(error, OSError) else []
        numbers += [errno.ENOMEM] if isinstance(error, MemoryError) else []
        numbers += map(int, re.findall(r"os_error_code='(\d+)'", str(error)))  # as TensorStore reports it
        error = error.__cause__ or error.__context__
    try:  # Orbax reports a directory that cannot be searched as empty, so read everything here.
        for folder, _, files in os.walk(path, onerror=_raise):
            for name in files:
                with open(Path(folder, name), "rb") as file:
                    while file.read(1 << 20):
                        pass
    except OSError as found:
        numbers.append(found.errno)
    return next((number for number in numbers if number in _REFUSALS), None)


def _raise(error: OSError) -> None:
    raise error


def _read(directory: Path, step: int) -> SavedCheckpoint:
    with _manager(directory) as manager:
        record = dict(manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore())).record)
        seal = record.pop("seal", None)
        if seal != seal_of(record):
            raise DamagedCheckpoint("its record does not match its seal")
        if record["format"] != _FORMAT or record["step"] != step:
            raise DamagedCheckpoint(f"its record is of step {record['step']}, format {record['format']}")
        found = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore())).state
    empty = {name: np.zeros(shape, dtype) for name, (dtype, shape) in record["leaves"].items() if 0 in shape}
    leaves = {name: np.asarray(leaf) for name, leaf in found.items()} | empty
    if digest_leaves(leaves) != record["digest"]:
        raise DamagedCheckpoint("its arrays do not match their digest")
    return SavedCheckpoint(step, leaves, record["metadata"], record["digest"])


def is_saved(directory: Path, record: dict[str, Any]) -> bool:
    """Whether the checkpoint that a record describes exists and is intact."""
    try:
        stored = read(directory, record["step"])
    except UnreadableCheckpoint:
        raise
    except Exception:
        return False
    # Compared as text, because NaN differs from itself.
    return stored.digest == record["digest"] and json.dumps(stored.metadata) == json.dumps(record["metadata"])


def rebuild(template: Any, stored: SavedCheckpoint, directory: Path) -> Any:
    """Puts the arrays of a checkpoint into the structure of a template, on its devices.

    Args:
      template: a state of the same structure.
      stored: the checkpoint.
      directory: the directory of the run's checkpoints, for the error message.

    Raises:
      UserError: if the checkpoint is of another model.
    """
    paths_and_leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    expected = {path_name(path): _abstract(leaf) for path, leaf in paths_and_leaves}
    differences = [name for name in expected.keys() | stored.leaves.keys() if not _fits(name, expected, stored.leaves)]
    if differences:
        raise UserError(
            f"--workdir={directory.parent}: checkpoint {stored.step} is of another model ({min(differences)} differs,"
            f" {len(differences)} arrays in all); give the flags of that run, or another --workdir"
        )
    return jax.tree.unflatten(
        structure, [_placed_like(stored.leaves[path_name(path)], leaf) for path, leaf in paths_and_leaves]
    )


def _abstract(leaf: Any) -> Any:
    """Returns a value with the dtype and shape under which a leaf is saved."""
    if is_key(leaf):
        return jax.eval_shape(key_data, leaf)
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)


def _fits(name: str, expected: dict[str, Any], found: dict[str, np.ndarray]) -> bool:
    if name not in expected or name not in found:
        return False
    return (expected[name].dtype, expected[name].shape) == (found[name].dtype, found[name].shape)


def _placed_like(value: np.ndarray, like: Any) -> Any:
    """Copies a value to the devices of the template's leaf; the copy is safe to donate."""
    if isinstance(like, np.ndarray | np.generic):
        return value
    array = jnp.array(value)
    if is_key(like):
        array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
    if isinstance(like, jax.Array) and like.committed:
        array = jax.device_put(array, like.sharding)
    return array
