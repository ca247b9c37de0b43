"""StarGAN's networks: a translator that is told what to make of a picture, and a discriminator that also classifies.

| generator | layers (128 pixels, width 64)                                              | side   |
| --------- | -------------------------------------------------------------------------- | ------ |
| stem      | picture and a constant plane for each label, Conv 7, 1, 3 → 64, norm, ReLU | 128    |
| down 1, 2 | Conv 4, 2, 1 → 128, 256, norm, ReLU                                        | 64, 32 |
| blocks    | x + (Conv 3, 1, 1, norm, ReLU, Conv 3, 1, 1, norm)(x), 256                 | 32     |
| up 1, 2   | ConvT 4, 2, 1 → 128, 64, norm, ReLU                                        | 64, 128 |
| head      | Conv 7, 1, 3 → 3, tanh                                                     | 128    |

| discriminator | layers (128 pixels, width 64)                                    | side   |
| ------------- | ---------------------------------------------------------------- | ------ |
| down 1 to 6   | Conv 4, 2, 1 → 64, 128, … 2048, LeakyReLU(0.01)                  | 64 … 2 |
| source        | Conv 3, 1, 1 → 1: real, patch by patch                           | 2      |
| classes       | Conv of all that is left, without padding → a logit for each     | 1      |

Only the six halvings have biases. Instance normalisation has scales and shifts, and no running statistics: the authors'
program keeps some, but never uses them.

Padding is with zeros on purpose. A label is the same all over its plane, and so would be what a convolution with
reflections makes of it: a constant for each channel, which instance normalisation takes away, so that the generator
would never learn what it is asked for. With zeros the margins differ from the middle.

With `mask` the head has one channel more, whose sigmoid m says where the picture is repainted: m · tanh(…) + (1 − m) ·
picture. Instance normalisation takes absolute colours away, and a narrow network finds it hard to paint a background
as it was; with a mask it can leave it.

Reference:
  Choi et al., "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation", 2018;
  paddings, biases and normalisation are those of the authors' PyTorch program. The mask is that of Pumarola et al.,
  "GANimation: Anatomically-aware Facial Animation from a Single Image", 2018, without its losses.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgan import ops
from jaxgan.host.errors import UserError
from jaxgan.models.instance_norm import InstanceNorm
from jaxgan.models.layers import Conv, ConvTranspose, leaky_relu
from jaxgan.models.network import Network
from jaxgan.models.sides import SMALLEST, check_pictures

HALVE = (4, 2, 1)  # kernel size, stride, padding
SLOPE = 0.01  # of the leaky ReLU
LAYERS = 6


class Judged(NamedTuple):
    """What the discriminator says of pictures.

    Attributes:
      source: a logit for each patch, (N, h, w): how real it is.
      classes: a logit for each label, (N, c).
    """

    source: jax.Array
    classes: jax.Array


class StarGANGenerator(Network):
    """Maps pictures and labels to pictures of the same size, any multiple of 4 in height and in width.

    Attributes:
      width: channels of the stem.
      blocks: number of residual blocks.
      mask: whether the network also says where it repaints a picture.
    """

    image_shape: tuple[int, int, int] = (128, 128, 3)
    condition_dim: int = 5
    width: int = 64
    blocks: int = 6
    mask: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
        """Maps pictures (N, H, W, C) in [−1, 1] and labels (N, condition_dim) to pictures (N, H, W, C) in [−1, 1].

        Raises:
          UserError: for a height or width that is no multiple of 4, or below 8.
        """
        check_pictures(x, "StarGAN translates")
        picture, channels = x, x.shape[-1]
        planes = jnp.broadcast_to(y.astype(x.dtype)[:, None, None], (*x.shape[:3], y.shape[-1]))
        stem = functools.partial(labelled_conv, channels=channels)
        x = jnp.concatenate([x, planes], axis=-1)
        x = self._activated(self._convolution(self.width, (7, 1, 3), operation=stem)(x))
        for factor in (2, 4):
            x = self._activated(self._convolution(factor * self.width, HALVE)(x))
        for _ in range(self.blocks):
            change = self._activated(self._convolution(4 * self.width, (3, 1, 1))(x))
            x = x + self._normalised(self._convolution(4 * self.width, (3, 1, 1))(change))
        for factor in (2, 1):
            x = self._activated(self._convolution(factor * self.width, HALVE, ConvTranspose)(x))
        if not self.mask:
            return jnp.tanh(self._convolution(channels, (7, 1, 3))(x))
        x = self._convolution(channels + 1, (7, 1, 3))(x)
        mask = nn.sigmoid(x[..., channels:])
        return mask * jnp.tanh(x[..., :channels]) + (1.0 - mask) * picture

    def _convolution(
        self,
        features: int,
        shape: tuple[int, int, int],
        kind: type[Conv] | type[ConvTranspose] = Conv,
        **options: Any,
    ) -> Any:
        """Returns a new convolution of a kernel size, a stride and a padding, without bias."""
        size, stride, padding = shape
        return kind(features, False, dtype=self.dtype, kernel_size=size, stride=stride, padding=padding, **options)

    def _normalised(self, x: jax.Array) -> jax.Array:
        return InstanceNorm(affine=True, dtype=self.dtype)(x)

    def _activated(self, x: jax.Array) -> jax.Array:
        return nn.relu(self._normalised(x))


class StarGANDiscriminator(Network):
    """Maps pictures to logits of their patches and of their labels.

    Attributes:
      labels: number of logits of labels.
      width: channels after the first halving; each further one doubles them.
      layers: number of halvings.
    """

    image_shape: tuple[int, int, int] = (128, 128, 3)
    labels: int = 5
    width: int = 64
    layers: int = LAYERS

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> Judged:
        """Maps pictures (N, *image_shape) in [−1, 1] to logits (N, h, w) and (N, labels)."""
        for layer in range(self.layers):
            size, stride, padding = HALVE
            x = Conv(self.width * 2**layer, dtype=self.dtype, kernel_size=size, stride=stride, padding=padding)(x)
            x = leaky_relu(x, SLOPE)
        source = Conv(1, False, dtype=self.dtype, kernel_size=3, stride=1, padding=1)(x)
        classes = Conv(self.labels, False, dtype=self.dtype, kernel_size=x.shape[1])(x)
        return Judged(source[..., 0], classes[:, 0, 0])


def labelled_conv(x: jax.Array, kernel: jax.Array, *, channels: int) -> jax.Array:
    """Convolves pictures beside constant planes, zero-padded to their size, without looking at the planes.

    A constant plane meets a kernel only in where the kernel leaves the picture, so its part of the result is the sum of
    those rows and columns of the kernel that lie inside. Convolving 23 more planes would take far longer.

    Args:
      x: (N, H, W, channels + planes); the planes are constant for each example.
      kernel: (k, k, channels + planes, out), k odd.
      channels: of the pictures.

    Returns:
      (N, H, W, out), as `ops.conv` of all channels with padding k // 2.
    """
    sides, margin = x.shape[1:3], kernel.shape[0] // 2
    labels = x[:, 0, 0, channels:]
    of_labels = jnp.einsum("nc,abco->nabo", labels, kernel[:, :, channels:])
    rows, columns = (jnp.asarray(_inside(side, kernel.shape[0]), x.dtype) for side in sides)
    summed = jnp.einsum("wb,nhbo->nhwo", columns, jnp.einsum("ha,nabo->nhbo", rows, of_labels))
    return ops.conv(x[..., :channels], kernel[:, :, :channels], padding=margin) + summed


def _inside(side: int, size: int) -> np.ndarray:
    """Returns which rows of a centred kernel lie inside a picture at each place, zeros and ones (side, size)."""
    places = np.arange(side)[:, None] + np.arange(size) - size // 2
    return (places >= 0) & (places < side)


def stargan(
    *,
    image_size: int = 128,
    channels: int = 3,
    labels: int = 5,
    width: int = 64,
    blocks: int = 6,
    mask: bool = False,
    discriminator_width: int = 64,
    layers: int | None = None,
    dtype: Any = None,
) -> tuple[StarGANGenerator, StarGANDiscriminator]:
    """Builds both networks for square pictures.

    Args:
      image_size: height and width in pixels, a power of two from 8 on.
      channels: of the pictures.
      labels: length of what the generator is told.
      width: channels of the generator's first stage.
      blocks: residual blocks of the generator.
      mask: whether the generator also says where it repaints a picture.
      discriminator_width: channels of the discriminator's first stage.
      layers: halvings of the discriminator; None: 6, or as many as lead to one pixel.
      dtype: compute dtype.

    Raises:
      UserError: for a size that is no such power of two, or for more halvings than it has.
    """
    if image_size < SMALLEST or image_size & (image_size - 1):
        raise UserError(
            f"--image_size={image_size}: StarGAN takes powers of two from {SMALLEST} on, such as 64, 128 or 256"
        )
    most = image_size.bit_length() - 1
    layers = min(LAYERS, most) if layers is None else layers
    if layers > most:
        raise UserError(
            f"--discriminator_layers={layers}: leaves nothing of pictures of {image_size} pixels; choose at most {most}"
        )
    shape = (image_size, image_size, channels)
    generator = StarGANGenerator(
        dtype=dtype, image_shape=shape, condition_dim=labels, width=width, blocks=blocks, mask=mask
    )
    judge = StarGANDiscriminator(
        dtype=dtype, image_shape=shape, labels=labels, width=discriminator_width, layers=layers
    )
    return generator, judge
