"""Linen layers with the geometry, initialisers and batch normalisation of PyTorch, optionally of Keras.

Images are (N, H, W, C). `Conv` and `ConvTranspose` have kernels of the same layout: (height, width, channels of the
larger image, channels of the smaller image). As in PyTorch and Keras, the kernel of a transposed convolution is that of
the convolution it transposes. Weights are therefore converted between the libraries by transposing axes, never by
flipping.

Every layer computes in `dtype`; None selects the promoted dtype of its input and parameters. Parameters are float32, or
float64 if they are given so and JAX has 64-bit types enabled.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import ops
from jaxgan.host.errors import UserError
from jaxgan.ops import noise

Initializer = Callable[..., jax.Array]
Padding = int | tuple[tuple[int, int], tuple[int, int]]

torch_kernel_init: Initializer = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for the weights of linear and (transposed) convolutional layers: U(±1/√fan_in)."""

keras_kernel_init: Initializer = nn.initializers.glorot_uniform()
"""Keras' default: Glorot uniform."""


def normal_init(mean: float, std: float) -> Initializer:
    """Returns an initialiser N(mean, std²), for kernels (mean 0) and scales of batch normalisation (mean 1)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return mean + std * jax.random.normal(key, shape, dtype)

    return init


class _Weighted(nn.Module):
    """Base class of `Dense`, `Conv` and `ConvTranspose`, with a kernel, an optional bias and a compute dtype."""

    features: int
    use_bias: bool = True
    kernel_init: Initializer = torch_kernel_init
    bias_init: Initializer | None = None  # None: PyTorch's default, U(±1/√fan_in)
    dtype: Any = None

    def weights(self, x: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Returns the input, the kernel of this shape and the bias, all in the compute dtype."""
        kernel = self.effective(self.param("kernel", self.kernel_init, shape, jnp.float32))
        bias = None
        if self.use_bias:
            fan_in = kernel.size // shape[-1]
            bias = self.param("bias", self.bias_init or uniform_init(fan_in**-0.5), (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return x, kernel, bias

    def effective(self, kernel: jax.Array) -> jax.Array:
        """Returns the kernel that the layer applies, of the same shape; reparametrised layers override this."""
        return kernel


def uniform_init(bound: float) -> Initializer:
    """Returns an initialiser U(−bound, bound)."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Dense(_Weighted):
    """Linear layer on (N, in) or on images flattened in PyTorch's order; kernel (in, out)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (N, in), or (N, H, W, C) with in = C·H·W, to (N, features)."""
        x, kernel, bias = self.weights(x, (x[0].size, self.features))
        if x.ndim == 4:  # the kernel is permuted instead of the images, which are larger
            height, width, channels = x.shape[1:]
            kernel = kernel.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(kernel.shape)
        y = x.reshape(x.shape[0], -1) @ kernel
        return y if bias is None else y + bias


class Conv(_Weighted):
    """Convolution with a square kernel (kernel_size, kernel_size, in, out).

    Another `operation` of the picture and the kernel, such as `resampling.pooled_conv`, may stand in the place of the
    plain one; stride and padding are then its own.
    """

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0
    operation: Callable[[jax.Array, jax.Array], jax.Array] | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (N, H, W, in) to (N, ⌊(H + padding − kernel_size) / stride⌋ + 1, …, features)."""
        x, kernel, bias = self.weights(x, (self.kernel_size, self.kernel_size, x.shape[-1], self.features))
        if self.operation is None:
            y = ops.conv(x, kernel, stride=self.stride, padding=self.padding)
        else:
            y = self.operation(x, kernel)
        return y if bias is None else y + bias


class ConvTranspose(_Weighted):
    """Transposed convolution with a square kernel (kernel_size, kernel_size, out, in); padding crops the output."""

    kernel_size: int = 3
    stride: int = 1
    padding: Padding = 0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (N, H, W, in) to (N, (H − 1)·stride + kernel_size − padding, …, features)."""
        x, kernel, bias = self.weights(x, (self.kernel_size, self.kernel_size, self.features, x.shape[-1]))
        y = ops.conv_transpose(x, kernel, stride=self.stride, padding=self.padding)
        return y if bias is None else y + bias


class _BatchNormalization(nn.Module):
    """Base class of `BatchNorm` and `ConditionalBatchNorm`: the statistics, and the settings of both."""

    momentum: float = 0.9
    epsilon: float = 1e-5
    unbiased_running_variance: bool = True
    always_batch_statistics: bool = False  # normalise by the statistics of the batch in evaluation too
    scale_init: Initializer = nn.initializers.ones
    axis_name: str | None = None
    sync_batch_norm: bool = True
    dtype: Any = None

    def normalised(self, x: jax.Array, scale: jax.Array, bias: jax.Array, train: bool) -> jax.Array:
        """Normalises (N, …, C), scales and shifts; if `train`, updates the collection "batch_stats".

        Args:
          x: (N, …, C).
          scale: (C,), or what broadcasts to x.
          bias: of the shape of the scale.
          train: whether to use and update the statistics of the batch.

        Raises:
          UserError: if `train` and the statistics are those of a single number.
        """
        features = x.shape[-1]
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
        """Returns mean and biased variance per feature, in at least float32, and the number of values per feature."""
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        axes = tuple(range(x.ndim - 1))
        mean, mean_of_squares = jnp.mean(x, axes), jnp.mean(jnp.square(x), axes)
        count = x.size // x.shape[-1]
        if self.axis_name is not None and self.sync_batch_norm and not self.is_initializing():
            mean, mean_of_squares = jax.lax.pmean((mean, mean_of_squares), self.axis_name)
            count *= jax.lax.axis_size(self.axis_name)
        return mean, jnp.maximum(mean_of_squares - jnp.square(mean), 0.0), count


class BatchNorm(_BatchNormalization):
    """Batch normalisation over all axes but the last, synchronised over `axis_name`.

    Without `sync_batch_norm` each device normalises its share of the batch by the statistics of that share. The running
    statistics then move by the mean of all devices' statistics, so they remain equal on all devices.

    Running statistics are updated as running ← momentum · running + (1 − momentum) · batch: `momentum` is that of Flax
    and Keras, one minus PyTorch's. PyTorch updates the running variance with the UNBIASED variance (divided by n − 1),
    although it normalises with the biased one; Keras uses the biased one for both. `unbiased_running_variance` selects
    PyTorch's way.

    Without `use_scale` it only shifts.

    Reference:
      Ioffe and Szegedy, "Batch Normalization", 2015.
    """

    use_scale: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Normalises (N, …, C) and, if `train`, updates the collection "batch_stats".

        Raises:
          UserError: if `train` and the statistics are those of a single number.
        """
        shape = x.shape[-1:]
        scale = self.param("scale", self.scale_init, shape, jnp.float32) if self.use_scale else jnp.ones(shape, x.dtype)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        return self.normalised(x, scale, bias, train)


class ConditionalBatchNorm(_BatchNormalization):
    """Batch normalisation whose scale and shift depend on each example's condition y.

    The scale is 1 + y·S and the shift y·B, with S and B (condition_dim, C), initially 0. For a one-hot y that is a
    scale and a shift of each class, as in the papers. A condition of several ones, such as hair and eyes, adds their
    effects.

    Reference:
      Dumoulin et al., "A Learned Representation For Artistic Style", 2017; Miyato and Koyama, "cGANs with Projection
      Discriminator", 2018.
    """

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
        """Normalises (N, …, C) under conditions (N, condition_dim); if `train`, updates "batch_stats".

        Raises:
          UserError: if `train` and the statistics are those of a single number.
        """
        shape = (y.shape[-1], x.shape[-1])
        scale = y @ self.param("scale", nn.initializers.zeros, shape, jnp.float32)
        bias = y @ self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        over_pixels = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
        return self.normalised(x, 1 + scale.reshape(over_pixels), bias.reshape(over_pixels), train)


class Dropout(nn.Module):
    """Dropout whose mask depends on an example's index in the global batch; kept units are scaled by 1 / (1 − rate).

    With `whole_channels` each channel of an image is kept or dropped as a whole (PyTorch's dropout2d). Requires the
    random stream "dropout".

    Reference:
      Srivastava et al., "Dropout", 2014; Tompson et al., "Efficient Object Localization", 2015 (whole channels).
    """

    rate: float
    whole_channels: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Applies dropout to (N, …) if `train`.

        Raises:
          ValueError: if the rate is outside [0, 1).
        """
        if not 0 <= self.rate < 1:
            raise ValueError(f"a dropout rate is at least 0 and below 1, not {self.rate}")
        if not train or self.rate == 0 or self.is_initializing():
            return x
        shape = (1,) * (x.ndim - 2) + x.shape[-1:] if self.whole_channels else x.shape[1:]
        keys = noise.example_keys(self.make_rng("dropout"), x.shape[0], self.axis_name)
        # 16 random bits per unit, half as many as a uniform float32 takes. The rate is rounded to multiples of 2^-16,
        # and the scale is that of the rounded rate, so the mean is preserved.
        kept = min(max(round((1 - self.rate) * 2**16), 1), 2**16)
        bits = jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint16))(keys)
        return jnp.where(bits <= kept - 1, x * (2**16 / kept), jnp.zeros((), x.dtype))


def leaky_relu(x: jax.Array, slope: float = 0.2) -> jax.Array:
    """Returns x for x > 0, else slope · x; the gradient at 0 is the slope, as in PyTorch."""
    return jnp.where(x > 0, x, jnp.asarray(slope, x.dtype) * x)


def to_image(x: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """Reshapes features (N, C·H·W) in PyTorch's order to images (N, H, W, C); `shape` is (H, W, C)."""
    height, width, channels = shape
    return ops.transpose(x.reshape(-1, channels, height, width), (0, 2, 3, 1))
