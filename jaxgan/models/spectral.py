"""Spectral normalisation: layers whose kernels have a largest singular value of about 1.

The kernel is divided by an estimate of its largest singular value. One power iteration in every training pass keeps the
estimate close, since a kernel moves little in a step. The vector it continues from, `u`, belongs to the collection
"spectral", beside the parameters.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import Conv, Dense

EPSILON = 1e-12


def power_iteration(matrix: jax.Array, u: jax.Array, epsilon: float = EPSILON) -> tuple[jax.Array, jax.Array]:
    """Estimates the largest singular value of a matrix by one power iteration.

    The gradient is that of uᵀ·W·v with u and v constant, as in the paper: it does not flow through the iteration.

    Args:
      matrix: W, (out, in).
      u: (out,), the left singular vector as it was estimated before, of any length but 0.
      epsilon: lower bound of the lengths that are divided by.

    Returns:
      The estimate uᵀ·W·v, a scalar, with v = Wᵀu / ‖Wᵀu‖ and the new u = W·v / ‖W·v‖; and that u.

    Reference:
      Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, algorithm 1.
    """
    constant = jax.lax.stop_gradient(matrix)
    v = _unit(u @ constant, epsilon)
    u = _unit(constant @ v, epsilon)
    return u @ (matrix @ v), u


def _unit(x: jax.Array, epsilon: float) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x), epsilon)


def singular_value(layer: nn.Module, matrix: jax.Array, train: bool) -> jax.Array:
    """Returns the estimate of a matrix' largest singular value, a scalar.

    Args:
      layer: the layer whose kernel it is, which keeps `u`; called while the layer is applied.
      matrix: (out, in).
      train: whether `u` moves. Otherwise the estimate is that of one more iteration, which is then forgotten.
    """

    def start() -> jax.Array:
        return jax.random.normal(layer.make_rng("params"), (len(matrix),), jnp.float32)

    u = layer.variable("spectral", "u", start)
    sigma, moved = power_iteration(matrix, u.value)
    if train and not layer.is_initializing():
        u.value = moved.astype(u.value.dtype)
    return sigma


class SpectralConv(Conv):
    """Convolution with spectral normalisation; the matrix of its kernel is (out, kernel_size² · in)."""

    train: bool = False

    def effective(self, kernel: jax.Array) -> jax.Array:
        """Returns the normalised kernel (kernel_size, kernel_size, in, out)."""
        return kernel / singular_value(self, kernel.reshape(-1, self.features).T, self.train)


class SpectralDense(Dense):
    """Linear layer with spectral normalisation; the matrix of its kernel is (out, in)."""

    train: bool = False

    def effective(self, kernel: jax.Array) -> jax.Array:
        """Returns the normalised kernel (in, out)."""
        return kernel / singular_value(self, kernel.T, self.train)


class SpectralEmbedding(Dense):
    """Embedding of conditions with spectral normalisation; the matrix of its kernel is (condition_dim, out)."""

    use_bias: bool = False
    train: bool = False

    def effective(self, kernel: jax.Array) -> jax.Array:
        """Returns the normalised kernel (condition_dim, out)."""
        return kernel / singular_value(self, kernel, self.train)


def layer(kind: Any, spectral: bool, train: bool, **options: Any) -> nn.Module:
    """Returns a `Conv` or `Dense` with or without spectral normalisation.

    Args:
      kind: `Conv` or `Dense`.
      spectral: whether its kernel is normalised.
      train: whether its vector moves.
      **options: fields of the layer.
    """
    if not spectral:
        return kind(**options)
    return {Conv: SpectralConv, Dense: SpectralDense}[kind](train=train, **options)
