"""Image sources, decoded once and cached, and streams of batches from them.

Importing this package loads neither TensorFlow nor JAX. TensorFlow is needed by `stream`, and to read a TFDS data set
that is not in the cache yet.
"""

import dataclasses
import functools
import os
from typing import Any

from jaxgan.data.examples import Examples, from_arrays
from jaxgan.host.errors import NoSuchSplit, UserError, printable

__all__ = ["Examples", "from_arrays", "load", "load_domains", "load_recoloured"]

_AVATAR_SEEDS = {"train": 0, "test": 1}
_PREVIEWED = 16  # pairs of the split "test" that come with the split "train"

RECOLOURABLE = "avatars_recolourable"
"""Faces whose backgrounds and accessories suit every colour of hair."""

AVATARS = ("avatars", RECOLOURABLE)
"""The sources of single faces that the library draws."""

DRAWN = (*AVATARS, "avatars_pairs", "avatars_domains")
"""The sources that the library draws."""

FOLDERS = ("folder", "folder_pairs", "folder_domains")
"""The sources that are folders of pictures."""

ARRAYS = "arrays"
"""The name in `dataset.json` and `flags.txt` of pictures that a program supplied; a file of them takes their place."""

PAIRED = ("avatars_pairs", "folder_pairs")
"""The sources with an input beside each picture, to be translated into it."""

DOMAINS = ("avatars_domains", "folder_domains")
"""The sources of two sets of pictures, to be translated into one another; `load_domains` opens them."""

IN_A_PROGRAM = (
    "the run's pictures came from a program; save them there by numpy.savez('pictures.npz', images=images), with"
    " labels=labels if it had any, and give --data_dir=pictures.npz"
)


def load(
    dataset: str,
    *,
    image_size: int,
    data_dir: str | os.PathLike | None = None,
    conditional: bool = False,
    num_examples: int = 30_000,
    split: str = "train",
    cache_dir: str | os.PathLike | None = None,
    pair_input: str = "parts",
    pair: str = "left",
) -> Examples:
    """Opens an image source by its name.

    Args:
      dataset: "avatars" (drawn by the library), "avatars_recolourable" (the same, with backgrounds and accessories that
        suit every colour of hair, and so tell none), "folder", both with an input beside each picture,
        "avatars_pairs" and "folder_pairs", "arrays" (what a program had, in a file of arrays), or the name of a TFDS
        data set such as "mnist".
      image_size: height and width of the pictures, in pixels.
      data_dir: the folder of pictures, a `.npz` or `.npy` file of them, a Parquet file or a folder of such or of a
        data set that the `datasets` library has saved, or TFDS's directory.
      conditional: whether to read conditions: of a folder from its `tags.csv`, or else from its subfolders, of which
        each is a class; of a file from its labels. Avatars and TFDS data sets with labels always
        have conditions.
      num_examples: number of avatars.
      split: "train", "test", or any split that TFDS knows. A folder has only "train". Of a folder of pairs "test" is a
        twentieth, at most 16 pairs, which "train" lacks; "all" has both.
      cache_dir: see `cache.cache_directory`.
      pair_input: of "avatars_pairs", see `avatars.pairs.load`.
      pair: of "folder_pairs", see `folder_pairs.load`.

    Raises:
      NoSuchSplit: if the source has no such split.
      UserError: if the source is missing, unknown or unreadable; the message says what to do.
    """
    if dataset in AVATARS:
        from jaxgan.data import avatars

        seed = _AVATAR_SEEDS[_known_split(dataset, split, tuple(_AVATAR_SEEDS))]
        any_hair = dataset == RECOLOURABLE
        return avatars.load(size=image_size, count=num_examples, seed=seed, any_hair=any_hair, cache_dir=cache_dir)
    if dataset == "avatars_pairs":
        return _avatars_pairs(split, num_examples, pair_input=pair_input, size=image_size, cache_dir=cache_dir)
    if dataset == "folder_pairs":
        from jaxgan.data import folder_pairs, pairs

        if data_dir is None:
            raise UserError("--dataset=folder_pairs: name the folder of pairs by --data_dir")
        _known_split(dataset, split, ("train", "test", "all"))
        return pairs.hold_out(folder_pairs.load(data_dir, image_size, pair=pair, cache_dir=cache_dir), split)
    if dataset == "folder":
        from jaxgan.data import array_file, folder, parquet

        if data_dir is None:
            raise UserError("--dataset=folder: name the folder of pictures by --data_dir")
        if parquet.is_table(data_dir):
            return parquet.load(data_dir, image_size, labels=conditional, split=split, cache_dir=cache_dir)
        _known_split(dataset, split, ("train",))
        if os.path.isfile(data_dir) and str(data_dir).lower().endswith(array_file.SUFFIXES):
            return array_file.load(data_dir, image_size, labels=conditional, cache_dir=cache_dir)
        return folder.load(data_dir, image_size, cache_dir=cache_dir, tags=conditional)
    if dataset == ARRAYS:
        from jaxgan.data import array_file

        if data_dir is None:
            raise UserError(f"--dataset={ARRAYS}: {IN_A_PROGRAM}")
        _known_split(dataset, split, ("train",))
        return array_file.load(data_dir, image_size, labels=conditional, cache_dir=cache_dir)
    from jaxgan.data import tfds

    return tfds.load(dataset, image_size, data_dir=data_dir, split=split, cache_dir=cache_dir)


def load_domains(
    dataset: str,
    *,
    image_size: int,
    data_dir: str | os.PathLike | None = None,
    num_examples: int = 30_000,
    split: str = "train",
    cache_dir: str | os.PathLike | None = None,
    domain_a: str = "blonde hair",
    domain_b: str = "blue hair",
) -> dict[str, Examples]:
    """Opens two sets of pictures that belong to no pairs.

    Args:
      dataset: "avatars_domains" or "folder_domains".
      image_size: height and width of the pictures, in pixels.
      data_dir: the folder of "folder_domains", see `folder_domains.load`.
      num_examples: number of avatars in each domain.
      split: "train" or "test"; of folders also "all". Pictures of "test" that the library draws have their
        counterparts in the other domain as "input", as `held_out` of "train" has.
      cache_dir: see `cache.cache_directory`.
      domain_a: of "avatars_domains", see `avatars.domains.load`.
      domain_b: likewise.

    Returns:
      "a" and "b", the examples of each domain.

    Raises:
      NoSuchSplit: if the source has no such split.
      UserError: if the source is missing, unknown or unreadable; the message says what to do.
    """
    if dataset == "avatars_domains":
        from jaxgan.data.avatars import domains

        seed = _AVATAR_SEEDS[_known_split(dataset, split, tuple(_AVATAR_SEEDS))]
        draw = functools.partial(
            domains.load, domain_a=domain_a, domain_b=domain_b, size=image_size, cache_dir=cache_dir
        )
        if split != "train":
            return draw(count=num_examples, seed=seed, with_inputs=True)
        held_out = draw(count=_PREVIEWED, seed=_AVATAR_SEEDS["test"], with_inputs=True)
        examples = draw(count=num_examples, seed=seed)
        return {name: dataclasses.replace(part, held_out=held_out[name].arrays) for name, part in examples.items()}
    if dataset == ARRAYS:
        raise UserError(f"--dataset={ARRAYS}: two sets of pictures of a program can be read by that program alone")
    if dataset != "folder_domains":
        raise UserError(f"--dataset={printable(dataset)}: has no two domains; choose one of {', '.join(DOMAINS)}")
    from jaxgan.data import folder_domains

    if data_dir is None:
        raise UserError("--dataset=folder_domains: name the folder of two domains by --data_dir")
    return folder_domains.load(data_dir, image_size, split=split, cache_dir=cache_dir)


def load_recoloured(
    dataset: str = "avatars",
    *,
    image_size: int,
    part: str,
    num_examples: int,
    cache_dir: str | os.PathLike | None = None,
) -> Examples:
    """Opens faces of the split "test" of avatars, each of them also in another colour of its hair or its eyes.

    Args:
      dataset: "avatars" or "avatars_recolourable".
      image_size: height and width of the pictures, in pixels.
      part: "hair" or "eyes".
      num_examples: number of faces.
      cache_dir: see `cache.cache_directory`.

    Returns:
      "input", the faces as they are, "image", in another colour, and "condition", that of the latter.

    Raises:
      UserError: for a part without classes of colours, or if they cannot be drawn.
    """
    from jaxgan.data.avatars import recoloured

    seed = _AVATAR_SEEDS["test"]
    any_hair = dataset == RECOLOURABLE
    return recoloured.load(
        part=part, size=image_size, count=num_examples, seed=seed, any_hair=any_hair, cache_dir=cache_dir
    )


def _avatars_pairs(split: str, count: int, **options: Any) -> Examples:
    """Opens a split of pairs of avatars; that of training holds a few of the other for previews."""
    from jaxgan.data.avatars import pairs

    seed = _AVATAR_SEEDS[_known_split("avatars_pairs", split, tuple(_AVATAR_SEEDS))]
    examples = pairs.load(count=count, seed=seed, **options)
    if split != "train":
        return examples
    held_out = pairs.load(count=_PREVIEWED, seed=_AVATAR_SEEDS["test"], **options)
    return dataclasses.replace(examples, held_out=held_out.arrays)


def _known_split(dataset: str, split: str, known: tuple[str, ...]) -> str:
    if split not in known:
        raise NoSuchSplit(f"--dataset={dataset} has no split {printable(split)}; it has {', '.join(known)}")
    return split
