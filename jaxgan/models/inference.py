"""Networks in evaluation mode, a bounded number of examples at a time."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxgan.models.network import Network
from jaxgan.ops import noise, pixels

CHUNK = 64


def generate(generator: Network, variables: Any, z: ArrayLike, condition: ArrayLike | None = None) -> np.ndarray:
    """Generates pictures from latents.

    Args:
      generator: a network from latents, and for conditional ones a condition, to images in [−1, 1].
      variables: its variables.
      z: latents, (N, latent_dim).
      condition: (N, condition_dim) for conditional networks, of any dtype.

    Returns:
      uint8 images (N, H, W, C).

    Raises:
      ValueError: for no latents, or another number of conditions.
    """
    return np.concatenate([np.asarray(part) for part in _in_chunks(_generate, generator, variables, z, condition)])


def draw(generator: Network, variables: Any, z: ArrayLike, condition: ArrayLike | None = None) -> jax.Array:
    """Like `generate`, but returns floats in [−1, 1] before quantisation: float32 (N, H, W, C), on the device."""
    return jnp.concatenate(_in_chunks(_draw, generator, variables, z, condition))


def scores(discriminator: Network, variables: Any, images: ArrayLike, condition: ArrayLike | None = None) -> np.ndarray:
    """Scores pictures by a discriminator.

    Args:
      discriminator: a network from images, and for conditional ones a condition, to logits (N,).
      variables: its variables.
      images: uint8 (N, H, W, C).
      condition: (N, condition_dim) for conditional networks, of any dtype.

    Returns:
      Logits, float32 (N,).
    """
    parts = _in_chunks(_score, discriminator, variables, images, condition)
    return np.concatenate([np.asarray(part) for part in parts])


def fixed_latents(
    key: jax.Array,
    generator: Network,
    count: int,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    truncation: float | None = None,
) -> jax.Array:
    """Draws latents to compare pictures by: z = mean + std · (the network's own noise, truncated), (N, latent_dim)."""
    return mean + std * noise.latents(key, count, generator.latent_dim, std=generator.latent_std, truncation=truncation)


def apply(network: Network, variables: Any, x: jax.Array, condition: jax.Array | None) -> jax.Array:
    """Applies a network in evaluation mode to inputs, and to their conditions where it takes some."""
    inputs = (x,) if condition is None else (x, condition)
    output: Any = network.apply(variables, *inputs, train=False)
    return output


def chunks(inputs: ArrayLike, condition: ArrayLike | None) -> list[tuple[jax.Array, jax.Array | None]]:
    """Splits inputs and conditions into parts of at most CHUNK examples, so that memory stays bounded.

    Raises:
      ValueError: for no inputs, or another number of conditions.
    """
    inputs = jnp.asarray(inputs)
    condition = None if condition is None else jnp.asarray(condition, jnp.float32)
    count = inputs.shape[0]
    if count < 1 or (condition is not None and condition.shape[0] != count):
        raise ValueError(f"{count} inputs, and conditions {None if condition is None else condition.shape}")
    parts = [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]
    return [(inputs[part], None if condition is None else condition[part]) for part in parts]


def _in_chunks(
    function: Any, network: Network, variables: Any, inputs: ArrayLike, condition: ArrayLike | None
) -> list[jax.Array]:
    """Calls `function` on each chunk."""
    return [function(network, variables, *part) for part in chunks(inputs, condition)]


@functools.partial(jax.jit, static_argnums=0)
def _generate(network: Network, variables: Any, z: jax.Array, condition: jax.Array | None) -> jax.Array:
    return pixels.quantize(apply(network, variables, z, condition))


@functools.partial(jax.jit, static_argnums=0)
def _draw(network: Network, variables: Any, z: jax.Array, condition: jax.Array | None) -> jax.Array:
    return apply(network, variables, z, condition).astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=0)
def _score(network: Network, variables: Any, images: jax.Array, condition: jax.Array | None) -> jax.Array:
    return apply(network, variables, pixels.normalize(images), condition).astype(jnp.float32)
