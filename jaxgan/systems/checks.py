"""What the watch may look for in the metrics of a system: each check is a value with pure functions."""

from typing import Any, NamedTuple, Protocol


class Verdict(NamedTuple):
    """What a check says of one look at the metrics.

    Attributes:
      bad: whether this look counts towards trouble; a look that is not bad ends the streak.
      seen: what was seen, in words.
      certain: False: bad, but no reason for an alarm yet.
    """

    bad: bool
    seen: str = ""
    certain: bool = True


class Check(Protocol):
    """Looks at metrics.

    Attributes:
      kind: the name of the trouble, such as "saturated".
      advice: what usually helps.
      length: bad looks in a row before an alarm.
      steps: steps without a good look before an alarm.
    """

    kind: str
    advice: str
    length: int
    steps: int

    def look(self, step: int, metrics: dict[str, Any], memory: float, early: bool, every: int) -> tuple[Verdict, float]:
        """Judges the means of the last steps; returns the verdict and the number to remember."""
        ...
