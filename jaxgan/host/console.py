"""The standard streams as a run speaks to them: words that nobody can read neither end nor harm it."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GONE = (errno.EPIPE, errno.EIO)  # the reader of a pipe, the terminal


class Stream:
    """One of `sys.stdout` and `sys.stderr`, looked up at each word, that takes every word.

    Args:
      name: `stdout` or `stderr`.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """Writes what can be written."""
        stream = getattr(sys, self._name)
        if stream is not None:  # Python found none open when it started.
            with heedless(stream):
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hands on what was written."""
        stream = getattr(sys, self._name)
        if stream is not None:
            with heedless(stream):
                stream.flush()

    def isatty(self) -> bool:
        """Whether somebody watches."""
        stream = getattr(sys, self._name)
        return stream is not None and not stream.closed and stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)


out, err = Stream("stdout"), Stream("stderr")


@contextmanager
def heedless(stream: Any) -> Iterator[None]:
    """Passes over what goes wrong in writing to a stream.

    If its reader is gone (`… 2>&1 | tee log`, and Ctrl-C ends tee first), its words go to /dev/null from then on: what
    is still in its buffer would fail again, at the latest when Python ends, and change the exit status.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: it is closed
        if isinstance(error, OSError) and error.errno in _GONE:
            silence(stream)


def silence(stream: Any) -> None:
    """Lets a stream write to /dev/null from now on, also what is still in its buffer."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
