"""Cache of decoded or drawn pictures, as memory-mapped uint8 arrays in the user's cache directory.

An entry is a directory with `images.npy`, `conditions.npy` if there are conditions, and `meta.json`. It is written
under a temporary name and renamed when complete. Every byte is verified whenever it is opened.
"""

import contextlib
import errno
import functools
import hashlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data import partial, workers
from jaxgan.data.arrays import ArraysWriter, BrokenEntryError, open_array
from jaxgan.data.examples import Examples, digest_of
from jaxgan.data.workers import Chunk
from jaxgan.host import progress
from jaxgan.host.errors import UserError, printable
from jaxgan.host.files import sync

Draw = Callable[[int], tuple[np.ndarray, np.ndarray | None]]

_FORMAT = 1  # raised when entries of older versions must no longer be used
_CHUNK_BYTES = 4 << 20
_CHUNK_EXAMPLES = 64
_ABANDONED_SECONDS = 3600  # a build writes every few seconds


def cache_directory(cache_dir: str | os.PathLike | None = None) -> Path:
    """Returns the directory of all entries.

    It is `cache_dir`, else $JAXGAN_CACHE_DIR, else $XDG_CACHE_HOME/jaxgan, else ~/.cache/jaxgan. In each of them a
    leading ~ is the home directory, which a shell leaves as it is in quotes and in files of settings.

    Raises:
      UserError: if none of these is set and the user has no home directory.
    """
    if cache_dir is not None:
        return Path(cache_dir)
    try:
        if os.environ.get("JAXGAN_CACHE_DIR"):
            return Path(os.environ["JAXGAN_CACHE_DIR"]).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "jaxgan"
    except RuntimeError:  # a user without a home, as in some containers
        raise UserError(
            "there is no home directory for the picture cache; set $JAXGAN_CACHE_DIR to a full path"
        ) from None


def load_or_build(
    kind: str,
    settings: dict[str, Any],
    count: int,
    shape: tuple[int, int, int],
    draw: Draw,
    *,
    condition_names: Sequence[str] = (),
    cache_dir: str | os.PathLike | None = None,
    description: str,
) -> Examples:
    """Opens an entry, or draws its examples one by one in parallel processes.

    After Ctrl-C or SIGTERM the next call goes on where this one stopped.

    Args:
      kind: kind of the pictures, such as "avatars"; the first part of the entry's name.
      settings: JSON-compatible settings on which the pictures depend. They identify the entry.
      count: number of examples.
      shape: (height, width, channels) of each picture.
      draw: index of an example -> its picture, uint8 of `shape`, and its condition, (c,) uint8 or None. A function at
        the top level of a module that imports quickly, or a `functools.partial` of one with JSON-compatible keyword
        arguments.
      condition_names: the c names; () without conditions.
      cache_dir: see `cache_directory`.
      description: text of the progress bar, such as "drawing avatars".

    Raises:
      UserError: if the cache directory cannot be written or is full.
    """
    found = find(kind, settings, cache_dir=cache_dir)
    if found is not None:
        return found
    step = chunk_length(shape)
    begun = partial.directory_of(cache_directory(cache_dir), _entry_name(kind, settings))
    first = partial.chunks_of(begun, settings, shape)
    there = sum(len(chunk.images) for chunk in first)
    spans = [(start, min(start + step, count)) for start in range(there, count, step)]
    chunks = workers.ordered_map(functools.partial(_draw_span, draw=workers.reference(draw)), spans)
    examples = build(
        kind,
        settings,
        partial.followed_by(first, chunks),
        count,
        shape,
        condition_names=condition_names,
        cache_dir=cache_dir,
        description=description,
        begun=begun,
    )
    shutil.rmtree(begun, ignore_errors=True)
    return examples


def find(kind: str, settings: dict[str, Any], *, cache_dir: str | os.PathLike | None = None) -> Examples | None:
    """Opens an entry and verifies every byte of it.

    Args:
      kind: kind of the pictures.
      settings: the settings of the entry.
      cache_dir: see `cache_directory`.

    Returns:
      The examples, or None if the entry is missing or broken. A broken entry is reported in one line on stderr.
    """
    directory = cache_directory(cache_dir) / _entry_name(kind, settings)
    if not os.path.exists(directory):
        return None
    try:
        return _open(directory, settings)
    except BrokenEntryError as error:
        print(f"The cached {kind} in {directory} cannot be used and are made again: {error}", file=sys.stderr)
        return None


def build(
    kind: str,
    settings: dict[str, Any],
    chunks: Generator[Chunk, None, None],
    expected_count: int,
    shape: tuple[int, int, int],
    *,
    condition_names: Sequence[str] = (),
    cache_dir: str | os.PathLike | None = None,
    description: str,
    begun: Path | None = None,
) -> Examples:
    """Writes an entry from chunks of examples and opens it, replacing a broken entry.

    The chunks may hold fewer than `expected_count` examples in total. Each chunk is written at once, so memory holds
    only a few of them. If `chunks` raises, nothing is left behind; `begun` may name a directory that keeps what was
    written before an interruption.

    Args:
      kind: kind of the pictures; the first part of the entry's name.
      settings: JSON-compatible settings on which the pictures depend.
      chunks: the examples in order.
      expected_count: total of the progress bar, and the number of examples for which the disk must have space.
      shape: (height, width, channels) of each picture.
      condition_names: names of the elements of a condition; () without conditions.
      cache_dir: see `cache_directory`.
      description: text of the progress bar.
      begun: the directory that keeps what is written before Ctrl-C or SIGTERM; None: it is thrown away.

    Raises:
      UserError: if the cache directory cannot be written or is full.
    """
    parent = cache_directory(cache_dir)
    name = _entry_name(kind, settings)
    with _as_user_error(parent):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_abandoned(parent, name)
        _require_space(parent, expected_count * (math.prod(shape) + len(condition_names)))
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    try:
        bar = progress.bar(what=description, total=expected_count, unit=" pictures")
        arrays = ArraysWriter(temporary, shape, len(condition_names))
        with bar, contextlib.closing(chunks), contextlib.closing(arrays) as writer:
            try:
                for chunk in chunks:
                    with _as_user_error(parent):
                        writer.append(chunk)
                    bar.update(len(chunk.images))
            except (KeyboardInterrupt, SystemExit):
                if begun is not None:
                    partial.keep(writer, temporary, begun, settings)
                raise
            with _as_user_error(parent):
                meta = writer.finish()
        meta |= {"format": _FORMAT, "kind": kind, "settings": settings, "condition_names": list(condition_names)}
        with _as_user_error(parent):
            _write_synced(temporary / "meta.json", json.dumps(meta, indent=1).encode())
            sync(temporary)
            return _put_in_place(temporary, parent / name, settings)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def chunk_length(shape: tuple[int, int, int]) -> int:
    """Returns the number of pictures per chunk: a few megabytes of them."""
    return min(max(_CHUNK_BYTES // math.prod(shape), 1), _CHUNK_EXAMPLES)


def _draw_span(span: tuple[int, int], *, draw: dict[str, Any]) -> Chunk:
    """Draws the examples `span[0]` to `span[1] - 1`; runs in a worker process."""
    function = workers.resolve(draw)
    images, conditions = zip(*(function(index) for index in range(*span)), strict=True)
    return Chunk(np.stack(images), None if conditions[0] is None else np.stack(conditions))


def _entry_name(kind: str, settings: dict[str, Any]) -> str:
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{re.sub('[^A-Za-z0-9_.]+', '-', kind).lstrip('.')}-{key[:32]}"


def _open(directory: Path, settings: dict[str, Any]) -> Examples:
    try:
        meta = json.loads((directory / "meta.json").read_bytes())
        if meta["format"] != _FORMAT:
            raise BrokenEntryError(f"its format is {meta['format']}, not {_FORMAT}")
        if meta["settings"] != json.loads(json.dumps(settings)):
            raise BrokenEntryError("it was made with other settings")
        names = tuple(meta["condition_names"])
        images = open_array(directory / "images.npy", meta["images"])
        conditions = open_array(directory / "conditions.npy", meta["conditions"]) if names else None
        if conditions is not None and conditions.shape != (len(images), len(names)):
            raise BrokenEntryError("its conditions do not fit its pictures")
    except BrokenEntryError:
        raise
    except Exception as error:  # damage shows as anything, from KeyError to RecursionError
        raise BrokenEntryError(f"{type(error).__name__}: {printable(error)}") from None
    arrays = {"image": images} if conditions is None else {"image": images, "condition": conditions}
    return Examples(arrays, names, digest_of(meta["images"], meta["conditions"]))


def _put_in_place(temporary: Path, final: Path, settings: dict[str, Any]) -> Examples:
    """Renames a complete entry into place, or opens the existing one if another process was faster."""
    pictures = _open(temporary, settings)  # the memory maps stay valid when the files are moved
    for _ in range(10):
        try:
            os.rename(temporary, final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            sync(final.parent)
            return pictures
        try:
            return _open(final, settings)
        except BrokenEntryError:
            _discard(final)
    return pictures


def _discard(entry: Path) -> None:
    trash = tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent)
    with contextlib.suppress(FileNotFoundError):  # another process discarded it
        os.rename(entry, Path(trash) / "broken")
    shutil.rmtree(trash, ignore_errors=True)


def _remove_abandoned(parent: Path, name: str) -> None:
    """Removes temporary directories of builds of this entry that were killed."""
    for directory in set(parent.glob(f".{name}.*")) - {partial.directory_of(parent, name)}:
        with contextlib.suppress(OSError):
            newest = max(path.stat().st_mtime for path in (directory, *directory.iterdir()))
            if time.time() - newest > _ABANDONED_SECONDS:
                shutil.rmtree(directory, ignore_errors=True)


def _require_space(directory: Path, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size:
        raise OSError(errno.ENOSPC, f"{size / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")


@contextlib.contextmanager
def _as_user_error(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        way_out = "choose another directory by $JAXGAN_CACHE_DIR"
        raise UserError(f"cannot write the picture cache {directory}: {error.strerror}; {way_out}") from error


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
