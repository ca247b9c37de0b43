"""Wrappers for stdout and stderr whose writes never raise, so that a closed pipe cannot stop a run."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GONE = (errno.EPIPE, errno.EIO)  # the reader of the pipe is gone; the terminal is gone


class Stream:
    """Wrapper of `sys.stdout` or `sys.stderr`, looked up at every call, whose writes never raise.

    Args:
      name: `stdout` or `stderr`.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """Writes text if possible; returns its length in any case."""
        stream = getattr(sys, self._name)
        if stream is not None:  # None if the stream was closed when Python started
            with heedless(stream):
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes the stream if possible."""
        stream = getattr(sys, self._name)
        if stream is not None:
            with heedless(stream):
                stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        stream = getattr(sys, self._name)
        return stream is not None and not stream.closed and stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)


out, err = Stream("stdout"), Stream("stderr")


@contextmanager
def heedless(stream: Any) -> Iterator[None]:
    """Suppresses errors of writing to a stream.

    If the reader of the stream is gone, the stream is redirected to /dev/null. This happens in `… 2>&1 | tee log`,
    where Ctrl-C ends tee first. Otherwise the rest of the buffer would raise again, at the latest when Python exits,
    and change the exit status.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: the stream is closed
        if isinstance(error, OSError) and error.errno in _GONE:
            silence(stream)


def silence(stream: Any) -> None:
    """Redirects a stream, including the rest of its buffer, to /dev/null."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
