"""Pictures out of a trained generator."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import models
from jaxgan.ops import noise, pixels

CHUNK = 64


def generate(gan: models.GAN, variables: Any, z: jax.Array, condition: jax.Array | None = None) -> np.ndarray:
    """Pictures of latents, in evaluation mode.

    Args:
      gan: the networks.
      variables: the generator's variables.
      z: latents, (N, latent_dim).
      condition: (N, condition_dim) for conditional networks.

    Returns:
      uint8 images (N, H, W, C).
    """
    return np.concatenate([np.asarray(part) for part in _in_chunks(_generate, gan.generator, variables, z, condition)])


def draw(gan: models.GAN, variables: Any, z: jax.Array, condition: jax.Array | None = None) -> jax.Array:
    """As `generate`, but before the rounding to bytes: float32 (N, H, W, C) in [−1, 1], on the device."""
    return jnp.concatenate(_in_chunks(_draw, gan.generator, variables, z, condition))


def scores(
    gan: models.GAN, variables: Any, images: np.ndarray | jax.Array, condition: jax.Array | None = None
) -> np.ndarray:
    """The discriminator's logits of pictures, in evaluation mode.

    Args:
      gan: the networks.
      variables: the discriminator's variables.
      images: uint8 (N, H, W, C).
      condition: (N, condition_dim) for conditional networks.

    Returns:
      Logits, float32 (N,).
    """
    parts = _in_chunks(_score, gan.discriminator, variables, jnp.asarray(images), condition)
    return np.concatenate([np.asarray(part) for part in parts])


def best(
    gan: models.GAN,
    generator_variables: Any,
    discriminator_variables: Any,
    z: jax.Array,
    count: int,
    condition: jax.Array | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures that the discriminator believes most, best first.

    Args:
      gan: the networks.
      generator_variables: the generator's variables.
      discriminator_variables: the discriminator's variables.
      z: latents to choose from, (N, latent_dim).
      count: how many to keep, at most N.
      condition: (N, condition_dim) for conditional networks.

    Returns:
      uint8 images (count, H, W, C) and their indices among the latents, (count,).

    Reference:
      Tutorial 001, which keeps 64 of 512.
    """
    images = generate(gan, generator_variables, z, condition)
    order = np.argsort(-scores(gan, discriminator_variables, images, condition), kind="stable")[:count]
    return images[order], order


def fixed_latents(
    key: jax.Array,
    gan: models.GAN,
    count: int,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    truncation: float | None = None,
) -> jax.Array:
    """Latents to compare pictures by: z = mean + std · (the model's own noise, truncated), shape (N, latent_dim)."""
    return mean + std * noise.latents(key, count, gan.latent_dim, std=gan.latent_std, truncation=truncation)


def chunks(inputs: jax.Array, condition: jax.Array | None) -> list[tuple[jax.Array, jax.Array | None]]:
    """Inputs and conditions in parts of at most CHUNK examples, so that memory stays bounded.

    Raises:
      ValueError: for no inputs, or another number of conditions.
    """
    count = inputs.shape[0]
    if count < 1 or (condition is not None and condition.shape[0] != count):
        raise ValueError(f"{count} inputs, and conditions {None if condition is None else condition.shape}")
    parts = [slice(start, start + CHUNK) for start in range(0, inputs.shape[0], CHUNK)]
    return [(inputs[part], None if condition is None else condition[part]) for part in parts]


def _in_chunks(
    function: Any, network: models.Network, variables: Any, inputs: jax.Array, condition: jax.Array | None
) -> list[jax.Array]:
    """``function`` on each chunk."""
    return [function(network, variables, *part) for part in chunks(inputs, condition)]


@functools.partial(jax.jit, static_argnums=0)
def _generate(network: models.Network, variables: Any, z: jax.Array, condition: jax.Array | None) -> jax.Array:
    inputs = (z,) if condition is None else (z, condition)
    images: Any = network.apply(variables, *inputs, train=False)
    return pixels.quantize(images)


@functools.partial(jax.jit, static_argnums=0)
def _draw(network: models.Network, variables: Any, z: jax.Array, condition: jax.Array | None) -> jax.Array:
    inputs = (z,) if condition is None else (z, condition)
    images: Any = network.apply(variables, *inputs, train=False)
    return images.astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=0)
def _score(network: models.Network, variables: Any, images: jax.Array, condition: jax.Array | None) -> jax.Array:
    inputs = (pixels.normalize(images),) if condition is None else (pixels.normalize(images), condition)
    logits: Any = network.apply(variables, *inputs, train=False)
    return logits.astype(jnp.float32)
