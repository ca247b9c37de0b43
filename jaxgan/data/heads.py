"""The questions that a classifier answers about a picture: one class out of each head's."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Head:
    """One exclusive choice among neighbouring columns of the conditions, such as the hair's colour.

    Attributes:
      name: what is chosen, such as "hair"; "class" where there is nothing else to choose.
      classes: the names of the classes, in the order of the columns.
      start: the first column, in the conditions and in the logits alike.
    """

    name: str
    classes: tuple[str, ...]
    start: int = 0

    @property
    def columns(self) -> slice:
        """Where the head's classes lie in a row of conditions or logits."""
        return slice(self.start, self.start + len(self.classes))

    def labels(self, conditions: np.ndarray) -> np.ndarray:
        """Class numbers (n,) int64 of multi-hot conditions (n, c); -1 where the head's choice is not named."""
        chosen = conditions[:, self.columns]
        return np.where(chosen.any(axis=1), chosen.argmax(axis=1), -1)


def heads_of(names: Sequence[str]) -> tuple[Head, ...]:
    """The heads for a list of condition names, in order.

    Names such as "blue hair", "red hair", "blue eyes", "green eyes" fall into one head for each last word, here hair
    and eyes, if those are neighbours and each has at least two classes. All other names are the classes of one head,
    "class".
    """
    groups = [(word, tuple(group)) for word, group in itertools.groupby(names, _last_word)]
    words = {word for word, _ in groups}
    if len(words) < len(groups) or len(groups) < 2 or any(len(group) < 2 for _, group in groups):
        return (Head("class", tuple(names)),) if names else ()
    starts = itertools.accumulate((len(group) for _, group in groups), initial=0)
    return tuple(Head(word, group, start) for (word, group), start in zip(groups, starts, strict=False))


def _last_word(name: str) -> str:
    return name.split()[-1] if name.split() else name
