"""Penalties on the discriminator's gradient with respect to pictures, as pure functions of the discriminator.

Each takes `judge`, a function from pictures (N, H, W, C) to logits (N,), and returns a scalar that is added to the
discriminator's loss. It is the mean over this device's share of the batch, computed in float32 (float64 for float64
pictures), also where the networks compute in bfloat16. A mean over the devices is that over the global batch.

The gradient is that of the sum of the logits. Without batch normalisation an example's logit depends on its own picture
alone, so that this is the gradient of each. With it, the logits depend on all pictures, and so does the gradient: it
works, and PyTorch computes the same, but Gulrajani et al. advise against it.

The random numbers of an example depend on its index in the global batch, not on the number of devices.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.ops import noise

Judge = Callable[[jax.Array], jax.Array]


def gradient_penalty(
    judge: Judge,
    real: jax.Array,
    fake: jax.Array,
    key: jax.Array,
    axis_name: str | None = None,
    *,
    weight: float = 10.0,
) -> jax.Array:
    """Computes weight · mean (‖∇D(x̂)‖₂ − 1)² at points x̂ = x + α (G(z) − x), with one α ~ U(0, 1) an example.

    Args:
      judge: pictures (N, H, W, C) -> logits (N,).
      real: real pictures (N, H, W, C).
      fake: generated pictures of the same shape.
      key: the key of α.
      axis_name: the mapped axis over which the global batch is split, if any.
      weight: λ of the paper.

    Returns:
      A scalar.

    Reference:
      Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, algorithm 1.
    """
    real, fake = _at_least_float32(real), _at_least_float32(fake)
    points = real + uniform_shares(key, real, axis_name) * (fake - real)
    return weight * _distance_from_unit_slope(judge, points)


def dragan(
    judge: Judge, real: jax.Array, key: jax.Array, axis_name: str | None = None, *, weight: float = 10.0
) -> jax.Array:
    """Computes weight · mean (‖∇D(x̂)‖₂ − 1)² at points between real pictures and perturbed ones.

    The perturbed picture is x + ½ σ U with U ~ U(0, 1) for each value, where σ is the standard deviation of all values
    of the global batch, and x̂ = x + α · ½ σ U with one α ~ U(0, 1) an example, as in the authors' code.

    Args:
      judge: pictures (N, H, W, C) -> logits (N,).
      real: real pictures (N, H, W, C).
      key: the key of U and α.
      axis_name: the mapped axis over which the global batch is split, if any.
      weight: λ of the paper.

    Returns:
      A scalar.

    Reference:
      Kodali et al., "On Convergence and Stability of GANs", 2017.
    """
    real = _at_least_float32(real)
    share_key, noise_key = jax.random.split(key)
    draw = functools.partial(jax.random.uniform, shape=real.shape[1:], dtype=real.dtype)
    perturbation = 0.5 * _global_std(real, axis_name) * jax.vmap(draw)(example_keys(noise_key, real, axis_name))
    return weight * _distance_from_unit_slope(judge, real + uniform_shares(share_key, real, axis_name) * perturbation)


def r1(judge: Judge, real: jax.Array, *, gamma: float = 10.0) -> jax.Array:
    """Computes ½ γ · mean ‖∇D(x)‖₂² at real pictures.

    Args:
      judge: pictures (N, H, W, C) -> logits (N,).
      real: real pictures (N, H, W, C).
      gamma: γ of the paper, with its ½; code that leaves out the ½ has half of this number for the same penalty.

    Returns:
      A scalar.

    Reference:
      Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually Converge?", 2018, equation 9.
    """
    return 0.5 * gamma * jnp.mean(squared_slopes(judge, _at_least_float32(real)))


def r2(judge: Judge, fake: jax.Array, *, gamma: float = 10.0) -> jax.Array:
    """Computes ½ γ · mean ‖∇D(G(z))‖₂² at generated pictures.

    Args:
      judge: pictures (N, H, W, C) -> logits (N,).
      fake: generated pictures (N, H, W, C).
      gamma: γ of the paper, with its ½.

    Returns:
      A scalar.

    Reference:
      Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually Converge?", 2018, equation 10.
    """
    return r1(judge, fake, gamma=gamma)


def squared_slopes(judge: Judge, images: jax.Array) -> jax.Array:
    """Returns the squared length of the gradient of Σ D with respect to each picture: (N, H, W, C) -> (N,)."""
    gradient = jax.grad(lambda pictures: jnp.sum(judge(pictures).astype(pictures.dtype)))(images)
    return jnp.sum(jnp.square(gradient), axis=tuple(range(1, images.ndim)))


def uniform_shares(key: jax.Array, images: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Draws one number of U(0, 1) an example, of shape (N, 1, 1, 1) for pictures (N, H, W, C)."""
    draw = functools.partial(jax.random.uniform, shape=(1,) * (images.ndim - 1), dtype=images.dtype)
    return jax.vmap(draw)(example_keys(key, images, axis_name))


def example_keys(key: jax.Array, images: jax.Array, axis_name: str | None) -> jax.Array:
    """Derives a key for each picture, by its index in the global batch."""
    return noise.example_keys(key, images.shape[0], axis_name)


def _distance_from_unit_slope(judge: Judge, points: jax.Array) -> jax.Array:
    """Returns the mean of (‖∇D‖ − 1)². Where a gradient is zero its length has no derivative: zero is taken."""
    squared = squared_slopes(judge, points)
    # Both branches of `where` are differentiated, so the root must not see a zero either.
    slopes = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1.0)), 0.0)
    return jnp.mean(jnp.square(slopes - 1.0))


def _global_std(images: jax.Array, axis_name: str | None) -> jax.Array:
    """Returns the standard deviation (divided by n) of all values of the global batch."""

    def mean(values: jax.Array) -> jax.Array:
        return jnp.mean(values) if axis_name is None else jax.lax.pmean(jnp.mean(values), axis_name)

    return jnp.sqrt(mean(jnp.square(images - mean(images))))


def _at_least_float32(images: jax.Array) -> jax.Array:
    return images.astype(jnp.promote_types(images.dtype, jnp.float32))
