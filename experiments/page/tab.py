"""What the page needs of each tab."""

from collections.abc import Callable
from typing import Any, NamedTuple

from experiments.page.abilities import Abilities


class Tab(NamedTuple):
    """What the page needs of a tab.

    Attributes:
      fitted: the components that depend on what a run can do.
      fit: what a run can do -> an update of each of them; they also empty what was drawn of another run.
      arrive: draws what the tab shows of another run, once it fits that run: takes an event, such as `done.then`.
    """

    fitted: list[Any]
    fit: Callable[[Abilities], list[Any]]
    arrive: Callable[[Callable[..., Any]], Any] | None = None
