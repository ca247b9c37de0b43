"""Networks that grow with their pictures: progressive growing of GANs, for sides of 8 to 1024 pixels.

Both networks have a stage for each side, 4, 8, 16, …, and w channels there; all stages have their parameters from the
start. At a level the stages from 0 to that level take part, the last of them with a share α that fades in:

| generator                         | output  | discriminator                      | output  |
| --------------------------------- | ------- | ---------------------------------- | ------- |
| z, pixel norm                     | 512     | picture                            | s×s×3   |
| Dense, Conv 3                     | 4×4×w   | Conv 1 (from RGB)                  | s×s×w   |
| each stage: double, Conv 3, Conv 3 | s×s×w  | each stage: Conv 3, Conv 3, halve  | s/2×s/2 |
| Conv 1 (to RGB), linear           | s×s×3   | minibatch deviation, Conv 3, Dense | 512     |
|                                   |         | Dense                              | 1       |

Layers have equalised rates; LeakyReLU 0.2 follows each but those to RGB and to the logit, and in the generator pixel
normalisation follows that. While a stage fades in, its picture is mixed with that of the stage before, doubled, and
what it hands on in the discriminator with what the halved picture is from RGB. As in the authors' program, a stage of
the discriminator halves before it adds the bias of its second convolution; the paper's table has it behind the ReLU.

Reference:
  Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, and
  https://github.com/tkarras/progressive_growing_of_gans.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.equalized import EqualizedConv, EqualizedDense, pixel_norm
from jaxgan.models.layers import leaky_relu, to_image
from jaxgan.models.minibatch import MinibatchStandardDeviation
from jaxgan.models.network import GAN, Network
from jaxgan.ops import resampling

FIRST_SIZE = 4
SMALLEST, LARGEST = 8, 1024
RELU_GAIN = 2**0.5  # of He's initial weights

Operation = Callable[[jax.Array, jax.Array], jax.Array]
Share = float | jax.Array


class GrowingNetwork(Network):
    """What generator and discriminator share: a stage for each side of a picture.

    `apply` takes a static `level` and the share `alpha` in [0, 1] of its last stage, as in training. Without a level
    all stages are computed, and the variable "stage" of the collection "growth", a number such as 2.25, says what
    counts: the stages up to 2, and a quarter of stage 3. This is one program for all phases. Without the variable the
    network is grown up.

    Attributes:
      widths: channels of each stage, from 4×4 on.
    """

    image_shape: tuple[int, int, int] = (64, 64, 3)
    widths: tuple[int, ...] = (512, 512, 512, 512, 256)

    @property
    def last(self) -> int:
        """The level of a picture of full size."""
        return len(self.widths) - 1

    def shares(self, level: int | None, alpha: Share) -> list[Share]:
        """Returns the share of each stage that is computed; that of the first is not used."""
        if level is not None:
            return [*[1.0] * level, alpha]
        grown: Any = self.get_variable("growth", "stage", default=float(self.last))
        return [jnp.clip(grown - (stage - 1), 0.0, 1.0) for stage in range(self.last + 1)]

    def conv(
        self,
        x: jax.Array,
        features: int,
        name: str,
        size: int = 3,
        operation: Operation | None = None,
        gain: float = RELU_GAIN,
    ) -> jax.Array:
        """Convolves (N, H, W, C) to so many features; without an operation the picture keeps its size."""
        return EqualizedConv(
            features, dtype=self.dtype, kernel_size=size, padding=size // 2, operation=operation, gain=gain, name=name
        )(x)


class ProGANGenerator(GrowingNetwork):
    """Generator: z -> 4×4 -> a stage for each doubling -> RGB, without a tanh."""

    latent_dim: int = 512

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool, level: int | None = None, alpha: Share = 1.0) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures.

        Args:
          z: latents.
          train: makes no difference.
          level: of the pictures, from 0 for 4×4; None: see `GrowingNetwork`.
          alpha: the share of the level's own stage.

        Returns:
          (N, s, s, C) with s = 4 · 2^level, or (N, *image_shape) without a level; around [−1, 1], and not bounded.
        """
        shares = self.shares(level, alpha)
        x, image = z, None
        for stage, share in enumerate(shares):
            x = self.stage(x, stage)
            if level is None or stage >= level - 1:
                own = self.conv(x, self.image_shape[-1], f"to_rgb_{FIRST_SIZE << stage}", size=1, gain=1.0)
                image = own if image is None else mix(resampling.upsample(image), own, share)
        assert image is not None
        return image

    def stage(self, x: jax.Array, stage: int) -> jax.Array:
        """Maps latents to features (N, 4, 4, C), or features of the stage before to those of twice the side."""
        size, width = FIRST_SIZE << stage, self.widths[stage]
        if stage == 0:
            # A bias for each channel and not for each pixel, so the layer has none of its own.
            dense = EqualizedDense(16 * width, use_bias=False, gain=RELU_GAIN / 4, dtype=self.dtype, name="dense_4")
            x = to_image(dense(pixel_norm(x)), (FIRST_SIZE, FIRST_SIZE, width))
            x = x + self.param("bias_4", nn.initializers.zeros, (width,), jnp.float32).astype(x.dtype)
        else:
            x = self.conv(x, width, f"conv_{size}_up", operation=resampling.upsampled_conv)
        x = pixel_norm(leaky_relu(x))
        return pixel_norm(leaky_relu(self.conv(x, width, f"conv_{size}")))


class ProGANDiscriminator(GrowingNetwork):
    """Discriminator: from RGB -> a stage for each halving -> 4×4 with the minibatch's deviation -> logit.

    Attributes:
      features: length of what the last layer takes.
      group_size: pictures whose standard deviation is taken together.
    """

    features: int = 512
    group_size: int = 4

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, level: int | None = None, alpha: Share = 1.0) -> jax.Array:
        """Maps pictures to logits (N,).

        Args:
          x: (N, s, s, C) with s = 4 · 2^level, or (N, *image_shape) without a level.
          train: makes no difference.
          level: of the pictures, from 0 for 4×4; None: see `GrowingNetwork`.
          alpha: the share of the level's own stage.

        Raises:
          ValueError: for pictures of another size.
        """
        shares = self.shares(level, alpha)
        size = FIRST_SIZE << (len(shares) - 1)
        if x.shape[1:] != (size, size, self.image_shape[-1]):
            raise ValueError(f"pictures {x.shape} for a discriminator of {size}×{size} pixels")
        image, features = x, self.from_rgb(x, len(shares) - 1)
        for stage in range(len(shares) - 1, 0, -1):
            features = self.stage(features, stage)
            if level is None or stage == level:
                image = resampling.average_pool(image)
                features = mix(self.from_rgb(image, stage - 1), features, shares[stage])
        y = MinibatchStandardDeviation(self.group_size, self.axis_name)(features)
        y = leaky_relu(self.conv(y, self.widths[0], "conv_4"))
        y = leaky_relu(EqualizedDense(self.features, dtype=self.dtype, name="dense_4")(y))
        return EqualizedDense(1, gain=1.0, dtype=self.dtype, name="logit")(y)[:, 0]

    def from_rgb(self, image: jax.Array, stage: int) -> jax.Array:
        """Maps pictures (N, s, s, C) to the features (N, s, s, w) that a stage takes."""
        return leaky_relu(self.conv(image, self.widths[stage], f"from_rgb_{FIRST_SIZE << stage}", size=1))

    def stage(self, x: jax.Array, stage: int) -> jax.Array:
        """Maps features of a stage to those that the stage before takes, of half the side."""
        size = FIRST_SIZE << stage
        x = leaky_relu(self.conv(x, self.widths[stage], f"conv_{size}"))
        halved = self.conv(x, self.widths[stage - 1], f"conv_{size}_down", operation=resampling.pooled_conv)
        return leaky_relu(halved)


def mix(before: jax.Array, after: jax.Array, share: Share) -> jax.Array:
    """Returns (1 − share) · before + share · after; exactly one of them for a share of 0 or 1."""
    weight = jnp.asarray(share, after.dtype)
    return (1 - weight) * before + weight * after


def is_size(size: int) -> bool:
    """Whether pictures of so many pixels can be grown to."""
    return SMALLEST <= size <= LARGEST and size & (size - 1) == 0


def progan(
    *,
    image_size: int = 64,
    channels: int = 3,
    latent_dim: int | None = None,
    width: int = 512,
    channel_base: int = 16384,
    group_size: int = 4,
    dtype: Any = None,
) -> GAN:
    """Builds the networks of ProGAN for square pictures.

    Args:
      image_size: side of the pictures, a power of two from 8 to 1024.
      channels: of the pictures.
      latent_dim: length of z; None: as many as the channels of the smallest pictures.
      width: channels of a stage, at most.
      channel_base: channels of a stage times its side, at most.
      group_size: pictures whose standard deviation is taken together.
      dtype: compute dtype; None: that of inputs and parameters.

    Raises:
      UserError: for another size.
    """
    if not is_size(image_size):
        raise UserError(f"--image_size={image_size}: progan makes pictures of 8, 16, 32, … or 1024 pixels")

    def channels_at(size: int) -> int:
        return max(1, min(channel_base // size, width))

    sizes = [FIRST_SIZE << level for level in range(image_size.bit_length() - 2)]
    features = channels_at(FIRST_SIZE // 2)
    shared: dict[str, Any] = {
        "dtype": dtype,
        "image_shape": (image_size, image_size, channels),
        "widths": tuple(map(channels_at, sizes)),
    }
    return GAN(
        name="progan",
        generator=ProGANGenerator(latent_dim=latent_dim or features, **shared),
        discriminator=ProGANDiscriminator(features=features, group_size=group_size, **shared),
    )
