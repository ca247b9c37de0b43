"""Heartbeat between the processes of a run: when one of them dies, every other reports why and stops.

Without it the others would wait in a collective forever, or JAX would abort them after minutes with pages of C++.
Each process sends a pulse every few seconds, and the first one checks them. Last words, the reason why a run ends,
reach every process at once.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from jaxgan.host.errors import UserError, named, one_line
from jaxgan.training.distributed.processes import FOREVER
from jaxgan.training.signals import HANGUP, Interrupted, StopSignals

SILENCE = 30.0  # seconds without a pulse after which a process counts as dead
PULSE = 2.0  # seconds between two pulses
_HEARING, _LEAVING = 5.0, 1.0  # seconds for last words to reach every process, then for each to leave
_PULSES, _DONE, _HEARD, _WORDS = "jaxgan/pulse", "jaxgan/done", "jaxgan/heard", "jaxgan/last_words"
_FAREWELL = "farewell"
_SIGNALS: dict[type[BaseException], str] = {KeyboardInterrupt: "Ctrl-C", SystemExit: "SIGTERM"}
_ADVICE = "the same command, started again for every process, goes on from the last checkpoint."


class Heartbeat:
    """Within `with`, this process ends when any other does.

    An error that leaves the `with` block ends the other processes too, with its message; a normal exit waits until
    every process has finished. If another process dies, this one sets its crash message and leaves at once with status
    1, wherever it is: every file is complete at any moment, so no data is lost. If the first process dies, JAX may
    abort this one before it reacts; a crash message for that case is set on entry.

    Args:
      store: the coordination service's client; see `jaxgan.training.distributed.processes.store`.
      index: the index of this process.
      count: the number of processes.
      remember: sets the line that is printed if this process dies; see `crash_message.CrashMessage`.
      silence: seconds without a pulse after which a process counts as dead.
      pulse: seconds between two pulses.
      leave: ends the process with a given status.
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

    def __enter__(self) -> "Heartbeat":
        reason = "it was killed" if self._index == 0 else "it was killed, or JAX aborted it because process 0 is gone"
        self._remember(f"process {self._index} was ended from outside: {reason}; {_ADVICE}")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Interrupted):
            with StopSignals():  # A second signal must not end this process while others are still saving.
                self._part()
            return
        if isinstance(error, Exception) and not isinstance(error, UserError):
            self._wait_for_a_reason()
        self._over.set()
        said = _SIGNALS.get(type(error)) or named(error)
        said = one_line(error.as_flags, 400) if isinstance(error, UserError) else said
        said = "SIGHUP" if getattr(error, "code", None) == 128 + HANGUP else said
        self._say(f"process {self._index} stopped ({said.rstrip('.')})")
        self._be_last()

    def _wait_for_a_reason(self) -> None:
        """Waits for the first process to find out who died, since a collective fails here when another process dies."""
        end = self._beats + self._silence / self._pulse + 4
        while self._beats < end and self._threads[1].is_alive():
            time.sleep(self._pulse / 4)
        time.sleep(self._pulse)

    def _part(self) -> None:
        """Waits until every process is done, then stops the threads."""
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
        except Exception:  # the client raises various errors for a lost connection
            words = "process 0 is gone: it died, or its machine or the network did"
        if words == _FAREWELL or self._over.is_set():
            return
        self._remember(f"{words}; {_ADVICE}")
        self._be_last()
        self._leave(1)

    def _beat(self) -> None:
        """Sends pulses; in the first process, also checks those of the others."""
        seen = {f"{_PULSES}/{index}": ("", 0) for index in range(self._count)}
        while not self._over.wait(self._pulse):
            self._beats += 1
            try:
                self._store.key_value_set(f"{_PULSES}/{self._index}", str(self._beats), allow_overwrite=True)
                if self._index == 0:
                    self._look_after(seen, self._beats)
            except Exception:  # the connection is lost, and the listener reports that
                return

    def _look_after(self, seen: dict[str, tuple[str, int]], now: int) -> None:
        """Reports processes that have fallen silent.

        Time is counted in this process's own pulses, so that a suspended machine is not mistaken for dead peers.
        """
        for name, beats in self._store.key_value_dir_get(_PULSES):
            if name not in seen or seen[name][0] != beats:
                seen[name] = beats, now
        silence = self._silence / self._pulse
        silent = [name.rpartition("/")[2] for name, (_, since) in seen.items() if now - since > silence]
        if silent:
            names = "process " + ", ".join(sorted(silent, key=int))
            self._say(f"{names} gave no sign of life for {self._silence:.0f} seconds: it died, or its machine did")

    def _say(self, words: str) -> None:
        """Tells all processes why the run ends."""
        with contextlib.suppress(Exception):  # another process may have spoken first
            self._store.key_value_set(_WORDS, words)

    def _be_last(self) -> None:
        """Confirms the last words; the first process, which holds the store, then gives the others time to leave."""
        with contextlib.suppress(Exception):
            self._store.key_value_set(f"{_HEARD}/{self._index}", "")
            end = time.monotonic() + _HEARING
            while self._index == 0 and self._number(_HEARD) < self._count and time.monotonic() < end:
                time.sleep(0.05)
            if self._index == 0:
                time.sleep(_LEAVING)

    def _number(self, directory: str) -> int:
        return len(self._store.key_value_dir_get(directory))
