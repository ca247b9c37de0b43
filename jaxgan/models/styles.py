"""Layers of style-based generators: equalised layers with a rate, the mapping of latents to styles, modulation.

Reference:
  Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, and the authors' code of StyleGAN2-ADA.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import ops
from jaxgan.models.equalized import EqualizedDense, pixel_norm
from jaxgan.models.layers import leaky_relu, normal_init
from jaxgan.ops import filtering

GAIN = math.sqrt(2)
"""Of LeakyReLU, so that variances stay."""

MAPPING_RATE = 0.01
"""How fast a mapping network learns, relative to the others."""


def activate(x: jax.Array, gain: float = GAIN) -> jax.Array:
    """Returns gain · LeakyReLU(x), with a slope of 0.2."""
    return leaky_relu(x) * jnp.asarray(gain, x.dtype)


class ScaledDense(EqualizedDense):
    """Equalised linear layer that learns faster or slower than others: kernel and bias are stored over the rate.

    Attributes:
      rate: factor of the learning rate; make the layer by `dense`, which sets the initial weights accordingly.
    """

    rate: float = 1.0

    def weights(self, x: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Returns the input, the scaled kernel and the scaled bias in the compute dtype."""
        x, kernel, bias = super().weights(x, shape)
        return x, kernel, None if bias is None else bias * jnp.asarray(self.rate, bias.dtype)


def dense(features: int, *, rate: float = 1.0, bias: float = 0.0, dtype: Any = None) -> ScaledDense:
    """Makes an equalised linear layer without a gain.

    Args:
      features: of the output.
      rate: factor of the learning rate.
      bias: initial bias.
      dtype: compute dtype.
    """
    return ScaledDense(
        features,
        kernel_init=normal_init(0.0, 1.0 / rate),
        bias_init=nn.initializers.constant(bias / rate),
        dtype=dtype,
        gain=rate,
        rate=rate,
    )


class MappingNetwork(nn.Module):
    """Linear layers from a latent, a condition, or both to a style w. Both are brought to a mean square of 1 before.

    Attributes:
      width: length of a style, and of all layers between.
      layers: how many there are.
      condition_dim: length of its condition; 0 without.
    """

    width: int
    layers: int = 8
    condition_dim: int = 0

    @nn.compact
    def __call__(self, z: jax.Array | None, condition: Any = None) -> jax.Array:
        """Maps latents (N, latent_dim), or None, and conditions (N, condition_dim) to styles (N, width)."""
        parts = [] if z is None else [pixel_norm(z)]
        if self.condition_dim:
            parts.append(pixel_norm(dense(self.width)(condition)))
        x = jnp.concatenate(parts, axis=-1)
        for _ in range(self.layers):
            x = activate(dense(self.width, rate=MAPPING_RATE)(x))
        return x


class ModulatedConv(nn.Module):
    """Convolution whose kernel a style multiplies, a factor for each input channel, then normalised again.

    A kernel of each example would make one convolution an example. Here the factors are those of the channels that come
    in, and the normalisation that of the channels that go out, so that one convolution serves all examples.

    Attributes:
      features: output channels.
      kernel_size: side of the kernel, odd.
      doubling: whether it doubles the picture.
      demodulate: whether the kernel of each example is brought to a length of 1 for each output channel.
      dtype: compute dtype; styles have at least float32.
    """

    features: int
    kernel_size: int = 3
    doubling: bool = False
    demodulate: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """Maps features (N, H, W, in) and styles (N, style length) to (N, H, W, features), or (N, 2H, 2W, features)."""
        channels = x.shape[-1]
        factors = dense(channels, bias=1.0)(w)
        # As everywhere in this library, the channels of the larger picture stand before those of the smaller one.
        sides = (self.features, channels) if self.doubling else (channels, self.features)
        kernel = self.param("kernel", normal_init(0.0, 1.0), (self.kernel_size, self.kernel_size, *sides), jnp.float32)
        scale = None
        if self.demodulate:
            squares = jnp.sum(jnp.square(kernel), axis=(0, 1))
            lengths = jnp.square(factors) @ (squares.T if self.doubling else squares)
            scale = jax.lax.rsqrt(lengths + 1e-8)[:, None, None]
        else:
            factors = factors / math.sqrt(channels * self.kernel_size**2)
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        x = x * factors.astype(x.dtype)[:, None, None]
        convolve = functools.partial(ops.conv, padding=self.kernel_size // 2)
        y = (filtering.upsampled_conv if self.doubling else convolve)(x, kernel)
        return y if scale is None else y * scale.astype(y.dtype)


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise, bias and LeakyReLU.

    Attributes:
      features: output channels.
      side: height and width of the output.
      doubling: whether the input has half of it.
      dtype: compute dtype.
    """

    features: int
    side: int
    doubling: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array, noise: jax.Array | None = None) -> jax.Array:
        """Maps features and styles (N, style length) to (N, side, side, features).

        Args:
          x: (N, side, side, in), or of half the side.
          w: styles.
          noise: (N, side, side) of N(0, 1); None: that of the layer, the same for all pictures.
        """
        x = ModulatedConv(self.features, doubling=self.doubling, dtype=self.dtype)(x, w)
        fixed = self.variable("noise", "fixed", self._draw)
        strength = self.param("noise_strength", nn.initializers.zeros, (), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        grain = strength * (fixed.value[None] if noise is None else noise)
        return activate(x + grain[..., None].astype(x.dtype) + bias.astype(x.dtype))

    def _draw(self) -> jax.Array:
        return jax.random.normal(self.make_rng("params"), (self.side, self.side), jnp.float32)


class ToImage(nn.Module):
    """Modulated convolution of one pixel to the channels of a picture, without normalisation.

    Attributes:
      channels: of the picture.
      dtype: compute dtype.
    """

    channels: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """Maps features (N, H, W, in) and styles to a picture (N, H, W, channels) of at least float32."""
        x = ModulatedConv(self.channels, 1, demodulate=False, dtype=self.dtype)(x, w)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
        return x.astype(jnp.promote_types(x.dtype, jnp.float32)) + bias
