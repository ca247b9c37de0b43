"""What both sides of a comparison train on: noise, since speed does not depend on content; and how long a cycle is."""

import math
from typing import Any

import numpy as np

from experiments.run.recipes import Recipe, resolve
from jaxgan import models, systems
from jaxgan.data.examples import Examples
from jaxgan.data.heads import heads_of
from jaxgan.data.sources import Sources
from jaxgan.data.tags import CONDITION_NAMES

OF_DIGITS = ("infogan_mnist", "ssgan_mnist", "autoencoder", "vae_mlp")


def channels(recipe: Recipe) -> int:
    """Returns the channels of the pictures that a system is made for: digits are grey."""
    if recipe.model in models.names():
        return models.build(recipe.model).image_shape[-1]
    return 1 if recipe.model in OF_DIGITS else 3


def random_pictures(recipe: Recipe, batches: int = 8) -> Sources:
    """Draws noise of the shape that a recipe trains on: at least so many batches, and 256 pictures.

    A pair has "input" too, two domains are "a" and "b", and labels are one of each kind, of the tags of faces or of
    ten classes.
    """
    rng = np.random.default_rng(0)
    if recipe.family.unpaired:
        return {domain: Examples({"image": _images(recipe, batches, rng)}) for domain in ("a", "b")}
    arrays = {"image": _images(recipe, batches, rng)}
    if recipe.family.paired:
        arrays["input"] = _images(recipe, batches, rng)
    if not recipe.takes_conditions and not recipe.family.labelled:
        return Examples(arrays)
    tags = recipe.takes_conditions and channels(recipe) == 3
    names = CONDITION_NAMES if tags else tuple(map(str, range(10)))
    count = len(arrays["image"])
    kinds = [np.eye(len(head.classes), dtype=np.uint8) for head in heads_of(names)]
    arrays["condition"] = np.concatenate([kind[rng.integers(0, len(kind), count)] for kind in kinds], axis=1)
    return Examples(arrays, names)


def _images(recipe: Recipe, batches: int, rng: np.random.Generator) -> np.ndarray:
    size, count = recipe.picture_size, max(batches * recipe.batch_size, 256)
    return rng.integers(0, 256, (count, size, size, channels(recipe)), np.uint8)


def grown_flags(given: dict[str, Any]) -> dict[str, Any]:
    """Returns the flags of a run with its model; a system that grows begins with its last size by default."""
    recipe = resolve(given, systems.names())
    grown = {"initial_size": recipe.picture_size} if hasattr(recipe, "initial_size") else {}
    return {**grown, **given, "model": recipe.model}


def cycle(recipe: Recipe) -> int:
    """Returns the steps after which everything that is done in some of them alone has had its turns."""
    return math.lcm(*(getattr(recipe, name, 1) for name in ("penalty_every", "path_every")))
