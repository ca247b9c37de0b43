"""Deep convolutional GANs for faces.

Shapes of `dcgan_anime_a` at its default size (height × width × channels; BN = batch normalisation):

| generator       | kernel, stride, padding | output    | discriminator       | kernel, stride, padding | output    |
| --------------- | ----------------------- | --------- | ------------------- | ----------------------- | --------- |
| z               |                         | 1×1×100   | picture             |                         | 96×96×3   |
| ConvT, BN, ReLU | 6, 2, 0                 | 6×6×512   | Conv, LeakyReLU     | 4, 2, 1                 | 48×48×64  |
| ConvT, BN, ReLU | 4, 2, 1                 | 12×12×256 | Conv, BN, LeakyReLU | 4, 2, 1                 | 24×24×128 |
| ConvT, BN, ReLU | 4, 2, 1                 | 24×24×128 | Conv, BN, LeakyReLU | 4, 2, 1                 | 12×12×256 |
| ConvT, BN, ReLU | 4, 2, 1                 | 48×48×64  | Conv, BN, LeakyReLU | 4, 2, 1                 | 6×6×512   |
| ConvT, tanh     | 4, 2, 1                 | 96×96×3   | Conv                | 5, 2, 0                 | 1×1×1     |

The generator of `dcgan_anime_b` begins at 4×4 (ConvT 4, 1, 0), continues with 8×8, 16×16 and 32×32, and ends with
ConvT 5, 3, 1. Its discriminator begins with Conv 5, 3, 1 and ends with Conv 4, 1, 0. `dcgan_64` is the network in the
paper's figure: 4×4×1024, 8×8×512, 16×16×256, 32×32×128, 64×64×3.

Reference:
  Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
  2016; tutorial 000 section 4 (`dcgan_anime_a`), tutorial 001 (`dcgan_anime_b`).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.blocks import ConvolutionalNetwork
from jaxgan.models.layers import leaky_relu
from jaxgan.models.network import GAN

Geometry = tuple[int, int, int]  # kernel size, stride, padding
HALVE: Geometry = (4, 2, 1)


class Generator(ConvolutionalNetwork):
    """Generator: z -> 1×1 -> `head` -> one doubling for each further width -> `tail` -> tanh."""

    image_shape: tuple[int, int, int] = (96, 96, 3)
    latent_dim: int = 100
    widths: tuple[int, ...] = (512, 256, 128, 64)
    head: Geometry = (6, 2, 0)
    tail: Geometry = HALVE

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        x = self.up(z[:, None, None, :], self.widths[0], *self.head, train)
        for width in self.widths[1:]:
            x = self.doubled(x, width, train)
        channels = self.image_shape[-1]
        x = self.double(x, channels) if self.tail == HALVE else self.conv_transpose(x, channels, *self.tail)
        return jnp.tanh(x)


class Discriminator(ConvolutionalNetwork):
    """Discriminator: picture -> `head` without BN -> one halving for each further width -> `tail` to 1×1, the logit.

    With `spectral_norm` every convolution has a bias and spectral normalisation, and there is no batch normalisation,
    which would undo it.
    """

    image_shape: tuple[int, int, int] = (96, 96, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    head: Geometry = HALVE
    tail: Geometry = (5, 2, 0)
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) to logits (N,)."""
        return self.judge(self.features(x, train), train)

    def features(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps pictures to what the last layer sees, (N, H, W, widths[-1])."""
        if self.spectral_norm:
            for width, geometry in zip(self.widths, (self.head, *[HALVE] * len(self.widths)), strict=False):
                x = leaky_relu(self.spectral_conv(x, width, *geometry, train))
            return x
        x = leaky_relu(self.conv(x, self.widths[0], *self.head))
        for width in self.widths[1:]:
            x = self.down(x, width, *HALVE, train)
        return x

    def judge(self, x: jax.Array, train: bool) -> jax.Array:
        """Applies the last layer: features (N, H, W, widths[-1]) to logits (N,)."""
        last = self.spectral_conv(x, 1, *self.tail, train) if self.spectral_norm else self.conv(x, 1, *self.tail)
        return last.reshape(x.shape[0])


def dcgan_anime_a(
    *,
    image_size: int = 96,
    channels: int = 3,
    latent_dim: int = 100,
    generator_width: int = 64,
    discriminator_width: int = 64,
    initial_std: float | None = 0.01,
    spectral_norm: bool = False,
    upsampling: str = "transposed",
    dtype: Any = None,
) -> GAN:
    """DCGAN of tutorial 000: 6×6 to 96×96 in four doublings, kernels 4.

    For the arguments see `models.build`.
    """
    if image_size % 16 or image_size < 32:
        raise UserError(
            f"--image_size={image_size}: dcgan_anime_a makes pictures of 16·n pixels with n ≥ 2, such as 48, 64 or 96"
        )
    start, image_shape = image_size // 16, (image_size, image_size, channels)
    return GAN(
        name="dcgan_anime_a",
        generator=Generator(
            dtype=dtype,
            initial_std=initial_std,
            upsampling=upsampling,
            image_shape=image_shape,
            latent_dim=latent_dim,
            widths=tuple(generator_width * n for n in (8, 4, 2, 1)),
            head=(start, 2, 0),
        ),
        discriminator=Discriminator(
            dtype=dtype,
            spectral_norm=spectral_norm,
            initial_std=initial_std,
            image_shape=image_shape,
            widths=tuple(discriminator_width * n for n in (1, 2, 4, 8)),
            tail=(start - 1, 2, 0),
        ),
    )


def dcgan_anime_b(
    *,
    image_size: int = 96,
    channels: int = 3,
    latent_dim: int = 100,
    generator_width: int = 64,
    discriminator_width: int = 64,
    initial_std: float | None = None,
    spectral_norm: bool = False,
    upsampling: str = "transposed",
    dtype: Any = None,
) -> GAN:
    """DCGAN of tutorial 001: 4×4 to 32×32 in three doublings, then a threefold step to 96×96.

    For the arguments see `models.build`.
    """
    doublings = _doublings(image_size, 12, "dcgan_anime_b", "12·2^n pixels with n ≥ 1, such as 24, 48 or 96")
    image_shape = (image_size, image_size, channels)
    factors = tuple(2**n for n in range(doublings + 1))
    return GAN(
        name="dcgan_anime_b",
        generator=Generator(
            dtype=dtype,
            initial_std=initial_std,
            upsampling=upsampling,
            image_shape=image_shape,
            latent_dim=latent_dim,
            widths=tuple(generator_width * n for n in reversed(factors)),
            head=(4, 1, 0),
            tail=(5, 3, 1),
        ),
        discriminator=Discriminator(
            dtype=dtype,
            spectral_norm=spectral_norm,
            initial_std=initial_std,
            image_shape=image_shape,
            widths=tuple(discriminator_width * n for n in factors),
            head=(5, 3, 1),
            tail=(4, 1, 0),
        ),
    )


def dcgan_64(
    *,
    image_size: int = 64,
    channels: int = 3,
    latent_dim: int = 100,
    generator_width: int = 128,
    discriminator_width: int = 128,
    initial_std: float | None = 0.02,
    spectral_norm: bool = False,
    upsampling: str = "transposed",
    dtype: Any = None,
) -> GAN:
    """DCGAN of the paper's figure: 4×4×1024 to 64×64 in four doublings; other sizes have more or fewer doublings.

    For the arguments see `models.build`.
    """
    doublings = _doublings(image_size, 4, "dcgan_64", "4·2^n pixels with n ≥ 1, such as 32, 64 or 128")
    image_shape = (image_size, image_size, channels)
    factors = tuple(2**n for n in range(doublings))
    return GAN(
        name="dcgan_64",
        generator=Generator(
            dtype=dtype,
            initial_std=initial_std,
            upsampling=upsampling,
            image_shape=image_shape,
            latent_dim=latent_dim,
            widths=tuple(generator_width * n for n in reversed(factors)),
            head=(4, 1, 0),
        ),
        discriminator=Discriminator(
            dtype=dtype,
            spectral_norm=spectral_norm,
            initial_std=initial_std,
            image_shape=image_shape,
            widths=tuple(discriminator_width * n for n in factors),
            tail=(4, 1, 0),
        ),
    )


def _doublings(image_size: int, smallest: int, name: str, sizes: str) -> int:
    """Returns n ≥ 1 with image_size = smallest · 2^n."""
    n = (image_size // smallest).bit_length() - 1
    if n < 1 or image_size != smallest * 2**n:
        raise UserError(f"--image_size={image_size}: {name} makes pictures of {sizes}")
    return n
