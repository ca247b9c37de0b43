"""Style transformer: a residual network that paints any picture in the one style that it was trained on.

| stage     | layers (256 pixels, width 32)                                                             | side     |
| --------- | ----------------------------------------------------------------------------------------- | -------- |
| stem      | reflection 4, Conv 9, 1, 0 → 32, norm, ReLU                                               | 256      |
| down 1, 2 | reflection 1, Conv 3, 2, 0 → 64, 128, norm, ReLU                                          | 128, 64  |
| 5 blocks  | x + (reflection 1, Conv 3, norm, ReLU, reflection 1, Conv 3, norm)(x), 128                | 64       |
| up 1, 2   | repetition 2, reflection 1, Conv 3 → 64, 32, norm, ReLU                                   | 128, 256 |
| head      | reflection 4, Conv 9, 1, 0 → 3                                                            | 256      |

A norm is an instance normalisation with a scale and a shift. The head has no tanh; what leaves [−1, 1] is cut off when
pixels are made of it. It is fully convolutional: weights trained at one size take every height and width that are
multiples of 4.

Reference:
  Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016, with the
  padding, the norms and the doublings of PyTorch's example program `fast_neural_style`.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.instance_norm import InstanceNorm
from jaxgan.models.layers import Conv
from jaxgan.models.network import Network
from jaxgan.models.resnet_translation import reflected
from jaxgan.models.sides import check_pictures, check_size


class StyleTransformer(Network):
    """Maps pictures to pictures of the same size, any multiple of 4 in height and in width.

    Attributes:
      width: channels of the stem.
      blocks: number of residual blocks.
    """

    image_shape: tuple[int, int, int] = (256, 256, 3)
    width: int = 32
    blocks: int = 5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, H, W, C) in [−1, 1] to pictures of the same shape, mostly in [−1, 1].

        Raises:
          UserError: for a height or width that is no multiple of 4, or below 8.
        """
        check_pictures(x, "a style transformer takes")
        channels = x.shape[-1]
        x = self._active(self._convolved(x, self.width, size=9))
        for factor in (2, 4):
            x = self._active(self._convolved(x, factor * self.width, stride=2))
        for _ in range(self.blocks):
            change = self._active(self._convolved(x, 4 * self.width))
            x = x + self._normalised(self._convolved(change, 4 * self.width))
        for factor in (2, 1):
            doubled = x.repeat(2, axis=1).repeat(2, axis=2)
            x = self._active(self._convolved(doubled, factor * self.width))
        return self._convolved(x, channels, size=9).astype(jnp.promote_types(x.dtype, jnp.float32))

    def _convolved(self, x: jax.Array, features: int, *, size: int = 3, stride: int = 1) -> jax.Array:
        convolution = Conv(features, dtype=self.dtype, kernel_size=size, stride=stride)
        return convolution(reflected(x, size // 2))

    def _normalised(self, x: jax.Array) -> jax.Array:
        return InstanceNorm(affine=True, dtype=self.dtype)(x)

    def _active(self, x: jax.Array) -> jax.Array:
        return nn.relu(self._normalised(x))


def style_transformer(
    *, image_size: int = 256, channels: int = 3, width: int = 32, blocks: int = 5, dtype: object = None
) -> StyleTransformer:
    """Builds a style transformer of square pictures.

    Raises:
      UserError: for a size that is no multiple of 4, or below 8.
    """
    check_size(image_size, "a style transformer takes")
    return StyleTransformer(dtype=dtype, image_shape=(image_size, image_size, channels), width=width, blocks=blocks)
