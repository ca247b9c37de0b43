"""Tags of one's own in `tags.csv`: a table with a column for each attribute, or any words, which are the vocabulary."""

import os
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from jaxgan.data.tags import rows_of
from jaxgan.host.errors import UserError, printable

IDENTIFIERS = frozenset({"id", "image", "image_id", "img", "file", "filename", "file_name", "name", "path"})
"""What the first column of a table may be called, in lower case."""

TEXTS = frozenset({"tag", "tags", "text", "caption", "label", "labels", "class"})
"""What a single column is called that holds tags, and is no attribute."""

ON = frozenset({"1", "1.0", "true", "yes", "y", "x"})
OFF = frozenset({"", "0", "0.0", "-1", "false", "no", "n"})
MOST = 1000
"""Number of names beyond which they are no vocabulary."""

Tags = tuple[dict[str, np.ndarray], tuple[str, ...]]


def read_table(path: str | os.PathLike) -> Tags | None:
    """Reads `tags.csv` as a table: a first line `id,smile,hair`, and a line for each picture, such as `7,1,red`.

    A column of 1 and 0 (also -1, yes, no, true, false, or nothing) is a condition of its name. Of a column of words
    each word is one, such as "red hair".

    Returns:
      The picture's id -> its condition, uint8 (c,), and the c names; None if the first line is no such heading.

    Raises:
      UserError: if the file cannot be read, a line has more or fewer fields, or there are too many names.
    """
    lines = list(rows_of(path))
    if not lines or lines[0].identifier.lower() not in IDENTIFIERS or _holds_tags(lines[0].texts):
        return None
    columns = [column.strip() for column in lines[0].texts]
    if len(set(columns)) < len(columns) or "" in columns:
        raise UserError(f"{lines[0].where}: two columns have the same name, or one has none; name each")
    cells: dict[str, list[str]] = {}
    for line in lines[1:]:
        if len(line.texts) != len(columns):
            raise UserError(f"{line.where}: has {len(line.texts)} fields after its id, and the heading {len(columns)}")
        cells[line.identifier] = [cell.strip() for cell in line.texts]
    tagged: dict[str, list[str]] = {identifier: [] for identifier in cells}
    names: list[str] = []
    for index, column in enumerate(columns):
        found = {identifier: row[index] for identifier, row in cells.items()}
        if {cell.lower() for cell in found.values()} <= ON | OFF:
            name_of = {identifier: column for identifier, cell in found.items() if cell.lower() in ON}
            names.append(column)
        else:
            name_of = {identifier: f"{cell} {column}" for identifier, cell in found.items() if cell}
            names += sorted(set(name_of.values()))
        for identifier, name in name_of.items():
            tagged[identifier].append(name)
    return _told(path, _encoded(tagged, names, path))


def read_words(path: str | os.PathLike) -> Tags | None:
    """Reads `tags.csv` with any tags, such as `7,smile,long hair`: those that it has are the conditions.

    Returns:
      The picture's id -> its condition, uint8 (c,), and the c names in alphabetical order; None for fewer than two.

    Raises:
      UserError: if the file cannot be read, or has too many different tags.
    """
    lines = list(rows_of(path))
    if lines and lines[0].identifier.lower() in IDENTIFIERS and _holds_tags(lines[0].texts):
        lines = lines[1:]
    parts = {line.identifier: [part for text in line.texts for part in text.split(",")] for line in lines}
    tagged = {key: [" ".join(part.split()) for part in found if part.strip()] for key, found in parts.items()}
    names = sorted({tag for found in tagged.values() for tag in found})
    return _told(path, _encoded(tagged, names, path)) if len(names) > 1 else None


def _holds_tags(columns: Sequence[str]) -> bool:
    return len(columns) == 1 and columns[0].strip().lower() in TEXTS


def _encoded(tagged: Mapping[str, Sequence[str]], names: Sequence[str], path: str | os.PathLike) -> Tags:
    if len(names) > MOST:
        raise UserError(f"{printable(path)}: has {len(names)} different tags, and at most {MOST} can be conditions")
    place = {name: index for index, name in enumerate(names)}
    conditions = {identifier: np.zeros(len(names), np.uint8) for identifier in tagged}
    for identifier, found in tagged.items():
        conditions[identifier][[place[name] for name in found]] = 1
    return conditions, tuple(names)


def _told(path: str | os.PathLike, read: Tags) -> Tags:
    names = read[1]
    few = ", ".join(map(printable, names[:8])) + ", ..." * (len(names) > 8)
    print(f"{printable(path)}: the conditions are its own {len(names)} tags: {few}", file=sys.stderr)
    return read
