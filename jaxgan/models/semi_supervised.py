"""A GAN whose discriminator is a classifier: K logits, to which generated pictures add a class of logit 0.

`ssgan_mnist` at its default size (WN weight normalisation, BN batch normalisation that shifts and does not scale):

| generator          | output | discriminator, of pixels [0, 1]       | output |
| ------------------ | ------ | ------------------------------------- | ------ |
| noise U(0, 1)      | 100    | noise 0.3, WN Dense, ReLU             | 1000   |
| Dense, BN, softplus | 500   | noise 0.5, WN Dense, ReLU             | 500    |
| Dense, BN, softplus | 500   | noise 0.5, WN Dense, ReLU             | 250    |
| WN Dense, sigmoid  | 784    | noise 0.5, WN Dense, ReLU             | 250    |
|                    |        | noise 0.5, WN Dense, ReLU: features   | 250    |
|                    |        | noise 0.5, WN Dense: a logit a class  | 10     |

Normal noise of these deviations is added to the input of each layer of the discriminator in training. Its weight
normalisation has a scale for each unit; that of the last layer is trained, the others stay as they were set from the
first pictures (`calibrate`).

Reference:
  Salimans et al., "Improved Techniques for Training GANs", 2016, and the authors' code for MNIST; Salimans and Kingma,
  "Weight Normalization", 2016, §3 (the start from data).
"""

import itertools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import models
from jaxgan.models.layers import Dense, keras_kernel_init
from jaxgan.models.network import GAN, Network
from jaxgan.models.vae import pixel_means
from jaxgan.models.weight_norm import WeightNormDense
from jaxgan.ops import noise as random


class Judgement(NamedTuple):
    """What the discriminator says of pictures.

    Attributes:
      logits: of the classes, (N, K), at least float32.
      features: the last hidden units, (N, F), of the same type.
    """

    logits: jax.Array
    features: jax.Array


def real_logits(logits: jax.Array) -> jax.Array:
    """Returns the logits (N,) of a picture being real, of the logits of its classes (N, K).

    With a class of logit 0 for generated pictures the chance of all others together is Z / (Z + 1), Z = Σ exp(logits),
    and so its logit is log Z. Z itself would be infinite for logits above 88.
    """
    return jax.nn.logsumexp(logits, axis=1)


class Generator(Network):
    """Generator of `ssgan_mnist`.

    Attributes:
      width: units of both hidden layers.
    """

    convolutional = False
    calibrated: ClassVar[bool] = False
    latent_dim: int = 100
    width: int = 500

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        x = z
        for _ in range(2):
            x = Dense(self.width, False, keras_kernel_init, None, self.dtype)(x)
            x = nn.softplus(self.batch_norm(epsilon=1e-6, use_scale=False)(x, train=train))
        height, width, channels = self.image_shape
        last = WeightNormDense(height * width * channels, keras_kernel_init, True, 1e-6, self.dtype)
        return pixel_means(last(x)).reshape(-1, *self.image_shape)


class Discriminator(Network):
    """Discriminator of `ssgan_mnist`, which tells the classes of real pictures.

    Attributes:
      classes: K.
      widths: units of each hidden layer.
    """

    convolutional = False
    classes: int = 10
    widths: tuple[int, ...] = (1000, 500, 250, 250, 250)

    @property
    def noise_stds(self) -> tuple[float, ...]:
        """The deviation of the noise that is added to the input of each layer."""
        return (0.3, *[0.5] * len(self.widths))

    @property
    def noise_dim(self) -> int:
        """How many random numbers a picture needs in training: one for each input of each layer."""
        height, width, channels = self.image_shape
        return height * width * channels + sum(self.widths)

    def draw_noise(self, key: jax.Array, count: int, axis_name: str | None = None) -> jax.Array:
        """Draws the noise of a pass, standard normal (count, noise_dim), for the examples on this device."""
        return random.latents(key, count, self.noise_dim, axis_name=axis_name)

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
          noise: standard normal numbers (N, noise_dim), used in training alone; None: no noise.
          train: whether to add the noise.
          classify: see above.
          calibrate: whether to set the layers' scales and biases from these pictures; see `WeightNormDense`.
        """
        x = (x.reshape(x.shape[0], -1) + 1.0) / 2.0  # the source has pixels in [0, 1]
        sizes = (x.shape[1], *self.widths)
        parts: list[Any] = [None] * len(sizes)
        if train and noise is not None:
            parts = jnp.split(noise, list(itertools.accumulate(sizes))[:-1], axis=1)
        for width, std, part in zip(self.widths, self.noise_stds, parts, strict=False):
            x = _noisy(x, std, part)
            x = nn.relu(WeightNormDense(width, dtype=self.dtype)(x, calibrate=calibrate))
        features = x
        x = _noisy(x, self.noise_stds[-1], parts[-1])
        logits = WeightNormDense(self.classes, train_scale=True, dtype=self.dtype)(x, calibrate=calibrate)
        # Sums of exponentials and means over a batch are taken in float32 at least.
        wide = jnp.promote_types(logits.dtype, jnp.float32)
        logits, features = logits.astype(wide), features.astype(wide)
        return Judgement(logits, features) if classify else real_logits(logits)


def _noisy(x: jax.Array, std: float, noise: jax.Array | None) -> jax.Array:
    return x if noise is None else x + (std * noise).astype(x.dtype)


def ssgan_mnist(
    *,
    image_size: int = 28,
    channels: int = 1,
    classes: int = 10,
    latent_dim: int = 100,
    generator_width: int = 500,
    discriminator_width: int = 1000,
    dtype: Any = None,
) -> GAN:
    """Builds the networks of the source for digits.

    Args:
      image_size: height and width of the pictures in pixels, any.
      channels: of the pictures.
      classes: K.
      latent_dim: length of the noise.
      generator_width: units of both hidden layers of the generator.
      discriminator_width: units of the first layer of the discriminator; the next has half, three more a quarter.
      dtype: to compute in.

    Raises:
      UserError: for a size below 1.
    """
    models.check_sizes(
        image_size=image_size,
        latent_dim=latent_dim,
        generator_width=generator_width,
        discriminator_width=discriminator_width,
    )
    shape = (image_size, image_size, channels)
    widths = (discriminator_width, *(max(1, discriminator_width // part) for part in (2, 4, 4, 4)))
    return GAN(
        "ssgan_mnist",
        Generator(dtype=dtype, image_shape=shape, latent_dim=latent_dim, width=generator_width),
        Discriminator(dtype=dtype, image_shape=shape, classes=classes, widths=widths),
    )
