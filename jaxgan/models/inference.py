"""Networks in evaluation mode, applied in chunks of bounded size."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxgan.models.network import Network
from jaxgan.ops import noise, pixels

CHUNK = 64


def generate(generator: Network, variables: Any, z: ArrayLike, condition: ArrayLike | None = None) -> np.ndarray:
    """Generates images from latents.

    Args:
      generator: network from latents, and conditions if it is conditional, to images in [−1, 1].
      variables: the generator's variables.
      z: latents, (N, latent_dim).
      condition: (N, condition_dim) of any dtype, for conditional networks.

    Returns:
      uint8 images (N, H, W, C).

    Raises:
      ValueError: if there are no latents, or the number of conditions differs.
    """
    return np.concatenate([np.asarray(part) for part in _in_chunks(_generate, generator, variables, z, condition)])


def draw(generator: Network, variables: Any, z: ArrayLike, condition: ArrayLike | None = None) -> jax.Array:
    """Generates images like `generate`, but as floats before quantisation.

    Args:
      generator: network from latents, and conditions if it is conditional, to images in [−1, 1].
      variables: the generator's variables.
      z: latents, (N, latent_dim).
      condition: (N, condition_dim) of any dtype, for conditional networks.

    Returns:
      float32 (N, H, W, C) in [−1, 1], on the device.
    """
    return jnp.concatenate(_in_chunks(_draw, generator, variables, z, condition))


def scores(discriminator: Network, variables: Any, images: ArrayLike, condition: ArrayLike | None = None) -> np.ndarray:
    """Scores images by a discriminator.

    Args:
      discriminator: network from images, and conditions if it is conditional, to logits (N,).
      variables: the discriminator's variables.
      images: uint8 (N, H, W, C).
      condition: (N, condition_dim) of any dtype, for conditional networks.

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
    """Draws latents z = mean + std · noise, where the noise is the generator's own.

    Args:
      key: PRNG key of the noise.
      generator: the generator, which determines the length and the scale of the noise.
      count: number of latents, N.
      mean: offset of all latents.
      std: factor of the noise.
      truncation: limit of the noise in its standard deviations; None for no limit.

    Returns:
      float32 (N, latent_dim).
    """
    if truncation is None:
        drawn = generator.latent_std * _standard_normal(key, count, generator.latent_dim)
    else:
        drawn = noise.latents(key, count, generator.latent_dim, std=generator.latent_std, truncation=truncation)
    return mean + std * drawn


@functools.partial(jax.jit, static_argnames=("count", "dim"))  # a dozen small programs without it, a second in all
def _standard_normal(key: jax.Array, count: int, dim: int) -> jax.Array:
    """Draws what `noise.latents` does without a scale, to the bit: a product in one program may round otherwise."""
    return noise.latents(key, count, dim)


def apply(network: Network, variables: Any, x: jax.Array, condition: jax.Array | None) -> jax.Array:
    """Applies a network in evaluation mode.

    Args:
      network: a generator or a discriminator.
      variables: its variables.
      x: its first input, latents or images.
      condition: (N, condition_dim) for conditional networks, else None.
    """
    inputs = (x,) if condition is None else (x, condition)
    output: Any = network.apply(variables, *inputs, train=False)
    return output


def chunk_of(network: Network) -> int:
    """Returns how many pictures of a network are computed at once: CHUNK of up to 256×256, of larger ones fewer."""
    return max(1, min(CHUNK, CHUNK * 256**2 // math.prod(network.image_shape[:2])))


def chunks(
    inputs: ArrayLike, condition: ArrayLike | None, most: int = CHUNK
) -> list[tuple[jax.Array, jax.Array | None]]:
    """Splits inputs and conditions into chunks of at most so many examples, to bound the memory.

    Raises:
      ValueError: if there are no inputs, or the number of conditions differs.
    """
    inputs = jnp.asarray(inputs)
    condition = None if condition is None else jnp.asarray(condition, jnp.float32)
    count = inputs.shape[0]
    if count < 1 or (condition is not None and condition.shape[0] != count):
        raise ValueError(f"{count} inputs, and conditions {None if condition is None else condition.shape}")
    parts = [slice(start, start + most) for start in range(0, count, most)]
    return [(inputs[part], None if condition is None else condition[part]) for part in parts]


def _in_chunks(
    function: Any, network: Network, variables: Any, inputs: ArrayLike, condition: ArrayLike | None
) -> list[jax.Array]:
    """Calls `function` on each chunk."""
    return [function(network, variables, *part) for part in chunks(inputs, condition, chunk_of(network))]


@functools.partial(jax.jit, static_argnums=0)
def _generate(network: Network, variables: Any, z: jax.Array, condition: jax.Array | None) -> jax.Array:
    return pixels.quantize(apply(network, variables, z, condition))


@functools.partial(jax.jit, static_argnums=0)
def _draw(network: Network, variables: Any, z: jax.Array, condition: jax.Array | None) -> jax.Array:
    return apply(network, variables, z, condition).astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=0)
def _score(network: Network, variables: Any, images: jax.Array, condition: jax.Array | None) -> jax.Array:
    return apply(network, variables, pixels.normalize(images), condition).astype(jnp.float32)
