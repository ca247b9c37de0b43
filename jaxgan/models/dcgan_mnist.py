"""Small deep convolutional GANs for 28×28 digits, one from a PyTorch tutorial, one from a Keras tutorial.

`dcgan_mnist_a` (all layers with biases; the activation comes BEFORE batch normalisation, as in its source;
s stride, p padding):

| generator       | kernel, s, p | output   | discriminator                   | kernel, s, p | output   |
| --------------- | ------------ | -------- | ------------------------------- | ------------ | -------- |
| Dense, ReLU, BN |              | 7×7×256  | Conv, LeakyReLU 0.01, dropout ½ | 3, 2, 0      | 13×13×64 |
| ConvT, ReLU, BN | 3, 1, 1      | 7×7×128  | Conv, LeakyReLU 0.01, dropout ½ | 3, 2, 0      | 6×6×128  |
| ConvT, ReLU, BN | 4, 2, 1      | 14×14×64 | BN, Dense                       |              | 1        |
| ConvT, tanh     | 4, 2, 1      | 28×28×1  |                                 |              |          |

`dcgan_mnist_keras` (all layers with biases; "same" padding):

| generator   | kernel, stride | output   | discriminator                    | kernel, stride | output   |
| ----------- | -------------- | -------- | -------------------------------- | -------------- | -------- |
| Dense, BN   |                | 7×7×128  | Conv, LeakyReLU 0.2, dropout 0.4 | 5, 2           | 14×14×64 |
| ConvT, ReLU | 5, 2           | 14×14×64 | Conv, LeakyReLU 0.2, dropout 0.4 | 5, 2           | 7×7×128  |
| ConvT, tanh | 5, 2           | 28×28×1  | Dense                            |                | 1        |

Reference:
  Tutorial 002 (`dcgan_mnist_a`) and tutorial 003 (`dcgan_mnist_keras`).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.layers import Conv, ConvTranspose, Dense, Dropout, keras_kernel_init, leaky_relu, to_image
from jaxgan.models.network import GAN, Network

KERAS_SAME_5_2 = ((1, 2), (1, 2))  # "same" padding for kernel 5, stride 2 and even sizes: one row before, two after


def grow_from_quarter(network: Network, x: jax.Array, width: int, channels: int, train: bool) -> jax.Array:
    """Applies the convolutional part of `dcgan_mnist_a`'s generator.

    Args:
      network: the calling module, in whose scope the layers are created.
      x: (N, H/4, W/4, 4·width).
      width: channels of the last hidden layer.
      channels: channels of the picture.
      train: whether batch normalisation uses and updates the statistics of the batch.

    Returns:
      Pictures (N, H, W, channels) in [−1, 1].
    """
    x = nn.relu(ConvTranspose(2 * width, kernel_size=3, padding=1, dtype=network.dtype)(x))
    x = network.batch_norm()(x, train=train)
    x = nn.relu(ConvTranspose(width, kernel_size=4, stride=2, padding=1, dtype=network.dtype)(x))
    x = network.batch_norm()(x, train=train)
    return jnp.tanh(ConvTranspose(channels, kernel_size=4, stride=2, padding=1, dtype=network.dtype)(x))


def judge(network: Network, x: jax.Array, width: int, dropout_rate: float, train: bool) -> jax.Array:
    """Applies `dcgan_mnist_a`'s discriminator.

    Args:
      network: the calling module, in whose scope the layers are created.
      x: pictures (N, H, W, channels).
      width: channels of the first layer.
      dropout_rate: dropout rate, in [0, 1).
      train: whether to apply dropout, and to use and update the statistics of the batch.

    Returns:
      Logits (N,).
    """
    for features in (width, 2 * width):
        x = leaky_relu(Conv(features, kernel_size=3, stride=2, dtype=network.dtype)(x), 0.01)
        x = Dropout(dropout_rate, whole_channels=True, axis_name=network.axis_name)(x, train=train)
    x = network.batch_norm()(x, train=train)
    return Dense(1, dtype=network.dtype)(x).reshape(x.shape[0])


class GeneratorA(Network):
    """Generator of `dcgan_mnist_a`."""

    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_dim: int = 100
    width: int = 64

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        height, width, channels = self.image_shape
        start = (height // 4, width // 4, 4 * self.width)
        x = nn.relu(Dense(start[0] * start[1] * start[2], dtype=self.dtype)(z))
        x = self.batch_norm()(x, train=train)
        return grow_from_quarter(self, to_image(x, start), self.width, channels, train)


class DiscriminatorA(Network):
    """Discriminator of `dcgan_mnist_a`."""

    image_shape: tuple[int, int, int] = (28, 28, 1)
    width: int = 64
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) to logits (N,)."""
        return judge(self, x, self.width, self.dropout_rate, train)


class KerasGenerator(Network):
    """Generator of `dcgan_mnist_keras`."""

    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_dim: int = 100
    width: int = 64

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        height, width, channels = self.image_shape
        init = {"kernel_init": keras_kernel_init, "bias_init": nn.initializers.zeros, "dtype": self.dtype}
        up = {"kernel_size": 5, "stride": 2, "padding": KERAS_SAME_5_2, **init}
        x = Dense(height // 4 * (width // 4) * 2 * self.width, **init)(z)
        x = x.reshape(-1, height // 4, width // 4, 2 * self.width)
        x = self.batch_norm(momentum=0.99, epsilon=1e-3, unbiased_running_variance=False)(x, train=train)
        x = nn.relu(ConvTranspose(self.width, **up)(x))
        return jnp.tanh(ConvTranspose(channels, **up)(x))


class KerasDiscriminator(Network):
    """Discriminator of `dcgan_mnist_keras`."""

    image_shape: tuple[int, int, int] = (28, 28, 1)
    width: int = 64
    dropout_rate: float = 0.4

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) to logits (N,)."""
        init = {"kernel_init": keras_kernel_init, "bias_init": nn.initializers.zeros, "dtype": self.dtype}
        for features in (self.width, 2 * self.width):
            x = leaky_relu(Conv(features, kernel_size=5, stride=2, padding=KERAS_SAME_5_2, **init)(x))
            x = Dropout(self.dropout_rate, axis_name=self.axis_name)(x, train=train)
        return Dense(1, **init)(x.reshape(x.shape[0], -1)).reshape(x.shape[0])


def quarters(name: str, image_size: int, smallest: int) -> int:
    """Returns the side of a picture after checking that it can be halved twice.

    Args:
      name: id of the system, for the message.
      image_size: side of the picture in pixels.
      smallest: smallest valid side.

    Raises:
      UserError: if the side is too small or not a multiple of 4.
    """
    if image_size % 4 or image_size < smallest:
        raise UserError(
            f"--image_size={image_size}: {name} makes pictures of 4·n pixels from {smallest} on, such as 28"
        )
    return image_size


def dcgan_mnist_a(
    *,
    image_size: int = 28,
    channels: int = 1,
    latent_dim: int = 100,
    generator_width: int = 64,
    discriminator_width: int = 64,
    dropout_rate: float = 0.5,
    dtype: Any = None,
) -> GAN:
    """DCGAN of tutorial 002 for digits: activation before batch normalisation, channel dropout in D.

    For the arguments see `models.build`.
    """
    image_shape = (quarters("dcgan_mnist_a", image_size, 8), image_size, channels)
    return GAN(
        name="dcgan_mnist_a",
        generator=GeneratorA(dtype=dtype, image_shape=image_shape, latent_dim=latent_dim, width=generator_width),
        discriminator=DiscriminatorA(
            dtype=dtype, image_shape=image_shape, width=discriminator_width, dropout_rate=dropout_rate
        ),
    )


def dcgan_mnist_keras(
    *,
    image_size: int = 28,
    channels: int = 1,
    latent_dim: int = 100,
    generator_width: int = 64,
    discriminator_width: int = 64,
    dropout_rate: float = 0.4,
    dtype: Any = None,
) -> GAN:
    """DCGAN of tutorial 003 (Keras) for digits: kernels 5, "same" padding, dropout in D.

    For the arguments see `models.build`.
    """
    image_shape = (quarters("dcgan_mnist_keras", image_size, 8), image_size, channels)
    return GAN(
        name="dcgan_mnist_keras",
        generator=KerasGenerator(dtype=dtype, image_shape=image_shape, latent_dim=latent_dim, width=generator_width),
        discriminator=KerasDiscriminator(
            dtype=dtype, image_shape=image_shape, width=discriminator_width, dropout_rate=dropout_rate
        ),
    )
