"""Losses of a discriminator of patches and of its adversary, on maps of logits; by words that settings take."""

import jax
import jax.numpy as jnp

from jaxgan import losses

LOSSES = ("bce", "lsgan")
"""Binary cross-entropy; or the squared distance of the logits from 0 and 1, without a half."""


def discriminator_loss(loss: str, *, real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes half of the sum of both mean losses, over all patches (N, h, w) of real and of generated pictures."""
    both = losses.joint_batch_discriminator_loss if loss == "bce" else losses.least_squares_discriminator_loss
    return both(_flat(real), _flat(fake))


def generator_loss(loss: str, logits: jax.Array) -> jax.Array:
    """Computes the mean loss of a generator whose pictures have these logits, (N, h, w)."""
    if loss == "bce":
        return losses.nonsaturating_generator_loss(_flat(logits))
    return 2.0 * losses.least_squares_generator_loss(_flat(logits))  # without the paper's half


def mean_score(loss: str, logits: jax.Array) -> jax.Array:
    """Computes the mean score of patches (N, h, w): a probability for "bce", a logit for "lsgan"."""
    return jnp.mean(jax.nn.sigmoid(_flat(logits)) if loss == "bce" else _flat(logits))


def mean_difference(pictures: jax.Array, images: jax.Array) -> jax.Array:
    """Computes the mean absolute difference of pictures from images, (N, H, W, C) both."""
    return jnp.mean(jnp.abs(pictures.astype(jnp.promote_types(pictures.dtype, jnp.float32)) - images))


def _flat(logits: jax.Array) -> jax.Array:
    """Returns maps of logits (N, h, w) as (N·h·w,), in at least float32, as losses take them."""
    return logits.reshape(-1).astype(jnp.promote_types(logits.dtype, jnp.float32))
