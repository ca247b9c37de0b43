"""What a generator is measured against, and how: made once, used at any step of a run."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from experiments.run.recipes import Recipe
from experiments.run.references import (
    recoloured_pictures,
    reference_domains,
    reference_pictures,
    reference_split,
    resizing,
    teaching_pictures,
)
from experiments.run.translation import RecolouringScores, TranslationScores, domain_scores
from jaxgan import data
from jaxgan.data.examples import Examples
from jaxgan.data.heads import heads_of
from jaxgan.host.errors import UserError
from jaxgan.host.progress import bar
from jaxgan.metrics import features, generator_path_length, measured_colours, scores
from jaxgan.metrics.classifiers import FEATURES
from jaxgan.metrics.entries import Scores, entry
from jaxgan.metrics.features import Embedding, FeatureNetwork
from jaxgan.metrics.inception_v3 import inception_v3
from jaxgan.metrics.thumbnails import thumbnails
from jaxgan.systems.system import System
from jaxgan.training.files.metrics_log import plain_name

IN_THE_LOG = ("fid", "kid", "coverage", "mode_coverage", "conditional_accuracy")
PATHS = 1000  # pairs of points that a path length is the mean of
_SLAB = 1000


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Measures a generator.

    Attributes:
      system: what draws the pictures.
      reference: the real pictures, as the feature network sees them.
      real: the same, as pixels.
      z: latents, one for each picture to draw.
      conditions: uint8, one for each: those of the real pictures, so that both sides are asked for the same; or None.
      read_colours: whether hair and eyes can be read off the pixels.
      seed: decided the latents, and decides all else.
      progress: whether to show bars with the time left.
    """

    system: System
    reference: scores.Reference
    real: Examples
    z: jax.Array
    conditions: np.ndarray | None
    read_colours: bool
    seed: int
    progress: bool

    def __call__(self, state: Any, *, training_images: np.ndarray | None = None, extrapolate: bool = False) -> Scores:
        """The scores of a generator in a state; see `jaxgan.metrics.scores.score_pictures`.

        Raises:
          UserError: for too few pictures to extrapolate from.
        """
        least = 6 * self.reference.statistics.dimension  # each fifth must fix the covariance, a tenth left out
        if extrapolate and min(len(self.z), len(self.real)) < least:
            raise UserError(f"--extrapolate: needs at least {least} pictures on either side; raise --num")
        pictures = self.draw_images(state)
        network = self.reference.network
        found = scores.score_pictures(
            pictures,
            self.reference,
            conditions=self.conditions,
            training_features=None if training_images is None else network.apply(training_images).features,
            extrapolate=extrapolate,
            seed=self.seed,
        )
        if self.read_colours and self.real.conditions is not None:
            colours = measured_colours(
                pictures, conditions=self.conditions, real=self.real.images, real_conditions=self.real.conditions
            )
            context = {"split": self.reference.split, "feature_network": None}
            found |= {name: score | context for name, score in colours.items()}
        return found

    def draw_images(self, state: Any) -> np.ndarray:
        """Draws the pictures that are measured, uint8 (n, H, W, C)."""
        latent = self.system.outputs.require("latent", self.system.name)
        parts = [slice(start, start + _SLAB) for start in range(0, len(self.z), _SLAB)]
        with bar(parts, "drawing pictures", unit="k", shown=self.progress) as watched:
            return np.concatenate(
                [
                    latent.images(state, self.z[part], None if self.conditions is None else self.conditions[part])
                    for part in watched
                ]
            )

    def path_length(self, state: Any) -> dict[str, Any]:
        """Measures how smooth the generator's latent space is, as a score."""
        key = jax.random.fold_in(jax.random.key(self.seed), len(self.z))  # the pictures' latents took those before it
        network = self.reference.network
        latent = self.system.outputs.require("latent", self.system.name)
        length = generator_path_length(
            latent.network,
            latent.variables(state),
            lambda x: network.apply(x).features,
            key,
            conditions=self.conditions,
            samples=PATHS,
        )
        context = scores.describe(PATHS, self.reference, self.seed)
        kept = {name: context[name] for name in ("n", "resolution", "seed", "feature_network")}
        return entry(length) | kept | {"split": None}  # it looks at no real pictures


def make_evaluator(
    recipe: Recipe,
    system: System,
    *,
    num: int,
    seed: int = 0,
    kind: str = "trained",
    weights: tuple[str, str] | None = None,
    split: str | None = None,
    taught_by: Recipe | None = None,
    progress: bool = True,
    flag: str = "num",
) -> Evaluator:
    """Opens the real pictures and the feature network of a run; trains the network where it is not in the cache.

    Args:
      recipe: of the run.
      system: what it trained.
      num: how many pictures are drawn, and at most how many real ones they are measured against.
      seed: decides the latents, the choice of real pictures, and subsets.
      kind: of features: "trained" (a classifier of the pictures' labels, or without labels of their rotations) or
        "thumbnails" (of 8×8, no network).
      weights: a file of the weights of Inception v3, and its sha256: then these are the features.
      split: of the data set; default: one that the run has not seen, where there is one.
      taught_by: the recipe whose pictures the network is trained on, where the generator is measured against others
        than its own: scores under different networks cannot be compared. Default: `recipe`.
      progress: whether to show bars while measuring.
      flag: what `num` is called where the user gives it.

    Raises:
      UserError: for fewer pictures than features, on either side.
    """
    latent = system.outputs.require("latent", system.name)
    cheap = inception_v3(weights[0], sha256=weights[1]) if weights else thumbnails() if kind == "thumbnails" else None
    dimension = FEATURES if cheap is None else _dimension(cheap, system.image_shape)
    if num < dimension:
        raise UserError(f"--{flag}={num}: {dimension} features need at least {dimension} pictures")
    split = split or reference_split(recipe)
    real = reference_pictures(recipe, split, num, seed)
    if len(real) < dimension:
        raise UserError(f"--split={split}: has {len(real)} pictures, and {dimension} features need as many")
    network = cheap or features.load(str(recipe.dataset), *teaching_pictures(taught_by or recipe))
    network = _with_progress(network) if progress else network
    return Evaluator(
        system,
        scores.make_reference(network, real.images, split=split, resize=resizing(recipe), seed=seed),
        real,
        latent.latents(jax.random.key(seed), num),
        real.conditions[np.arange(num) % len(real)]
        if latent.network.condition_dim and real.conditions is not None
        else None,
        read_colours=recipe.dataset in data.AVATARS,
        seed=seed,
        progress=progress,
    )


def make_measurer(
    recipe: Recipe,
    system: System,
    *,
    num: int,
    seed: int = 0,
    split: str | None = None,
    trained_on: Recipe | None = None,
) -> Callable[[Any], Scores]:
    """Opens the real pictures that a system's own measures are taken of.

    Args:
      recipe: of the run.
      system: what it trained, with measures of its own.
      num: at most how many real pictures.
      seed: chooses them, and decides what the measures draw.
      split: of the data set; default: one that the run has not seen, where there is one.
      trained_on: the recipe whose pictures it was trained on, where it is measured on others. Default: `recipe`.

    Returns:
      state -> scores; each has its `meaning`.

    Raises:
      UserError: if the system has no measures of its own.
    """
    measure = system.outputs.require("measure", system.name)
    split = split or reference_split(recipe)
    if recipe.family.unpaired:
        domains = reference_domains(recipe, split, num, seed)
        shared = {"resolution": list(system.image_shape), "split": split, "seed": seed}
        return lambda state: {
            name: score | shared for name, score in domain_scores(recipe, system, state, domains).items()
        }
    real = reference_pictures(recipe, split, num, seed)
    context = {"n": len(real), "resolution": list(system.image_shape), "split": split, "seed": seed}

    further = {name: real.arrays[name] for name in system.inputs.get("", ()) if name != "image"}
    translations: Callable[[Any], Scores] | None = _recolouring(recipe, system, num)
    if recipe.family.paired:
        translations = TranslationScores(trained_on or recipe, system, real)
    measure_labelled = system.outputs.measure_labelled
    labels = {}
    if measure_labelled is not None and real.conditions is not None:
        labels = {head.name: head.labels(real.conditions) for head in heads_of(real.condition_names)}

    def measured(state: Any) -> Scores:
        found = {**measure(state, real.images, jax.random.key(seed), **further)}
        if measure_labelled is not None and labels:
            found |= measure_labelled(state, real.images, labels)
        scores = {
            name: {"value": value, "standard_error": error, "meaning": meaning}
            for name, (value, error, meaning) in found.items()
        }
        scores = {name: score | context for name, score in scores.items()}
        if translations is not None:
            # Faces in other colours are always those of the split "test"; no seed chooses them.
            own = {} if system.outputs.translate_to is None else {"split": "test", "seed": None}
            scores |= {name: context | score | own for name, score in translations(state).items()}
        return scores

    return measured


def _recolouring(recipe: Recipe, system: System, num: int) -> RecolouringScores | None:
    """Opens faces in two colours each, for a system that translates colours; None for others, or other pictures."""
    into = system.outputs.translate_to
    if into is None:
        return None
    real = recoloured_pictures(recipe, into.kinds[0].name, num)
    return None if real is None else RecolouringScores(into.kinds[0], into, real)


def during_training(recipe: Recipe, system: System) -> Callable[[Any], dict[str, float]]:
    """Returns a function that the loop calls now and then: from a state to a few scores, by name.

    Raises:
      UserError: for a system of which nothing can be measured.
    """
    check_measurable(system, "evaluate_every")
    parts: list[Callable[[Any], dict[str, float]]] = []
    if system.outputs.latent is not None:
        evaluate = make_evaluator(
            recipe, system, num=recipe.evaluate_num, kind=recipe.evaluate_features, progress=False, flag="evaluate_num"
        )
        parts.append(lambda state: values_of(evaluate(state), IN_THE_LOG))
    if system.outputs.measure is not None:
        measured = make_measurer(recipe, system, num=recipe.evaluate_num)
        parts.append(lambda state: {name: score["value"] for name, score in measured(state).items()})
    return lambda state: {name: value for part in parts for name, value in part(state).items()}


def check_measurable(system: System, flag: str) -> None:
    """Raises a UserError that names a flag, for a system of which nothing can be measured."""
    if system.outputs.latent is None and system.outputs.measure is None:
        raise UserError(f"--{flag}: {system.name} draws no samples from latents and has no measures of its own")


def values_of(found: Mapping[str, Mapping[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    """Returns the bare values of the scores with these names, of every head."""
    return {name: found[name]["value"] for name in found if plain_name(name) in names}


def _dimension(network: FeatureNetwork, image_shape: tuple[int, int, int]) -> int:
    return network.apply(np.zeros((1, *image_shape), np.uint8)).features.shape[1]


def _with_progress(network: FeatureNetwork) -> FeatureNetwork:
    """The same network, with a bar and the time left where it looks at many pictures."""

    def apply(images: Any) -> Embedding:
        parts = [slice(start, start + _SLAB) for start in range(0, len(images), _SLAB)]
        with bar(parts, "looking at pictures", unit="k") as watched:
            embeddings = [network.apply(images[part]) for part in watched]
        if len(embeddings) == 1:
            return embeddings[0]
        logits = None if embeddings[0].logits is None else np.concatenate([e.logits for e in embeddings])
        return Embedding(np.concatenate([e.features for e in embeddings]), logits)

    return dataclasses.replace(network, apply=apply)
