"""What a visitor of the page may ask for: numbers and choices alone, each checked before anything is drawn.

The page's own controls allow no more than this, but a request need not come from them.
"""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from experiments.sample import Sample
from jaxgan.data import tags
from jaxgan.data.conditions import are_tags
from jaxgan.host.errors import UserError, printable

COUNTS = (1, 4, 9, 16, 25, 36, 49, 64)
"""How many pictures: square grids, so that few programs have to be compiled."""
CANDIDATES = (0, 64, 128, 256, 512)
"""How many to choose the best from; 0: the pictures are not chosen."""
LARGEST_SEED = 2**31 - 1
LARGEST_STD = 1.5
ANY = "any"
"""The choice that leaves a condition open."""


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk through latent space, from the first face of a seed to the first face of another.

    Attributes:
      condition: what to draw, as ``experiments.sample`` takes it; None: the model's first condition, if it has any.
      first: the seed at its beginning.
      second: the seed at its end.
      fraction: how far along, from 0 to 1.
    """

    condition: str | None
    first: int
    second: int
    fraction: float


def condition(names: tuple[str, ...], hair: Any, eyes: Any, label: Any) -> str | None:
    """Returns the text of a condition, such as "blue hair red eyes"; None leaves it open.

    Args:
      names: what the elements of the model's condition stand for; () without conditions.
      hair: one of the hair colours, or ANY; looked at for tagged faces alone, like ``eyes``.
      eyes: one of the eye colours, or ANY.
      label: one of ``names``, or ANY; looked at for models of classes alone.

    Raises:
      UserError: for anything else.
    """
    if not names:
        return None
    if not are_tags(names):
        chosen = _choice("class", label, (ANY, *names))
        return None if chosen == ANY else chosen
    colours = {"hair": _choice("hair", hair, (ANY, *tags.HAIR)), "eyes": _choice("eyes", eyes, (ANY, *tags.EYES))}
    return " ".join(f"{colour} {part}" for part, colour in colours.items() if colour != ANY) or None


def pictures(workdir: str, condition: str | None, seed: Any, count: Any, candidates: Any, std: Any) -> Sample:
    """Converts what was asked to the flags of `experiments.sample`.

    Args:
      workdir: the directory of the run.
      condition: from ``condition``.
      seed: a whole number from 0 to LARGEST_SEED.
      count: one of COUNTS.
      candidates: one of CANDIDATES.
      std: the noise's standard deviation, from 0 to LARGEST_STD.

    Raises:
      UserError: for anything else.
    """
    best_of = _choice("best of", candidates, CANDIDATES) or None
    return Sample(
        workdir=workdir,
        num=_choice("pictures", count, COUNTS),
        best_of=best_of,
        seed=_seed("seed", seed),
        std=_number("spread", std, LARGEST_STD),
        condition=condition,
    )


def walk(condition: str | None, first: Any, second: Any, fraction: Any) -> Walk:
    """Checks a walk between two seeds, whole numbers from 0 to LARGEST_SEED; the fraction is from 0 to 1.

    Raises:
      UserError: for anything else.
    """
    return Walk(condition, _seed("first seed", first), _seed("second seed", second), _number("way", fraction, 1.0))


def position(index: Any, length: int) -> int:
    """Checks a place in a list of `length` items, counted from 1; one beyond the end is the last.

    Raises:
      UserError: for anything but a whole number of at least 1.
    """
    if not _is_whole(index) or index < 1:
        raise UserError(f"grid: must be a whole number of at least 1, not {printable(index)}")
    return int(min(index, length))


def _choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """The value, which must be one of the choices and of their type: to Python, True is 1."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise UserError(f"{name}: choose one of {', '.join(map(str, choices))}, not {printable(value)}")
    return value


def _seed(name: str, value: Any) -> int:
    if not _is_whole(value) or not 0 <= value <= LARGEST_SEED:
        raise UserError(f"{name}: must be a whole number from 0 to {LARGEST_SEED:,}, not {printable(value)}")
    return int(value)


def _number(name: str, value: Any, largest: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= largest:
        raise UserError(f"{name}: must be a number from 0 to {largest:g}, not {printable(value)}")
    return float(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())
