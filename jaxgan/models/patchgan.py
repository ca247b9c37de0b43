"""PatchGAN: a discriminator that gives a logit for each patch of a picture, and of what it was made from.

| layers         | stages (width 64)                                                   | side of a patch |
| -------------- | ------------------------------------------------------------------- | --------------- |
| 0 (PixelGAN)   | Conv 1, 1, 0 → 64, LeakyReLU; → 128, norm, LeakyReLU; → 1           | 1               |
| 3              | Conv 4, 2, 1 → 64, LeakyReLU; → 128, 256, norm, LeakyReLU;          | 70              |
|                | Conv 4, 1, 1 → 512, norm, LeakyReLU; Conv 4, 1, 1 → 1               |                 |
| n              | n halvings of min(2^i, 8)·64 channels, one stage of the same size   | 16, 34, 70, 142 |

Reference:
  Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017; the biases are those of the
  authors' PyTorch program.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.layers import Conv, leaky_relu, normal_init
from jaxgan.models.network import Network
from jaxgan.models.unet import WIDEST, normalisation

HALVE, KEEP, PIXEL = (4, 2, 1), (4, 1, 1), (1, 1, 0)  # kernel size, stride, padding


class PatchGAN(Network):
    """Maps one or several pictures of the same size to a map of logits.

    Attributes:
      pictures: how many it looks at together, joined by their channels.
      width: channels of the first stage.
      layers: number of halvings; 0: every stage looks at one pixel.
      norm: "batch" or "instance". Convolutions before a batch normalisation have no bias.
      initial_std: standard deviation of the initial weights.
    """

    image_shape: tuple[int, int, int] = (256, 256, 3)
    pictures: int = 2
    width: int = 64
    layers: int = 3
    norm: str = "batch"
    initial_std: float = 0.02

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each picture, without the batch axis."""
        return (self.image_shape,) * self.pictures

    @nn.compact
    def __call__(self, *pictures: jax.Array, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) in [−1, 1], the input first, to logits (N, h, w)."""
        x = jnp.concatenate(pictures, axis=-1)
        biased = self.norm == "instance"
        first, middle, last = (HALVE, KEEP, KEEP) if self.layers else (PIXEL,) * 3
        x = leaky_relu(self._convolution(self.width, True, first)(x))
        stages = max(self.layers, 1)
        for stage in range(1, stages + 1):
            shape = middle if stage == stages else HALVE
            x = self._convolution(self.width * min(2**stage, WIDEST), biased, shape)(x)
            x = leaky_relu(normalisation(self, self.norm, self.initial_std)(x, train))
        return self._convolution(1, biased or self.layers > 0, last)(x)[..., 0]

    def _convolution(self, features: int, use_bias: bool, shape: tuple[int, int, int]) -> Conv:
        init = normal_init(0.0, self.initial_std)
        return Conv(features, use_bias, init, nn.initializers.zeros, self.dtype, *shape)


def patchgan(
    *,
    image_size: int = 256,
    channels: int = 3,
    pictures: int = 2,
    width: int = 64,
    layers: int = 3,
    norm: str = "batch",
    initial_std: float = 0.02,
    dtype: Any = None,
) -> PatchGAN:
    """Builds a PatchGAN.

    Raises:
      UserError: for so many layers that nothing would be left of the picture.
    """
    if layers and (image_size >> layers) < 3:
        most = max(number for number in range(16) if not number or image_size >> number >= 3)
        raise UserError(
            f"--discriminator_layers={layers}: leaves nothing of pictures of {image_size} pixels; choose at most {most}"
        )
    return PatchGAN(
        dtype=dtype,
        image_shape=(image_size, image_size, channels),
        pictures=pictures,
        width=width,
        layers=layers,
        norm=norm,
        initial_std=initial_std,
    )
