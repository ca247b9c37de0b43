"""Measures a trained run: prints JSON, each score with what makes it comparable with another.

    python -m experiments.evaluate --workdir=W
    python -m experiments.evaluate --workdir=W --num=2000 --features=thumbnails    # seconds, without any network

A system that draws samples is scored by them; measures of the system's own, such as a reconstruction error, follow.
The first use with a data set trains its feature network, for some minutes on a CPU, and keeps it.
"""

import dataclasses
import json
import math
import sys
from typing import Any

import numpy as np

from experiments.cli import command, schema
from experiments.run import pretrained
from experiments.run.calibration import calibration_of
from experiments.run.evaluation import check_measurable, make_evaluator, make_measurer
from experiments.run.recipes import FEATURES, FEATURES_HELP, Recipe
from experiments.run.references import load_sources, training_pictures
from experiments.run.restore import STEP_HELP, TrainedRun, load_run
from jaxgan.data import ARRAYS, FOLDERS
from jaxgan.data.examples import Examples
from jaxgan.data.sources import digest_of, first_source
from jaxgan.host import progress
from jaxgan.host.errors import UserError
from jaxgan.metrics.entries import Scores
from jaxgan.systems.settings import option
from jaxgan.systems.system import check_distinct_seed
from jaxgan.training.files.metrics_log import plain_name

LARGEST = 1_000_000


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """The flags of this command."""

    workdir: str | None = option(None, "Directory of the run", path=True)
    pretrained: str | None = option(None, pretrained.HELP)
    step: str | None = option(None, STEP_HELP)
    num: int = option(10_000, "Number of pictures to draw, and the most real ones to compare them with")
    seed: int = option(0, "Random seed of the latents and of the choice of real pictures")
    split: str | None = option(
        None, "Split of the real pictures, such as test or train; default: test, or train for a folder"
    )
    data_dir: str | None = option(
        None, "Directory of the run's pictures if they have moved, or a folder of others", path=True
    )
    features: str = option("trained", FEATURES_HELP, FEATURES, group="Features")
    feature_weights: str | None = option(
        None,
        "Inception v3's weights as an .npz: use its features instead (see docs/how-to/evaluate.md)",
        path=True,
        group="Features",
    )
    feature_sha256: str | None = option(None, "SHA-256 of the --feature_weights file", group="Features")
    calibrate: bool = option(
        True, "Measure real and spoilt pictures too, to read the scores against; kept for the next time"
    )
    extrapolate: bool = option(False, "Add the FID without the bias of finite sets, which takes a minute")
    format: str = option(
        "json", "Output format; json: everything that makes a score comparable; table: easy to read", ("json", "table")
    )


def main() -> None:
    """Draws pictures, measures them and prints the scores."""
    asked = Evaluate(**schema.given_flags(Evaluate))
    asked = dataclasses.replace(asked, workdir=pretrained.folder_of(asked.workdir, asked.pretrained))
    if not 1 <= asked.num <= LARGEST:
        raise UserError(f"--num={asked.num}: must be from 1 to {LARGEST:,}")
    check_distinct_seed(asked.seed)
    run = load_run(asked.workdir, asked.step)
    with progress.ticking("measuring"):
        found, digest = measure(asked, run)
    if asked.format == "table":
        command.answer(f"{heading(run, found, digest == run.pictures_digest)}\n\n{table(found)}")
    else:
        described = _finite({"run": _described(run, digest), "scores": found})
        command.answer(json.dumps(described, indent=2, allow_nan=False))


def measure(asked: Evaluate, run: TrainedRun) -> tuple[Scores, str]:
    """Measures a run as the flags ask for it; `asked.workdir` is not looked at.

    Returns:
      The scores, and the digest of the pictures that it is measured against.

    Raises:
      UserError: if nothing of it can be measured, or its pictures are others or too few.
    """
    check_measurable(run.system, "workdir")
    for name in ("extrapolate", "feature_weights"):
        if getattr(asked, name) and run.system.outputs.latent is None:
            raise UserError(f"--{name}: {run.recipe.model} draws no samples from latents; leave it out")
    recipe, training, digest = _pictures(asked, run)
    same = digest == run.pictures_digest
    found: Scores = {}
    if run.system.outputs.latent is not None:
        found |= _scores_of_samples(asked, run, recipe, training.images if same else None)
    if run.system.outputs.measure is not None:
        measured = make_measurer(
            recipe,
            run.system,
            num=asked.num,
            seed=asked.seed,
            split=asked.split,
            trained_on=recipe if same else run.recipe,
        )
        found |= measured(run.state)
    return found, digest


def _pictures(asked: Evaluate, run: TrainedRun) -> tuple[Recipe, Examples, str]:
    """Opens the pictures that a run is measured against.

    Returns:
      The run's recipe with these pictures, their training split, of two domains the first, and its digest.

    Raises:
      UserError: if `--data_dir` does not name others and these are not the run's own, or they have another shape.
    """
    if asked.data_dir is None or run.recipe.dataset not in (*FOLDERS, ARRAYS):
        recipe = run.recipe if asked.data_dir is None else dataclasses.replace(run.recipe, data_dir=asked.data_dir)
        return recipe, training_pictures(recipe, run.pictures_digest), run.pictures_digest
    recipe = dataclasses.replace(run.recipe, data_dir=asked.data_dir)
    sources = load_sources(recipe)
    training, digest = first_source(sources), digest_of(sources)
    if training.image_shape != run.system.image_shape:
        shapes = ["×".join(map(str, shape)) for shape in (training.image_shape, run.system.image_shape)]
        raise UserError(f"--data_dir={recipe.data_dir}: its pictures are {shapes[0]}, those of the run {shapes[1]}")
    if digest != run.pictures_digest and asked.features == "trained" and asked.feature_weights is None:
        training_pictures(run.recipe, run.pictures_digest)  # from which the network of features learns
    return recipe, training, digest


def _scores_of_samples(asked: Evaluate, run: TrainedRun, recipe: Recipe, training_images: np.ndarray | None) -> Scores:
    """Compares samples with real pictures.

    Args:
      asked: the flags.
      run: what draws.
      recipe: of the run, with the pictures that it is measured against.
      training_images: those that the run was trained on, uint8, if they are the recipe's; otherwise None.
    """
    evaluate = make_evaluator(
        recipe,
        run.system,
        num=asked.num,
        seed=asked.seed,
        kind=asked.features,
        weights=_weights(asked),
        split=asked.split,
        taught_by=run.recipe if training_images is None else recipe,
    )
    if asked.feature_weights is not None:  # Of Inception v3's features of a whole training set, a CPU takes hours.
        training_images = None
    found = evaluate(run.state, training_images=training_images, extrapolate=asked.extrapolate)
    if run.latent.normal:
        found |= {"path_length": evaluate.path_length(run.state)}
    calibration = calibration_of(recipe, evaluate) if asked.calibrate and asked.feature_weights is None else {}
    for name, values in calibration.items():
        found[name] = {**found[name], "calibration": values}
    return found


MEANINGS = {
    "fid": ("lower", "distance from real pictures; 0: none"),
    "kid": ("lower", "distance from real pictures by another measure; about 0: none"),
    "precision": ("higher", "share of the drawn pictures that look real"),
    "recall": ("higher", "share of the real pictures that could have been drawn"),
    "density": ("higher", "how near the pictures are to real ones; 1: as near as those are to each other"),
    "coverage": ("higher", "share of the real pictures that have a drawn one near them"),
    "inception_score": ("higher", "sure of each picture, and all kinds of them; 1: neither"),
    "confidence": ("higher", "how sure the classifier is of a picture's class; real ones have theirs beside"),
    "mode_coverage": ("higher", "share of the classes that are drawn"),
    "conditional_accuracy": ("higher", "share of the pictures that are what was asked for"),
    "authenticity": ("½ or more", "share of the pictures that are no near copies of training pictures; near 0: copied"),
    "training_distance": ("", "from a picture to the nearest training picture; near 0: copied"),
    "path_length": ("lower", "how much a step in latent space changes; lower: smoother"),
}
"""By score: which values are better, and what it says."""


CALIBRATION = {"real": "real", "lightly_spoilt": "spoilt", "heavily_spoilt": "ruined"}
"""The head of a column of the table, by the set of pictures that it measures."""


HEADS = ("score", "value", *CALIBRATION.values(), "better", "what it says")


def rows(found: Scores) -> list[tuple[str, ...]]:
    """Formats the scores as rows of words under HEADS, one score each; shares of classes are left out."""
    formatted = []
    for name, score in found.items():
        value, error = score["value"], score.get("standard_error")
        if not isinstance(value, dict):
            better, meaning = MEANINGS.get(plain_name(name), ("", ""))
            bar = "" if error is None else f" ± {error:.2g}"
            others = score.get("calibration")
            columns = [f"{others[kind]:.3g}" if others else "" for kind in CALIBRATION]
            formatted.append((name, f"{value:.4g}{bar}", *columns, better, score.get("meaning") or meaning))
    return formatted


def table(found: Scores) -> str:
    """Formats the scores as a table with a head, one per line.

    Where scores are calibrated, three columns say what they are for real pictures, and for real pictures that were
    lightly and heavily spoilt.
    """
    calibrated = any("calibration" in score for score in found.values())
    lines = []
    for name, value, *columns, better, says in (HEADS, *rows(found)):
        others = "".join(f"{column:>8}" for column in columns) + "  " if calibrated else ""
        lines.append(f"  {name:34} {value:20} {others}{better:10} {says}".rstrip())
    return "\n".join(lines)


def heading(run: TrainedRun, found: Scores, same: bool) -> str:
    """Returns a line above the table: what was measured, and against what."""
    against = next((score for score in found.values() if score.get("n_reference")), None)
    if against is None:
        return f"{run.recipe.model} at step {run.step:,} of {run.recipe.workdir}"
    network = (against.get("feature_network") or {}).get("name", "no")
    pictures = "" if same else ", others than those of its training"
    drawn = f"{against['n']:,} pictures of {run.recipe.model} at step {run.step:,}"
    return (
        f"{drawn}, against {against['n_reference']:,} real ones"
        f" (split {against['split']}{pictures}); features: {network}. Compare only with scores of the same features."
    )


def _weights(asked: Evaluate) -> tuple[str, str] | None:
    if (asked.feature_weights is None) != (asked.feature_sha256 is None):
        raise UserError(
            "--feature_weights and --feature_sha256: give both, so that the score says what it was taken with;"
            " `sha256sum FILE` prints the second, docs/how-to/evaluate.md says how to get the file"
        )
    if not (asked.feature_weights and asked.feature_sha256):
        return None
    schema.check_readable("feature_weights", asked.feature_weights)
    return asked.feature_weights, asked.feature_sha256


def _described(run: TrainedRun, digest: str) -> dict[str, Any]:
    return {
        "workdir": run.recipe.workdir,
        "model": run.recipe.model,
        "step": run.step,
        "pictures_seen": run.system.schedule.examples_before(run.step),
        "seed": run.recipe.seed,
        "dataset": run.recipe.dataset,
        "dataset_sha256": digest,
        "trained_on_these_pictures": digest == run.pictures_digest,
    }


def _finite(value: Any) -> Any:
    """Replaces every number that is not finite, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        print("A score is not finite: the run has diverged.", file=sys.stderr)
        return None
    return value


if __name__ == "__main__":
    command.run(main, schema.define_flags(Evaluate))
