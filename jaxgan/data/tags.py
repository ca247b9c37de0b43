"""Hair and eye colours as condition vectors, and the files that hold them."""

import csv
import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.host.errors import UserError, printable

HAIR = ("orange", "white", "aqua", "gray", "green", "red", "purple", "pink", "blue", "black", "brown", "blonde")
EYES = ("gray", "black", "orange", "pink", "yellow", "aqua", "purple", "green", "brown", "red", "blue")
CONDITION_NAMES = (*(f"{colour} hair" for colour in HAIR), *(f"{colour} eyes" for colour in EYES))
"""The 23 tags of tutorial 000, in the order of the condition vector."""


def parse_condition(text: str, names: Sequence[str] = CONDITION_NAMES) -> np.ndarray:
    """Converts a line such as "blue hair red eyes" to a condition vector.

    Args:
      text: one or more of the names; commas and repeated spaces are ignored, and case where no two names differ in it
        alone.
      names: names of the elements of the vector.

    Returns:
      (len(names),) uint8 multi-hot.

    Raises:
      UserError: if no name is given, or a name is unknown or may be one of several; the message suggests which.
    """
    words = text.replace(",", " ").split()
    condition = np.zeros(len(names), np.uint8)
    position = 0
    while position < len(words):
        index, length = _name_at(words, position, names)
        if index is None:
            raise UserError(_unknown_name(_lowered(words[position:]), text, names))
        condition[index] = 1
        position += length
    if not condition.any():
        raise UserError(f'the condition "{printable(text)}" is empty: give for example "{names[0]}"')
    return condition


def read_conditions(path: str | os.PathLike, names: Sequence[str] = CONDITION_NAMES) -> np.ndarray:
    """Reads a file with one condition per line, such as "blue hair red eyes"; blank lines are skipped.

    Args:
      path: the file.
      names: names of the elements of a condition.

    Returns:
      (lines, len(names)) uint8 multi-hot.

    Raises:
      UserError: if the file cannot be read, is empty, or has an invalid line, whose number is named.
    """
    conditions = []
    for number, line in enumerate(_read_lines(Path(path)), start=1):
        if line.strip():
            try:
                conditions.append(parse_condition(line, names))
            except UserError as error:
                raise UserError(f"{printable(path)}, line {number}: {error.as_flags}") from None
    if not conditions:
        raise UserError(f'{printable(path)} holds no condition: write one a line, for example "blue hair red eyes"')
    return np.stack(conditions)


class Row(NamedTuple):
    """A line of `tags.csv`.

    Attributes:
      where: the file and the number of the line, for messages.
      identifier: the picture's id.
      texts: the other fields.
    """

    where: str
    identifier: str
    texts: list[str]


def rows_of(path: str | os.PathLike) -> Iterator[Row]:
    """Yields the lines of `tags.csv`, but for blank ones.

    Raises:
      UserError: if the file cannot be read, or a line has another form or repeats an id; the message names the line.
    """
    seen: set[str] = set()
    for number, line in enumerate(_read_lines(Path(path)), start=1):
        if not line.strip():
            continue
        where = f"{printable(path)}, line {number}"
        try:
            (identifier, *texts), *_ = csv.reader([line])
        except csv.Error as error:
            raise UserError(f"{where}: cannot be read as CSV ({printable(error)})") from None
        identifier = identifier.strip()
        if not texts or not identifier:
            raise UserError(f'{where}: "{printable(line)}" is not of the form "2,blonde hair pink eyes"')
        if identifier in seen:
            raise UserError(f"{where}: the id {printable(identifier)} is on an earlier line too; keep one of them")
        seen.add(identifier)
        yield Row(where, identifier, texts)


def read_tags(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads `tags.csv`, whose lines are `id,tag text`, such as "2,blonde hair pink eyes" (tutorial 000).

    Other words between the tags are ignored, a comma ends a tag, and fields may be quoted as in any CSV file.

    Returns:
      The picture's id, such as its file name without the extension -> (23,) uint8 multi-hot, 0 where there is no tag.

    Raises:
      UserError: if the file cannot be read, or a line has another form or repeats an id; the message names the line.
    """
    return {
        row.identifier: np.maximum.reduce([_tags_in(part) for text in row.texts for part in text.split(",")])
        for row in rows_of(path)
    }


def _tags_in(text: str) -> np.ndarray:
    words = text.lower().split()
    condition = np.zeros(len(CONDITION_NAMES), np.uint8)
    for position in range(len(words)):
        index, _ = _name_at(words, position, CONDITION_NAMES)
        if index is not None:
            condition[index] = 1
    return condition


def _name_at(words: list[str], position: int, names: Sequence[str]) -> tuple[int | None, int]:
    """Finds the longest name at `position` of the words; returns its index, or None, and its number of words.

    Raises:
      UserError: if several names differ from the words in case alone, and none is equal to them.
    """
    found: dict[int, list[int]] = {}
    for index, name in enumerate(names):
        parts = _words_of(name)
        if parts and _lowered(words[position : position + len(parts)]) == _lowered(parts):
            found.setdefault(len(parts), []).append(index)
    if not found:
        return None, 0
    length = max(found)
    asked = words[position : position + length]
    alike = [index for index in found[length] if _words_of(names[index]) == asked] or found[length]
    if len(alike) > 1:
        raise UserError(
            f'"{printable(" ".join(asked))}" may be {" or ".join(printable(names[index]) for index in alike)};'
            " spell it as one of them"
        )
    return alike[0], length


def _words_of(name: str) -> list[str]:
    return name.replace(",", " ").split()


def _lowered(words: Sequence[str]) -> list[str]:
    return [word.lower() for word in words]


def _unknown_name(rest: list[str], text: str, names: Sequence[str]) -> str:
    length = max(len(name.split()) for name in names)
    problem = f'the condition "{printable(text)}" has no known name at'
    candidates = [" ".join(rest[:count]) for count in range(length, 0, -1)]
    lowered = {name.lower(): name for name in names}
    for candidate in candidates:
        nearest = difflib.get_close_matches(candidate, lowered, n=1)
        if nearest:
            known = lowered[nearest[0]]
            return f'{problem} "{printable(candidate)}": did you mean "{known}"?'
    return f'{problem} "{printable(candidates[0])}": choose from {", ".join(names)}'


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(f"{printable(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{printable(path)} is not a UTF-8 text file") from None
