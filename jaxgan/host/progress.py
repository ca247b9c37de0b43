"""How far long work is."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from jaxgan.host import console


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
    """A tqdm bar of what is done, its speed and the time left; a line every half minute where nobody watches.

    Args:
      work: is passed on piece by piece, and counted; None: the caller counts, by `update`.
      what: what is done, in a word or two.
      total: pieces in all; None: as many as `work` has.
      initial: pieces that were done before.
      unit: of the pieces.
      delay: seconds before which nothing is shown: short work needs no bar.
      shown: False: never.
    """
    watched = console.err.isatty()
    return tqdm(
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
    )
