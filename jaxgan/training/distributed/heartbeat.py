"""Ties processes together: when one of them dies, each other says what happened and stops.

Without it they would wait in a collective for ever, or be aborted by JAX after minutes with pages of C++. Each process
gives a sign of life every few seconds; the first looks after them. Last words reach every process at once.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from jaxgan.errors import UserError, named, one_line
from jaxgan.training.distributed.processes import FOREVER
from jaxgan.training.signals import Interrupted, StopSignals

SILENCE = 30.0  # seconds without a sign of life after which a process counts as dead
PULSE = 2.0  # seconds between two signs of life
_HEARING, _LEAVING = 5.0, 1.0  # seconds that last words are given to reach every process, and each then to leave
_PULSES, _DONE, _HEARD, _WORDS = "jaxgan/pulse", "jaxgan/done", "jaxgan/heard", "jaxgan/last_words"
_FAREWELL = "farewell"
_SIGNALS: dict[type[BaseException], str] = {KeyboardInterrupt: "Ctrl-C", SystemExit: "SIGTERM"}
_ADVICE = "the same command, started again for every process, goes on from the last checkpoint."


class Lifeline:
    """Within ``with``, this process lives and ends with the others.

    An error that leaves the ``with`` block ends the others too, with its message; a normal end waits until every
    process has come to its own. If another process dies, this one tells its witness why and leaves at once with status
    1, wherever it is: every file is whole at any moment, so nothing is harmed. Where the first process dies, JAX may be
    faster and abort this one; the witness has a line for that too.

    Args:
      store: the coordination service's client; see ``jaxgan.training.distributed.processes.store``.
      index: which process this is.
      count: how many there are.
      remember: takes the line that is printed when this process is gone; see ``crash_message``.
      silence: seconds without a sign of life after which a process counts as dead.
      pulse: seconds between two signs of life.
      leave: ends the process, with a status.
    """

    def __init__(
        self,
        store: Any,
        index: int,
        count: int,
        remember: Callable[[str], None],
        *,
        silence: float = SILENCE,
        pulse: float = PULSE,
        leave: Callable[[int], Any] = os._exit,
    ) -> None:
        self._store, self._index, self._count, self._remember = store, index, count, remember
        self._silence, self._pulse, self._leave = silence, pulse, leave
        self._beats = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._beat)]

    def __enter__(self) -> "Lifeline":
        reason = "it was killed" if self._index == 0 else "it was killed, or JAX aborted it because process 0 is gone"
        self._remember(f"process {self._index} was ended from outside: {reason}; {_ADVICE}")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Interrupted):
            with StopSignals():  # A second request must not end it while the others still save.
                self._part()
            return
        if isinstance(error, Exception) and not isinstance(error, UserError):
            self._wait_for_a_reason()
        self._over.set()
        said = one_line(error, 400) if isinstance(error, UserError) else _SIGNALS.get(type(error)) or named(error)
        self._say(f"process {self._index} stopped ({said.rstrip('.')})")
        self._be_last()

    def _wait_for_a_reason(self) -> None:
        """A collective fails where another process has died: time for the first to find out, and to leave with that."""
        end = self._beats + self._silence / self._pulse + 4
        while self._beats < end and self._threads[1].is_alive():
            time.sleep(self._pulse / 4)
        time.sleep(self._pulse)

    def _part(self) -> None:
        """Waits until every process is done, and ends the threads."""
        self._store.key_value_set(f"{_DONE}/{self._index}", "")
        while self._index == 0 and self._number(_DONE) < self._count:
            time.sleep(0.05)
        if self._index == 0:
            self._store.key_value_set(_WORDS, _FAREWELL)
        self._threads[0].join()
        self._over.set()
        self._threads[1].join()

    def _listen(self) -> None:
        """Waits for last words."""
        try:
            words = self._store.blocking_key_value_get(_WORDS, FOREVER)
        except Exception:  # whatever the client makes of a connection that is lost
            words = "process 0 is gone: it died, or its machine or the network did"
        if words == _FAREWELL or self._over.is_set():
            return
        self._remember(f"{words}; {_ADVICE}")
        self._be_last()
        self._leave(1)

    def _beat(self) -> None:
        """Gives signs of life, and as the first process looks for those of the others."""
        seen = {f"{_PULSES}/{index}": ("", 0) for index in range(self._count)}
        while not self._over.wait(self._pulse):
            self._beats += 1
            try:
                self._store.key_value_set(f"{_PULSES}/{self._index}", str(self._beats), allow_overwrite=True)
                if self._index == 0:
                    self._look_after(seen, self._beats)
            except Exception:  # the connection is lost, and the listener says so
                return

    def _look_after(self, seen: dict[str, tuple[str, int]], now: int) -> None:
        """Time is counted in this process' own beats: a machine that was suspended has lost nobody."""
        for name, beats in self._store.key_value_dir_get(_PULSES):
            if name not in seen or seen[name][0] != beats:
                seen[name] = beats, now
        silence = self._silence / self._pulse
        silent = [name.rpartition("/")[2] for name, (_, since) in seen.items() if now - since > silence]
        if silent:
            names = "process " + ", ".join(sorted(silent, key=int))
            self._say(f"{names} gave no sign of life for {self._silence:.0f} seconds: it died, or its machine did")

    def _say(self, words: str) -> None:
        """Tells all processes why they end."""
        with contextlib.suppress(Exception):  # another process was faster
            self._store.key_value_set(_WORDS, words)

    def _be_last(self) -> None:
        """The first process holds the store, so it gives the others time to hear the last words and to leave."""
        with contextlib.suppress(Exception):
            self._store.key_value_set(f"{_HEARD}/{self._index}", "")
            end = time.monotonic() + _HEARING
            while self._index == 0 and self._number(_HEARD) < self._count and time.monotonic() < end:
                time.sleep(0.05)
            if self._index == 0:
                time.sleep(_LEAVING)

    def _number(self, directory: str) -> int:
        return len(self._store.key_value_dir_get(directory))
