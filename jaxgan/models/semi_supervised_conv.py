"""The convolutional pair of the semi-supervised GAN, for square pictures of any size from 9 pixels on.

`ssgan_conv` at its default size (WN weight normalisation, BN batch normalisation that shifts and does not scale;
numbers are kernel and stride):

| generator            | output    | discriminator                       | output    |
| -------------------- | --------- | ----------------------------------- | --------- |
| noise U(0, 1)        | 100       | dropout 0.2                         | 32×32×3   |
| Dense, BN, ReLU      | 4×4×512   | WN Conv 3, 1, LeakyReLU, twice      | 32×32×96  |
| ConvT 5, 2, BN, ReLU | 8×8×256   | WN Conv 3, 2, LeakyReLU             | 16×16×96  |
| ConvT 5, 2, BN, ReLU | 16×16×128 | dropout 0.5                         |           |
| WN ConvT 5, 2, tanh  | 32×32×3   | WN Conv 3, 1, LeakyReLU, twice      | 16×16×192 |
|                      |           | WN Conv 3, 2, LeakyReLU             | 8×8×192   |
|                      |           | dropout 0.5                         |           |
|                      |           | WN Conv 3, 1, no padding, LeakyReLU | 6×6×192   |
|                      |           | WN Conv 1, 1, LeakyReLU, twice      | 6×6×192   |
|                      |           | mean over the pixels: features      | 192       |
|                      |           | WN Dense: a logit a class           | 10        |

LeakyReLU has the slope 0.2. In the last layer of each network the scale of weight normalisation is trained, and its
units start with the deviation 0.1; the other scales stay as they were set from the first pictures, for the deviation 1
(`jaxgan.models.weight_norm`). A picture of s pixels is halved to ⌈s / 2⌉ and doubled back, so that a side may be odd.

Reference:
  Salimans et al., "Improved Techniques for Training GANs", 2016, and the authors' code for CIFAR-10 and SVHN (which has
  the widths 64 and 128 in the place of 96 and 192).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models.layers import ConvTranspose, Dense, leaky_relu, normal_init, to_image
from jaxgan.models.network import GAN, Network
from jaxgan.models.semi_supervised import Judgement, real_logits
from jaxgan.models.weight_norm import WeightNormConv, WeightNormConvTranspose, WeightNormDense
from jaxgan.ops import noise

SMALLEST = 9  # pixels: of fewer nothing is left after two halvings and a convolution without padding
KERNELS = normal_init(0.0, 0.05)
EPSILON = 1e-6  # of batch and weight normalisation
LAST_STD = 0.1  # of the units of both networks' last layers before training
BITS = 16  # of the random numbers that decide what is dropped


def halved(side: int, times: int = 1) -> int:
    """Returns the side of a picture in pixels after some halvings, each rounded up."""
    return -(-side // 2**times)


class ConvolutionalGenerator(Network):
    """Generator of `ssgan_conv`.

    Attributes:
      width: channels of the last hidden layer; those before have twice and four times as many.
    """

    calibrated: ClassVar[bool] = True
    image_shape: tuple[int, int, int] = (32, 32, 3)
    latent_dim: int = 100
    width: int = 128

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool, calibrate: bool = False) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1].

        With `calibrate` it sets scales and biases of the last layer from these latents; see `models.weight_norm`.
        """
        side, _, channels = self.image_shape
        first = (*(halved(side, 3),) * 2, 4 * self.width)
        x = Dense(first[0] * first[1] * first[2], False, KERNELS, None, self.dtype)(z)
        x = to_image(self._normalised(x, train), first)
        for times in (2, 1):
            layer = ConvTranspose(times * self.width, False, KERNELS, None, self.dtype, 5, 2, self._doubling(times))
            x = self._normalised(layer(x), train)
        last = WeightNormConvTranspose(
            channels, KERNELS, True, EPSILON, self.dtype, LAST_STD, kernel_size=5, stride=2, padding=self._doubling(0)
        )
        return jnp.tanh(last(x, calibrate=calibrate))

    def _normalised(self, x: jax.Array, train: bool) -> jax.Array:
        return nn.relu(self.batch_norm(epsilon=EPSILON, use_scale=False)(x, train=train))

    def _doubling(self, times: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the padding that leads to the side after as many halvings: its double, or one pixel less."""
        odd = halved(self.image_shape[0], times) % 2
        return ((2, 1 + odd),) * 2


class ConvolutionalDiscriminator(Network):
    """Discriminator of `ssgan_conv`, which tells the classes of real pictures.

    Attributes:
      classes: K.
      width: channels of the first three layers; the others have twice as many.
      dropout_rates: of the pictures, and after each halving.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10
    width: int = 96
    dropout_rates: tuple[float, float, float] = (0.2, 0.5, 0.5)

    @property
    def dropped_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """The shape (H, W, C) of what each dropout is applied to."""
        sides = [halved(self.image_shape[0], times) for times in (1, 2)]
        return (self.image_shape, *((side, side, n * self.width) for n, side in enumerate(sides, 1)))

    @property
    def noise_dim(self) -> int:
        """How many random numbers a picture needs in training: one for each number that may be dropped."""
        return sum(height * width * channels for height, width, channels in self.dropped_shapes)

    def draw_noise(self, key: jax.Array, count: int, axis_name: str | None = None) -> jax.Array:
        """Draws the noise of a pass, random bits as uint16 (count, noise_dim), for the examples on this device."""
        keys = noise.example_keys(key, count, axis_name)
        return jax.vmap(lambda one: jax.random.bits(one, (self.noise_dim,), jnp.uint16))(keys)

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        noise: jax.Array | None = None,
        *,
        train: bool,
        classify: bool = False,
        calibrate: bool = False,
    ) -> Any:
        """Maps pictures (N, *image_shape) in [−1, 1] to logits (N,) of being real, with `classify` to a `Judgement`.

        Args:
          x: the pictures.
          noise: random bits (N, noise_dim), below 2^16, that decide what is dropped in training; None: nothing.
          train: whether to drop.
          classify: see above.
          calibrate: whether to set the layers' scales and biases from these pictures; see `models.weight_norm`.
        """
        noise = noise if train else None

        def layer(x: jax.Array, width: int, kernel_size: int = 3, stride: int = 1, padding: int = 1) -> jax.Array:
            options: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
            conv = WeightNormConv(width, KERNELS, False, EPSILON, self.dtype, **options)
            return leaky_relu(conv(x, calibrate=calibrate))

        x = self._dropped(x, noise, 0)
        for place, width in enumerate((self.width, 2 * self.width), 1):
            x = layer(layer(layer(x, width), width), width, stride=2)
            x = self._dropped(x, noise, place)
        x = layer(x, 2 * self.width, padding=0)
        for _ in range(2):
            x = layer(x, 2 * self.width, kernel_size=1, padding=0)
        # Means, and sums of exponentials, are taken in float32 at least.
        features = jnp.mean(x.astype(jnp.promote_types(x.dtype, jnp.float32)), axis=(1, 2))
        last = WeightNormDense(self.classes, KERNELS, True, EPSILON, self.dtype, LAST_STD)
        logits = last(features, calibrate=calibrate).astype(features.dtype)
        return Judgement(logits, features) if classify else real_logits(logits)

    def _dropped(self, x: jax.Array, noise: jax.Array | None, place: int) -> jax.Array:
        """Drops numbers of (N, H, W, C) by their share of the noise, and scales the others by 1 / (1 − rate)."""
        if noise is None:
            return x
        sizes = [height * width * channels for height, width, channels in self.dropped_shapes]
        first, rate = sum(sizes[:place]), self.dropout_rates[place]
        kept = noise[:, first : first + sizes[place]].reshape(x.shape) >= round(rate * 2**BITS)
        return jnp.where(kept, x * (1 / (1 - rate)), jnp.zeros((), x.dtype))


def ssgan_conv(
    *,
    image_size: int = 32,
    channels: int = 3,
    classes: int = 10,
    latent_dim: int = 100,
    generator_width: int = 128,
    discriminator_width: int = 96,
    dtype: Any = None,
) -> GAN:
    """Builds the networks of the source for small photographs.

    Args:
      image_size: height and width of the pictures in pixels, from 9 on.
      channels: of the pictures.
      classes: K.
      latent_dim: length of the noise.
      generator_width: channels of the generator's last hidden layer; those before have twice and four times as many.
      discriminator_width: channels of the discriminator's first three layers; the others have twice as many.
      dtype: to compute in.

    Raises:
      UserError: for a size that they cannot have.
    """
    models.check_sizes(latent_dim=latent_dim, generator_width=generator_width, discriminator_width=discriminator_width)
    if not SMALLEST <= image_size <= models.LARGEST:
        raise UserError(f"--image_size={image_size}: ssgan_conv takes pictures from {SMALLEST} pixels on")
    shape = (image_size, image_size, channels)
    return GAN(
        "ssgan_conv",
        ConvolutionalGenerator(dtype=dtype, image_shape=shape, latent_dim=latent_dim, width=generator_width),
        ConvolutionalDiscriminator(dtype=dtype, image_shape=shape, classes=classes, width=discriminator_width),
    )
