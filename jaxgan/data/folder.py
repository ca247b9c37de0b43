"""Image source that reads a folder of pictures."""

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import cache, framing, own_tags, workers
from jaxgan.data.class_folders import classes_of
from jaxgan.data.decode import EXTENSIONS, OTHER_EXTENSIONS, VERSION, decode, is_colour, size_of
from jaxgan.data.examples import Examples
from jaxgan.data.tag_matching import match
from jaxgan.data.tags import CONDITION_NAMES, read_tags
from jaxgan.data.workers import Chunk
from jaxgan.host.errors import UserError, printable

TAG_FILE = "tags.csv"
WRITTEN_BY_A_RUN = frozenset(
    {"samples", "real.png", "losses.png", "evolution.gif", "checkpoints", "tensorboard", "wandb"}
)
"""What a workdir holds of pictures and of directories; it may lie in a folder of pictures, or be one."""

WORST_SHARE = 0.1
"""Share of pictures that may be unreadable or without a partner; of more, the folder is refused."""
_NAMED_FILES = 5
_UNREADABLE = "unreadable"


def load(
    path: str | os.PathLike,
    image_size: int,
    *,
    channels: int | None = None,
    cache_dir: str | os.PathLike | None = None,
    tags: bool = False,
) -> Examples:
    """Opens all pictures in a folder and its subfolders, decoding them in parallel the first time.

    JPEG, PNG, WebP, BMP, GIF and TIFF files (first frame) are found by their extension, in the order of their paths.
    Hidden files and folders, what a training run has written, and all other files are skipped; pictures of other
    formats are counted. Symbolic links are not followed. Each picture is turned upright and put over white, and its
    middle square is resized to `image_size`. The cache is keyed by the paths, sizes and times of the files, so a second
    run does not read them.

    Args:
      path: the folder.
      image_size: height and width of the pictures, in pixels.
      channels: 1 or 3; None selects 1 if every picture is grey, else 3.
      cache_dir: see `cache.cache_directory`.
      tags: whether to read conditions from `tags.csv` in the folder: a table (`own_tags.read_table`), the tags of
        tutorial 000 (`read_tags`; only pictures with one or two are used), or any others (`own_tags.read_words`). A
        line `7,red hair` belongs to the file `7.jpg` in any subfolder; see `tag_matching.match`. Without that file
        each subfolder is a class.

    Raises:
      UserError: if the folder is missing or has no pictures, more than a tenth of them cannot be read or have no line
        among the tags, or the tags are missing or wrong.
      ValueError: if the size or the number of channels is invalid.
    """
    if image_size < 1 or channels not in (None, 1, 3):
        raise ValueError(f"image_size must be positive and channels 1, 3 or None: {image_size}, {channels}")
    root = Path(os.path.expanduser(path)).resolve()
    files = list_files(root, path)
    conditions, names = _conditions(root, files) if tags else (None, ())
    if conditions is not None:
        files = [file for file in files if file.path in conditions]
    settings = {
        "folder": os.fsencode(root).hex(),
        "listing": digest_of_lines([repr(tuple(file)) for file in files]),
        "conditions": None
        if conditions is None
        else digest_of_lines([str(conditions[file.path].tolist()) for file in files]),
        "names": list(names),
        "image_size": image_size,
        "channels": channels,
        "decoding": VERSION,
    }
    found = cache.find("folder", settings, cache_dir=cache_dir)
    return found or _build(root, files, conditions, settings, cache_dir)


class File(NamedTuple):
    """A picture file as it was when the folder was listed."""

    path: str  # within the folder
    size: int  # bytes
    modified: int  # nanoseconds


def list_files(root: Path, shown: str | os.PathLike) -> list[File]:
    """Lists the pictures of a folder in the order of their paths; tells of those that are left out.

    Args:
      root: the folder.
      shown: the folder as the user named it.

    Raises:
      UserError: if it is missing or has no pictures.
    """
    if root.is_file():
        raise UserError(
            f"--data_dir={printable(shown)}: is a file; give a folder of pictures, or a .npz or .npy file of them"
        )
    if not root.is_dir():
        raise UserError(f"--data_dir={printable(shown)}: there is no such folder; give a folder of pictures")
    links: list[str] = []
    others: list[str] = []
    try:
        files = sorted(_walk(str(root), links, others))
    except OSError as error:
        raise UserError(
            f"--data_dir={printable(shown)}: {printable(error.filename)} cannot be read: {error.strerror}"
        ) from None
    left_out = []
    if links:
        left_out.append(f"{len(links)} symbolic links, which are not followed, were left out")
    if others:
        left_out.append(
            f"{len(others)} pictures of other formats were left out: {first_few(sorted(others))} (save them as PNG)"
        )
    if not files:
        extensions = " ".join(sorted(EXTENSIONS))
        said = "; ".join([*left_out, *(["give the folder that they lead to"] if links else [])])
        raise UserError(
            f"--data_dir={printable(shown)}: there are no pictures in this folder"
            f" ({said or f'pictures end in {extensions}'};"
            " a directory of TFDS needs the name of a data set too, such as --dataset=mnist)"
        )
    for line in left_out:
        print(f"{printable(shown)}: {line}", file=sys.stderr)
    return files


def _walk(root: str, links: list[str], others: list[str]) -> Iterator[File]:
    """Yields the pictures; adds the paths of symbolic links, and of pictures of other formats, to the lists."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(os.path.join(root, folder)) as opened:
            entries = [entry for entry in opened if not entry.name.startswith(".")]
        if _is_run({entry.name for entry in entries}):
            # A workdir is passed over; of a folder of pictures that is one too, only what the run wrote.
            entries = [] if folder else [entry for entry in entries if entry.name not in WRITTEN_BY_A_RUN]
        for entry in entries:
            path = os.path.join(folder, entry.name)
            is_picture = os.path.splitext(entry.name)[1].lower() in EXTENSIONS
            if entry.is_symlink():
                if is_picture or entry.is_dir():
                    links.append(path)
            elif entry.is_dir():
                folders.append(path)
            elif is_picture and entry.is_file():
                status = entry.stat()
                yield File(path, status.st_size, status.st_mtime_ns)
            elif os.path.splitext(entry.name)[1].lower() in OTHER_EXTENSIONS:
                others.append(path)


def _is_run(names: set[str]) -> bool:
    """Whether a directory with these files is that of a run: it has a description of its pictures, and more."""
    return "dataset.json" in names and not names.isdisjoint({"flags.txt", "metrics.jsonl", "checkpoints", "real.png"})


def _conditions(root: Path, files: Sequence[File]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Maps the path of each picture to its condition, and names its elements: tags, or a class for each subfolder."""
    if (root / TAG_FILE).exists():
        return _tagged(root, files)
    found = classes_of([file.path for file in files])
    if found is None:
        raise UserError(
            f"--data_dir={printable(root)}: a conditional model needs {TAG_FILE} there, a line `id,tags` each, or a"
            " folder of pictures for each class"
        )
    return found


def _tagged(root: Path, files: Sequence[File]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Maps the path of each picture to its condition, and names its elements; tells of what belongs to nothing.

    Of tutorial 000's tags only pictures with one or two are taken.
    """
    where = printable(root / TAG_FILE)
    by_identifier, names_of_tags = _read_conditions(root / TAG_FILE)
    try:
        matches = match(by_identifier, [file.path for file in files])
    except UserError as error:
        raise UserError(f"{where}: {error.as_flags}") from None
    conditions = {path: by_identifier[identifier] for path, identifier in matches.identifier_of.items()}
    if names_of_tags == CONDITION_NAMES:
        conditions = {path: condition for path, condition in conditions.items() if condition.sum() in (1, 2)}
    if not conditions:
        raise UserError(f"{where}: no line with one or two of the tags belongs to a picture of the folder")
    if len(matches.pictures) > WORST_SHARE * len(files):
        named = first_few(matches.pictures)
        lines = f"; {len(matches.identifiers)} lines belong to no picture" if matches.identifiers else ""
        few = f": {first_few(matches.identifiers)}" if matches.identifiers else ""
        raise UserError(
            f"{where}: {len(matches.pictures)} of {len(files)} pictures have no line: {named}{lines}{few}; an id is the"
            " file's name, as in `7,red hair` for 7.jpg; give the pictures lines, or move them away"
        )
    for count, what, names in (
        (len(files), "pictures have no line and are left out", matches.pictures),
        (len(by_identifier), "lines belong to no picture", matches.identifiers),
    ):
        if names:
            print(f"{where}: {len(names)} of {count} {what}: {first_few(names)}", file=sys.stderr)
    return conditions, names_of_tags


def _read_conditions(path: Path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Reads a table, or the tags of tutorial 000 where there are any, or else the file's own tags."""
    table = own_tags.read_table(path)
    if table is not None:
        return table
    found = read_tags(path)
    own = None if any(condition.any() for condition in found.values()) else own_tags.read_words(path)
    return own or (found, CONDITION_NAMES)


def _build(
    root: Path,
    files: Sequence[File],
    conditions: dict[str, np.ndarray] | None,
    settings: dict,
    cache_dir: str | os.PathLike | None,
) -> Examples:
    image_size = settings["image_size"]
    channels = settings["channels"] or (3 if any(is_colour(root / file.path) for file in files) else 1)
    shape = (image_size, image_size, channels)
    unreadable: list[str] = []
    framed: list[tuple[str, str]] = []
    paths = [file.path for file in files]
    chunks = unchanged(root, files, _decoded(root, paths, shape, conditions, unreadable, framed))
    pictures = cache.build(
        "folder",
        settings,
        chunks,
        len(files),
        shape,
        condition_names=settings["names"],
        cache_dir=cache_dir,
        description="decoding pictures",
    )
    if unreadable:
        print(_report(root, unreadable, len(files)), file=sys.stderr)
    framing.tell(printable(root), framed, len(files))
    return pictures


def _decoded(
    root: Path,
    paths: Sequence[str],
    shape: tuple[int, int, int],
    conditions: dict[str, np.ndarray] | None,
    unreadable: list[str],
    framed: list[tuple[str, str]],
) -> Generator[Chunk, None, None]:
    """Yields the readable pictures in order; notes the others in `unreadable`, and faults of framing in `framed`."""
    step = cache.chunk_length(shape)
    tasks = [list(paths[start : start + step]) for start in range(0, len(paths), step)]
    decode_chunk = functools.partial(_decode_files, root=str(root), image_size=shape[0], channels=shape[2])
    for task, chunk in zip(tasks, workers.ordered_map(decode_chunk, tasks), strict=True):
        broken = {path for kind, path in chunk.notes if kind == _UNREADABLE}
        unreadable += sorted(broken, key=task.index)
        framed += [(kind, path) for kind, path in chunk.notes if kind != _UNREADABLE]
        labels = None if conditions is None else [conditions[path] for path in task if path not in broken]
        if len(chunk.images):
            yield Chunk(chunk.images, None if labels is None else np.stack(labels))
    if len(unreadable) > WORST_SHARE * len(paths):
        raise UserError(f"--data_dir={printable(root)}: {_report(root, unreadable, len(paths))}; repair or remove them")


def unchanged(root: Path, files: Sequence[File], chunks: Generator[Chunk, None, None]) -> Generator[Chunk, None, None]:
    """Yields the chunks, then raises a UserError if a file has changed since it was listed."""
    with contextlib.closing(chunks):
        yield from chunks
    for file in files:
        try:
            status = os.stat(root / file.path)
        except OSError:
            status = None
        if status is None or (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
            raise UserError(
                f"--data_dir={printable(root)}: {printable(file.path)} changed while the pictures were read;"
                " start again when nothing writes to the folder"
            )


def _decode_files(paths: Sequence[str], *, root: str, image_size: int, channels: int) -> Chunk:
    """Decodes files in a worker process; the notes are [fault, path] of files that are unreadable or badly framed."""
    images: list[np.ndarray] = []
    notes: list[list[str]] = []
    for path in paths:
        try:
            images.append(decode(os.path.join(root, path), image_size, channels))
        except Exception:  # Pillow raises almost anything for a damaged file
            notes.append([_UNREADABLE, path])
        else:
            width, height = size_of(os.path.join(root, path))
            notes += [[fault, path] for fault in framing.faults(width, height, image_size)]
    shape = (len(images), image_size, image_size, channels)
    return Chunk(np.reshape(images, shape).astype(np.uint8), None, tuple(notes))


def _report(root: Path, unreadable: Sequence[str], total: int) -> str:
    return f"{len(unreadable)} of {total} pictures in {printable(root)} cannot be read: {first_few(unreadable)}"


def first_few(names: Sequence[str]) -> str:
    """Joins the first names of a list."""
    more = ", ..." if len(names) > _NAMED_FILES else ""
    return ", ".join(printable(name) for name in names[:_NAMED_FILES]) + more


def digest_of_lines(lines: Sequence[str]) -> str:
    """Returns the sha256 of some lines."""
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
