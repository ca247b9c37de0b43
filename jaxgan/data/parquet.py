"""Image source that reads Parquet files, and data sets that the `datasets` library has saved to disk, by PyArrow."""

import contextlib
import io
import json
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data import cache
from jaxgan.data.decode import EXTENSIONS, VERSION, decode, is_colour
from jaxgan.data.examples import Examples
from jaxgan.data.workers import Chunk
from jaxgan.host.errors import NoSuchSplit, UserError, printable

SUFFIXES = (".parquet", ".arrow")
IMAGES, LABELS = ("image", "images", "img", "picture", "png", "jpg"), ("label", "labels", "class", "fine_label")
"""The names that columns may have, in the order in which they are looked for."""

_LOOK = 100  # pictures of which one with colours makes all of them so


def files_of(path: str | os.PathLike) -> list[Path]:
    """Lists the files of a data set: itself, or those in a folder, at any depth; hidden ones are left out."""
    root = Path(os.path.expanduser(path))
    if root.is_file():
        return [root] if root.suffix.lower() in SUFFIXES else []
    found = (file for suffix in SUFFIXES for file in root.rglob(f"*{suffix}"))
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(root).parts))


def is_table(path: str | os.PathLike) -> bool:
    """Whether a path is a Parquet or Arrow file, or a folder with such files and no pictures beside them."""
    root = Path(os.path.expanduser(path))
    if not root.is_dir():
        return bool(files_of(root))
    names = [name for _, _, files in os.walk(root) for name in files]
    suffixes = {os.path.splitext(name)[1].lower() for name in names}
    return bool(suffixes & set(SUFFIXES)) and not suffixes & EXTENSIONS


def load(
    path: str | os.PathLike,
    image_size: int,
    *,
    labels: bool = False,
    split: str = "train",
    cache_dir: str | os.PathLike | None = None,
) -> Examples:
    """Opens the pictures of Parquet or Arrow files; their middle squares are resized to `image_size`.

    A column holds the files of the pictures, as bytes or as {"bytes": …}, the `datasets` library's way. A column of
    labels holds whole numbers from 0; the names of their classes are those that the library has noted.

    Args:
      path: a file, or a folder with such files: `train-….parquet` or `train/…` are of the split "train". Where no name
        says a split, all of them are.
      image_size: height and width of the pictures, in pixels.
      labels: whether to read the labels.
      split: the split.
      cache_dir: see `cache.cache_directory`.

    Raises:
      NoSuchSplit: if no file is of the split, and some are of others.
      UserError: if PyArrow is missing, a file cannot be read, or a column is missing or wrong.
    """
    root = Path(os.path.expanduser(path)).resolve()
    where = f"--data_dir={printable(root)}"
    files = _of_split(files_of(root), root, split, where)
    stats = [file.stat() for file in files]
    identity = [
        [os.fsencode(file).hex(), stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)
    ]
    settings = {"files": identity, "image_size": image_size, "labels": labels, "decoding": VERSION}
    found = cache.find("parquet", settings, cache_dir=cache_dir)
    if found is not None:
        return found
    _import_pyarrow(where)
    try:
        image, label, names = _columns(files[0], labels, where)
        head = [row for _, row in zip(range(_LOOK), _rows(files, image, label, where), strict=False)]
        channels = 3 if any(is_colour(io.BytesIO(data)) for data, _ in head) else 1
        numbers = [number for _, number in _rows(files, image, label, where)] if label else []
        names = names or tuple(map(str, range(max(numbers, default=-1) + 1))) if label else ()
        shape = (image_size, image_size, channels)
        return cache.build(
            "parquet",
            settings,
            _decoded(files, image, label, names, shape, where),
            _count(files),
            shape,
            condition_names=names,
            cache_dir=cache_dir,
            description="decoding pictures",
        )
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # PyArrow's own errors, and those of damaged files
        raise UserError(f"{where}: cannot be read ({printable(error)})") from error


def _import_pyarrow(where: str) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UserError(f"{where}: Parquet files need PyArrow: pip install 'jaxgan[parquet]'") from None


def _of_split(files: Sequence[Path], root: Path, split: str, where: str) -> list[Path]:
    named = {file: _split_of(file, root) for file in files}
    there = sorted({name for name in named.values() if name is not None})
    if not there and split == "train":
        return list(files)
    chosen = [file for file, name in named.items() if name == split]
    if not chosen:
        raise NoSuchSplit(f"{where} has no split {printable(split)}; it has {', '.join(there or ['train'])}")
    return chosen


def _split_of(file: Path, root: Path) -> str | None:
    """Returns the split that the name of a file or of its folder says, or None."""
    found = re.match(r"(train|test|validation|valid|val|dev)\b", file.name)
    folders = file.parent.relative_to(root).parts if root.is_dir() else ()
    of_folder = [part for part in folders if part in ("train", "test", "validation", "valid", "val", "dev")]
    return of_folder[-1] if of_folder else found[1] if found else None


def _columns(file: Path, labels: bool, where: str) -> tuple[str, str | None, tuple[str, ...]]:
    """Returns the column of pictures, that of labels or None, and the names of the classes or ()."""
    schema = _schema(file)
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    kinds = {name: feature.get("_type") for name, feature in features.items() if isinstance(feature, dict)}
    image = _first([name for name in schema.names if kinds.get(name) == "Image"], IMAGES, schema.names)
    if image is None:
        raise UserError(f"{where}: has no column `image`, but {', '.join(map(printable, schema.names))}")
    if not labels:
        return image, None, ()
    label = _first([name for name in schema.names if kinds.get(name) == "ClassLabel"], LABELS, schema.names)
    if label is None:
        raise UserError(f"{where}: a conditional model needs labels too; add a column `label` of whole numbers")
    return image, label, tuple(map(str, features.get(label, {}).get("names", ())))


def _first(of_kind: Sequence[str], names: Sequence[str], there: Sequence[str]) -> str | None:
    return next(iter([*of_kind, *(name for name in names if name in there)]), None)


def _schema(file: Path) -> Any:
    with _opened(file) as table:
        return table.schema if file.suffix.lower() == ".arrow" else table.schema_arrow


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    if file.suffix.lower() == ".parquet":
        with pyarrow.parquet.ParquetFile(file) as table:
            yield table
    else:
        with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_stream(source) as table:
            yield table


def _batches(file: Path) -> Iterator[Any]:
    with _opened(file) as table:
        yield from table if file.suffix.lower() == ".arrow" else table.iter_batches(batch_size=256)


def _count(files: Sequence[Path]) -> int:
    return sum(batch.num_rows for file in files for batch in _batches(file))


def _rows(files: Sequence[Path], image: str, label: str | None, where: str) -> Iterator[tuple[bytes, int]]:
    """Yields the file of each picture and its label, 0 without."""
    number = 0
    for file in files:
        for batch in _batches(file):
            pictures = batch.column(image).to_pylist()
            labels = batch.column(label).to_pylist() if label else [0] * len(pictures)
            for picture, of_class in zip(pictures, labels, strict=True):
                content = picture.get("bytes") if isinstance(picture, dict) else picture
                if not isinstance(content, bytes):
                    raise UserError(f"{where}: row {number} has no bytes in `{printable(image)}`; embed the pictures")
                if not isinstance(of_class, int) or of_class < 0:
                    raise UserError(f"{where}: row {number} has the label {printable(of_class)}; number classes from 0")
                yield content, of_class
                number += 1


def _decoded(
    files: Sequence[Path],
    image: str,
    label: str | None,
    names: Sequence[str],
    shape: tuple[int, int, int],
    where: str,
) -> Generator[Chunk, None, None]:
    """Yields the pictures and their conditions, a few megabytes at a time."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    for number, (content, of_class) in enumerate(_rows(files, image, label, where)):
        if names and of_class >= len(names):
            raise UserError(f"{where}: row {number} has the label {of_class}, and there are {len(names)} classes")
        try:
            images.append(decode(io.BytesIO(content), shape[0], shape[2]))
        except Exception as error:  # Pillow raises almost anything for a damaged file
            raise UserError(f"{where}: the picture of row {number} cannot be read ({printable(error)})") from error
        labels.append(of_class)
        if len(images) == cache.chunk_length(shape):
            yield _chunk(images, labels, names)
            images, labels = [], []
    if images:
        yield _chunk(images, labels, names)


def _chunk(images: Sequence[np.ndarray], labels: Sequence[int], names: Sequence[str]) -> Chunk:
    return Chunk(np.stack(images), np.eye(len(names), dtype=np.uint8)[list(labels)] if names else None)
