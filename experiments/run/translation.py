"""Translations: of pictures that a user gives, of pairs and faces that a run has not seen, and their scores."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from experiments.run import given_pictures
from experiments.run.recipes import Recipe
from experiments.run.references import (
    load_pictures,
    recoloured_pictures,
    reference_domains,
    reference_pictures,
    reference_split,
    training_pictures,
)
from experiments.run.restore import TrainedRun
from jaxgan import data
from jaxgan.data import tags
from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError
from jaxgan.metrics import measured_colours, sharpness, structural_similarity
from jaxgan.metrics.entries import Scores
from jaxgan.metrics.neighbours import nearest_neighbours
from jaxgan.metrics.similarity import WINDOW
from jaxgan.systems.outputs import Exhibit, TranslationOutput, mean_measure, rows_below
from jaxgan.systems.system import System

COLUMNS = 8
COLOURS = ("hair/measured_conditional_accuracy", "eyes/measured_conditional_accuracy")


def translated(
    run: TrainedRun, path: str, *, direction: str | None = None, condition: str | None = None, pairs: bool
) -> Exhibit:
    """Translates a picture file, or all those in a folder and its subfolders in the order of their paths.

    Args:
      run: of a system that translates.
      path: the file or the folder.
      direction: of the system's own; None: the first.
      condition: of a system that translates into conditions, such as "blonde hair"; None: each class in turn.
      pairs: whether to show each picture above its translation, or beside it in all classes, instead of translations
        alone.

    Raises:
      UserError: if the system does not translate, has no such direction or condition, or a picture cannot be read.
    """
    translate = translator(run, direction, condition)
    files = given_pictures.files_of(path)
    pictures = given_pictures.read(run, files)
    given_pictures.tell_cut("--input", files)
    results, conditions = translate(pictures)
    if not pairs:
        return Exhibit(results, conditions)
    into = run.system.outputs.translate_to
    if into is None or condition is not None:
        return _below((pictures, results), ("input", condition or "output"))
    heads = ("input", *into.kinds[0].classes)
    rows = np.concatenate([pictures[:, None], results.reshape(len(pictures), -1, *pictures.shape[1:])], axis=1)
    shown = rows.reshape(-1, *pictures.shape[1:])
    return Exhibit(shown, np.zeros((len(shown), 0), np.uint8), len(heads), apart=1, heads=heads)


def translator(
    run: TrainedRun, direction: str | None = None, condition: str | None = None
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns what translates pictures.

    Args:
      run: of a system that translates.
      direction: see `translated`.
      condition: see `translated`.

    Returns:
      uint8 (N, H, W, C) -> their translations, of the same shape, and the condition of each, uint8 (N, c). Of a system
      that translates into conditions, where none is asked for, a picture has one in each class of the first kind.

    Raises:
      UserError: if the system does not translate, or has no such direction or condition.
    """
    into = run.system.outputs.translate_to
    if into is None:
        translate = _direction(run, direction)
        if condition is not None:
            raise UserError(f"--condition: {run.recipe.model} translates {_directions(run)}; leave it out")
        return lambda pictures: (translate(run.state, pictures), np.zeros((len(pictures), 0), np.uint8))
    _refuse_direction(run, direction)
    every = _every_class(run, into) if condition is None else _condition(run, condition)[None]

    def translate_into(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        conditions = np.tile(every, (len(pictures), 1))
        return into.images(run.state, np.repeat(pictures, len(every), axis=0), conditions), conditions

    return translate_into


def _condition(run: TrainedRun, text: str) -> np.ndarray:
    try:
        return tags.parse_condition(text, run.condition_names)
    except UserError as error:
        raise UserError(f"--condition: {error.as_flags}") from None


def _every_class(run: TrainedRun, into: TranslationOutput) -> np.ndarray:
    """Lists the classes of the first kind, as conditions, uint8 (k, c)."""
    kind = into.kinds[0]
    every = np.zeros((len(kind.classes), len(run.condition_names)), np.uint8)
    every[np.arange(len(every)), np.arange(len(run.condition_names))[kind.columns]] = 1
    return every


def translations(run: TrainedRun, count: int, seed: int, direction: str | None = None) -> Exhibit:
    """Shows inputs, what the system makes of them, and the truth where it is known, of pictures that it has not seen.

    Of two domains what is left after the way back stands below the translation. Of conditions each picture has one.

    Args:
      run: of a system that translates.
      count: of all pictures together; at least one translation is shown.
      seed: chooses the pictures of a folder; drawn faces are always the first.
      direction: of the system's own; None: the first.
    """
    into = run.system.outputs.translate_to
    split = reference_split(run.recipe)
    if run.recipe.dataset not in data.DRAWN:
        training_pictures(run.recipe, run.pictures_digest)  # another folder's would stand for them
    if into is not None:
        _refuse_direction(run, direction)
        return _into_conditions(run, into, split, count, seed)
    translate = _direction(run, direction)
    if run.recipe.family.unpaired:
        return _there_and_back(run, split, count, seed, direction)
    if not run.recipe.family.paired:
        images = reference_pictures(run.recipe, split, max(1, count // 2), seed).images
        return _below((images, translate(run.state, images)), ("input", "output"))
    found = reference_pictures(run.recipe, split, max(1, count // 3), seed)
    inputs, truths = found.arrays["input"], found.images
    return _below((inputs, translate(run.state, inputs), truths), ("input", "output", "truth"))


def _into_conditions(run: TrainedRun, into: TranslationOutput, split: str, count: int, seed: int) -> Exhibit:
    kind = into.kinds[0]
    found = recoloured_pictures(run.recipe, kind.name, max(1, count // 3))
    if found is not None:
        asked = asked_of(kind, found)
        made = into.images(run.state, found.arrays["input"], asked)
        return _below((found.arrays["input"], made, found.images), ("input", "output", "truth"))
    images = reference_pictures(run.recipe, split, max(1, count // 2), seed).images
    asked = np.zeros((len(images), len(run.condition_names)), np.uint8)
    asked[np.arange(len(images)), kind.start + np.arange(len(images)) % len(kind.classes)] = 1
    return _below((images, into.images(run.state, images, asked)), ("input", "output"))


def asked_of(kind: Head, pictures: Examples) -> np.ndarray:
    """Returns the conditions of pictures, (N, c), of one kind alone; all else is left open."""
    if pictures.conditions is None:
        raise ValueError("these pictures have no conditions")
    asked = np.zeros_like(pictures.conditions)
    asked[:, kind.columns] = pictures.conditions[:, kind.columns]
    return asked


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
        """Computes how near to the truth translations and training pictures are, and for avatars the right colours.

        A translation that is no nearer to the truth than the nearest training picture could be a copy of one.
        """
        translate = next(iter(self.system.outputs.translate.values()))
        pictures = translate(state, self.real.arrays["input"])
        scores: Scores = {"nearest_training_rmse": self._nearest, **_likeness(pictures, self.real.images)}
        if self.recipe.dataset in data.DRAWN and self.real.conditions is not None:
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


@dataclasses.dataclass(frozen=True)
class RecolouringScores:
    """Scores of faces that are translated into other colours, beside the truth.

    Attributes:
      kind: what is translated, "hair" or "eyes".
      translate_to: of the system.
      real: "image", faces in other colours, "input", as they are, and the conditions of the former.
    """

    kind: Head
    translate_to: TranslationOutput
    real: Examples

    def __call__(self, state: Any) -> Scores:
        """Computes how far translations are from the truth, what changes that should not, and the right colours."""
        inputs, truths = (self.real.arrays[name].astype(np.float32) for name in ("input", "image"))
        pictures = self.translate_to.images(state, self.real.arrays["input"], asked_of(self.kind, self.real))
        conditions = self.real.conditions
        colours = measured_colours(
            pictures,
            conditions=conditions,
            real=self.real.images,
            real_conditions=conditions,  # type: ignore[arg-type]  # they have some
        )
        outside = (inputs == truths).all(axis=-1)
        change = (np.abs(pictures - inputs).mean(axis=-1) * outside).sum((1, 2)) / outside.sum((1, 2)) / 127.5
        of_truth = "root mean square difference of the"
        measures = {
            "rmse": mean_measure(_rmse(pictures, truths), f"{of_truth} translation from the truth; 0 to 2"),
            "unchanged_rmse": mean_measure(
                _rmse(inputs, truths), f"{of_truth} picture as it is from the truth; 0 to 2"
            ),
            "change_outside": mean_measure(
                change, f"mean absolute change where the {self.kind.name} is not, of pixels in [-1, 1]; 0 to 2"
            ),
        }
        scores: Scores = {name: {**measure._asdict(), "n": len(self.real)} for name, measure in measures.items()}
        return scores | {name: colours[name] for name in COLOURS}


def _likeness(pictures: np.ndarray, truths: np.ndarray) -> Scores:
    """Computes how sharp translations are, and, of pictures that are large enough, how alike they are in structure."""
    of_truth = sharpness(truths).mean()
    meaning = "mean absolute Laplacian, as a share of that of the truth; 1: as sharp; noise is sharp too"
    measures = {"sharpness": mean_measure(sharpness(pictures) / max(of_truth, 1e-6), meaning)}
    if min(pictures.shape[1:3]) >= WINDOW:
        meaning = "structural similarity of the brightness to that of the truth; 1: equal"
        measures["structural_similarity"] = mean_measure(structural_similarity(pictures, truths), meaning)
    return {name: measure._asdict() for name, measure in measures.items()}


def _rmse(pictures: np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square((pictures - images) / 127.5).mean((1, 2, 3)))


def _directions(run: TrainedRun) -> str:
    return ", ".join(run.system.outputs.require("translate", run.recipe.model))


def _direction(run: TrainedRun, direction: str | None) -> Any:
    directions = run.system.outputs.require("translate", run.recipe.model)
    if direction is not None and direction not in directions:
        raise UserError(f"--direction={direction}: {run.recipe.model} translates {_directions(run)}")
    return directions[direction or next(iter(directions))]


def _refuse_direction(run: TrainedRun, direction: str | None) -> None:
    if direction is not None:
        raise UserError(f"--direction: {run.recipe.model} translates into conditions; give --condition instead")


def _below(parts: tuple[np.ndarray, ...], rows: tuple[str, ...]) -> Exhibit:
    """Puts pictures of several parts, (N, H, W, C) each, below one another; of a last row that is not full, none."""
    columns = min(COLUMNS, len(parts[0]))
    shown = rows_below(parts, columns)
    return Exhibit(shown, np.zeros((len(shown), 0), np.uint8), columns, together=len(rows), rows=rows)
