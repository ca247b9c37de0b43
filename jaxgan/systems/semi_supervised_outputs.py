"""What a semi-supervised GAN can be asked for: samples, and how well its discriminator tells the classes."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxgan.data.heads import Head
from jaxgan.models.inference import chunks, generate
from jaxgan.models.network import GAN
from jaxgan.ops import pixels
from jaxgan.systems.outputs import LatentOutput, Measure, mean_measure
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
    return np.concatenate([np.asarray(_classify(gan, variables, part)) for part, _ in chunks(images, None)])


@functools.partial(jax.jit, static_argnums=0)
def _classify(gan: GAN, variables: Any, images: jax.Array) -> jax.Array:
    judged: Any = gan.discriminator.apply(variables, pixels.normalize(images), train=False, classify=True)
    return jax.nn.log_softmax(judged.logits)


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
    """Measures how many pictures are classified right, by the average and by the network as it is.

    Args:
      gan: the networks.
      head: the classes that it has learned.
      state: of the system.
      images: real pictures, uint8 (N, H, W, C).
      labels: by name of the kind: the class of each picture, integers (N,); −1 where it has none.

    Returns:
      "accuracy" and "accuracy_without_average", shares of the pictures that have a class; {} if none has.
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
        value = float(right.mean())
        error = math.sqrt(value * (1.0 - value) / count)
        found[name] = Measure(value, error, f"share of {count} real pictures whose {head.name} the {whose} tells")
    return found
