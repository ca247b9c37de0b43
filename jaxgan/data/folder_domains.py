"""Image source that reads two domains of pictures, each a folder: two sets of any lengths that belong to no pairs."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from jaxgan.data import folder
from jaxgan.data.examples import Examples
from jaxgan.data.folder import WRITTEN_BY_A_RUN
from jaxgan.data.pairs import hold_out
from jaxgan.host.errors import NoSuchSplit, UserError, printable

TRAINING, TEST = ("trainA", "trainB"), ("testA", "testB")
SPLITS = ("train", "test", "all")


def load(
    path: str | os.PathLike, image_size: int, *, split: str = "train", cache_dir: str | os.PathLike | None = None
) -> dict[str, Examples]:
    """Opens a split of both domains, decoding their pictures in parallel the first time.

    The folder has either two subfolders, A and B in alphabetical order, of which each gives a twentieth, at most 16
    pictures, to the split "test"; or `trainA` and `trainB`, and `testA` and `testB` for that. Pictures are found,
    decoded and counted as by `folder.load`. If the pictures of one domain alone are grey, they get three channels.

    Args:
      path: the folder.
      image_size: height and width of the pictures, in pixels.
      split: "train", with pictures of the other split as `held_out`; "test"; or "all".
      cache_dir: see `cache.cache_directory`.

    Returns:
      "a" and "b", examples with the array "image" each.

    Raises:
      NoSuchSplit: for another split.
      UserError: if there are no two domains, one has fewer than two pictures, or more than a tenth cannot be read.
    """
    if split not in SPLITS:
        raise NoSuchSplit(f"--dataset=folder_domains has no split {printable(split)}; it has {', '.join(SPLITS)}")
    root = Path(os.path.expanduser(path)).resolve()
    training, test = _domains(root, path)
    found = _pictures(root, training, image_size, cache_dir)
    for name, subfolder in zip(found, training, strict=True):
        if len(found[name]) < 2:
            raise UserError(
                f"--data_dir={printable(root)}: domain {name.upper()}, {printable(subfolder)}, has 1 picture; a domain"
                " needs at least 2, and hundreds to learn from"
            )
    if test is None:
        return {name: hold_out(examples, split) for name, examples in found.items()}
    if split == "all":
        raise NoSuchSplit(f"--dataset=folder_domains: {printable(root)} has the splits train and test")
    unseen = _pictures(root, test, image_size, cache_dir, channels=found["a"].image_shape[-1])
    if split == "test":
        return unseen
    return {name: dataclasses.replace(examples, held_out=unseen[name].arrays) for name, examples in found.items()}


def _domains(root: Path, shown: str | os.PathLike) -> tuple[tuple[str, str], tuple[str, str] | None]:
    """Returns the subfolders of A and B to train on, and those to test on if there are any."""
    if not root.is_dir():
        raise UserError(f"--data_dir={printable(shown)}: there is no such folder; give a folder with two subfolders")
    names = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir(follow_symlinks=False) and entry.name[0] != "." and entry.name not in WRITTEN_BY_A_RUN
    )
    if set(TRAINING) <= set(names):
        return TRAINING, TEST if set(TEST) <= set(names) else None
    if len(names) != 2:
        there = f"it has {len(names)}" + (f": {folder.first_few(names)}" if names else "")
        raise UserError(
            f"--data_dir={printable(shown)}: two domains are two subfolders of pictures, or trainA and trainB; {there}"
        )
    return (names[0], names[1]), None


def _pictures(
    root: Path,
    subfolders: tuple[str, str],
    image_size: int,
    cache_dir: str | os.PathLike | None,
    channels: int | None = None,
) -> dict[str, Examples]:
    """Opens both subfolders with the same number of channels."""

    def opened(wanted: int | None) -> Mapping[str, Examples]:
        return {
            name: folder.load(root / subfolder, image_size, channels=wanted, cache_dir=cache_dir)
            for name, subfolder in zip(("a", "b"), subfolders, strict=True)
        }

    found = opened(channels)
    if found["a"].image_shape != found["b"].image_shape:
        found = opened(3)
    return dict(found)
