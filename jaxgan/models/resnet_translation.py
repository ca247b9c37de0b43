"""Residual translator: two halvings of a picture, residual blocks at that size, and two doublings back.

| stage     | layers (256 pixels, width 64)                                                  | side    |
| --------- | ------------------------------------------------------------------------------ | ------- |
| stem      | reflection 3, Conv 7, 1, 0 → 64, norm, ReLU                                    | 256     |
| down 1, 2 | Conv 3, 2, 1 → 128, 256, norm, ReLU                                            | 128, 64 |
| blocks    | x + (reflection 1, Conv 3, norm, ReLU, reflection 1, Conv 3, norm)(x), 256     | 64      |
| up 1, 2   | ConvT 3, 2, 1, one more row and column → 128, 64, norm, ReLU                   | 128, 256 |
| head      | reflection 3, Conv 7, 1, 0 → 3, tanh                                           | 256     |

It is fully convolutional: weights trained at one size translate every height and width that are multiples of 4.

Reference:
  Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016, and Zhu et al., "Unpaired
  Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017; the padding and the biases are those of
  the latter's PyTorch program.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.layers import Conv, ConvTranspose, normal_init
from jaxgan.models.network import Network
from jaxgan.models.sides import check_pictures, check_size
from jaxgan.models.unet import normalisation

HALVE = (3, 2, 1)  # kernel size, stride, padding
DOUBLE = (3, 2, ((1, 0), (1, 0)))  # PyTorch's padding 1 and output_padding 1


class ResNetTranslator(Network):
    """Maps pictures to pictures of the same size, any multiple of 4 in height and in width.

    Attributes:
      width: channels of the stem.
      blocks: number of residual blocks; the source has 6 for 128 pixels and 9 for 256.
      norm: "batch" or "instance". Convolutions before a batch normalisation have no bias.
      initial_std: standard deviation of the initial weights.
    """

    image_shape: tuple[int, int, int] = (256, 256, 3)
    width: int = 64
    blocks: int = 9
    norm: str = "instance"
    initial_std: float = 0.02

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, H, W, C) in [−1, 1] to pictures of the same shape in [−1, 1].

        Raises:
          UserError: for a height or width that is no multiple of 4, or below 8.
        """
        check_pictures(x, "a residual translator takes")
        channels = x.shape[-1]
        x = self._normalised(self._convolution(self.width, (7, 1, 0))(reflected(x, 3)), train)
        for factor in (2, 4):
            x = self._normalised(self._convolution(factor * self.width, HALVE)(nn.relu(x)), train)
        x = nn.relu(x)
        for _ in range(self.blocks):
            change = self._normalised(self._convolution(4 * self.width, (3, 1, 0))(reflected(x, 1)), train)
            change = reflected(nn.relu(change), 1)
            x = x + self._normalised(self._convolution(4 * self.width, (3, 1, 0))(change), train)
        for factor in (2, 1):
            x = nn.relu(self._normalised(self._convolution(factor * self.width, DOUBLE, ConvTranspose)(x), train))
        return jnp.tanh(self._convolution(channels, (7, 1, 0), use_bias=True)(reflected(x, 3)))

    def _convolution(
        self,
        features: int,
        shape: tuple[int, int, Any],
        kind: type[Conv] | type[ConvTranspose] = Conv,
        use_bias: bool = False,
    ) -> Any:
        """Returns a new convolution of a kernel size, a stride and a padding."""
        biased = use_bias or self.norm == "instance"
        init = normal_init(0.0, self.initial_std)
        size, stride, padding = shape
        return kind(
            features,
            biased,
            init,
            nn.initializers.zeros,
            self.dtype,
            kernel_size=size,
            stride=stride,
            padding=padding,
        )

    def _normalised(self, x: jax.Array, train: bool) -> jax.Array:
        return normalisation(self, self.norm, self.initial_std)(x, train)


def reflected(x: jax.Array, margin: int) -> jax.Array:
    """Adds margins to pictures (N, H, W, C) that mirror them at their outermost rows and columns.

    Raises:
      UserError: if the margin is not smaller than the picture. `jnp.pad` would mirror it over and over.
    """
    height, width = x.shape[1:3]
    if margin >= min(height, width):
        raise UserError(f"pictures of {height}×{width} have no reflection of {margin} pixels; use larger ones")
    return jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")


def resnet_translator(
    *,
    image_size: int = 256,
    channels: int = 3,
    width: int = 64,
    blocks: int = 9,
    norm: str = "instance",
    initial_std: float = 0.02,
    dtype: Any = None,
) -> ResNetTranslator:
    """Builds a residual translator of square pictures.

    Raises:
      UserError: for a size that is no multiple of 4, or below 8.
    """
    check_size(image_size, "a residual translator takes")
    return ResNetTranslator(
        dtype=dtype,
        image_shape=(image_size, image_size, channels),
        width=width,
        blocks=blocks,
        norm=norm,
        initial_std=initial_std,
    )
