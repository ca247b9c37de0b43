"""Linen layers with the geometry, initialisers and batch normalisation of PyTorch, and of Keras where asked for.

Images are (N, H, W, C). `Conv` and `ConvTranspose` hold kernels of one layout, (height, width, channels of the
larger picture, channels of the smaller one): a transposed convolution's kernel is that of the convolution it is the
transpose of, as in PyTorch and Keras, so weights travel between the libraries by transposing axes alone, never by
flipping.

Every layer computes in `dtype` (None: the promotion of its input and its parameters) and keeps its parameters in
float32 (float64 if JAX runs with 64 bits and they are given so).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import ops
from jaxgan.errors import UserError
from jaxgan.ops import noise

Initializer = Callable[..., jax.Array]
Padding = int | tuple[tuple[int, int], tuple[int, int]]

torch_kernel_init: Initializer = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for the weights of linear and (transposed) convolutional layers: U(±1/√fan_in)."""

keras_kernel_init: Initializer = nn.initializers.glorot_uniform()
"""Keras' default: Glorot uniform."""


def normal_init(mean: float, std: float) -> Initializer:
    """N(mean, std²), for kernels (mean 0) and for the scales of batch normalisation (mean 1)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return mean + std * jax.random.normal(key, shape, dtype)

    return init


class _Weighted(nn.Module):
    """What `Dense`, `Conv` and `ConvTranspose` share: a kernel, perhaps a bias, and the type to compute in."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer = torch_kernel_init
    bias_init: Initializer | None = None  # None: PyTorch's default, U(±1/√fan_in)
    dtype: Any = None

    def weights(self, x: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """The input, the kernel of this shape and the bias, all in the type to compute in."""
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = None
        if self.use_bias:
            fan_in = kernel.size // shape[-1]
            bias = self.param("bias", self.bias_init or uniform_init(fan_in**-0.5), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return x, kernel, bias


def uniform_init(bound: float) -> Initializer:
    """U(−bound, bound)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Dense(_Weighted):
    """A linear layer on (N, features in) or on images, whose features are in PyTorch's order; kernel (in, out)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(N, in) or (N, H, W, C), in = C·H·W -> (N, features)."""
        x, kernel, bias = self.weights(x, (x[0].size, self.features))
        if x.ndim == 4:  # the kernel is turned instead of the images, which are larger
            height, width, channels = x.shape[1:]
            kernel = kernel.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(kernel.shape)
        y = x.reshape(len(x), -1) @ kernel
        return y if bias is None else y + bias


class Conv(_Weighted):
    """A convolution with a square kernel (kernel_size, kernel_size, in, out)."""

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(N, H, W, in) -> (N, ⌊(H + padding − kernel_size) / stride⌋ + 1, …, features)."""
        x, kernel, bias = self.weights(x, (self.kernel_size, self.kernel_size, x.shape[-1], self.features))
        y = ops.conv(x, kernel, stride=self.stride, padding=self.padding)
        return y if bias is None else y + bias


class ConvTranspose(_Weighted):
    """A transposed convolution with a square kernel (kernel_size, kernel_size, out, in); padding crops the output."""

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(N, H, W, in) -> (N, (H − 1)·stride + kernel_size − padding, …, features)."""
        x, kernel, bias = self.weights(x, (self.kernel_size, self.kernel_size, self.features, x.shape[-1]))
        y = ops.conv_transpose(x, kernel, stride=self.stride, padding=self.padding)
        return y if bias is None else y + bias


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, synchronised over `axis_name`.

    With `sync_batch_norm` false each device normalises its own share of the batch by that share's statistics, and the
    running statistics take the mean over devices of what each would have taken: they stay the same on every device.

    Running statistics move as running ← momentum · running + (1 − momentum) · batch: `momentum` is Flax's and
    Keras' word, one minus PyTorch's. PyTorch puts the UNBIASED variance (divided by n − 1) into the running estimate
    although it normalises with the biased one; Keras uses the biased one for both. `unbiased_running_variance`
    chooses.

    Reference:
      Ioffe and Szegedy, "Batch Normalization", 2015.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    unbiased_running_variance: bool = True
    always_batch_statistics: bool = False  # normalise with the batch at hand in evaluation too
    scale_init: Initializer = nn.initializers.ones
    axis_name: str | None = None
    sync_batch_norm: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(N, …, C) -> the same shape; moves the collection "batch_stats" when training."""
        features = x.shape[-1]
        scale = self.param("scale", self.scale_init, (features,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (features,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (features,), jnp.float32)
        running_variance = self.variable("batch_stats", "var", jnp.ones, (features,), jnp.float32)

        if train or self.always_batch_statistics:
            mean, variance, count = self._batch_statistics(x)
        else:
            mean, variance = running_mean.value, running_variance.value
        if train and not self.is_initializing():
            if count == 1:
                raise UserError("batch normalisation: a batch of one example has no variance; raise --batch_size")
            unbiased = variance * (count / (count - 1)) if self.unbiased_running_variance else variance
            moved = mean, unbiased
            if self.axis_name is not None and not self.sync_batch_norm:
                moved = jax.lax.pmean(moved, self.axis_name)
            for running, batch in zip((running_mean, running_variance), moved, strict=True):
                moved_on = self.momentum * running.value + (1 - self.momentum) * batch
                running.value = moved_on.astype(running.value.dtype)

        out_dtype = self.dtype or jnp.result_type(x, scale)
        slope = jax.lax.rsqrt(variance + self.epsilon) * scale
        normalised = x.astype(mean.dtype) * slope + (bias - mean * slope)
        return normalised.astype(out_dtype)

    def _batch_statistics(self, x: jax.Array) -> tuple[jax.Array, jax.Array, int]:
        """Mean and biased variance of each feature in at least float32, and how many numbers each was taken over."""
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        axes = tuple(range(x.ndim - 1))
        mean, mean_of_squares = jnp.mean(x, axes), jnp.mean(jnp.square(x), axes)
        count = x.size // x.shape[-1]
        if self.axis_name is not None and self.sync_batch_norm and not self.is_initializing():
            mean, mean_of_squares = jax.lax.pmean((mean, mean_of_squares), self.axis_name)
            count *= jax.lax.axis_size(self.axis_name)
        return mean, jnp.maximum(mean_of_squares - jnp.square(mean), 0.0), count


class Dropout(nn.Module):
    """Dropout whose mask belongs to an example's place in the global batch; the rest is scaled by 1 / (1 − rate).

    With `whole_channels` a channel of a picture is kept or dropped as a whole (PyTorch's dropout2d). Needs the
    random stream "dropout".

    Reference:
      Srivastava et al., "Dropout", 2014; Tompson et al., "Efficient Object Localization", 2015 (whole channels).
    """

    rate: float
    whole_channels: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(N, …) -> the same shape; ValueError for a rate outside [0, 1)."""
        if not 0 <= self.rate < 1:
            raise ValueError(f"a dropout rate is at least 0 and below 1, not {self.rate}")
        if not train or self.rate == 0 or self.is_initializing():
            return x
        shape = (1,) * (x.ndim - 2) + x.shape[-1:] if self.whole_channels else x.shape[1:]
        keys = noise.example_keys(self.make_rng("dropout"), x.shape[0], self.axis_name)
        # 16 random bits a unit, half of what a uniform number takes: the rate is met to 1/65536, and so is the mean.
        kept = min(max(round((1 - self.rate) * 2**16), 1), 2**16)
        bits = jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint16))(keys)
        return jnp.where(bits <= kept - 1, x * (2**16 / kept), jnp.zeros((), x.dtype))


def leaky_relu(x: jax.Array, slope: float = 0.2) -> jax.Array:
    """X where it is positive, else slope · x; at 0 the gradient is the slope, as PyTorch's."""
    return jnp.where(x > 0, x, jnp.asarray(slope, x.dtype) * x)


def to_image(x: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """Features (N, C·H·W) in PyTorch's order to images (N, H, W, C); `shape` is (H, W, C)."""
    height, width, channels = shape
    return ops.transpose(x.reshape(-1, channels, height, width), (0, 2, 3, 1))
