"""Matching of the lines of a tag table with the files of pictures, whose names may be spelt another way."""

import dataclasses
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from jaxgan.data.decode import EXTENSIONS
from jaxgan.host.errors import UserError, printable


@dataclasses.dataclass(frozen=True)
class Matches:
    """What belongs together, and what was left over.

    Attributes:
      identifier_of: path of a picture -> the id of its line.
      pictures: paths of the pictures that no line belongs to, in their order.
      identifiers: ids of the lines that belong to no picture, in their order.
    """

    identifier_of: dict[str, str]
    pictures: tuple[str, ...]
    identifiers: tuple[str, ...]


def match(identifiers: Iterable[str], paths: Iterable[str]) -> Matches:
    """Finds the picture of each id.

    An id is looked for as the path of a file, as its path without the extension, as its name, and as its name without
    the extension; then without regard to case, Unicode form, leading zeros of numbers and extensions, where no two ids
    and no two files are alike in that sense. What a stricter way has matched is left out of the next.

    Args:
      identifiers: the ids, each once.
      paths: paths of the files within their folder.

    Raises:
      UserError: if an id is the name of several files, without their extensions.
    """
    all_paths, all_identifiers = tuple(paths), tuple(identifiers)
    left_paths, left_identifiers = all_paths, all_identifiers
    found: dict[str, str] = {}
    for way in _WAYS:
        files, lines = _grouped(left_paths, way), _grouped(left_identifiers, _same)
        for key in lines.keys() & files.keys():
            if way is _stem and len(files[key]) > 1:
                both = f"{printable(files[key][0])} and {printable(files[key][1])}"
                raise UserError(f"the id {printable(key)} belongs to two files, {both}; rename one of them")
            if len(files[key]) == len(lines[key]) == 1:
                found[files[key][0]] = lines[key][0]
        left_paths, left_identifiers = _left(left_paths, found), _left(left_identifiers, set(found.values()))
    for way in (loosely, lambda path: loosely(_name(path))):
        files, lines = _grouped(all_paths, way), _grouped(all_identifiers, way)
        alone = {key for key in lines.keys() & files.keys() if len(files[key]) == len(lines[key]) == 1}
        found = {**{files[key][0]: lines[key][0] for key in alone}, **found}
    return Matches(found, _left(all_paths, found), _left(all_identifiers, set(found.values())))


def loosely(name: str) -> str:
    """Returns a name without what spellings of it differ in: case, Unicode form, leading zeros and the extension."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", _without_extension(name)).casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    return _without_extension(_name(path))


def _without_extension(path: str) -> str:
    stem, extension = os.path.splitext(path)
    return stem if extension.lower() in EXTENSIONS else path


def _same(text: str) -> str:
    return text


_WAYS: tuple[Callable[[str], str], ...] = (_same, _without_extension, _name, _stem)
"""What of a path an id may be, letter by letter."""


def _left(names: Iterable[str], taken: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in taken)


def _grouped(names: Collection[str], key: Callable[[str], str]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return groups
