"""Settings that belong to a program, never to an import of the library."""

import ctypes
import importlib
import io
import os
import sys

from absl import logging


def accept_any_character() -> None:
    """Has the standard streams write a substitute for a character that their encoding lacks, where they would raise."""
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):  # None where Python found none open; another kind in a notebook
            stream.reconfigure(errors=errors)


def set_up_process() -> None:
    """Sets up logging, memory and the cache of compiled programs; a program calls it once, before it computes."""
    from experiments.cli.compiled import keep_compiled_programs  # imports JAX, which `python -m experiments` need not

    logging.set_verbosity(logging.WARNING)  # Orbax tells every detail of a save
    # With oneDNN TensorFlow says so at its import, whatever TF_CPP_MIN_LOG_LEVEL is. Reading pictures does without.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    _keep_freed_memory()
    keep_compiled_programs()


def import_tensorboardx() -> None:
    """Imports tensorboardX without PyTorch, which it would import for the name of a type: seconds, and 200 MB."""
    found = "torch" in sys.modules
    if not found:
        sys.modules["torch"] = None  # type: ignore[assignment]  # Python's way to have an import fail
    try:
        importlib.import_module("tensorboardX")
    finally:
        if not found:
            del sys.modules["torch"]


def _keep_freed_memory() -> None:
    """Lets glibc keep big freed buffers, else each step faults in the same pages again (9 to 25 % of it on a CPU)."""
    if sys.platform != "linux":
        return
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # mallopt's M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_max, 0)  # No threshold: XLA asks for what a step needs in one piece, of gigabytes in big batches.
        mallopt(trim_threshold, -1)
        mallopt(arena_max, 1)  # XLA's threads would have arenas, which give 64 MB back whatever the thresholds say
