"""U-Net: halvings down to one pixel and doublings back, each joined to the halving of its own size.

| stage     | layers (256 pixels, width 64)                                             | side      |
| --------- | ------------------------------------------------------------------------- | --------- |
| down 1    | Conv 4, 2, 1 → 64                                                         | 128       |
| down 2–7  | LeakyReLU(0.2), Conv → 128, 256, 512, 512, 512, 512, norm                 | 64 … 2    |
| down 8    | LeakyReLU(0.2), Conv → 512, no norm                                       | 1         |
| up 1      | ReLU, ConvT 4, 2, 1 → 512, norm                                           | 2         |
| up 2–4    | ReLU of skip and stage below, ConvT → 512, norm, dropout ½                | 4, 8, 16  |
| up 5–7    | ReLU of skip and stage below, ConvT → 256, 128, 64, norm                  | 32 … 128  |
| up 8      | ReLU of skip and stage below, ConvT → 3, tanh                             | 256       |

Other sizes have fewer or more stages in the middle, of 512 channels. The last but three have dropout: none at 32 pixels
and below. Nothing is normalised at one pixel, where normalisation would leave only its shift.

Reference:
  Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017; the order of the layers, the
  places of dropout and the biases are those of the authors' PyTorch program.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.instance_norm import InstanceNorm
from jaxgan.models.layers import Conv, ConvTranspose, Dropout, leaky_relu, normal_init
from jaxgan.models.network import Network

NORMS = ("batch", "instance")
HALVE = (4, 2, 1)  # kernel size, stride, padding
WIDEST = 8  # channels of the widest stages, in widths
WITHOUT_DROPOUT = 5  # stages: the innermost, and the four of the largest pictures


def normalisation(network: Network, norm: str, initial_std: float) -> Callable[..., jax.Array]:
    """Returns a new normalisation layer of a network: (x, train) -> x.

    Args:
      network: whose settings it takes.
      norm: one of `NORMS`.
      initial_std: standard deviation of the initial scales of batch normalisation around 1.
    """
    if norm == "instance":
        layer = InstanceNorm(dtype=network.dtype)
        return lambda x, train: layer(x)
    batch_norm = network.batch_norm(scale_init=normal_init(1.0, initial_std))
    return lambda x, train: batch_norm(x, train=train)


class UNet(Network):
    """Maps pictures to pictures of the same size, a power of two.

    Attributes:
      width: channels after the first halving.
      norm: one of `NORMS`. Convolutions before a batch normalisation have no bias.
      dropout_rate: of the middle stages on the way up, in training mode.
      initial_std: standard deviation of the initial weights.
    """

    image_shape: tuple[int, int, int] = (256, 256, 3)
    width: int = 64
    norm: str = "batch"
    dropout_rate: float = 0.5
    initial_std: float = 0.02

    @property
    def stages(self) -> int:
        """The number of halvings."""
        return self.image_shape[0].bit_length() - 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) in [−1, 1] to pictures of the same shape in [−1, 1].

        With `train`, dropout needs the random stream "dropout".
        """
        widths = [self.width * min(2**stage, WIDEST) for stage in range(self.stages)]
        skips = self._down(x, widths, train)
        x = skips[-1]
        for stage, features in enumerate(widths[-2::-1]):
            x = self._convolution(ConvTranspose, features)(nn.relu(x))
            x = normalisation(self, self.norm, self.initial_std)(x, train)
            if 0 < stage <= self.stages - WITHOUT_DROPOUT:
                x = Dropout(self.dropout_rate, axis_name=self.axis_name)(x, train=train)
            # A skip is taken before the activation of its next halving: ReLU of LeakyReLU is ReLU.
            x = jnp.concatenate([skips[-2 - stage], x], axis=-1)
        channels = self.image_shape[-1]
        return jnp.tanh(self._convolution(ConvTranspose, channels, use_bias=True)(nn.relu(x)))

    def _down(self, x: jax.Array, widths: Sequence[int], train: bool) -> list[jax.Array]:
        """Returns the halvings before their activations, from the largest to the smallest."""
        halvings = [self._convolution(Conv, widths[0])(x)]
        for stage, features in enumerate(widths[1:], 1):
            x = self._convolution(Conv, features)(leaky_relu(halvings[-1]))
            if stage < len(widths) - 1:
                x = normalisation(self, self.norm, self.initial_std)(x, train)
            halvings.append(x)
        return halvings

    def _convolution(self, kind: type[Conv] | type[ConvTranspose], features: int, use_bias: bool = False) -> Any:
        """Returns a new (transposed) convolution that halves or doubles a picture."""
        biased = use_bias or self.norm == "instance"
        return kind(features, biased, normal_init(0.0, self.initial_std), nn.initializers.zeros, self.dtype, *HALVE)


def unet(
    *,
    image_size: int = 256,
    channels: int = 3,
    width: int = 64,
    norm: str = "batch",
    dropout_rate: float = 0.5,
    initial_std: float = 0.02,
    dtype: Any = None,
) -> UNet:
    """Builds a U-Net.

    Raises:
      UserError: for a size that is no power of two of at least 4.
    """
    if image_size < 4 or image_size & (image_size - 1):
        raise UserError(
            f"--image_size={image_size}: a U-Net halves pictures down to one pixel; choose a power of two, such as 64,"
            " 128 or 256"
        )
    return UNet(
        dtype=dtype,
        image_shape=(image_size, image_size, channels),
        width=width,
        norm=norm,
        dropout_rate=dropout_rate,
        initial_std=initial_std,
    )
