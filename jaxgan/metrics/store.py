"""Trained feature networks, kept in the user's cache directory as arrays with a digest."""

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data.cache import cache_directory
from jaxgan.errors import UserError, printable
from jaxgan.host.digest import digest_leaves
from jaxgan.host.files import replace_atomically, write_text

Arrays = dict[str, np.ndarray]

LARGEST = 1 << 30
"""Bytes of an unpacked .npz file; a small file may claim any size. Inception v3 has a tenth of this."""


def path_of(name: str, settings: Mapping[str, Any], cache_dir: str | os.PathLike | None = None) -> Path:
    """Where the arrays made with these JSON-able settings belong: a path that `.npz` and `.json` are added to."""
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    name = re.sub("[^A-Za-z0-9_.]+", "-", name).lstrip(".")
    return cache_directory(cache_dir) / "feature_networks" / f"{name}-{key[:32]}"


def read(path: Path) -> tuple[Arrays, dict[str, Any]] | None:
    """Arrays and facts as `write` took them; None if they are absent, or damaged, which one line on stderr says."""
    facts_path, arrays_path = _files(path)
    if not facts_path.exists():
        return None
    try:
        facts = json.loads(facts_path.read_bytes())
        arrays = parse_arrays(arrays_path.read_bytes())
        if digest_leaves(arrays) != facts["digest"]:
            raise ValueError("the arrays do not match their digest")
    except Exception as error:  # damage shows as anything, from KeyError to RecursionError
        reason = printable(error)
        print(f"The feature network in {arrays_path} cannot be used and is trained again: {reason}", file=sys.stderr)
        return None
    return arrays, facts


def write(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    """Keeps named arrays and JSON-able facts about them, and gives them back.

    The facts come last, each file under a temporary name until it is whole: what a killed process leaves is not read.

    Raises:
        UserError: the cache directory cannot be written.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    facts = {**facts, "digest": digest_leaves(arrays)}
    facts_path, arrays_path = _files(path)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # names are no options of savez
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_atomically(arrays_path, lambda file: file.write(buffer.getvalue()))
        write_text(facts_path, json.dumps(facts, indent=1))
    except OSError as error:
        way_out = "choose another directory by $JAXGAN_CACHE_DIR"
        raise UserError(f"cannot keep the feature network in {path.parent}: {error.strerror}; {way_out}") from error
    return arrays, facts


def parse_arrays(data: bytes) -> Arrays:
    """The named arrays of an .npz file's bytes; objects are refused.

    Raises:
        ValueError: the bytes are no whole .npz file of plain arrays.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            size = sum(member.file_size for member in file.zip.infolist())
            if size > LARGEST:
                raise ValueError(f"its arrays take {size} bytes, and more than {LARGEST} are not unpacked")
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and numpy each have their own for a damaged file
        raise ValueError(f"no whole .npz file of plain arrays: {printable(error)}") from error


def _files(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".json"), path.with_name(path.name + ".npz")
