"""Progress bars for long-running work."""

import threading
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from jaxgan.host import console

TICK = 0.5  # seconds between two signs of life on a terminal


class _Ticking(tqdm):
    """A bar that is drawn anew while its work goes on, also where a single item takes long: its clock goes on."""

    def __init__(self, *arguments: Any, ticks: bool, **options: Any) -> None:
        self._ended = threading.Event()
        self.delay: float
        super().__init__(*arguments, **options)
        if ticks and not self.disable:
            threading.Thread(target=self._tick, daemon=True).start()

    def close(self) -> None:
        """Ends the bar."""
        self._ended.set()
        super().close()

    def _tick(self) -> None:
        if not self._ended.wait(max(self.delay, TICK)):
            self.delay = 0  # it is shown, and is to be taken away at its end
        while not self._ended.wait(TICK):
            with self.get_lock():  # as `close` draws the end; after it nothing may be drawn
                if not self._ended.is_set():
                    self.display()


def bar(
    work: Iterable[Any] | None = None,
    what: str | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str = "step",
    delay: float = 1,
    shown: bool = True,
) -> Any:
    """Returns a tqdm bar with progress, speed and remaining time, whose clock goes on during a long item.

    If stderr is not a terminal, it prints a line every half minute instead.

    Args:
      work: iterable whose items the bar passes on and counts; None if the caller counts by `update`.
      what: description of the work, in a word or two.
      total: total number of items; None uses the length of `work`.
      initial: number of items that were finished before.
      unit: name of an item.
      delay: seconds before the bar appears, so that short work shows no bar.
      shown: whether to show the bar at all.
    """
    watched = console.err.isatty()
    return _Ticking(
        work,
        what,
        total,
        initial=initial,
        unit=unit,
        delay=delay,
        disable=not shown,
        file=console.err,
        dynamic_ncols=watched,
        mininterval=0.2 if watched else 30,
        ticks=watched,
    )


def ticking(what: str) -> Any:
    """Returns a context within which a terminal shows what goes on, and for how long; a log file gets nothing.

    Args:
      what: description of work whose length is not known, such as "compiling".
    """
    return _Ticking(
        desc=what,
        bar_format="{desc}: {elapsed}",
        leave=False,
        delay=TICK,
        disable=not console.err.isatty(),
        file=console.err,
        dynamic_ncols=True,
        ticks=True,
    )


def time_left(bar: Any, worked: float, *, after: float = 10.0) -> str | None:
    """Estimates the time that is left of a bar, in words such as "about 1 h 20 min".

    Args:
      bar: from `bar`.
      worked: seconds of work, without the pauses that a bar takes in.
      after: seconds of work before which there is no estimate.

    Returns:
      The estimate; None for a hidden bar, before `after` seconds, or if less than a minute is left.
    """
    if bar.disable or bar.n == bar.initial or worked < after:
        return None
    minutes = round((bar.total - bar.n) * worked / (bar.n - bar.initial) / 60)
    if minutes < 1:
        return None
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"
