"""Fair comparisons: the sides take turns, and are compared round by round.

A machine's speed changes with its temperature and its neighbours. What happens in the same seconds happens to both
sides, so the ratio of neighbouring turns says more than the ratio of two runs.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from benchmarks import machine


class Side(Protocol):
    """One side of a comparison."""

    def run(self, calls: int) -> float:
        """Makes so many calls, and returns the seconds that they took."""


@dataclasses.dataclass(frozen=True)
class Turns:
    """What was timed.

    Attributes:
      seconds: of a call of each side, in each round.
      busy: the share of the machine that others used between the turns, when no side computed.
    """

    seconds: dict[str, list[float]]
    busy: float


def take_turns(sides: Mapping[str, Side], *, rounds: int, turn_seconds: float = 2.0, pause: float = 0.3) -> Turns:
    """Times the sides: one computes at a time, and the order is turned each round.

    Args:
      sides: the sides by name.
      rounds: how often each has its turn.
      turn_seconds: about how long a turn is; each is a call at least.
      pause: seconds before a turn, in which the threads of the side before fall asleep.
    """
    calls = {name: _calls_in(side, turn_seconds) for name, side in sides.items()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    busy = []
    for index in range(rounds):
        for name in sorted(sides, key=list(sides).index, reverse=bool(index % 2)):
            busy.append(machine.busy_share(pause))
            seconds[name].append(sides[name].run(calls[name]) / calls[name])
    return Turns(seconds, round(statistics.mean(busy), 3))


def _calls_in(side: Side, seconds: float) -> int:
    """How many calls fill a turn, after two calls of warm-up: the first compiles."""
    side.run(1)
    side.run(1)
    once = side.run(1)
    if once < seconds / 10:  # too short to be timed once
        calls = max(2, math.ceil(seconds / 10 / max(once, 1e-6)))
        once = side.run(calls) / calls
    return max(1, round(seconds / max(once, 1e-6)))


def ratios(slower: Sequence[float], faster: Sequence[float]) -> dict[str, Any]:
    """Computes how many times faster the second side is: the median of the rounds, and the least and the greatest."""
    each = [a / b for a, b in zip(slower, faster, strict=True)]
    return {"ratio": _rounded(statistics.median(each)), "ratio_range": [_rounded(min(each)), _rounded(max(each))]}


def speed(seconds: Sequence[float], images_per_call: int) -> dict[str, Any]:
    """Images a second: the median of the rounds, and how far apart they lie as a share of it."""
    rates = [images_per_call / value for value in seconds]
    middle = statistics.median(rates)
    return {
        "images_per_second": _rounded(middle),
        "spread": _rounded((max(rates) - min(rates)) / middle),
        "seconds_per_call": _rounded(statistics.median(seconds)),
    }


def _rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")
