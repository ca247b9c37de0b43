"""Wasserstein GAN for faces.

| generator       | kernel, stride, padding | output    | discriminator       | kernel, stride, padding | output    |
| --------------- | ----------------------- | --------- | ------------------- | ----------------------- | --------- |
| z               |                         | 1×1×100   | picture             |                         | 96×96×3   |
| ConvT           | 3, 2, 0                 | 3×3×1024  | Conv, LeakyReLU     | 4, 2, 1                 | 48×48×64  |
| ConvT, BN, ReLU | 4, 2, 1                 | 6×6×512   | Conv, BN, LeakyReLU | 4, 2, 1                 | 24×24×128 |
| ConvT, BN, ReLU | 4, 2, 1                 | 12×12×256 | Conv, BN, LeakyReLU | 4, 2, 1                 | 12×12×256 |
| ConvT, BN, ReLU | 4, 2, 1                 | 24×24×128 | Conv, BN, LeakyReLU | 4, 2, 1                 | 6×6×512   |
| ConvT, BN, ReLU | 4, 2, 1                 | 48×48×64  | Conv, BN, LeakyReLU | 4, 2, 1                 | 3×3×1024  |
| ConvT, tanh     | 4, 2, 1                 | 96×96×3   | Conv                | 3, 1, 0                 | 1×1×1     |

As in the source, batch normalisation uses the statistics of the batch in sampling too, so a sample depends on the other
samples of its batch.

Reference:
  Arjovsky et al., "Wasserstein GAN", 2017; tutorial 000 section 5 (Keras).
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.blocks import ConvolutionalNetwork
from jaxgan.models.dcgan import HALVE, Discriminator
from jaxgan.models.network import GAN


class Generator(ConvolutionalNetwork):
    """Generator: z -> `start`×`start` without BN or activation -> doublings -> tanh."""

    image_shape: tuple[int, int, int] = (96, 96, 3)
    latent_dim: int = 100
    widths: tuple[int, ...] = (1024, 512, 256, 128, 64)
    start: int = 3

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        x = self.conv_transpose(z[:, None, None, :], self.widths[0], self.start, 2, 0)
        for width in self.widths[1:]:
            x = self.up(x, width, *HALVE, train)
        return jnp.tanh(self.conv_transpose(x, self.image_shape[-1], *HALVE))


def wgan_anime(
    *,
    image_size: int = 96,
    channels: int = 3,
    latent_dim: int = 100,
    generator_width: int = 64,
    discriminator_width: int = 64,
    initial_std: float | None = 0.02,
    dtype: Any = None,
) -> GAN:
    """Wasserstein GAN of tutorial 000: five steps of the discriminator, whose outputs are scores, per generator step.

    For the arguments see `models.build`.
    """
    if image_size % 32 or image_size < 32:
        raise UserError(f"--image_size={image_size}: wgan_anime makes pictures of 32·n pixels, such as 64 or 96")
    image_shape, start = (image_size, image_size, channels), image_size // 32
    keras = {
        "dtype": dtype,
        "image_shape": image_shape,
        "initial_std": initial_std,
        "momentum": 0.99,
        "epsilon": 1.01e-5,
        "unbiased_running_variance": False,
        "always_batch_statistics": True,
    }
    return GAN(
        name="wgan_anime",
        generator=Generator(
            latent_dim=latent_dim,
            widths=tuple(generator_width * n for n in (16, 8, 4, 2, 1)),
            start=start,
            **keras,
        ),
        discriminator=Discriminator(
            widths=tuple(discriminator_width * n for n in (1, 2, 4, 8, 16)), tail=(start, 1, 0), **keras
        ),
    )
