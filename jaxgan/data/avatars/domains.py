"""Two domains of faces that differ in one colour, such as that of the hair: the same face can be drawn in both.

A translation from one into the other has a right answer, pixel by pixel, which training never sees: no face is in both
domains, and the right answers are drawn of other faces.
"""

import dataclasses
import functools
import os
from typing import Any

import numpy as np

from jaxgan.data import avatars, cache
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.palette import CONDITION_NAMES, EYE_COLOURS, HAIR_COLOURS, condition
from jaxgan.data.avatars.scene import paint
from jaxgan.data.avatars.traits import choose
from jaxgan.data.examples import Examples
from jaxgan.data.pairs import split_pairs
from jaxgan.host.errors import UserError, printable

_EDITION = 2  # raised when the faces of a domain change, so that cached ones are redrawn


def draw_in(
    index: int, *, seed: int, size: int, part: str, colours: tuple[int, ...], domains: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face in one or several colours of a part, in the form that the cache expects.

    Args:
      index: number of the face in the set.
      seed: random seed of the set.
      size: side of a picture in pixels.
      part: "hair" or "eyes".
      colours: indices into `HAIR_COLOURS` or `EYE_COLOURS`.
      domains: those of both domains. Backgrounds and accessories suit either, so that nothing else tells them apart.

    Returns:
      The face in each colour, from top to bottom, uint8 (len(colours)·size, size, 3), and the condition vector of the
      first, uint8 (23,).
    """
    dice = Dice(seed, index)
    plain = choose(dice)
    if part == "hair":
        plain = dataclasses.replace(plain, against=domains)
    of_part: list[dict[str, Any]] = [{part: colour} for colour in colours]
    every = [dataclasses.replace(plain, **changed) for changed in of_part]
    return np.concatenate([paint(traits, dice, size) for traits in every]), condition(every[0].hair, every[0].eyes)


def load(
    *,
    domain_a: str,
    domain_b: str,
    size: int,
    count: int = 30_000,
    seed: int = 0,
    with_inputs: bool = False,
    cache_dir: str | os.PathLike | None = None,
) -> dict[str, Examples]:
    """Opens two sets of faces, each with one colour of its own; draws them where they are not cached.

    Args:
      domain_a: the colour of the faces of domain A, such as "blonde hair"; everything else of them is any.
      domain_b: another colour of the same part, for domain B.
      size: side of the pictures in pixels, 16 to 256.
      count: number of faces in each domain.
      seed: random seed of the sets.
      with_inputs: whether to draw each face in the other domain's colour as well.
      cache_dir: directory of the cache; None selects the user's cache directory.

    Returns:
      "a" and "b": `count` examples each, "image", uint8 (size, size, 3), and "condition", uint8 (23,). With
      `with_inputs` also "input": the same faces in the other domain, whose right translations the images are.

    Raises:
      UserError: if a colour is unknown, both are the same or of different parts, or an argument is out of range.
    """
    part, colours = _colours(domain_a, domain_b)
    avatars.check_set(size, count)
    found = {}
    for number, name in enumerate(("a", "b")):
        drawn = (colours[number], colours[1 - number]) if with_inputs else (colours[number],)
        settings = {
            "edition": [avatars.EDITION, _EDITION],
            "part": part,
            "colours": list(drawn),
            "domains": list(colours),
            "domain": number,
            "size": size,
            "count": count,
            "seed": seed,
        }
        examples = cache.load_or_build(
            "avatars_domains",
            settings,
            count,
            (len(drawn) * size, size, 3),
            functools.partial(
                _draw_of_domain, number=number, seed=seed, size=size, part=part, colours=drawn, domains=colours
            ),
            condition_names=CONDITION_NAMES,
            cache_dir=cache_dir,
            description=f"drawing avatars of domain {name.upper()}",
        )
        found[name] = split_pairs(examples) if with_inputs else examples
    return found


def _draw_of_domain(index: int, *, number: int, **of_face: Any) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face of domain `number`; the domains take turns, so that no face is in both."""
    return draw_in(2 * index + number, **of_face)


def _colours(domain_a: str, domain_b: str) -> tuple[str, tuple[int, int]]:
    """Returns the part that both domains name, "hair" or "eyes", and the colours as indices."""
    known = {f"{colour} hair": ("hair", index) for index, colour in enumerate(HAIR_COLOURS)}
    known |= {f"{colour} eyes": ("eyes", index) for index, colour in enumerate(EYE_COLOURS)}
    for flag, value in (("domain_a", domain_a), ("domain_b", domain_b)):
        if value not in known:
            raise UserError(f"--{flag}={printable(value)}: choose one of {', '.join(known)}")
    (part, first), (other, second) = known[domain_a], known[domain_b]
    if part != other or first == second:
        raise UserError(f"--domain_b={domain_b}: must be another colour of the {part} than --domain_a={domain_a}")
    return part, (first, second)
