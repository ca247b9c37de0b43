"""What a visitor of the page may ask for: numbers and choices alone, each checked before anything is drawn.

The page's own controls allow no more than this, but a request need not come from them.
"""

import dataclasses
import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.page.abilities import Abilities
from experiments.sample import Sample
from jaxgan.data import tags
from jaxgan.data.conditions import are_tags
from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError, printable
from jaxgan.models import infogan
from jaxgan.sampling.directions import Directions

COUNTS = (1, 4, 9, 16, 25, 36, 49, 64)
"""How many pictures: square grids, so that few programs have to be compiled."""
CANDIDATES = (0, 64, 128, 256, 512)
"""How many to choose the best from; 0: the pictures are not chosen."""
LARGEST_SEED = 2**31 - 1
LARGEST_STD = 1.5
LAST_NUMBER = max(CANDIDATES)
FARTHEST_CODE = 2.0
STRONGEST = 3.0
ANY = "any"
"""The choice that leaves a condition open."""


class Place(NamedTuple):
    """A picture: the seed of its latent, and its number among those of the seed, counted from 1."""

    seed: int
    number: int


class Pick(NamedTuple):
    """A picture that was drawn, by what Explore draws it again.

    Attributes:
      seed: of its latent.
      number: among those of the seed, counted from 1.
      std: the noise's standard deviation.
      hair: the choice of the drop-down, or ANY.
      eyes: the choice of the drop-down, or ANY.
      label: the choice of the drop-down, or ANY.
    """

    seed: int
    number: int
    std: float
    hair: str
    eyes: str
    label: str


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk through latent space, from one picture to another.

    Attributes:
      condition: what to draw, as ``experiments.sample`` takes it; None: the model's first condition, if it has any.
      first: the picture at its beginning.
      second: the picture at its end.
      std: the noise's standard deviation.
      fraction: how far along, from 0 to 1.
    """

    condition: str | None
    first: Place
    second: Place
    std: float
    fraction: float


@dataclasses.dataclass(frozen=True)
class Codes:
    """Codes of an InfoGAN that are set; all others are those of the seed.

    Attributes:
      seed: of the noise.
      classes: by the index of a categorical code: its class.
      values: by the index of a continuous code: its value.
    """

    seed: int
    classes: dict[int, int]
    values: dict[int, float]


@dataclasses.dataclass(frozen=True)
class Edit:
    """Classes that pictures are moved toward.

    Attributes:
      seed: of the pictures.
      strengths: by the number of a class: how far, negative away from it.
    """

    seed: int
    strengths: dict[int, float]


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


def choices(names: tuple[str, ...], label: np.ndarray) -> tuple[str, str, str]:
    """Returns what the drop-downs for hair, eyes and class show of a condition, (c,)."""
    chosen = [name for name, is_on in zip(names, label, strict=False) if is_on]
    if are_tags(names):
        hair = next((colour for colour in tags.HAIR if f"{colour} hair" in chosen), ANY)
        eyes = next((colour for colour in tags.EYES if f"{colour} eyes" in chosen), ANY)
        return hair, eyes, ANY
    return ANY, ANY, chosen[0] if len(chosen) == 1 else ANY


def pick(names: tuple[str, ...], sent: Any) -> Pick:
    """Checks which picture was picked.

    Args:
      names: what the elements of the model's condition stand for; () without conditions.
      sent: the fields of a Pick, by name.

    Raises:
      UserError: for anything else.
    """
    if not isinstance(sent, dict) or set(sent) != set(Pick._fields):
        raise UserError(f"picture: there is none such as {printable(sent)}")
    condition(names, sent["hair"], sent["eyes"], sent["label"])
    place = _place("picture", sent["seed"], sent["number"])
    std = _number("spread", sent["std"], LARGEST_STD)
    return Pick(*place, std, *(sent[name] if names else ANY for name in ("hair", "eyes", "label")))


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


def walk(
    condition: str | None, first: Any, first_number: Any, second: Any, second_number: Any, std: Any, fraction: Any
) -> Walk:
    """Checks a walk between two pictures.

    Args:
      condition: from ``condition``.
      first: seed of the picture at its beginning, a whole number from 0 to LARGEST_SEED.
      first_number: which of this seed, from 1 to LAST_NUMBER.
      second: that of the picture at its end.
      second_number: which of this seed.
      std: the noise's standard deviation, from 0 to LARGEST_STD.
      fraction: how far along, from 0 to 1.

    Raises:
      UserError: for anything else.
    """
    ends = _place("first picture", first, first_number), _place("second picture", second, second_number)
    return Walk(condition, *ends, _number("spread", std, LARGEST_STD), _number("way", fraction, 1.0))


def codes(known: infogan.Codes, seed: Any, classes: Sequence[Any], values: Sequence[Any]) -> Codes:
    """Checks which codes are set.

    Args:
      known: the codes that the run has.
      seed: a whole number from 0 to LARGEST_SEED.
      classes: for each categorical code a class, or ANY; what goes beyond the codes of the run is not looked at.
      values: for each continuous code a number from −FARTHEST_CODE to FARTHEST_CODE, likewise.

    Raises:
      UserError: for anything else.
    """
    chosen = {
        code: _choice(f"code {code + 1}", value, (ANY, *range(size)))
        for code, (size, value) in enumerate(zip(known.categorical, classes, strict=False))
    }
    numbers = {
        code: _number(f"continuous code {code + 1}", value, FARTHEST_CODE, -FARTHEST_CODE)
        for code, value in enumerate(values[: known.continuous])
    }
    return Codes(_seed("seed", seed), {code: value for code, value in chosen.items() if value != ANY}, numbers)


def edit(found: Directions, seed: Any, classes: Sequence[Any], strengths: Sequence[Any]) -> Edit:
    """Checks what pictures are moved toward.

    Args:
      found: the directions of the run.
      seed: a whole number from 0 to LARGEST_SEED.
      classes: for each kind a class that has a direction, or ANY; what goes beyond the kinds is not looked at.
      strengths: for each kind a number from −STRONGEST to STRONGEST, likewise.

    Raises:
      UserError: for anything else.
    """
    asked = {}
    for kind, chosen, strength in zip(found.kinds, classes, strengths, strict=False):
        name = _choice(kind.name, chosen, (ANY, *editable(found, kind)))
        value = _number(f"strength of {kind.name}", strength, STRONGEST, -STRONGEST)
        if name != ANY:
            asked[kind.start + kind.classes.index(name)] = value
    return Edit(_seed("seed", seed), asked)


def editable(found: Directions, kind: Head) -> list[str]:
    """Lists the classes of a kind that have a direction."""
    return [name for index, name in enumerate(kind.classes) if found.known[kind.start + index]]


def translation(able: Abilities, direction: Any, into: Any) -> tuple[str | None, str | None]:
    """Returns the direction of a translation, or the condition to translate into; None where there is none to choose.

    Args:
      able: what the run can do.
      direction: one of its directions; looked at where it has some.
      into: one of its classes, or ANY; looked at where it translates into classes.

    Raises:
      UserError: for anything else, or a run that translates nothing.
    """
    if able.classes:
        chosen = _choice("into", into, (ANY, *able.classes))
        return None, None if chosen == ANY else chosen
    if not able.directions:
        raise UserError("translation: this run translates no pictures")
    return _choice("direction", direction, able.directions), None


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


def _place(name: str, seed: Any, number: Any) -> Place:
    if not _is_whole(number) or not 1 <= number <= LAST_NUMBER:
        raise UserError(f"{name}: must be a whole number from 1 to {LAST_NUMBER}, not {printable(number)}")
    return Place(_seed(f"seed of the {name}", seed), int(number))


def _number(name: str, value: Any, largest: float, least: float = 0.0) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not least <= value <= largest:
        raise UserError(f"{name}: must be a number from {least:g} to {largest:g}, not {printable(value)}")
    return float(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())
