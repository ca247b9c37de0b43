"""Crash message: a last line for a process that is ended from outside Python, by a signal or by an abort in C++."""

import contextlib
import os
import subprocess
import sys
from types import TracebackType

_PROGRAM = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
last = ""
for last in sys.stdin:
    pass
if last.strip():
    print("error:", last.strip(), file=sys.stderr, flush=True)
"""


class CrashMessage:
    """A small child process that prints the last message it was given once this process is gone.

    The line goes to the standard error stream, after everything that this process wrote there. Leaving the `with` block
    prints nothing, even by an exception: Python is still alive then and reports the error itself.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()

    def remember(self, message: str) -> None:
        """Sets the message that is printed if this process dies from now on; "" for none."""
        with contextlib.suppress(OSError):  # the child process may be gone itself
            os.write(self._pipe, f"{' '.join(message.split())}\n".encode())

    def __enter__(self) -> "CrashMessage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remember("")
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
