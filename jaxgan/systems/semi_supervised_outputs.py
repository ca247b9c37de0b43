"""What a semi-supervised GAN can be asked for: samples, and how well its discriminator tells the classes."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxgan import models
from jaxgan.data.heads import Head
from jaxgan.models.inference import chunks, generate
from jaxgan.models.network import GAN
from jaxgan.models.semi_supervised import Judgement
from jaxgan.ops import pixels
from jaxgan.systems.linear_probe import probe_accuracy
from jaxgan.systems.outputs import LatentOutput, Measure, mean_measure, share_measure
from jaxgan.systems.semi_supervised_step import SemiSupervisedState, draw_latents
from jaxgan.systems.system import Preview

COLUMNS, ROWS = 8, 8  # of the preview, which is then drawn in one chunk
STD = 1 / math.sqrt(12)  # of U(0, 1)


@dataclass(frozen=True)
class UniformLatentOutput(LatentOutput):
    """Pictures drawn from latents U(0, 1)."""

    @property
    def normal(self) -> bool:
        """Whether the latents are normal noise, so that every point between two of them is like any other: no."""
        return False

    def latents(
        self, key: jax.Array, count: int, *, mean: float = 0.0, std: float = 1.0, truncation: float | None = None
    ) -> jax.Array:
        """Draws latents, (count, latent_dim).

        Args:
          key: PRNG key.
          count: how many.
          mean: offset.
          std: factor of the distance from the middle, ½.
          truncation: limit of that distance in standard deviations; None for no limit.
        """
        limit = 1.0 if truncation is None else min(1.0, 2 * truncation * STD)
        return mean + 0.5 + std * limit * (draw_latents(key, count, self.network.latent_dim) - 0.5)


def build_preview(gan: GAN, key: jax.Array) -> Preview:
    """Binds the preview to its latents."""

    @functools.cache  # not drawn before they are needed, and only once
    def latents() -> jax.Array:
        return draw_latents(key, ROWS * COLUMNS, gan.latent_dim)

    return Preview(lambda state: generate(gan.generator, state.generator.variables, latents()), COLUMNS)


def classify(gan: GAN, variables: Any, images: np.ndarray) -> np.ndarray:
    """Classifies pictures, uint8 (N, H, W, C), by a discriminator: log probabilities of the classes, (N, K)."""
    return np.concatenate([np.asarray(_judge(gan, variables, part).logits) for part, _ in chunks(images, None)])


def probabilities(gan: GAN, state: SemiSupervisedState, images: np.ndarray) -> np.ndarray:
    """Returns the probabilities of the classes, (N, K), that the averaged classifier gives pictures."""
    return np.exp(classify(gan, state.classifier_variables, images))


def features_of(gan: GAN, variables: Any, images: np.ndarray) -> np.ndarray:
    """Returns the features of a discriminator, (N, F), of pictures, uint8 (N, H, W, C)."""
    return np.concatenate([np.asarray(_judge(gan, variables, part).features) for part, _ in chunks(images, None)])


@functools.partial(jax.jit, static_argnums=0)
def _judge(gan: GAN, variables: Any, images: jax.Array) -> Judgement:
    judged: Any = gan.discriminator.apply(variables, pixels.normalize(images), train=False, classify=True)
    return Judgement(jax.nn.log_softmax(judged.logits), judged.features)


def measure(gan: GAN, state: SemiSupervisedState, images: np.ndarray, key: jax.Array) -> dict[str, Measure]:
    """Measures how sure the averaged classifier is of real pictures; beside its accuracy, how far to believe it.

    Args:
      gan: the networks.
      state: of the system.
      images: real pictures, uint8 (N, H, W, C).
      key: of no use here.
    """
    del key
    chances = np.exp(classify(gan, state.classifier_variables, images).max(axis=1))
    return {"confidence": mean_measure(chances, "mean probability of the class that it takes a real picture for")}


def measure_labelled(
    gan: GAN, head: Head, state: SemiSupervisedState, images: np.ndarray, labels: Mapping[str, np.ndarray]
) -> dict[str, Measure]:
    """Measures how many pictures are classified right, by the average and by the network as it is, and its features.

    The features are probed by a linear classifier that is fitted to half of these pictures and tested on the others,
    beside those of a network with random weights.

    Args:
      gan: the networks.
      head: the classes that it has learned.
      state: of the system.
      images: real pictures, uint8 (N, H, W, C).
      labels: by name of the kind: the class of each picture, integers (N,); −1 where it has none.

    Returns:
      "accuracy", "accuracy_without_average", "probe_accuracy" and "probe_accuracy_of_random_features", shares of the
      pictures that have a class; {} if none has, and without the probe if only one has.
    """
    classes = labels.get(head.name, np.full(len(images), -1))
    known = classes >= 0
    count = int(known.sum())
    if not count:
        return {}
    found = {}
    for name, whose, variables in (
        ("accuracy", "averaged classifier", state.classifier_variables),
        ("accuracy_without_average", "classifier as it is", state.discriminator.variables),
    ):
        right = classify(gan, variables, images[known]).argmax(axis=1) == classes[known]
        meaning = f"share of {count} real pictures whose {head.name} the {whose} tells"
        found[name] = share_measure(float(right.mean()), count, meaning)
    return found | (_probe(gan, head, state, images[known], classes[known]) if count > 1 else {})


def _probe(
    gan: GAN, head: Head, state: SemiSupervisedState, images: np.ndarray, classes: np.ndarray
) -> dict[str, Measure]:
    """Probes the features of the averaged classifier and of random weights."""
    half = len(images) // 2
    found = {}
    for name, whose, variables in (
        ("probe_accuracy", "the averaged classifier", state.classifier_variables),
        ("probe_accuracy_of_random_features", "random weights", models.init(gan.discriminator, jax.random.key(0))),
    ):
        features = features_of(gan, variables, images)
        value = probe_accuracy(features[:half], classes[:half], features[half:], classes[half:])
        count = len(images) - half
        meaning = f"share of {count} real pictures whose {head.name} a linear classifier tells from features of {whose}"
        found[name] = share_measure(value, count, meaning)
    return found
