"""Compilation of a program in the background, while another one trains."""

import contextlib
import threading
from typing import Any

import jax

from jaxgan.training.parallel import Program

_NAME = "compiling ahead"


class CompileAhead:
    """Compiles one program at a time. Its compiled form is kept by the program itself, as that of any call is."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def begin(self, program: Program, state: Any, draws: Any, data: Any) -> None:
        """Begins to compile a program for arguments like these; see `Program.__call__`.

        Args:
          program: the program.
          state: a state, which is copied and not donated.
          draws: what a call of the program takes.
          data: likewise.
        """
        self.wait()
        self._thread = threading.Thread(target=_compile, args=(program, program.place_state(state), draws, data))
        self._thread.name = _NAME
        self._thread.start()

    def wait(self) -> None:
        """Waits until what was begun is compiled."""
        if self._thread is not None:
            self._thread.join()
        self._thread = None


def is_under_way() -> bool:
    """Whether a program is being compiled in the background, for which the end of the process would wait."""
    return any(thread.name == _NAME for thread in threading.enumerate())


def _compile(program: Program, state: Any, draws: Any, data: Any) -> None:
    with contextlib.suppress(Exception):  # It fails again, and is told, when the program is needed.
        jax.block_until_ready(program(state, draws, 0, data))
