"""Samples from trained networks, and the best of many."""

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxgan.models import Network
from jaxgan.models.inference import generate, scores
from jaxgan.ops import noise


def best(
    generator: Network,
    generator_variables: object,
    discriminator: Network,
    discriminator_variables: object,
    z: ArrayLike,
    count: int,
    condition: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the pictures that a discriminator believes most, best first.

    Args:
      generator: draws the pictures.
      generator_variables: its variables.
      discriminator: scores them.
      discriminator_variables: its variables.
      z: latents to choose from, (N, latent_dim).
      count: how many to keep, at most N.
      condition: (N, condition_dim) for conditional networks.

    Returns:
      uint8 images (count, H, W, C) and their indices among the latents, (count,).

    Reference:
      Tutorial 001, which keeps 64 of 512.
    """
    images = generate(generator, generator_variables, z, condition)
    logits = scores(discriminator, discriminator_variables, images, condition)
    order = np.argsort(-logits, kind="stable")[:count]
    return images[order], order


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
