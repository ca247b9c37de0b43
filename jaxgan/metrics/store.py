"""Cache of trained feature networks: arrays with a digest in the user's cache directory."""

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
from jaxgan.host.arrays import parse_arrays
from jaxgan.host.digest import digest_leaves
from jaxgan.host.errors import UserError, printable
from jaxgan.host.files import replace_atomically, write_text

Arrays = dict[str, np.ndarray]


def path_of(name: str, settings: Mapping[str, Any], cache_dir: str | os.PathLike | None = None) -> Path:
    """Returns the path, without its suffix, of the arrays made with these settings.

    Args:
      name: first part of the file name.
      settings: JSON-compatible settings on which the arrays depend.
      cache_dir: see `jaxgan.data.cache.cache_directory`.
    """
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    name = re.sub("[^A-Za-z0-9_.]+", "-", name).lstrip(".")
    return cache_directory(cache_dir) / "feature_networks" / f"{name}-{key[:32]}"


def read(path: Path) -> tuple[Arrays, dict[str, Any]] | None:
    """Reads the arrays and facts that `write` stored.

    Returns:
      Arrays and facts, or None if they are missing or damaged. Damage is reported in one line on stderr.
    """
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
    """Stores named arrays and JSON-compatible facts about them, and returns both.

    The facts are written last, and each file is renamed into place when complete, so the remains of a killed process
    are never read.

    Args:
      path: see `path_of`.
      arrays: the arrays by name.
      facts: facts about them; their digest is added.

    Raises:
      UserError: if the cache directory cannot be written.
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


def _files(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".json"), path.with_name(path.name + ".npz")
