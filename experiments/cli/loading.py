"""A note on the terminal while a command imports what it needs, which takes seconds: Python's own library alone."""

import sys
import threading
import time

_ended = threading.Event()
_thread: threading.Thread | None = None


def begin() -> None:
    """Shows that the program is loading, and for how long, until `end`; in a log file nothing."""
    global _thread
    _ended.clear()
    if _thread is None and sys.stderr is not None and sys.stderr.isatty():
        _thread = threading.Thread(target=_tick, daemon=True)
        _thread.start()


def end() -> None:
    """Takes the note away."""
    global _thread
    if _thread is not None:
        _ended.set()
        _thread.join()
        _thread = None
        _write("\r\033[K")


def _tick() -> None:
    began = time.monotonic()
    while not _ended.wait(0.5):
        _write(f"\rloading: {time.monotonic() - began:.0f} s")


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # the terminal is gone
        _ended.set()
