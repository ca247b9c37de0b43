"""Convolutional GAN with spectral normalisation in the discriminator.

| generator       | kernel, stride, padding | output    | discriminator   | kernel, stride, padding | output    |
| --------------- | ----------------------- | --------- | --------------- | ----------------------- | --------- |
| z               |                         | 128       | picture         |                         | 32×32×3   |
| Dense           |                         | 4×4×512   | Conv, LeakyReLU | 3, 1, 1                 | 32×32×64  |
| ConvT, BN, ReLU | 4, 2, 1                 | 8×8×256   | Conv, LeakyReLU | 4, 2, 1                 | 16×16×64  |
| ConvT, BN, ReLU | 4, 2, 1                 | 16×16×128 | Conv, LeakyReLU | 3, 1, 1                 | 16×16×128 |
| ConvT, BN, ReLU | 4, 2, 1                 | 32×32×64  | Conv, LeakyReLU | 4, 2, 1                 | 8×8×128   |
| Conv, tanh      | 3, 1, 1                 | 32×32×3   | Conv, LeakyReLU | 3, 1, 1                 | 8×8×256   |
|                 |                         |           | Conv, LeakyReLU | 4, 2, 1                 | 4×4×256   |
|                 |                         |           | Conv, LeakyReLU | 3, 1, 1                 | 4×4×512   |
|                 |                         |           | Dense           |                         | 1         |

LeakyReLU has the slope 0.1, and all layers have biases. The paper's table is taken literally. Programs of its authors
normalise the output of the generator's Dense, and have a discriminator of twice as many parameters.

Reference:
  Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, table 3.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models import spectral
from jaxgan.models.layers import Conv, ConvTranspose, Dense, leaky_relu, normal_init, to_image
from jaxgan.models.network import GAN, Network
from jaxgan.ops import resampling


class SpectralGenerator(Network):
    """Generator of `sndcgan`."""

    image_shape: tuple[int, int, int] = (32, 32, 3)
    latent_dim: int = 128
    width: int = 64
    initial_std: float = 0.02

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        height, width, channels = self.image_shape
        start = (height // 8, width // 8, 8 * self.width)
        init: dict[str, Any] = {
            "kernel_init": normal_init(0.0, self.initial_std),
            "bias_init": nn.initializers.zeros,
            "dtype": self.dtype,
        }
        x = to_image(Dense(start[0] * start[1] * start[2], **init)(z), start)
        for factor in (4, 2, 1):
            x = ConvTranspose(factor * self.width, kernel_size=4, stride=2, padding=1, **init)(x)
            x = nn.relu(self.batch_norm()(x, train=train))
        return jnp.tanh(Conv(channels, operation=resampling.narrow_conv, **init)(x))


class SpectralDiscriminator(Network):
    """Discriminator of `sndcgan`."""

    image_shape: tuple[int, int, int] = (32, 32, 3)
    width: int = 64
    initial_std: float = 0.02
    spectral_norm: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) to logits (N,)."""
        for factor in (1, 2, 4):
            x = leaky_relu(self.layer(Conv, factor * self.width, train, kernel_size=3, padding=1)(x), 0.1)
            x = leaky_relu(self.layer(Conv, factor * self.width, train, kernel_size=4, stride=2, padding=1)(x), 0.1)
        x = leaky_relu(self.layer(Conv, 8 * self.width, train, kernel_size=3, padding=1)(x), 0.1)
        return self.layer(Dense, 1, train)(x)[:, 0]

    def layer(self, kind: Any, features: int, train: bool, **options: Any) -> nn.Module:
        """Returns a layer with spectral normalisation, if this network has it."""
        init = {"kernel_init": normal_init(0.0, self.initial_std), "bias_init": nn.initializers.zeros}
        return spectral.layer(kind, self.spectral_norm, train, features=features, dtype=self.dtype, **init, **options)


def sndcgan(
    *,
    image_size: int = 32,
    channels: int = 3,
    latent_dim: int = 128,
    generator_width: int = 64,
    discriminator_width: int = 64,
    initial_std: float = 0.02,
    spectral_norm: bool = True,
    dtype: Any = None,
) -> GAN:
    """Convolutional GAN with spectral normalisation for CIFAR-10 and STL-10: three doublings, 4×4 to 32×32.

    For the arguments see `models.build`.
    """
    if image_size % 8 or image_size < 16:
        raise UserError(f"--image_size={image_size}: sndcgan makes pictures of 8·n pixels with n ≥ 2, such as 32 or 48")
    shared = {"dtype": dtype, "image_shape": (image_size, image_size, channels), "initial_std": initial_std}
    return GAN(
        name="sndcgan",
        generator=SpectralGenerator(latent_dim=latent_dim, width=generator_width, **shared),
        discriminator=SpectralDiscriminator(width=discriminator_width, spectral_norm=spectral_norm, **shared),
    )
