"""Lists of conditions for previews, and names of conditions."""

import numpy as np

from jaxgan.data import tags
from jaxgan.data.heads import heads_of

FACES = (
    "blue hair red eyes",
    "blonde hair green eyes",
    "pink hair purple eyes",
    "black hair brown eyes",
    "green hair blue eyes",
)
"""Conditions in the preview of faces with tags."""


def are_tags(names: tuple[str, ...]) -> bool:
    """Whether conditions are hair and eye colours (the tags of tutorial 000), rather than classes."""
    return names == tags.CONDITION_NAMES


def every(names: tuple[str, ...], condition_dim: int) -> np.ndarray:
    """Lists every condition: the classes, or for tags each eye colour of each hair colour.

    Args:
      names: names of the elements of a condition.
      condition_dim: length of a condition.

    Returns:
      uint8 (k, condition_dim).
    """
    if not are_tags(names):
        return np.eye(condition_dim, dtype=np.uint8)
    hair, eyes = np.indices((len(tags.HAIR), len(tags.EYES))).reshape(2, -1)
    conditions = np.zeros((len(hair), len(names)), np.uint8)
    conditions[np.arange(len(hair)), hair] = 1
    conditions[np.arange(len(hair)), len(tags.HAIR) + eyes] = 1
    return conditions


def in_turn(names: tuple[str, ...], condition_dim: int, count: int) -> np.ndarray:
    """Cycles through every condition.

    Args:
      names: names of the elements of a condition.
      condition_dim: length of a condition.
      count: number of conditions to return.

    Returns:
      uint8 (count, condition_dim).
    """
    conditions = every(names, condition_dim)
    stride = 7 if are_tags(names) else 1  # so that a few pictures already show many hair colours
    return conditions[np.arange(count) * stride % len(conditions)]


def row_length(names: tuple[str, ...], condition_dim: int) -> int:
    """Returns the number of conditions in a row of a grid: all eye colours of one hair colour, or all classes."""
    return len(tags.EYES) if are_tags(names) else condition_dim


def captions(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the captions of the rows and of the columns of a grid of every condition, see `row_length`."""
    return (names[: len(tags.HAIR)], names[len(tags.HAIR) :]) if are_tags(names) else ((), names)


def attribute_sizes(names: tuple[str, ...]) -> tuple[int, ...]:
    """Returns the number of columns of each attribute of a condition, such as (12, 11) for hair and eyes."""
    return tuple(len(head.classes) for head in heads_of(names))


def name_of(condition: np.ndarray, names: tuple[str, ...]) -> str:
    """Returns the name of a condition (c,), such as "blue hair red eyes"."""
    return " ".join(name for name, chosen in zip(names, condition, strict=True) if chosen)
