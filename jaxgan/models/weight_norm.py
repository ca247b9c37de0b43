"""Layers with weight normalisation: each unit has a direction v and a length, scale · v / ‖v‖.

Scales are parameters, or belong to the collection `FIXED`. A pass with `calibrate` sets scales and biases from the
examples that it is given, so that each unit has mean 0 and a chosen deviation over them; the collections "params" and
`FIXED` must then be mutable.

Reference:
  Salimans and Kingma, "Weight Normalization", 2016, §2 and §3 (the start from data).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import ops
from jaxgan.models.layers import Initializer, Padding, normal_init

FIXED = "fixed_scales"
"""The collection of the scales of weight normalisation that are not trained."""


class _WeightNormalised(nn.Module):
    """Base class of the layers.

    Attributes:
      features: units.
      kernel_init: initialiser of v.
      train_scale: whether the scale is a parameter, or fixed.
      epsilon: added to ‖v‖².
      dtype: to compute in.
      calibrated_std: the deviation that `calibrate` gives each unit.
    """

    features: int
    kernel_init: Initializer = normal_init(0.0, 0.1)
    train_scale: bool = False
    epsilon: float = 0.0
    dtype: Any = None
    calibrated_std: float = 1.0

    def normalised(
        self,
        x: jax.Array,
        shape: tuple[int, ...],
        product: Callable[[jax.Array, jax.Array], jax.Array],
        calibrate: bool,
        units: int = -1,
    ) -> jax.Array:
        """Applies the layer.

        Args:
          x: (N, …, in).
          shape: of the kernel.
          product: of x and the kernel, linear: (N, …, features).
          calibrate: whether to set scale and bias from x.
          units: the axis of the kernel that has an entry a unit.
        """
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        ones, collection = nn.initializers.ones, "params" if self.train_scale else FIXED
        if self.train_scale:
            scale = self.param("scale", ones, (self.features,), jnp.float32)
        else:
            scale = self.variable(FIXED, "scale", jnp.ones, (self.features,), jnp.float32).value
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        others = tuple(axis for axis in range(kernel.ndim) if axis != units % kernel.ndim)
        factor = scale * jax.lax.rsqrt(jnp.sum(jnp.square(kernel), axis=others) + self.epsilon)
        weights = kernel * jnp.expand_dims(factor, others)
        x, weights, shift = nn.dtypes.promote_dtype(x, weights, bias, dtype=self.dtype)
        y = product(x, weights)
        if not calibrate:
            return y + shift
        axes = tuple(range(y.ndim - 1))
        mean, excess = jnp.mean(y, axis=axes), jnp.std(y, axis=axes) / self.calibrated_std
        self.put_variable("params", "bias", (-mean / excess).astype(bias.dtype))
        self.put_variable(collection, "scale", (scale / excess).astype(scale.dtype))
        return (y - mean) / excess


class WeightNormDense(_WeightNormalised):
    """Linear layer with weight normalisation, of the last axis; kernel (in, features)."""

    @nn.compact
    def __call__(self, x: jax.Array, *, calibrate: bool = False) -> jax.Array:
        """Maps (N, …, in) to (N, …, features); see the module for `calibrate`."""
        return self.normalised(x, (x.shape[-1], self.features), jnp.matmul, calibrate)


class WeightNormConv(_WeightNormalised):
    """Convolution with weight normalisation; kernel (kernel_size, kernel_size, in, features)."""

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0

    @nn.compact
    def __call__(self, x: jax.Array, *, calibrate: bool = False) -> jax.Array:
        """Maps (N, H, W, in) to (N, ⌊(H + padding − kernel_size) / stride⌋ + 1, …, features)."""

        def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return ops.conv(x, kernel, stride=self.stride, padding=self.padding)

        return self.normalised(x, (*(self.kernel_size,) * 2, x.shape[-1], self.features), convolve, calibrate)


class WeightNormConvTranspose(_WeightNormalised):
    """Transposed convolution with weight normalisation; kernel (kernel_size, kernel_size, features, in)."""

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0

    @nn.compact
    def __call__(self, x: jax.Array, *, calibrate: bool = False) -> jax.Array:
        """Maps (N, H, W, in) to (N, (H − 1)·stride + kernel_size − padding, …, features)."""

        def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return ops.conv_transpose(x, kernel, stride=self.stride, padding=self.padding)

        shape = (*(self.kernel_size,) * 2, self.features, x.shape[-1])
        return self.normalised(x, shape, convolve, calibrate, units=2)
