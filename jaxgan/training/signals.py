"""SIGTERM and Ctrl-C: asked once, a run finishes what it is doing; a second Ctrl-C ends the process at once."""

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from jaxgan.host.console import heedless


class Interrupted(Exception):
    """The run was asked to stop by a signal, and saved itself.

    Attributes:
      status: the exit status for the command: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.status = 128 + number


class StopSignals:
    """Within `with`, SIGTERM and Ctrl-C are only noted, for the loop to see between two calls.

    Outside the main thread Python delivers no signals, and this does nothing.

    Attributes:
      caught: the number of the first signal, or None.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.caught is None:
            self.caught = number
            _write("\nFinishing the current call and saving; Ctrl-C leaves at once.\n")
        elif number == signal.SIGINT:
            os._exit(128 + number)  # Every file is whole at any moment, so nothing is harmed.


def stop_by_exceptions() -> None:
    """Lets SIGTERM end a program from anywhere, with status 143, as Ctrl-C does: by an exception. For commands alone.

    What a signal raises in a callback of the garbage collector, of which JAX has one, is shown and lost, and the
    program would go on: there the signal is sent again.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)
    former = sys.unraisablehook

    def hook(lost: Any) -> None:
        number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(lost.exc_type)
        if number is None:
            former(lost)
        else:
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = hook


def _leave(number: int, frame: FrameType | None) -> None:
    _write("\nStopped by SIGTERM.\n")
    sys.exit(128 + number)


def _write(message: str) -> None:
    """Writes past Python's buffers, which the interrupted code may be using."""
    if sys.__stderr__ is not None:  # Else the descriptor 2 may be any file that was opened since.
        with heedless(sys.__stderr__):
            os.write(sys.__stderr__.fileno(), message.encode())
