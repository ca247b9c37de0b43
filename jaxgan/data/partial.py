"""Entries of the cache whose making was interrupted: what is finished is kept, and made no second time."""

import contextlib
import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

from jaxgan.data.arrays import ArraysWriter, BrokenEntryError, open_array
from jaxgan.data.workers import Chunk

_LENGTH = 1024  # examples that are copied at a time


def directory_of(parent: Path, name: str) -> Path:
    """Returns where the beginning of an entry of this name is kept."""
    return parent / f".{name}.partial"


def keep(writer: ArraysWriter, temporary: Path, final: Path, settings: dict[str, Any]) -> None:
    """Keeps what a writer has written, as far as the disk allows.

    Args:
      writer: of the interrupted entry.
      temporary: the directory that it writes to, which is renamed.
      final: see `directory_of`.
      settings: those of the entry.
    """
    with contextlib.suppress(OSError):
        meta = writer.finish() | {"settings": settings}
        (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        shutil.rmtree(final, ignore_errors=True)
        os.rename(temporary, final)


def chunks_of(directory: Path, settings: dict[str, Any], shape: tuple[int, int, int]) -> list[Chunk]:
    """Opens what was kept of an entry, every byte verified.

    Args:
      directory: see `directory_of`.
      settings: those of the entry.
      shape: of each picture.

    Returns:
      The first examples of the entry, in memory-mapped chunks; [] where nothing of use was kept.
    """
    try:
        meta = json.loads((directory / "meta.json").read_bytes())
        images = open_array(directory / "images.npy", meta["images"])
        described = meta["conditions"]
        conditions = None if described is None else open_array(directory / "conditions.npy", described)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BrokenEntryError):
        return []
    same = meta["settings"] == json.loads(json.dumps(settings)) and images.shape[1:] == shape
    if not same or (conditions is not None and len(conditions) != len(images)):
        return []
    parts = [slice(start, start + _LENGTH) for start in range(0, len(images), _LENGTH)]
    return [Chunk(images[part], None if conditions is None else conditions[part]) for part in parts]


def followed_by(first: list[Chunk], others: Generator[Chunk, None, None]) -> Generator[Chunk, None, None]:
    """Yields chunks that are there, then those that are still made."""
    with contextlib.closing(others):
        yield from first
        yield from others
