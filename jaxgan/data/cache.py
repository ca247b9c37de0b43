"""Pictures decoded or drawn once and kept as memory-mapped uint8 arrays in the user's cache directory.

An entry is a directory with `images.npy`, `conditions.npy` where there are conditions, and `meta.json`. It is written
under a temporary name beside its place and renamed when it is whole; every byte is verified whenever it is opened.
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

from jaxgan.data import workers
from jaxgan.data.arrays import ArraysWriter, BrokenEntryError, open_array
from jaxgan.data.examples import Examples, digest_of
from jaxgan.data.workers import Chunk
from jaxgan.errors import UserError, printable
from jaxgan.host import progress
from jaxgan.host.files import sync

Draw = Callable[[int], tuple[np.ndarray, np.ndarray | None]]

_FORMAT = 1  # raised when entries of older versions must not be used any more
_CHUNK_BYTES = 4 << 20
_CHUNK_EXAMPLES = 64
_ABANDONED_SECONDS = 3600  # a build writes every few seconds


def cache_directory(cache_dir: str | os.PathLike | None = None) -> Path:
    """The directory of all entries: `cache_dir`, else $JAXGAN_CACHE_DIR, $XDG_CACHE_HOME/jaxgan or ~/.cache/jaxgan."""
    if cache_dir is not None:
        return Path(cache_dir)
    if os.environ.get("JAXGAN_CACHE_DIR"):
        return Path(os.environ["JAXGAN_CACHE_DIR"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxgan"
    except RuntimeError:  # a user without a home, as in some containers
        raise UserError("there is no home directory for the picture cache; set $JAXGAN_CACHE_DIR") from None


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
    """Opens the entry, or draws its examples one by one in parallel processes.

    Args:
      kind: what the pictures are, such as "avatars"; the beginning of the entry's name.
      settings: JSON-able; everything that the pictures depend on. The entry is found by it.
      count: how many examples.
      shape: (height, width, channels) of each picture.
      draw: from the index of an example to its picture, uint8 of `shape`, and its condition, (c,) uint8 or None. A
        function at the top level of a module that is quick to import, or a `functools.partial` of one with
        JSON-able keyword arguments.
      condition_names: the c names; () without conditions.
      cache_dir: see `cache_directory`.
      description: the words beside the progress bar, such as "drawing avatars".

    Raises:
      UserError: the cache directory cannot be written or is full.
    """
    found = find(kind, settings, cache_dir=cache_dir)
    if found is not None:
        return found
    step = chunk_length(shape)
    spans = [(start, min(start + step, count)) for start in range(0, count, step)]
    chunks = workers.ordered_map(functools.partial(_draw_span, draw=workers.reference(draw)), spans)
    return build(
        kind,
        settings,
        chunks,
        count,
        shape,
        condition_names=condition_names,
        cache_dir=cache_dir,
        description=description,
    )


def find(kind: str, settings: dict[str, Any], *, cache_dir: str | os.PathLike | None = None) -> Examples | None:
    """Opens an entry and verifies every byte of it; None if it is absent, or broken, which one line on stderr says."""
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
) -> Examples:
    """Writes an entry from chunks of examples, in order, and opens it; takes the place of a broken one.

    The chunks may hold fewer than `expected_count` examples in total: the entry has as many as came. Each is written at
    once, so memory holds no more than a few of them. When `chunks` raises, nothing is left behind.

    Raises:
      UserError: the cache directory cannot be written or is full.
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
            for chunk in chunks:
                with _as_user_error(parent):
                    writer.append(chunk)
                bar.update(len(chunk.images))
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
    """How many pictures of a shape to handle at a time: a few megabytes of them."""
    return min(max(_CHUNK_BYTES // math.prod(shape), 1), _CHUNK_EXAMPLES)


def _draw_span(span: tuple[int, int], *, draw: dict[str, Any]) -> Chunk:
    """The examples `span[0]` to `span[1] - 1`; runs in a worker process."""
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
    """Renames a whole entry into its place; uses the one that is there if another process was first."""
    pictures = _open(temporary, settings)  # the mapping follows the files wherever they are moved
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
    """Removes what builds of this entry that were killed have left."""
    for directory in parent.glob(f".{name}.*"):
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
