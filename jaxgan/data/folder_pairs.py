"""Image source that reads a folder of pairs: pictures side by side in a file each, or files of two subfolders."""

import functools
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from jaxgan.data import cache, workers
from jaxgan.data.decode import VERSION, decode, decode_halves, is_colour
from jaxgan.data.examples import Examples
from jaxgan.data.folder import WORST_SHARE, File, digest_of_lines, first_few, list_files, unchanged
from jaxgan.data.pairs import check_pair, split_pairs
from jaxgan.data.workers import Chunk
from jaxgan.host.errors import UserError, printable

TARGETS = ("left", "right", "first", "second")

_EDITION = 1  # raised when pairs are put together in another way, so that cached ones are made anew


def load(
    path: str | os.PathLike, image_size: int, *, pair: str = "left", cache_dir: str | os.PathLike | None = None
) -> Examples:
    """Opens all pairs in a folder, decoding them in parallel the first time.

    Files are found, turned upright, put over white and cached as by `folder.load`. Of each picture of a pair the middle
    square is resized to `image_size`. Pairs that cannot be read, or whose other picture is missing, are counted, and
    left out.

    Args:
      path: the folder.
      image_size: height and width of the pictures, in pixels.
      pair: where the targets are. "left", "right": in that half of each file, and the input in the other. "first",
        "second": in that of two subfolders, in alphabetical order; a file of the other with the same path but for its
        extension is the input.
      cache_dir: see `cache.cache_directory`.

    Returns:
      Examples with the arrays "image", the targets, and "input", uint8 (N, image_size, image_size, channels) both; one
      channel if every file is grey, else three.

    Raises:
      UserError: if the folder is missing, has no pairs or no two subfolders, or more than a tenth cannot be used.
    """
    check_pair("pair", pair, TARGETS)
    root = Path(os.path.expanduser(path)).resolve()
    files = list_files(root, path)
    pairs, lonely = _matched(root, files, pair) if pair in ("first", "second") else ([[f.path] for f in files], [])
    settings = {
        "folder": os.fsencode(root).hex(),
        "listing": digest_of_lines([repr(tuple(file)) for file in files]),
        "pair": pair,
        "image_size": image_size,
        "decoding": [VERSION, _EDITION],
    }
    found = cache.find("folder_pairs", settings, cache_dir=cache_dir)
    if found is None:
        channels = 3 if any(is_colour(root / file.path) for file in files) else 1
        shape = (2 * image_size, image_size, channels)
        wrong = list(lonely)
        found = cache.build(
            "folder_pairs",
            settings,
            unchanged(root, files, _decoded(root, pairs, shape, pair, wrong)),
            len(pairs),
            shape,
            cache_dir=cache_dir,
            description="decoding pairs",
        )
        if wrong:
            print(_report(root, wrong, len(pairs) + len(lonely)), file=sys.stderr)
    return split_pairs(found)


def _matched(root: Path, files: Sequence[File], pair: str) -> tuple[list[list[str]], list[str]]:
    """Returns (target, input) of each pair of two subfolders, and the files that have no partner."""
    by_folder: dict[str, dict[str, str]] = {}
    for file in files:
        folder, _, rest = file.path.partition(os.sep)
        by_folder.setdefault(folder if rest else "", {})[os.path.splitext(rest or file.path)[0]] = file.path
    if len(by_folder) != 2 or "" in by_folder:
        raise UserError(
            f"--data_dir={printable(root)}: --pair={pair} needs two subfolders of pictures with the same names, and"
            f" nothing beside them; pictures side by side in a file each are read with --pair=left or right"
        )
    targets, inputs = (by_folder[name] for name in sorted(by_folder, reverse=pair == "second"))
    lonely = [
        part[name] for part in (targets, inputs) for name in sorted(targets.keys() ^ inputs.keys()) if name in part
    ]
    return [[targets[name], inputs[name]] for name in sorted(targets.keys() & inputs.keys())], lonely


def _decoded(
    root: Path, pairs: list[list[str]], shape: tuple[int, int, int], pair: str, wrong: list[str]
) -> Generator[Chunk, None, None]:
    """Yields the pairs, targets above inputs, in order; adds the first paths of those that are none to `wrong`."""
    lonely = len(wrong)
    step = cache.chunk_length(shape)
    tasks = [pairs[start : start + step] for start in range(0, len(pairs), step)]
    decode_chunk = functools.partial(
        decode_pairs, root=str(root), image_size=shape[1], channels=shape[2], swapped=pair == "right"
    )
    for chunk in workers.ordered_map(decode_chunk, tasks) if _few(wrong, pairs, lonely) else ():
        wrong.extend(chunk.notes)
        if len(chunk.images):
            yield Chunk(chunk.images)
    if not _few(wrong, pairs, lonely):
        halves = f" (--pair={pair} takes files of two pictures side by side, --pair=first or second two subfolders)"
        raise UserError(
            f"--data_dir={printable(root)}: {_report(root, wrong, len(pairs) + lonely)}; repair or remove them"
            + halves * (pair in ("left", "right"))
        )


def _few(wrong: Sequence[str], pairs: Sequence[Sequence[str]], lonely: int) -> bool:
    return len(wrong) <= WORST_SHARE * (len(pairs) + lonely)


def decode_pairs(pairs: Sequence[Sequence[str]], *, root: str, image_size: int, channels: int, swapped: bool) -> Chunk:
    """Decodes pairs in a worker process.

    Args:
      pairs: within the folder, the paths of a target and an input, or the path of one file with both.
      root: the folder.
      image_size: height and width of each picture.
      channels: of each picture.
      swapped: whether the target is the second of the two pictures.

    Returns:
      Targets above inputs, (n, 2·image_size, image_size, channels); the notes are the first paths of pairs that cannot
      be read.
    """
    images, wrong = [], []
    for paths in pairs:
        files = [os.path.join(root, path) for path in paths]
        try:
            if len(files) == 1:
                both = list(decode_halves(files[0], image_size, channels))
            else:
                both = [decode(file, image_size, channels) for file in files]
            images.append(np.concatenate(both[::-1] if swapped else both))
        except Exception:  # Pillow raises almost anything for a damaged file
            wrong.append(paths[0])
    shape = (len(images), 2 * image_size, image_size, channels)
    return Chunk(np.reshape(images, shape).astype(np.uint8), None, tuple(wrong))


def _report(root: Path, wrong: Sequence[str], total: int) -> str:
    return f"{len(wrong)} of {total} pairs in {printable(root)} lack a picture or cannot be read: {first_few(wrong)}"
