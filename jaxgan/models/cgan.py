"""Conditional GANs, whose generator and discriminator both receive the condition y.

`cgan_anime`, with 62 latents z and 23 tags y:

| generator       | kernel, stride, padding | output    | discriminator   | kernel, stride, padding | output    |
| --------------- | ----------------------- | --------- | --------------- | ----------------------- | --------- |
| z and y         |                         | 85        | picture         |                         | 64×64×3   |
| Dense, BN       |                         | 4×4×384   | Conv, LeakyReLU | 4, 2, 1                 | 32×32×64  |
| ConvT, BN, ReLU | 4, 2, 1                 | 8×8×256   | Conv, LeakyReLU | 4, 2, 1                 | 16×16×128 |
| ConvT, BN, ReLU | 4, 2, 1                 | 16×16×128 | Conv, LeakyReLU | 4, 2, 1                 | 8×8×256   |
| ConvT, BN, ReLU | 4, 2, 1                 | 32×32×64  | Conv, LeakyReLU | 4, 2, 1                 | 4×4×384   |
| ConvT, tanh     | 4, 2, 1                 | 64×64×3   | with y tiled    |                         | 4×4×407   |
|                 |                         |           | Conv, LeakyReLU | 1, 1, 0                 | 4×4×384   |
|                 |                         |           | Dense           |                         | 1         |

`cgan_mnist`: the generator maps z and the one-hot digit to 7×7×128 each, by Dense, ReLU and BN, and concatenates them
to 7×7×256; the rest is `dcgan_mnist_a`. The discriminator maps the digit to a second channel of the picture, by Dense
and LeakyReLU 0.01.

Reference:
  Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014; tutorial 000 section 6 (`cgan_anime`), 002
  (`cgan_mnist`).
"""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.blocks import ConvolutionalNetwork
from jaxgan.models.dcgan import HALVE
from jaxgan.models.dcgan_mnist import grow_from_quarter, judge, quarters
from jaxgan.models.layers import Dense, leaky_relu, to_image
from jaxgan.models.network import GAN, Network
from jaxgan.models.spectral import SpectralDense

ANIME_TAGS = 23
ANIME_LATENT_STD = math.exp(-1.0 / math.pi)


class AnimeGenerator(ConvolutionalNetwork):
    """Generator of `cgan_anime`."""

    image_shape: tuple[int, int, int] = (64, 64, 3)
    latent_dim: int = 62
    condition_dim: int = ANIME_TAGS
    width: int = 64

    @nn.compact
    def __call__(self, z: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) and conditions (N, condition_dim) to pictures (N, *image_shape) in [−1, 1]."""
        height, width, channels = self.image_shape
        start = (height // 16, width // 16, 6 * self.width)
        x = jnp.concatenate([z, y.astype(z.dtype)], axis=-1)
        x = self.norm(Dense(start[0] * start[1] * start[2], dtype=self.dtype)(x), train)
        x = to_image(x, start)
        for factor in (4, 2, 1):
            x = self.doubled(x, factor * self.width, train)
        return jnp.tanh(self.double(x, channels))


class AnimeDiscriminator(ConvolutionalNetwork):
    """Discriminator of `cgan_anime`.

    With `spectral_norm` every layer has spectral normalisation, and the convolutions have biases, initially 0.
    """

    several_conditions: ClassVar[bool] = True  # without batch normalisation, features do not depend on the batch

    image_shape: tuple[int, int, int] = (64, 64, 3)
    condition_dim: int = ANIME_TAGS
    width: int = 64
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) and conditions (N[, K], condition_dim) to logits (N[, K])."""
        if y.shape[0] != x.shape[0]:
            raise ValueError(f"{x.shape[0]} pictures and {y.shape[0]} conditions do not match")
        for factor in (1, 2, 4, 6):
            x = leaky_relu(self._conv(x, factor * self.width, *HALVE, train))
        conditions = y.astype(x.dtype).reshape(-1, 1, 1, y.shape[-1])
        if y.ndim == 3:
            x = jnp.repeat(x, y.shape[1], axis=0)
        tiled = jnp.broadcast_to(conditions, (*x.shape[:3], y.shape[-1]))
        x = leaky_relu(self._conv(jnp.concatenate([x, tiled], axis=-1), 6 * self.width, 1, 1, 0, train))
        last = SpectralDense(1, dtype=self.dtype, train=train) if self.spectral_norm else Dense(1, dtype=self.dtype)
        return last(x).reshape(y.shape[:-1])

    def _conv(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int, train: bool) -> jax.Array:
        if self.spectral_norm:
            return self.spectral_conv(x, features, kernel_size, stride, padding, train)
        return self.conv(x, features, kernel_size, stride, padding)


class MnistGenerator(Network):
    """Generator of `cgan_mnist`."""

    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_dim: int = 100
    condition_dim: int = 10
    width: int = 64

    @nn.compact
    def __call__(self, z: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) and conditions (N, condition_dim) to pictures (N, *image_shape) in [−1, 1]."""
        height, width, channels = self.image_shape
        start = (height // 4, width // 4, 2 * self.width)
        halves = []
        for source in (z, y.astype(z.dtype)):
            x = nn.relu(Dense(start[0] * start[1] * start[2], dtype=self.dtype)(source))
            x = self.batch_norm()(x, train=train)
            halves.append(to_image(x, start))
        return grow_from_quarter(self, jnp.concatenate(halves, axis=-1), self.width, channels, train)


class MnistDiscriminator(Network):
    """Discriminator of `cgan_mnist`."""

    image_shape: tuple[int, int, int] = (28, 28, 1)
    condition_dim: int = 10
    width: int = 64
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) and conditions (N, condition_dim) to logits (N,)."""
        height, width, _ = self.image_shape
        plane = leaky_relu(Dense(height * width, dtype=self.dtype)(y.astype(x.dtype)), 0.01)
        x = jnp.concatenate([x, plane.reshape(-1, height, width, 1)], axis=-1)
        return judge(self, x, self.width, self.dropout_rate, train)


def cgan_anime(
    *,
    image_size: int = 64,
    channels: int = 3,
    latent_dim: int = 62,
    condition_dim: int = ANIME_TAGS,
    generator_width: int = 64,
    discriminator_width: int = 64,
    initial_std: float | None = 0.01,
    spectral_norm: bool = False,
    upsampling: str = "transposed",
    dtype: Any = None,
) -> GAN:
    """Conditional GAN of tutorial 000: faces by hair and eye colour.

    For the arguments see `models.build`.
    """
    if image_size % 16 or image_size < 16:
        raise UserError(f"--image_size={image_size}: cgan_anime makes pictures of 16·n pixels, such as 48, 64 or 96")
    shared = {
        "dtype": dtype,
        "image_shape": (image_size, image_size, channels),
        "condition_dim": condition_dim,
        "initial_std": initial_std,
        "momentum": 0.1,  # the source passes 0.9 to PyTorch, whose momentum is one minus Flax's
    }
    return GAN(
        name="cgan_anime",
        generator=AnimeGenerator(
            latent_dim=latent_dim,
            latent_std=ANIME_LATENT_STD,
            width=generator_width,
            upsampling=upsampling,
            **shared,
        ),
        discriminator=AnimeDiscriminator(width=discriminator_width, spectral_norm=spectral_norm, **shared),
    )


def cgan_mnist(
    *,
    image_size: int = 28,
    channels: int = 1,
    latent_dim: int = 100,
    condition_dim: int = 10,
    generator_width: int = 64,
    discriminator_width: int = 64,
    dropout_rate: float = 0.5,
    dtype: Any = None,
) -> GAN:
    """Conditional GAN of tutorial 002: digits by class.

    For the arguments see `models.build`.
    """
    image_shape = (quarters("cgan_mnist", image_size, 8), image_size, channels)
    shared = {"dtype": dtype, "image_shape": image_shape, "condition_dim": condition_dim}
    return GAN(
        name="cgan_mnist",
        generator=MnistGenerator(latent_dim=latent_dim, width=generator_width, **shared),
        discriminator=MnistDiscriminator(width=discriminator_width, dropout_rate=dropout_rate, **shared),
    )
