"""Handling of SIGTERM, SIGHUP and Ctrl-C: the first lets a run finish its call and save, a second Ctrl-C ends it."""

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from jaxgan.host.console import heedless

HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)
"""The signal of a terminal that is closed; on systems without it SIGTERM stands for it."""


class Interrupted(Exception):
    """Raised when a run was stopped by a signal, after it has saved its state.

    Attributes:
      status: the exit status for the command: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.status = 128 + number


class StopSignals:
    """Records SIGTERM, SIGHUP and Ctrl-C within `with`, so that the loop can react between two calls.

    SIGHUP stays ignored where it is, as under `nohup`. Does nothing outside the main thread, where Python delivers no
    signals.

    Attributes:
      caught: the number of the first signal, or None.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            ignored = signal.getsignal(HANGUP) is signal.SIG_IGN
            for number in (signal.SIGTERM, signal.SIGINT) if ignored else (signal.SIGTERM, signal.SIGINT, HANGUP):
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
            os._exit(128 + number)  # Every file is complete at any moment, so no data is lost.


def stop_by_exceptions() -> None:
    """Makes SIGTERM and SIGHUP raise an exception anywhere in the program, as Ctrl-C does; for commands only.

    The status is 143 or 129.

    An exception raised in a callback of the garbage collector, of which JAX has one, is only printed, and the program
    would go on. In that case the signal is sent again.
    """
    for number in (signal.SIGTERM, HANGUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _leave)
    former = sys.unraisablehook

    def hook(lost: Any) -> None:
        number = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}.get(lost.exc_type)
        if getattr(lost.exc_value, "code", None) == 128 + HANGUP:
            number = HANGUP
        if number is None:
            former(lost)
        else:
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = hook


def _leave(number: int, frame: FrameType | None) -> None:
    _write(f"\nStopped by {signal.Signals(number).name}.\n")
    sys.exit(128 + number)


def _write(message: str) -> None:
    """Writes to stderr without Python's buffers, which the interrupted code may be using."""
    if sys.__stderr__ is not None:  # otherwise descriptor 2 may belong to any file opened since
        with heedless(sys.__stderr__):
            os.write(sys.__stderr__.fileno(), message.encode())
