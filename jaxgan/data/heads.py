"""Classification heads: groups of mutually exclusive classes among the conditions."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Head:
    """Group of mutually exclusive classes in adjacent columns of the conditions, such as hair colours.

    Attributes:
      name: name of the group, such as "hair"; "class" if it is the only one.
      classes: names of the classes, in the order of the columns.
      start: first column, both in the conditions and in the logits.
    """

    name: str
    classes: tuple[str, ...]
    start: int = 0

    @property
    def columns(self) -> slice:
        """Slice of the head's columns in a row of conditions or logits."""
        return slice(self.start, self.start + len(self.classes))

    def labels(self, conditions: np.ndarray) -> np.ndarray:
        """Returns the class numbers (n,) int64 of multi-hot conditions (n, c); -1 where no class of the head is set."""
        chosen = conditions[:, self.columns]
        return np.where(chosen.any(axis=1), chosen.argmax(axis=1), -1)


def heads_of(names: Sequence[str]) -> tuple[Head, ...]:
    """Returns the heads for a list of condition names, in order.

    Names such as "blue hair", "red hair", "blue eyes", "green eyes" are grouped by their last word into the heads
    "hair" and "eyes", if the names of each group are adjacent and at least two. All other lists of names form a single
    head, "class".
    """
    groups = [(word, tuple(group)) for word, group in itertools.groupby(names, _last_word)]
    words = {word for word, _ in groups}
    if len(words) < len(groups) or len(groups) < 2 or any(len(group) < 2 for _, group in groups):
        return (Head("class", tuple(names)),) if names else ()
    starts = itertools.accumulate((len(group) for _, group in groups), initial=0)
    return tuple(Head(word, group, start) for (word, group), start in zip(groups, starts, strict=False))


def _last_word(name: str) -> str:
    return name.split()[-1] if name.split() else name
