"""InfoGAN: a generator of noise and codes, and a discriminator with a second head that reads the codes from a picture.

`infogan_mnist` at its default size (all layers with biases; s stride, p padding; BN batch normalisation; features are
flattened in the order height, width, channels):

| generator             | kernel, s, p | output   | trunk of D and Q          | kernel, s, p | output   |
| --------------------- | ------------ | -------- | ------------------------- | ------------ | -------- |
| noise and codes       |              | 74       | picture, of pixels [0, 1] |              | 28×28×1  |
| Dense, BN, ReLU       |              | 1024     | Conv, LeakyReLU           | 4, 2, 1      | 14×14×64 |
| Dense, BN, ReLU       |              | 7×7×128  | Conv, BN, LeakyReLU       | 4, 2, 1      | 7×7×128  |
| ConvT, BN, ReLU       | 4, 2, 1      | 14×14×64 | Dense, BN, LeakyReLU      |              | 1024     |
| ConvT, sigmoid        | 4, 2, 1      | 28×28×1  |                           |              |          |

The head of D is Dense 1, that of Q is Dense 128, BN, LeakyReLU, Dense 14: the logits of a categorical code of ten
classes, and a mean and a second number for each of two continuous codes. The second number, from which a standard
deviation could be read, is unused: here, as in the source, the deviation is 1.

`infogan_faces` has the layers of a DCGAN, `dcgan_anime_a`, `dcgan_64` or `dcgan_anime_b`, whichever makes pictures of
the size asked for. Its heads are the DCGAN's last convolution, and beside it one of the same kernel to 128 features,
BN, LeakyReLU and Dense. With `spectral_norm` trunk and first head are those of a DCGAN with spectral normalisation; Q's
own layers stay as they are.

Reference:
  Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
  2016, appendix C.1, and the authors' code, which differs in the slope of LeakyReLU: 0.01 for the paper's 0.1.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models import dcgan
from jaxgan.models.dcgan_mnist import quarters
from jaxgan.models.layers import Conv, ConvTranspose, Dense, leaky_relu, normal_init
from jaxgan.models.network import GAN, Network
from jaxgan.models.vae import pixel_means

STD = 0.02  # of all initial kernels, and of the initial scales of batch normalisation around 1
BODIES = ("dcgan_anime_a", "dcgan_64", "dcgan_anime_b")
"""The DCGANs that `infogan_faces` may be made of."""


@dataclasses.dataclass(frozen=True)
class Codes:
    """The parts of a latent, in this order: noise, one-hot categorical codes, continuous codes.

    Attributes:
      noise_dim: length of the noise, U(−1, 1).
      categorical: number of classes of each categorical code, all equally likely.
      continuous: number of continuous codes, U(−1, 1).
    """

    noise_dim: int = 62
    categorical: tuple[int, ...] = (10,)
    continuous: int = 2

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self.noise_dim + sum(self.categorical) + self.continuous

    @property
    def outputs(self) -> int:
        """Numbers that Q returns: a logit for each class, two for each continuous code."""
        return sum(self.categorical) + 2 * self.continuous

    def categorical_columns(self) -> tuple[slice, ...]:
        """Returns where each categorical code stands in a latent."""
        ends = [self.noise_dim + sum(self.categorical[: index + 1]) for index in range(len(self.categorical))]
        return tuple(slice(end - classes, end) for end, classes in zip(ends, self.categorical, strict=True))

    def continuous_columns(self) -> slice:
        """Returns where the continuous codes stand in a latent."""
        return slice(self.latent_dim - self.continuous, self.latent_dim)


OF_DIGITS = Codes(62, (10,), 2)
OF_FACES = Codes(128, (10, 10), 2)


class Belief(NamedTuple):
    """What Q reads from pictures.

    Attributes:
      logits: of the classes of each categorical code, (N, classes) each.
      means: of the continuous codes, (N, continuous).
    """

    logits: tuple[jax.Array, ...]
    means: jax.Array


def belief(outputs: jax.Array, codes: Codes) -> Belief:
    """Takes apart what Q's last layer returns, (N, codes.outputs), as at least float32."""
    outputs = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
    whole = codes.noise_dim
    logits = tuple(outputs[:, place.start - whole : place.stop - whole] for place in codes.categorical_columns())
    return Belief(logits, outputs[:, sum(codes.categorical) :: 2])


class Generator(Network):
    """Generator of `infogan_mnist`."""

    latent_dim: int = 74
    width: int = 64

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to pictures (N, *image_shape) in [−1, 1]."""
        height, width, channels = self.image_shape
        start = (height // 4, width // 4, 2 * self.width)
        x = z
        for features in (16 * self.width, start[0] * start[1] * start[2]):
            x = nn.relu(_norm(self, _dense(self, x, features), train))
        x = _conv_transpose(self, x.reshape(-1, *start), self.width)
        x = nn.relu(_norm(self, x, train))
        return pixel_means(_conv_transpose(self, x, channels))


class Discriminator(Network):
    """Discriminator of `infogan_mnist`: a trunk, the head of D, and the head of Q.

    Attributes:
      codes: what Q reads.
      width: channels of the first convolution.
      negative_slope: of LeakyReLU.
    """

    codes: Codes = OF_DIGITS
    width: int = 64
    negative_slope: float = 0.01

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, read_codes: bool = False) -> Any:
        """Maps pictures (N, *image_shape) in [−1, 1] to logits (N,), with `read_codes` to logits and a `Belief`."""
        x = (x + 1.0) / 2.0  # The source has pixels in [0, 1], and pads with 0: black.
        x = leaky_relu(_conv(self, x, self.width), self.negative_slope)
        x = leaky_relu(_norm(self, _conv(self, x, 2 * self.width), train), self.negative_slope)
        x = _dense(self, x.reshape(x.shape[0], -1), 16 * self.width)
        x = leaky_relu(_norm(self, x, train), self.negative_slope)
        logits = _dense(self, x, 1).reshape(x.shape[0])
        if not read_codes and not self.is_initializing():
            return logits
        x = _norm(self, _dense(self, x, 2 * self.width), train)
        outputs = _dense(self, leaky_relu(x, self.negative_slope), self.codes.outputs)
        return (logits, belief(outputs, self.codes)) if read_codes else logits


class FacesDiscriminator(dcgan.Discriminator):
    """Discriminator of a DCGAN with a second head, Q.

    Attributes:
      codes: what Q reads.
    """

    codes: Codes = OF_DIGITS

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, read_codes: bool = False) -> Any:
        """Maps pictures (N, *image_shape) in [−1, 1] to logits (N,), with `read_codes` to logits and a `Belief`."""
        x = self.features(x, train)
        logits = self.judge(x, train)
        if not read_codes and not self.is_initializing():
            return logits
        features = self.down(x, 2 * min(self.widths), *self.tail, train).reshape(x.shape[0], -1)
        outputs = _dense(self, features, self.codes.outputs)
        return (logits, belief(outputs, self.codes)) if read_codes else logits


def _norm(network: Network, x: jax.Array, train: bool) -> jax.Array:
    layer = network.batch_norm(scale_init=normal_init(1.0, STD), unbiased_running_variance=False)
    return layer(x, train=train)


def _dense(network: Network, x: jax.Array, features: int) -> jax.Array:
    return Dense(features, True, normal_init(0.0, STD), nn.initializers.zeros, network.dtype)(x)


def _conv(network: Network, x: jax.Array, features: int) -> jax.Array:
    init = nn.initializers.truncated_normal(STD)
    return Conv(features, True, init, nn.initializers.zeros, network.dtype, *dcgan.HALVE)(x)


def _conv_transpose(network: Network, x: jax.Array, features: int) -> jax.Array:
    layer = ConvTranspose(features, True, normal_init(0.0, STD), nn.initializers.zeros, network.dtype, *dcgan.HALVE)
    return layer(x)


@dataclasses.dataclass(frozen=True)
class InfoGAN(GAN):
    """Generator and discriminator with matching shapes, of which the discriminator reads codes.

    Attributes:
      codes: the parts of a latent.
    """

    codes: Codes = OF_DIGITS


def infogan_mnist(
    *,
    image_size: int = 28,
    channels: int = 1,
    codes: Codes = OF_DIGITS,
    generator_width: int = 64,
    discriminator_width: int = 64,
    negative_slope: float = 0.01,
    dtype: Any = None,
) -> InfoGAN:
    """InfoGAN of the paper for digits: 62 noise, a code of ten classes, two continuous codes."""
    image_shape = (quarters("infogan_mnist", image_size, 8), image_size, channels)
    return InfoGAN(
        "infogan_mnist",
        Generator(dtype=dtype, image_shape=image_shape, latent_dim=codes.latent_dim, width=generator_width),
        Discriminator(
            dtype=dtype,
            image_shape=image_shape,
            codes=codes,
            width=discriminator_width,
            negative_slope=negative_slope,
        ),
        codes,
    )


def infogan_faces(
    *,
    image_size: int = 64,
    channels: int = 3,
    codes: Codes = OF_FACES,
    generator_width: int = 64,
    discriminator_width: int = 64,
    spectral_norm: bool = False,
    upsampling: str = "transposed",
    dtype: Any = None,
) -> InfoGAN:
    """InfoGAN for faces, of a DCGAN's layers: 128 noise, two codes of ten classes, two continuous codes."""
    body = _body(
        image_size,
        channels=channels,
        latent_dim=codes.latent_dim,
        generator_width=generator_width,
        discriminator_width=discriminator_width,
        initial_std=STD,
        spectral_norm=spectral_norm,
        upsampling=upsampling,
        dtype=dtype,
    )
    judge: Any = body.discriminator
    discriminator = FacesDiscriminator(
        dtype=dtype,
        initial_std=STD,
        spectral_norm=spectral_norm,
        image_shape=judge.image_shape,
        widths=judge.widths,
        head=judge.head,
        tail=judge.tail,
        codes=codes,
    )
    return InfoGAN("infogan_faces", body.generator, discriminator, codes)


def _body(image_size: int, **overrides: Any) -> GAN:
    """Builds the first DCGAN that makes pictures of this size."""
    for name in BODIES:
        try:
            return models.build(name, image_size=image_size, **overrides)
        except UserError as error:
            if not str(error).startswith("image_size"):
                raise
    sizes = "16·n pixels with n ≥ 2, or 4·2^n or 12·2^n with n ≥ 1, such as 24, 32, 48, 64 or 96"
    raise UserError(f"--image_size={image_size}: infogan_faces makes pictures of {sizes}")


_BUILDERS: dict[str, Callable[..., InfoGAN]] = {builder.__name__: builder for builder in (infogan_mnist, infogan_faces)}


def default_codes(name: str) -> Codes:
    """Returns the codes of a system as its source has them."""
    codes: Codes = inspect.signature(_BUILDERS[name]).parameters["codes"].default
    return codes


def build(name: str, **overrides: Any) -> InfoGAN:
    """Builds the networks of an InfoGAN.

    Args:
      name: "infogan_mnist" or "infogan_faces".
      **overrides: `image_size`, `channels`, `codes`, `generator_width`, `discriminator_width`, `dtype` (the type to
        compute in), of `infogan_mnist` `negative_slope`, and of `infogan_faces` `spectral_norm` and `upsampling`, as
        `models.build` takes them. Left out: the source's own.

    Raises:
      UserError: for an unknown id, or a size that the networks cannot have.
      TypeError: for another override.
    """
    if name not in _BUILDERS:
        raise UserError(f"--model={name}: there is no such InfoGAN; choose one of {', '.join(_BUILDERS)}")
    for key in ("image_size", "channels", "generator_width", "discriminator_width"):
        if not 1 <= overrides.get(key, 1) <= models.LARGEST:
            raise UserError(f"--{key}={overrides[key]}: must be from 1 to {models.LARGEST:,}")
    return _BUILDERS[name](**overrides)
