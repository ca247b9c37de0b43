"""Translations: of pictures that a user gives, of pairs that a run has not seen, and their scores."""

import dataclasses
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.run.recipes import Recipe
from experiments.run.references import (
    load_pictures,
    reference_domains,
    reference_pictures,
    reference_split,
    training_pictures,
)
from experiments.run.restore import TrainedRun
from jaxgan import data
from jaxgan.data.decode import EXTENSIONS, decode
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError, printable
from jaxgan.metrics import measured_colours
from jaxgan.metrics.entries import Scores
from jaxgan.metrics.neighbours import nearest_neighbours
from jaxgan.systems.outputs import Exhibit, mean_measure, rows_below
from jaxgan.systems.system import System

COLUMNS = 8
COLOURS = ("hair/measured_conditional_accuracy", "eyes/measured_conditional_accuracy")


def translated(run: TrainedRun, path: str, direction: str | None, *, pairs: bool) -> Exhibit:
    """Translates a picture file, or all those in a folder and its subfolders in the order of their paths.

    Args:
      run: of a system that translates.
      path: the file or the folder.
      direction: of the system's own; None: the first.
      pairs: whether to show each picture above its translation, instead of translations alone.

    Raises:
      UserError: if the system does not translate, has no such direction, or a picture cannot be read.
    """
    translate = _direction(run, direction)
    height, _, channels = run.system.image_shape
    pictures = np.stack([_decoded(file, height, channels) for file in _files(path)])
    results = translate(run.state, pictures)
    if not pairs:
        return Exhibit(results, np.zeros((len(results), 0), np.uint8))
    return _below((pictures, results), ("input", "output"))


def translations(run: TrainedRun, count: int, seed: int, direction: str | None = None) -> Exhibit:
    """Shows inputs, what the system makes of them, and the truth where it is known, of pictures that it has not seen.

    Of two domains what is left after the way back stands below the translation.

    Args:
      run: of a system that translates.
      count: of all pictures together; at least one translation is shown.
      seed: chooses the pictures.
      direction: of the system's own; None: the first.
    """
    translate = _direction(run, direction)
    split = reference_split(run.recipe)
    if run.recipe.dataset not in data.DRAWN:
        training_pictures(run.recipe, run.pictures_digest)  # another folder's would stand for them
    if run.recipe.family.unpaired:
        return _there_and_back(run, split, count, seed, direction)
    found = reference_pictures(run.recipe, split, max(1, count // 3), seed)
    inputs, truths = found.arrays["input"], found.images
    return _below((inputs, translate(run.state, inputs), truths), ("input", "output", "truth"))


def _there_and_back(run: TrainedRun, split: str, count: int, seed: int, direction: str | None) -> Exhibit:
    there = direction or next(iter(run.system.outputs.translate))
    source, _, target = there.partition("_to_")
    found = reference_domains(run.recipe, split, max(1, count // 4), seed)
    known = "input" in found[target].arrays
    inputs = found[target].arrays["input"] if known else found[source].images
    made = _direction(run, there)(run.state, inputs)
    parts = {"input": inputs, "output": made, "and back": _direction(run, f"{target}_to_{source}")(run.state, made)}
    parts |= {"truth": found[target].images} if known else {}
    return _below(tuple(parts.values()), tuple(parts))


def domain_scores(recipe: Recipe, system: System, state: Any, domains: Mapping[str, Examples]) -> Scores:
    """Measures translations into each of two domains, and for avatars the shares of right colours, by direction.

    Args:
      recipe: of the run.
      system: what was trained.
      state: of the system.
      domains: pictures of both, with inputs where the truth is known.
    """
    measure = system.outputs.require("measure", system.name)
    scores: Scores = {}
    for name, part in domains.items():
        inputs = part.arrays.get("input")
        for score, (value, error, meaning) in measure(state, part.images, domain=name, input=inputs).items():
            scores[score] = {"value": value, "standard_error": error, "meaning": meaning, "n": len(part)}
        if inputs is not None and recipe.dataset in data.DRAWN and part.conditions is not None:
            into = next(direction for direction in system.outputs.translate if direction.endswith(f"_to_{name}"))
            colours = measured_colours(
                system.outputs.translate[into](state, inputs),
                conditions=part.conditions,
                real=part.images,
                real_conditions=part.conditions,
            )
            scores |= {f"{into}/{score}": colours[score] for score in COLOURS}
    return scores


@dataclasses.dataclass(frozen=True)
class TranslationScores:
    """Scores of translations beside a system's own measures.

    Attributes:
      recipe: whose pictures it was trained on.
      system: what was trained.
      real: the pairs that it is measured on.
    """

    recipe: Recipe
    system: System
    real: Examples

    def __call__(self, state: Any) -> Scores:
        """Computes how far nearest training pictures are from the truth, and for avatars the shares of right colours.

        A translation that is no nearer to the truth than the nearest training picture could be a copy of one.
        """
        scores: Scores = {"nearest_training_rmse": self._nearest}
        if self.recipe.dataset in data.DRAWN and self.real.conditions is not None:
            translate = next(iter(self.system.outputs.translate.values()))
            pictures = translate(state, self.real.arrays["input"])
            conditions = self.real.conditions
            colours = measured_colours(
                pictures, conditions=conditions, real=self.real.images, real_conditions=conditions
            )
            scores |= {name: colours[name] for name in COLOURS}
        return scores

    @functools.cached_property
    def _nearest(self) -> dict[str, Any]:
        training = load_pictures(self.recipe).images
        numbers = self.real.images[0].size
        distances = nearest_neighbours(self.real.images, training).distances[:, 0] / (127.5 * numbers**0.5)
        meaning = "root mean square difference of the truth from the nearest training picture; 0 to 2"
        return mean_measure(distances, meaning)._asdict()


def _direction(run: TrainedRun, direction: str | None) -> Any:
    directions = run.system.outputs.require("translate", run.recipe.model)
    if direction is not None and direction not in directions:
        raise UserError(f"--direction={direction}: {run.recipe.model} translates {', '.join(directions)}")
    return directions[direction or next(iter(directions))]


def _below(parts: tuple[np.ndarray, ...], rows: tuple[str, ...]) -> Exhibit:
    """Puts pictures of several parts, (N, H, W, C) each, below one another; of a last row that is not full, none."""
    columns = min(COLUMNS, len(parts[0]))
    shown = rows_below(parts, columns)
    return Exhibit(shown, np.zeros((len(shown), 0), np.uint8), columns, together=len(rows), rows=rows)


def _files(path: str) -> list[Path]:
    given = Path(os.path.expanduser(path))
    if given.is_file():
        return [given]
    found = sorted(file for file in given.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())
    if not found:
        where = "has no pictures" if given.is_dir() else "is not there"
        raise UserError(f"--input={printable(path)}: {where}; give a picture file, or a folder of them")
    return found


def _decoded(file: Path, image_size: int, channels: int) -> np.ndarray:
    try:
        return decode(file, image_size, channels)
    except Exception as error:  # Pillow raises almost anything for a damaged file
        raise UserError(f"--input={printable(file)}: cannot be read as a picture ({printable(error)})") from error
