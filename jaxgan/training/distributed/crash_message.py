"""A last line for a process that is ended from outside Python: by a signal, or by a library that aborts it."""

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


class Witness:
    """Within ``with``, a tiny process beside this one: it prints what it was told last, when this one is gone.

    The line goes to the standard error stream, after everything that this process wrote there. Nothing is printed when
    the ``with`` block is left, in whatever way: Python is still alive then, and says itself what there is to say.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # not the terminal's Ctrl-C
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()

    def remember(self, message: str) -> None:
        """What to print if this process is gone now; "" for nothing."""
        with contextlib.suppress(OSError):  # a witness that is gone itself
            os.write(self._pipe, f"{' '.join(message.split())}\n".encode())

    def __enter__(self) -> "Witness":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remember("")
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
