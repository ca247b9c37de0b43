"""Losses of the two players as pure functions of logits, and the terms of an autoencoder's evidence lower bound.

Each loss of a player takes the discriminator's raw outputs, one number an example, shape (N,), and returns a scalar:
the mean over the batch, computed in float32 (in float64 where the logits are float64), to be minimised. Nothing here
ever passes through a sigmoid and a logarithm one after the other: both are written as softplus, which stays finite and
keeps its gradient at logits of ±1e4 and beyond.

They raise `ShapeError` where the logits are not one number an example, or where the batches of one loss differ in
size.

The terms of the evidence lower bound are in nats: sums over the pixels or the latents of an example, and then the mean
over the batch. A mean over 784 pixels would make the weight of the other term 784 times what it says.
"""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


class ShapeError(ValueError, AssertionError):
    """An argument has not the shape that a function asserts."""


def _checked(*logits: ArrayLike) -> tuple[jax.Array, ...]:
    """The logits as arrays of at least float32, all of one shape (N,)."""
    arrays = tuple(jnp.asarray(values) for values in logits)
    shapes = [array.shape for array in arrays]
    if any(len(shape) != 1 or shape[0] == 0 for shape in shapes) or len(set(shapes)) > 1:
        raise ShapeError(f"logits must all have one shape (N,) with N > 0, got {', '.join(map(str, shapes))}")
    return tuple(array.astype(jnp.promote_types(array.dtype, jnp.float32)) for array in arrays)


def _cross_entropy(logits: jax.Array, target: float) -> jax.Array:
    """Mean binary cross-entropy of sigmoid(logits) against one target in [0, 1]."""
    return jnp.mean(target * jax.nn.softplus(-logits) + (1.0 - target) * jax.nn.softplus(logits))


def minimax_discriminator_loss(
    real_logits: ArrayLike, fake_logits: ArrayLike, *, label_smoothing: float = 0.0
) -> jax.Array:
    """−mean log D(x) − mean log(1 − D(G(z))), with D = sigmoid(logits).

    Args:
      real_logits: logits of real examples, shape (N,).
      fake_logits: logits of generated examples, shape (N,).
      label_smoothing: the target of a real example is 1 − this; in [0, 1). One-sided, as Salimans et al. (2016) advise.

    Returns:
      The sum of both mean cross-entropies; 2·log 2 for a discriminator that knows nothing.

    Reference:
      Goodfellow et al., "Generative Adversarial Networks", 2014, equation 1.
    """
    real, fake = _checked(real_logits, fake_logits)
    return _cross_entropy(real, 1.0 - label_smoothing) + _cross_entropy(fake, 0.0)


def minimax_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Mean log(1 − D(G(z))): the generator's side of the minimax game, whose gradient vanishes where D wins.

    Reference:
      Goodfellow et al., "Generative Adversarial Networks", 2014, equation 1.
    """
    (fake,) = _checked(fake_logits)
    return -_cross_entropy(fake, 0.0)


def nonsaturating_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """−mean log D(G(z)): the minimax game's fixed point, a strong gradient where D wins; all tutorials' choice.

    Reference:
      Goodfellow et al., "Generative Adversarial Networks", 2014, section 3.
    """
    (fake,) = _checked(fake_logits)
    return _cross_entropy(fake, 1.0)


def joint_batch_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Binary cross-entropy over ONE batch of real and generated examples: half of `minimax_discriminator_loss`.

    Reference:
      Tutorial 003 (Keras), which trains D on the concatenated batch.
    """
    return 0.5 * minimax_discriminator_loss(real_logits, fake_logits)


def wasserstein_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Mean critic score of generated examples minus that of real ones: minus the estimated distance.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017, algorithm 1 (there maximised with the opposite sign).
    """
    real, fake = _checked(real_logits, fake_logits)
    return jnp.mean(fake) - jnp.mean(real)


def wasserstein_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Minus the mean critic score of generated examples.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017, algorithm 1.
    """
    (fake,) = _checked(fake_logits)
    return -jnp.mean(fake)


def matching_aware_discriminator_loss(
    real: ArrayLike, wrong_condition: ArrayLike, wrong_image: ArrayLike, fake: ArrayLike
) -> jax.Array:
    """A conditional discriminator must refuse real pictures under a wrong condition too.

    Args:
      real: logits D(x, y), of a picture with its own condition, shape (N,).
      wrong_condition: D(x, y′), of the picture with another condition, shape (N,).
      wrong_image: D(x′, y), of another picture with the condition, shape (N,).
      fake: D(G(z, y), y), shape (N,).

    Returns:
      Cross-entropy of the first against 1, plus a third of each of the other three against 0.

    Reference:
      Reed et al., "Generative Adversarial Text to Image Synthesis", 2016, algorithm 1 (two negatives); the third, x′,
      and the average are tutorial 000's.
    """
    matching, *negatives = _checked(real, wrong_condition, wrong_image, fake)
    return _cross_entropy(matching, 1.0) + sum(_cross_entropy(logits, 0.0) for logits in negatives) / 3.0


def least_squares_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """½·mean (D(x) − 1)² + ½·mean D(G(z))², on the raw outputs.

    Reference:
      Mao et al., "Least Squares Generative Adversarial Networks", 2017, equation 9 (a = 0, b = 1).
    """
    real, fake = _checked(real_logits, fake_logits)
    return 0.5 * jnp.mean((real - 1.0) ** 2) + 0.5 * jnp.mean(fake**2)


def least_squares_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """½·mean (D(G(z)) − 1)², on the raw outputs.

    Reference:
      Mao et al., "Least Squares Generative Adversarial Networks", 2017, equation 9 (c = 1).
    """
    (fake,) = _checked(fake_logits)
    return 0.5 * jnp.mean((fake - 1.0) ** 2)


def hinge_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Mean max(0, 1 − D(x)) + mean max(0, 1 + D(G(z))), on the raw outputs.

    Reference:
      Lim and Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization", 2018, equation 16.
    """
    real, fake = _checked(real_logits, fake_logits)
    return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))


def hinge_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """−mean D(G(z)), on the raw outputs.

    Reference:
      Lim and Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization", 2018, equation 17.
    """
    (fake,) = _checked(fake_logits)
    return -jnp.mean(fake)


def bernoulli_reconstruction_loss(logits: ArrayLike, targets: ArrayLike) -> jax.Array:
    """Computes −log p(x | z) where each pixel is a coin with the log odds that a decoder gives.

    Args:
      logits: log odds of each pixel, shape (N, …).
      targets: pixels in [0, 1], the same shape. Only of pixels that are 0 or 1 is the result a log likelihood.

    Returns:
      Σ softplus(l) − x·l over the pixels, mean over the batch: nats for each picture.

    Raises:
      ShapeError: where the shapes differ, or there is nothing to sum.

    Reference:
      Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.1.
    """
    logits, targets = _batches(logits, targets)
    # Not −log(sigmoid(…)) of both sides: log(1 − sigmoid(l)) overflows near l = 104, softplus never does.
    return _sum_of_each(jax.nn.softplus(logits) - targets * logits)


def gaussian_reconstruction_loss(means: ArrayLike, targets: ArrayLike, *, std: float = 1.0) -> jax.Array:
    """Computes −log p(x | z) where each pixel is normal around the mean that a decoder gives.

    Args:
      means: of each pixel, shape (N, …).
      targets: pixels on the scale of the means, the same shape.
      std: standard deviation of a pixel around its mean, above 0.

    Returns:
      Σ ½·((x − mean) / std)² + log std + ½·log 2π over the pixels, mean over the batch: nats for each picture, of a
      density, so they may be below 0.

    Raises:
      ShapeError: where the shapes differ, or there is nothing to sum.

    Reference:
      Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.2.
    """
    means, targets = _batches(means, targets)
    return _sum_of_each(0.5 * jnp.square((targets - means) / std) + math.log(std) + 0.5 * math.log(2.0 * math.pi))


def gaussian_kl_divergence(mean: ArrayLike, log_variance: ArrayLike) -> jax.Array:
    """Computes KL(N(mean, variance) ‖ N(0, 1)), the information that codes carry about their pictures.

    Args:
      mean: of each latent, shape (N, latent_dim).
      log_variance: natural logarithm of each latent's variance, the same shape.

    Returns:
      ½·Σ mean² + variance − 1 − log variance over the latents, mean over the batch: nats for each picture, at least 0.

    Raises:
      ShapeError: where the shapes differ, or there is nothing to sum.

    Reference:
      Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.
    """
    mean, log_variance = _batches(mean, log_variance)
    return _sum_of_each(0.5 * (jnp.square(mean) + jnp.expm1(log_variance) - log_variance))


def _batches(first: ArrayLike, second: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Returns both as arrays of at least float32, once they have one shape (N, …)."""
    arrays = jnp.asarray(first), jnp.asarray(second)
    shapes = [array.shape for array in arrays]
    if shapes[0] != shapes[1] or len(shapes[0]) < 2 or 0 in shapes[0]:
        raise ShapeError(f"both must have one shape (N, …) with N > 0, got {shapes[0]} and {shapes[1]}")
    one, two = (array.astype(jnp.promote_types(array.dtype, jnp.float32)) for array in arrays)
    return one, two


def _sum_of_each(values: jax.Array) -> jax.Array:
    """Sums each example's values (N, …), and takes the mean over the batch."""
    return jnp.sum(values) / values.shape[0]
