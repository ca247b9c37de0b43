"""Compiled programs kept in the user's cache, so that only the first start has to compile."""

import hashlib
import importlib
import os
import sys
import zlib
from pathlib import Path

import jax

from jaxgan.data.cache import cache_directory

_CHECKED = ".checked"  # its time is that of the last check
_ZLIB, _ZSTANDARD = b"\x78", b"\x28\xb5\x2f\xfd"  # how data that they compressed begins


def keep_compiled_programs() -> None:
    """Has JAX keep what it compiles; the directory is trusted code, so it must be the owner's alone."""
    directory = cache_directory() / "compiled" / _machine()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError:
        return  # Without a cache everything works, only later.
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        print(f"{directory} is open to others: compiled programs are not cached there.", file=sys.stderr)
        return
    remove_torn_entries(directory)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def remove_torn_entries(directory: Path) -> None:
    """Removes what a process that was killed left half-written.

    JAX writes its entries in place, notices that one is torn, compiles anew, and never replaces it. Only those that
    came since the last check are looked at; should the clock have jumped meanwhile, one stays, and costs only time.
    """
    marker = directory / _CHECKED
    try:
        last = marker.stat().st_mtime_ns if marker.exists() else 0
        marker.touch(mode=0o600)
        for path in directory.glob("*-cache"):
            if path.stat().st_mtime_ns >= last and _is_torn(path.read_bytes()):
                path.unlink()
    except OSError:
        return  # Another process may be at work here; JAX finds out by itself what it can use.


def _is_torn(data: bytes) -> bool:
    try:
        if data[:1] == _ZLIB:
            zlib.decompress(data)
        elif data[:4] == _ZSTANDARD:
            _decompress_zstandard(data)
        else:  # Another compression than we know, or not even the beginning of one.
            return _ZSTANDARD.startswith(data)
    except Exception:  # Each has an error of its own.
        return True
    return False


def _decompress_zstandard(data: bytes) -> None:
    """Decompresses with the module that JAX takes; where there is none, JAX uses no such entry either."""
    for name in ("compression.zstd", "zstandard"):  # of Python 3.14; before that a package, which is optional
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        module.decompress(data)
        return


def _machine() -> str:
    """A name for this kind of processor: code compiled for another may not run here."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        described = "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        described = sys.platform
    return hashlib.sha256(described.encode()).hexdigest()[:16]
