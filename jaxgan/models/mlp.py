"""Fully connected GANs for digits.

| id          | generator                                     | discriminator                                 |
| ----------- | --------------------------------------------- | --------------------------------------------- |
| `mlp_a`     | 100 → 256 → 512 → 784, ReLU, tanh             | 784 → 512 → 256 → 1, LeakyReLU 0.01           |
| `mlp_b`     | 64 → 256 → 256 → 784, ReLU, tanh              | 784 → 256 → 256 → 1, LeakyReLU 0.2            |
| `mlp_keras` | 30 → 100 → 150 → 784, SELU, sigmoid on [0, 1] | 784 → 150 → 100 → 1, SELU, pictures in [0, 1] |

All layers have biases. The hidden layers of the discriminators may have dropout, unlike in the sources. `mlp_keras`
converts to and from pixels in [0, 1] internally; like all networks here, its inputs and outputs are in [−1, 1].

Reference:
  Goodfellow et al., "Generative Adversarial Networks", 2014; tutorial 002 (`mlp_a`), 003 and 004 (`mlp_b`), 003
  (`mlp_keras`).
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import Dense, Dropout, Initializer, keras_kernel_init, leaky_relu, torch_kernel_init
from jaxgan.models.network import GAN, Network

Activation = Callable[[jax.Array], jax.Array]


class Generator(Network):
    """Generator: z -> hidden layers -> all pixels of the picture."""

    convolutional: ClassVar[bool] = False

    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_dim: int = 64
    widths: tuple[int, ...] = (256, 256)
    activation: Activation = nn.relu
    to_pixels: Activation = jnp.tanh  # its values must lie in [−1, 1]
    kernel_init: Initializer = torch_kernel_init
    bias_init: Initializer | None = None

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        x = z
        for width in self.widths:
            x = self.activation(Dense(width, True, self.kernel_init, self.bias_init, self.dtype)(x))
        x = Dense(math.prod(self.image_shape), True, self.kernel_init, self.bias_init, self.dtype)(x)
        return self.to_pixels(x).reshape(-1, *self.image_shape)


class Discriminator(Network):
    """Discriminator: all pixels of the picture -> hidden layers -> the logit."""

    convolutional: ClassVar[bool] = False

    image_shape: tuple[int, int, int] = (28, 28, 1)
    widths: tuple[int, ...] = (256, 256)
    activation: Activation = leaky_relu
    from_pixels: Activation = lambda x: x
    kernel_init: Initializer = torch_kernel_init
    bias_init: Initializer | None = None
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) to logits (N,)."""
        x = self.from_pixels(x).reshape(x.shape[0], -1)
        for width in self.widths:
            x = self.activation(Dense(width, True, self.kernel_init, self.bias_init, self.dtype)(x))
            x = Dropout(self.dropout_rate, axis_name=self.axis_name)(x, train=train)
        return Dense(1, True, self.kernel_init, self.bias_init, self.dtype)(x).reshape(x.shape[0])


def _leaky_relu_001(x: jax.Array) -> jax.Array:
    return leaky_relu(x, 0.01)


def _sigmoid_to_pixels(x: jax.Array) -> jax.Array:
    """Applies the sigmoid, then maps [0, 1] to [−1, 1]."""
    return 2.0 * jax.nn.sigmoid(x) - 1.0


def _pixels_to_unit(x: jax.Array) -> jax.Array:
    """Maps [−1, 1] to [0, 1]."""
    return (x + 1.0) / 2.0


def mlp_a(
    *,
    image_size: int = 28,
    channels: int = 1,
    latent_dim: int = 100,
    generator_width: int = 256,
    discriminator_width: int = 256,
    dropout_rate: float = 0.0,
    dtype: Any = None,
) -> GAN:
    """Fully connected GAN of tutorial 002: growing generator, shrinking discriminator.

    For the arguments see `models.build`.
    """
    image_shape = (image_size, image_size, channels)
    widths = (generator_width, 2 * generator_width)
    return GAN(
        name="mlp_a",
        generator=Generator(dtype=dtype, image_shape=image_shape, latent_dim=latent_dim, widths=widths),
        discriminator=Discriminator(
            dtype=dtype,
            image_shape=image_shape,
            widths=(2 * discriminator_width, discriminator_width),
            activation=_leaky_relu_001,
            dropout_rate=dropout_rate,
        ),
    )


def mlp_b(
    *,
    image_size: int = 28,
    channels: int = 1,
    latent_dim: int = 64,
    generator_width: int = 256,
    discriminator_width: int = 256,
    dropout_rate: float = 0.0,
    dtype: Any = None,
) -> GAN:
    """Fully connected GAN of tutorials 003 and 004: two layers of 256 in each network.

    For the arguments see `models.build`.
    """
    image_shape = (image_size, image_size, channels)
    return GAN(
        name="mlp_b",
        generator=Generator(
            dtype=dtype, image_shape=image_shape, latent_dim=latent_dim, widths=(generator_width, generator_width)
        ),
        discriminator=Discriminator(
            dtype=dtype,
            image_shape=image_shape,
            widths=(discriminator_width, discriminator_width),
            dropout_rate=dropout_rate,
        ),
    )


def mlp_keras(
    *,
    image_size: int = 28,
    channels: int = 1,
    latent_dim: int = 30,
    generator_width: int = 50,
    discriminator_width: int = 50,
    dropout_rate: float = 0.0,
    dtype: Any = None,
) -> GAN:
    """Fully connected GAN of tutorial 003 (Keras): SELU, pixels in [0, 1] inside.

    For the arguments see `models.build`.
    """
    image_shape = (image_size, image_size, channels)
    keras = {
        "dtype": dtype,
        "image_shape": image_shape,
        "activation": nn.selu,
        "kernel_init": keras_kernel_init,
        "bias_init": nn.initializers.zeros,
    }
    return GAN(
        name="mlp_keras",
        generator=Generator(
            latent_dim=latent_dim,
            widths=(2 * generator_width, 3 * generator_width),
            to_pixels=_sigmoid_to_pixels,
            **keras,
        ),
        discriminator=Discriminator(
            widths=(3 * discriminator_width, 2 * discriminator_width),
            from_pixels=_pixels_to_unit,
            dropout_rate=dropout_rate,
            **keras,
        ),
    )
