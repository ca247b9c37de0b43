"""The pictures of a run: those that it trains on, and those that it is measured against and with."""

import contextlib
import dataclasses
import os
from pathlib import Path

import numpy as np

from experiments.run.recipes import Recipe
from jaxgan import data
from jaxgan.data.avatars.recoloured import COLOURS
from jaxgan.data.examples import Examples
from jaxgan.data.folder import TAG_FILE
from jaxgan.data.sources import Sources, digest_of, first_source
from jaxgan.host.errors import NoSuchSplit, UserError, printable

UNKNOWN = "unknown"
"""The digest that stands for pictures that are not known: those of imported weights."""

RESIZING = "middle square, bicubic with anti-aliasing where the size differs"


def load_pictures(recipe: Recipe, split: str = "train", *, tags: bool = False) -> Examples:
    """Loads the pictures that a recipe trains on, or another split of them; with `tags` for a model without any too."""
    return data.load(
        str(recipe.dataset),
        image_size=recipe.picture_size,
        data_dir=recipe.data_dir,
        conditional=tags or recipe.takes_conditions or recipe.family.labelled,
        num_examples=recipe.num_examples,
        split=split,
        **recipe.data_options,
    )


def load_sources(recipe: Recipe, split: str = "train") -> Sources:
    """Loads what a recipe trains on: its pictures, or those of its two domains."""
    return load_domains(recipe, split) if recipe.family.unpaired else load_pictures(recipe, split)


def load_domains(recipe: Recipe, split: str = "train") -> dict[str, Examples]:
    """Loads the pictures of both domains that a recipe trains on, or another split of them."""
    return data.load_domains(
        str(recipe.dataset),
        image_size=recipe.picture_size,
        data_dir=recipe.data_dir,
        num_examples=recipe.num_examples,
        split=split,
        **recipe.data_options,
    )


def training_pictures(recipe: Recipe, digest: str) -> Examples:
    """Loads the pictures that a run was trained on; of two domains it returns the first, and checks both.

    Raises:
      UserError: if those that are there now have another digest.
    """
    if digest == UNKNOWN:
        raise UserError(
            f"--workdir={recipe.workdir}: its weights were imported without the pictures that they were trained on;"
            " import them with --data_dir or --dataset"
        )
    sources = load_sources(recipe)
    if digest_of(sources) != digest:
        folder = recipe.data_dir
        where = f"of {recipe.dataset}" if folder is None else f"in {printable(os.path.abspath(folder))}"
        raise UserError(
            f"--workdir={recipe.workdir}: its run was trained on other pictures than those that are now {where}; name"
            " the right place by --data_dir"
        )
    return first_source(sources)


def reference_split(recipe: Recipe) -> str:
    """Returns the split that a generator is measured against: one that it has not seen, where there is one."""
    if recipe.dataset not in data.DRAWN:  # these have one, and would be drawn to find out
        try:
            load_sources(recipe, "test")
        except NoSuchSplit:
            return "train"
    return "test"


def reference_pictures(recipe: Recipe, split: str, count: int, seed: int) -> Examples:
    """Loads at most `count` pictures of a split, chosen by the seed; avatars are drawn as asked for."""
    if recipe.dataset in data.DRAWN and split != "train":
        recipe = dataclasses.replace(recipe, num_examples=count)
    return _at_most(load_pictures(recipe, split), count, seed)


def reference_domains(recipe: Recipe, split: str, count: int, seed: int) -> dict[str, Examples]:
    """Loads at most `count` pictures of each domain of a split, chosen by the seed; avatars are drawn as asked for."""
    if recipe.dataset in data.DRAWN and split != "train":
        recipe = dataclasses.replace(recipe, num_examples=count)
    return {name: _at_most(part, count, seed) for name, part in load_domains(recipe, split).items()}


def recoloured_pictures(recipe: Recipe, part: str, count: int) -> Examples | None:
    """Draws faces that a run has not seen, beside each the same in another colour; None for other pictures.

    Args:
      recipe: of the run.
      part: what a run translates; None is returned for other parts than the hair and the eyes, too.
      count: of the faces.
    """
    if recipe.dataset not in data.AVATARS or part not in COLOURS:
        return None
    return data.load_recoloured(str(recipe.dataset), image_size=recipe.picture_size, part=part, num_examples=count)


def _at_most(pictures: Examples, count: int, seed: int) -> Examples:
    if len(pictures) <= count:
        return pictures
    chosen = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(len(pictures))[:count])
    return dataclasses.replace(pictures, arrays={name: array[chosen] for name, array in pictures.arrays.items()})


def teaching_pictures(recipe: Recipe) -> tuple[Examples, Examples]:
    """Loads what a feature network learns from, and what it is tested on.

    Avatars: 10,000 and 2,000, so that runs on any number of them share one network. TFDS: the splits "train" and
    "test". A folder, or a data set without a test split: a tenth of the pictures, the last, are kept for the test. A
    folder with tags gives them for every model, also for one that takes no conditions.
    """
    if recipe.dataset in data.AVATARS:
        sizes = {"train": 10_000, "test": 2_000}
        train, test = (load_pictures(dataclasses.replace(recipe, num_examples=n), split) for split, n in sizes.items())
        return train, test
    pictures = _with_tags(recipe) or load_pictures(recipe)
    if reference_split(recipe) == "test":
        return pictures, load_pictures(recipe, "test")
    kept = len(pictures) - len(pictures) // 10
    return pictures.part(0, kept), pictures.part(kept, len(pictures))


def _with_tags(recipe: Recipe) -> Examples | None:
    """Loads the pictures of a folder with their tags; None if it has none, or too few pictures have."""
    if recipe.dataset == "folder" and (Path(str(recipe.data_dir)) / TAG_FILE).is_file():
        with contextlib.suppress(UserError):
            return load_pictures(recipe, tags=True)
    return None


def resizing(recipe: Recipe) -> str:
    """Describes how real pictures come to the size that the networks work at."""
    return "none: drawn at this size" if recipe.dataset in data.DRAWN else RESIZING
