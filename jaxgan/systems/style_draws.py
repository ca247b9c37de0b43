"""What a training step of StyleGAN2 draws: latents, where styles are mixed, and noise, for each pass."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.ops import noise

PATH_SHARE = 2
"""One of so many pictures of a batch is made for the path length."""


class Draws(NamedTuple):
    """What a pass of the generator draws for N pictures.

    Attributes:
      z: latents, (N, latent_dim).
      other: further latents, whose styles come behind.
      cutoff: the first layer that takes the style of `other`, int32; the number of styles for none.
      noise: of each layer, (N, side, side).
    """

    z: jax.Array
    other: jax.Array
    cutoff: jax.Array
    noise: tuple[jax.Array, ...]


class StepDraws(NamedTuple):
    """What a step draws.

    Attributes:
      generator: for the generator's loss.
      path: for the path length, of fewer pictures.
      directions: noise of N(0, 1) in the shape of those pictures, along which the path length is taken.
      discriminator: for the discriminator's loss.
      augment: the key of all augmentations.
    """

    generator: Draws
    path: Draws
    directions: jax.Array
    discriminator: Draws
    augment: jax.Array


def draw_step(key: jax.Array, count: int, generator: Any, mixing: float, axis_name: str | None = None) -> StepDraws:
    """Draws what a step needs.

    Args:
      key: of the step.
      count: examples on this device, N.
      generator: a generator of `jaxgan.models.stylegan2`.
      mixing: probability that a pass has the styles of two latents.
      axis_name: the mapped axis over which the global batch is split, if any.
    """
    generator_key, path_key, direction_key, discriminator_key, augment_key = jax.random.split(key, 5)
    fewer = max(1, count // PATH_SHARE)
    shape = generator.image_shape
    directions = noise.latents(direction_key, fewer, math.prod(shape), axis_name=axis_name)
    return StepDraws(
        draw_pass(generator_key, count, generator, mixing, axis_name),
        draw_pass(path_key, fewer, generator, mixing, axis_name),
        directions.reshape(fewer, *shape),
        draw_pass(discriminator_key, count, generator, mixing, axis_name),
        augment_key,
    )


def draw_pass(key: jax.Array, count: int, generator: Any, mixing: float, axis_name: str | None = None) -> Draws:
    """Draws what a pass of the generator needs; arguments as of `draw_step`."""
    normal_key, happens_key, cutoff_key = jax.random.split(key, 3)
    cutoff = jnp.where(
        jax.random.uniform(happens_key) < mixing,
        jax.random.randint(cutoff_key, (), 1, generator.styles),
        generator.styles,
    )
    # Drawn as one row an example and then cut: a generator of random numbers for each layer takes long to compile.
    lengths = [generator.latent_dim] * 2 + [side**2 for side in generator.noise_sides]
    row = noise.latents(normal_key, count, sum(lengths), axis_name=axis_name)
    z, other, *layers = jnp.split(row, np.cumsum(lengths)[:-1], axis=1)
    sides = generator.noise_sides
    return Draws(
        z, other, cutoff, tuple(part.reshape(count, side, side) for part, side in zip(layers, sides, strict=True))
    )
