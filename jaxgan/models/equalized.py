"""Equalised learning rate and pixel normalisation, of progressively grown networks.

Reference:
  Karras et al., "Progressive Growing of GANs", 2018, section 4.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import Conv, Dense, Initializer, normal_init


def pixel_norm(x: jax.Array, epsilon: float = 1e-8) -> jax.Array:
    """Divides each pixel's features by their root mean square: x / √(mean x² + epsilon), over the last axis.

    Args:
      x: (…, C).
      epsilon: added to the mean square.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return (wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), -1, keepdims=True) + epsilon)).astype(x.dtype)


def runtime_scale(kernel: jax.Array, gain: float) -> jax.Array:
    """Scales a kernel (…, in, out) of unit variance to that of He: gain / √fan_in."""
    fan_in = kernel.size // kernel.shape[-1]
    return kernel * (gain * fan_in**-0.5)


class EqualizedDense(Dense):
    """Linear layer whose kernel is N(0, 1) and scaled as it is applied, so that all layers learn at one pace."""

    kernel_init: Initializer = normal_init(0.0, 1.0)
    bias_init: Initializer | None = nn.initializers.zeros
    gain: float = 2**0.5

    def effective(self, kernel: jax.Array) -> jax.Array:
        """Returns the scaled kernel (in, out)."""
        return runtime_scale(kernel, self.gain)


class EqualizedConv(Conv):
    """Convolution whose kernel is N(0, 1) and scaled as it is applied, so that all layers learn at one pace."""

    kernel_init: Initializer = normal_init(0.0, 1.0)
    bias_init: Initializer | None = nn.initializers.zeros
    gain: float = 2**0.5

    def effective(self, kernel: jax.Array) -> jax.Array:
        """Returns the scaled kernel (kernel_size, kernel_size, in, out)."""
        return runtime_scale(kernel, self.gain)
