"""Losses of generator and discriminator as pure functions of logits, and terms of the evidence lower bound.

Each adversarial loss takes raw outputs of the discriminator, one number per example, shape (N,). It returns a scalar to
be minimised: the mean over the batch, computed in float32 (float64 for float64 logits). Sigmoid and logarithm are never
applied one after the other: their composition is written as softplus, which stays finite and keeps its gradient at
logits of ±1e4 and beyond.

All losses raise `ShapeError` if the logits are not one number per example, or the batches of one loss differ in size.

The terms of the evidence lower bound are in nats: sums over the pixels or latents of an example, averaged over the
batch. A mean over 784 pixels instead of a sum would increase the relative weight of the other term 784 times.
"""

import itertools
import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


class ShapeError(ValueError, AssertionError):
    """Raised when an argument has the wrong shape."""


def _checked(*logits: ArrayLike) -> tuple[jax.Array, ...]:
    """Returns the logits as arrays of at least float32, all of one shape (N,)."""
    arrays = tuple(jnp.asarray(values) for values in logits)
    shapes = [array.shape for array in arrays]
    if any(len(shape) != 1 or shape[0] == 0 for shape in shapes) or len(set(shapes)) > 1:
        raise ShapeError(f"logits must all have one shape (N,) with N > 0, got {', '.join(map(str, shapes))}")
    return tuple(array.astype(jnp.promote_types(array.dtype, jnp.float32)) for array in arrays)


def _cross_entropy(logits: jax.Array, target: float) -> jax.Array:
    """Returns the mean binary cross-entropy of sigmoid(logits) against one target in [0, 1]."""
    return jnp.mean(target * jax.nn.softplus(-logits) + (1.0 - target) * jax.nn.softplus(logits))


def minimax_discriminator_loss(
    real_logits: ArrayLike, fake_logits: ArrayLike, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Computes −mean log D(x) − mean log(1 − D(G(z))), with D = sigmoid(logits).

    Args:
      real_logits: logits of real examples, shape (N,).
      fake_logits: logits of generated examples, shape (N,).
      label_smoothing: the target for real examples is 1 − this; in [0, 1). It is one-sided, as Salimans et al. (2016)
        advise.

    Returns:
      The sum of both mean cross-entropies; 2·log 2 if all logits are 0.

    Raises:
      ShapeError: if the logits are not of one shape (N,).

    Reference:
      Goodfellow et al., "Generative Adversarial Networks", 2014, equation 1.
    """
    real, fake = _checked(real_logits, fake_logits)
    return _cross_entropy(real, 1.0 - label_smoothing) + _cross_entropy(fake, 0.0)


def minimax_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Computes mean log(1 − D(G(z))), the generator's minimax loss, whose gradient vanishes if D rejects all samples.

    Reference:
      Goodfellow et al., "Generative Adversarial Networks", 2014, equation 1.
    """
    (fake,) = _checked(fake_logits)
    return -_cross_entropy(fake, 0.0)


def nonsaturating_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Computes −mean log D(G(z)).

    It has the fixed point of the minimax loss, but a strong gradient if D rejects all samples. All tutorials use it.

    Reference:
      Goodfellow et al., "Generative Adversarial Networks", 2014, section 3.
    """
    (fake,) = _checked(fake_logits)
    return _cross_entropy(fake, 1.0)


def joint_batch_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Computes the binary cross-entropy over ONE batch of real and generated examples.

    It is half of `minimax_discriminator_loss`.

    Reference:
      Tutorial 003 (Keras), which trains D on the concatenated batch.
    """
    return 0.5 * minimax_discriminator_loss(real_logits, fake_logits)


def wasserstein_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Computes the mean score of generated examples minus that of real ones, the negative estimate of the distance.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017, algorithm 1 (which maximises the opposite).
    """
    real, fake = _checked(real_logits, fake_logits)
    return jnp.mean(fake) - jnp.mean(real)


def wasserstein_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Computes the negative mean score of generated examples.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017, algorithm 1.
    """
    (fake,) = _checked(fake_logits)
    return -jnp.mean(fake)


def matching_aware_discriminator_loss(
    real: ArrayLike, wrong_condition: ArrayLike, wrong_image: ArrayLike, fake: ArrayLike
) -> jax.Array:
    """Computes the loss of a conditional discriminator that must also reject real pictures with a wrong condition.

    Args:
      real: logits D(x, y) of pictures with their own conditions, shape (N,).
      wrong_condition: logits D(x, y′) of the pictures with other conditions, shape (N,).
      wrong_image: logits D(x′, y) of other pictures with the conditions, shape (N,).
      fake: logits D(G(z, y), y) of generated pictures, shape (N,).

    Returns:
      The cross-entropy of the first against 1, plus a third of the sum of the other three against 0.

    Raises:
      ShapeError: if the logits are not of one shape (N,).

    Reference:
      Reed et al., "Generative Adversarial Text to Image Synthesis", 2016, algorithm 1 (two negatives); the third, x′,
      and the average are from tutorial 000.
    """
    matching, *negatives = _checked(real, wrong_condition, wrong_image, fake)
    return _cross_entropy(matching, 1.0) + sum(_cross_entropy(logits, 0.0) for logits in negatives) / 3.0


def least_squares_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Computes ½·mean (D(x) − 1)² + ½·mean D(G(z))² of the raw outputs.

    Reference:
      Mao et al., "Least Squares Generative Adversarial Networks", 2017, equation 9 (a = 0, b = 1).
    """
    real, fake = _checked(real_logits, fake_logits)
    return 0.5 * jnp.mean((real - 1.0) ** 2) + 0.5 * jnp.mean(fake**2)


def least_squares_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Computes ½·mean (D(G(z)) − 1)² of the raw outputs.

    Reference:
      Mao et al., "Least Squares Generative Adversarial Networks", 2017, equation 9 (c = 1).
    """
    (fake,) = _checked(fake_logits)
    return 0.5 * jnp.mean((fake - 1.0) ** 2)


def hinge_discriminator_loss(real_logits: ArrayLike, fake_logits: ArrayLike) -> jax.Array:
    """Computes mean max(0, 1 − D(x)) + mean max(0, 1 + D(G(z))) of the raw outputs.

    Reference:
      Lim and Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization", 2018, equation 16.
    """
    real, fake = _checked(real_logits, fake_logits)
    return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))


def hinge_generator_loss(fake_logits: ArrayLike) -> jax.Array:
    """Computes −mean D(G(z)) of the raw outputs.

    Reference:
      Lim and Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization", 2018, equation 17.
    """
    (fake,) = _checked(fake_logits)
    return -jnp.mean(fake)


def bernoulli_reconstruction_loss(logits: ArrayLike, targets: ArrayLike) -> jax.Array:
    """Computes −log p(x | z) with Bernoulli pixels, whose log odds the decoder returns.

    Args:
      logits: log odds of each pixel, shape (N, …).
      targets: pixels in [0, 1], of the same shape. The result is a log likelihood only if all pixels are 0 or 1.

    Returns:
      Σ softplus(l) − x·l over the pixels, averaged over the batch, in nats per picture.

    Raises:
      ShapeError: if the shapes differ, or an axis is empty.

    Reference:
      Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.1.
    """
    logits, targets = _batches(logits, targets)
    # Not the logarithms of both probabilities: log(1 − sigmoid(l)) is −inf at large l, while softplus stays finite.
    return _sum_of_each(jax.nn.softplus(logits) - targets * logits)


def class_loss(logits: jax.Array, labels: jax.Array, kinds: tuple[int, ...]) -> jax.Array:
    """Computes the loss of a classifier: cross-entropies, summed over the kinds and averaged over the batch.

    Args:
      logits: (N, c).
      labels: (N, c), zeros and ones.
      kinds: number of adjacent columns of each kind, whose classes exclude one another: the cross-entropy of their
        softmax. A picture without any adds nothing. (): the binary cross-entropy of each label by itself.

    Returns:
      A scalar, in nats.

    Raises:
      ShapeError: without kinds, if the shapes differ.

    Reference:
      Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, L_C; Choi et al., "StarGAN",
      2018, equations 2 and 3.
    """
    if not kinds:
        return bernoulli_reconstruction_loss(logits, labels)
    total = jnp.zeros((), jnp.float32)
    for start, stop in itertools.pairwise(itertools.accumulate(kinds, initial=0)):
        chances = jax.nn.log_softmax(logits[:, start:stop].astype(jnp.promote_types(logits.dtype, jnp.float32)))
        total -= jnp.sum(labels[:, start:stop] * chances) / len(labels)
    return total


def gaussian_reconstruction_loss(means: ArrayLike, targets: ArrayLike, *, std: float = 1.0) -> jax.Array:
    """Computes −log p(x | z) with normal pixels, whose means the decoder returns.

    Args:
      means: mean of each pixel, shape (N, …).
      targets: pixels on the scale of the means, of the same shape.
      std: standard deviation of a pixel, positive.

    Returns:
      Σ ½·((x − mean) / std)² + log std + ½·log 2π over the pixels, averaged over the batch, in nats per picture. It is
      a density, so it can be negative.

    Raises:
      ShapeError: if the shapes differ, or an axis is empty.

    Reference:
      Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix C.2.
    """
    means, targets = _batches(means, targets)
    return _sum_of_each(0.5 * jnp.square((targets - means) / std) + math.log(std) + 0.5 * math.log(2.0 * math.pi))


def gaussian_kl_divergence(mean: ArrayLike, log_variance: ArrayLike) -> jax.Array:
    """Computes KL(N(mean, variance) ‖ N(0, 1)), the information that the latents carry about their pictures.

    Args:
      mean: mean of each latent, shape (N, latent_dim).
      log_variance: natural logarithm of each latent's variance, of the same shape.

    Returns:
      ½·Σ mean² + variance − 1 − log variance over the latents, averaged over the batch, in nats per picture; at least
      0.

    Raises:
      ShapeError: if the shapes differ, or an axis is empty.

    Reference:
      Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.
    """
    mean, log_variance = _batches(mean, log_variance)
    return _sum_of_each(0.5 * (jnp.square(mean) + jnp.expm1(log_variance) - log_variance))


def _batches(first: ArrayLike, second: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Returns both as arrays of at least float32, after checking that they have one shape (N, …)."""
    arrays = jnp.asarray(first), jnp.asarray(second)
    shapes = [array.shape for array in arrays]
    if shapes[0] != shapes[1] or len(shapes[0]) < 2 or 0 in shapes[0]:
        raise ShapeError(f"both must have one shape (N, …) with N > 0, got {shapes[0]} and {shapes[1]}")
    one, two = (array.astype(jnp.promote_types(array.dtype, jnp.float32)) for array in arrays)
    return one, two


def _sum_of_each(values: jax.Array) -> jax.Array:
    """Sums each example's values (N, …) and averages over the batch."""
    return jnp.sum(values) / values.shape[0]
