"""Paints a picture in the style of another, or trains a network that does so at once for any picture.

    python -m experiments.style --content=PICTURE --style=PICTURE --out=painted.png    # search for one picture
    python -m experiments.style --content=PICTURE --pattern=tiles --num_steps=500
    python -m experiments.style --train --flagfile=style.flags                         # then experiments.sample --input
    python -m experiments.style --train --style=PICTURE --data_dir=FOLDER

Without --content it trains, also where --train is left out.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cli import command, schema
from experiments.run import start
from experiments.run.cluster import Cluster
from experiments.run.recipes import Recipe, recipe_class, resolve
from experiments.run.references import teaching_pictures
from jaxgan import systems
from jaxgan.data import patterns
from jaxgan.data.decode import decode_whole
from jaxgan.host import images
from jaxgan.host.errors import UserError, printable
from jaxgan.host.progress import bar
from jaxgan.metrics import features
from jaxgan.metrics.classifier_maps import classifier_maps
from jaxgan.models.feature_maps import FeatureMaps
from jaxgan.sampling.stylisation import INITS, OPTIMIZERS, Stylisation, stylise
from jaxgan.systems import style
from jaxgan.systems.settings import LARGEST, option
from jaxgan.systems.style import StyleSettings
from jaxgan.systems.system import check_distinct_seed

SHORT_SIDE = 256  # of a picture, where --image_size is not given
TAUGHT_AT = 64  # pixels of the pictures from which the classifier learns, at most

OF_A_PICTURE = tuple(field.name for field in dataclasses.fields(StyleSettings) if field.name != "style_sha256") + (
    "dataset",
    "data_dir",
    "num_examples",
)
"""The flags of training that a single picture has, too; those of the data set teach the classifier."""


@dataclasses.dataclass(frozen=True)
class Paint:
    """The flags of a single picture."""

    train: bool = option(False, "Train a network on pictures of the data set, as is done without --content, too")
    content: str | None = option(None, "Picture file to paint", group="Single picture", path=True)
    out: str = option("painted.png", "Output: a .png file", group="Single picture", path=True)
    init: str = option("content", "Initial picture of the search", INITS, group="Single picture")
    optimizer: str = option("lbfgs", "Search algorithm", OPTIMIZERS, group="Single picture")
    num_steps: int = option(200, "Steps of the search", group="Single picture")
    step_size: float = option(0.02, "Learning rate of --optimizer=adam, for pixels in [-1, 1]", group="Single picture")

    def check(self) -> None:
        """Raises a UserError for a value out of range."""
        if not 1 <= self.num_steps <= LARGEST:
            raise UserError(f"--num_steps={self.num_steps}: must be from 1 to {LARGEST:,}")
        if not 0 < self.step_size <= 2:
            raise UserError(f"--step_size={self.step_size}: must be above 0, and at most 2")
        if self.step_size != Paint.step_size and self.optimizer != "adam":
            raise UserError(f"--step_size={self.step_size}: is of --optimizer=adam; give that too, or leave it out")
        if not self.out.endswith(".png"):
            raise UserError(f"--out={self.out}: choose a file that ends with .png")
        if not os.access(Path(self.out).parent, os.W_OK):
            raise UserError(f"--out={self.out}: its folder is not there or cannot be written to; choose another")


def main() -> None:
    """Trains a network, or paints a picture."""
    given = schema.given_flags(Paint)
    asked = Paint(**given)
    if asked.train or asked.content is None:
        beside = sorted(given.keys() - {"train"})
        if beside:
            remedy = "leave out --train" if asked.train else "name a picture to paint by --content"
            raise UserError(f"--{beside[0]}: is of a single picture; leave it out, or {remedy}")
        start.train_asked("style")
        return
    asked.check()
    for table in (start.Start, Cluster):
        for name in schema.given_flags(table):
            raise UserError(f"--{name}: is of training; leave it out, or leave out --content")
    recipe = recipe_of(schema.given_flags(recipe_class(StyleSettings)))
    found = paint(asked, recipe)
    try:
        images.save_png(asked.out, found.picture)
    except OSError as error:
        raise UserError(f"--out={asked.out}: cannot be written ({error.strerror or error})") from error
    changes = ", ".join(f"{name} {found.before[name]:.3g} to {found.after[name]:.3g}" for name in ("content", "style"))
    command.answer(f"{asked.out}: losses of {changes}, in {len(found.losses)} steps")


def recipe_of(given: dict[str, Any]) -> Recipe:
    """Returns the recipe of the flags that a single picture has.

    Raises:
      UserError: for a flag of training, or a value out of range.
    """
    trained = sorted(
        given.keys() - set(OF_A_PICTURE) | given.keys() & {"width", "blocks", "learning_rate", "batch_size"}
    )
    if trained:
        raise UserError(f"--{trained[0]}: is of training; leave it out, or leave out --content")
    return resolve(given, systems.families()["style"].models)


def paint(asked: Paint, recipe: Recipe) -> Stylisation:
    """Reads both pictures and searches for the third, with a progress bar.

    Raises:
      UserError: if a picture cannot be read, or the features cannot be had.
    """
    settings: StyleSettings = recipe.settings
    check_distinct_seed(settings.seed)
    side = settings.image_size or SHORT_SIDE
    content = _read("content", str(asked.content), side)
    if settings.style is not None:
        example = _read("style", settings.style, side)
    else:
        example = patterns.draw(settings.pattern, *content.shape[:2])
    network = features_of(recipe, _smaller(content.shape, example.shape))
    objective = style.build_objective(settings, network)
    with bar(total=asked.num_steps, what="painting") as progress:

        def report(loss: float) -> None:
            progress.set_postfix(loss=f"{loss:.4g}", refresh=False)
            progress.update()

        return stylise(
            content,
            example,
            network,
            objective,
            init=asked.init,
            optimizer=asked.optimizer,
            steps=asked.num_steps,
            learning_rate=asked.step_size,
            seed=settings.seed,
            report=report,
        )


def features_of(recipe: Recipe, image_shape: tuple[int, int, int]) -> FeatureMaps:
    """Returns the network that the flags name; trains the classifier where it is not in the cache."""
    settings: StyleSettings = recipe.settings
    if settings.features != style.TRAINED:
        return style.build_features(settings, image_shape)
    for name in ("feature_weights", "feature_width"):
        if getattr(settings, name) is not None:
            raise UserError(f"--{name}: is not of --features={style.TRAINED}; leave it out")
    taught = dataclasses.replace(recipe, image_size=min(TAUGHT_AT, settings.image_size or SHORT_SIDE))
    arrays, _ = features.trained_arrays(str(recipe.dataset), *teaching_pictures(taught))
    return classifier_maps(arrays)


def _read(flag: str, path: str, side: int) -> np.ndarray:
    try:
        return decode_whole(path, side, 3)
    except Exception as error:  # Pillow raises almost anything for a damaged file
        raise UserError(f"--{flag}={printable(path)}: cannot be read as a picture ({printable(error)})") from error


def _smaller(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int, int]:
    return min(one[0], other[0]), min(one[1], other[1]), one[2]


if __name__ == "__main__":
    command.run(main, schema.define_flags(Paint), *start.define_flags("style"))
