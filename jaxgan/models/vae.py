"""Autoencoders: an encoder from pictures to codes and a decoder back.

| id            | encoder                                    | decoder                                   |
| ------------- | ------------------------------------------ | ----------------------------------------- |
| `autoencoder` | 784 → 400 → 20, ReLU                       | 20 → 400 → 784, ReLU                      |
| `vae_mlp`     | 784 → 400 → 20 means and 20 log variances  | 20 → 400 → 784, ReLU                      |
| `vae_conv`    | halvings (Conv 4, 2, 1, ReLU) → 2 × latent | Dense → doublings (ConvT 4, 2, 1, ReLU)   |

`vae_conv` halves the picture at least twice, and further while the side is even and above 7: 28 → 14 → 7, and 64 → 32 →
16 → 8 → 4. Channels are `width`, doubled at each halving up to eight times it. Nothing is normalised. All networks
work on pixels in [0, 1] inside; like all networks here they take and give [−1, 1].

Reference:
  Kingma and Welling, "Auto-Encoding Variational Bayes", 2014; the widths of `vae_mlp` are those of PyTorch's examples.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models.layers import Conv, ConvTranspose, Dense, to_image, torch_kernel_init
from jaxgan.models.network import Network

HALVE = (4, 2, 1)  # kernel size, stride, padding
SMALL_ENOUGH = 7
WIDEST = 8


class Posterior(NamedTuple):
    """A diagonal normal distribution over codes for each picture.

    Attributes:
      mean: (N, latent_dim).
      log_variance: (N, latent_dim); None for an encoder that gives codes alone.
    """

    mean: jax.Array
    log_variance: jax.Array | None


class Encoder(Network):
    """A fully connected encoder: every pixel at once -> hidden layers -> the code's distribution.

    Attributes:
      code_dim: length of the code; `latent_dim` is that of an input, and stays 0.
      variational: whether there are log variances.
      widths: of the hidden layers.
    """

    convolutional: ClassVar[bool] = False

    code_dim: int = 20
    variational: bool = True
    widths: tuple[int, ...] = (400,)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> Posterior:
        """Maps images (N, *image_shape) in [−1, 1] to codes, in at least float32."""
        features = self.hidden((x + 1.0) / 2.0)
        mean = self._head(features, "mean")
        return Posterior(mean, self._head(features, "log_variance") if self.variational else None)

    def hidden(self, x: jax.Array) -> jax.Array:
        """Applies the hidden layers to pixels in [0, 1]."""
        for width in self.widths:
            x = nn.relu(Dense(width, dtype=self.dtype)(x))
        return x

    def _head(self, features: jax.Array, name: str) -> jax.Array:
        code = Dense(self.code_dim, dtype=self.dtype, name=name)(features)
        return code.astype(jnp.promote_types(code.dtype, jnp.float32))


class ConvEncoder(Encoder):
    """A convolutional encoder: one halving for each width -> the code's distribution."""

    convolutional: ClassVar[bool] = True

    widths: tuple[int, ...] = (32, 64)

    def hidden(self, x: jax.Array) -> jax.Array:
        """Applies the halvings to pixels in [0, 1]; returns (N, h, w, widths[-1])."""
        for width in self.widths:
            x = nn.relu(Conv(width, True, torch_kernel_init, None, self.dtype, *HALVE)(x))
        return x


class Decoder(Network):
    """A fully connected decoder: z -> hidden layers -> every pixel at once.

    Attributes:
      widths: of the hidden layers.
    """

    convolutional: ClassVar[bool] = False

    latent_dim: int = 20
    widths: tuple[int, ...] = (400,)

    def __call__(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to the mean picture, (N, *image_shape) in [−1, 1]."""
        return pixel_means(self.logits(z, train=train))

    @nn.compact
    def logits(self, z: jax.Array, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim) to the log odds of each pixel, (N, *image_shape)."""
        return self.pixels(z)

    def pixels(self, z: jax.Array) -> jax.Array:
        """Applies all layers."""
        for width in self.widths:
            z = nn.relu(Dense(width, dtype=self.dtype)(z))
        return to_image(Dense(math.prod(self.image_shape), dtype=self.dtype)(z), self.image_shape)


class ConvDecoder(Decoder):
    """A convolutional decoder: z -> the smallest picture, of widths[0] channels -> one doubling for each width."""

    convolutional: ClassVar[bool] = True

    widths: tuple[int, ...] = (64, 32)

    def pixels(self, z: jax.Array) -> jax.Array:
        """Applies all layers."""
        height, width, channels = self.image_shape
        start = (height >> len(self.widths), width >> len(self.widths), self.widths[0])
        x = to_image(nn.relu(Dense(math.prod(start), dtype=self.dtype)(z)), start)
        for features in self.widths[1:]:
            x = nn.relu(ConvTranspose(features, True, torch_kernel_init, None, self.dtype, *HALVE)(x))
        return ConvTranspose(channels, True, torch_kernel_init, None, self.dtype, *HALVE)(x)


def pixel_means(logits: jax.Array) -> jax.Array:
    """Returns the means that belong to log odds, sigmoid(logits) scaled to [−1, 1]; of any shape."""
    return jnp.tanh(0.5 * logits)


@dataclasses.dataclass(frozen=True)
class Autoencoder:
    """An encoder and a decoder that fit each other.

    Attributes:
      name: the id under which `build` made it.
      encoder: a Linen module, x in [−1, 1] -> `Posterior`.
      decoder: a Linen module, z -> x in [−1, 1]; its method `logits` gives log odds.
    """

    name: str
    encoder: Encoder
    decoder: Decoder

    @property
    def variational(self) -> bool:
        """Whether codes are drawn."""
        return self.encoder.variational

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return self.decoder.latent_dim

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.decoder.image_shape


def autoencoder(
    *, image_size: int = 28, channels: int = 1, latent_dim: int = 20, width: int = 400, dtype: Any = None
) -> Autoencoder:
    """Fully connected autoencoder: a code of 20 numbers, nothing drawn."""
    return _fully_connected("autoencoder", (image_size, image_size, channels), latent_dim, width, dtype, False)


def vae_mlp(
    *, image_size: int = 28, channels: int = 1, latent_dim: int = 20, width: int = 400, dtype: Any = None
) -> Autoencoder:
    """Fully connected variational autoencoder: one hidden layer of 400, 20 latents."""
    return _fully_connected("vae_mlp", (image_size, image_size, channels), latent_dim, width, dtype, True)


def vae_conv(
    *, image_size: int = 64, channels: int = 3, latent_dim: int = 64, width: int = 32, dtype: Any = None
) -> Autoencoder:
    """Convolutional variational autoencoder: halvings to 4×4 … 7×7, 64 latents."""
    if image_size % 4:
        raise UserError(f"--image_size={image_size}: vae_conv makes pictures of 4·n pixels, such as 28, 64 or 96")
    image_shape = (image_size, image_size, channels)
    widths = tuple(width * min(2**n, WIDEST) for n in range(_halvings(image_size)))
    return Autoencoder(
        "vae_conv",
        ConvEncoder(dtype=dtype, image_shape=image_shape, code_dim=latent_dim, widths=widths),
        ConvDecoder(dtype=dtype, image_shape=image_shape, latent_dim=latent_dim, widths=widths[::-1]),
    )


def _halvings(side: int) -> int:
    """Counts the halvings of a picture whose side is a multiple of 4."""
    count = 2
    side //= 4
    while side % 2 == 0 and side > SMALL_ENOUGH:
        side, count = side // 2, count + 1
    return count


def _fully_connected(
    name: str, image_shape: tuple[int, int, int], latent_dim: int, width: int, dtype: Any, variational: bool
) -> Autoencoder:
    return Autoencoder(
        name,
        Encoder(dtype=dtype, image_shape=image_shape, code_dim=latent_dim, variational=variational, widths=(width,)),
        Decoder(dtype=dtype, image_shape=image_shape, latent_dim=latent_dim, widths=(width,)),
    )


_BUILDERS: dict[str, Callable[..., Autoencoder]] = {
    builder.__name__: builder for builder in (autoencoder, vae_mlp, vae_conv)
}


def names() -> dict[str, str]:
    """Returns every id that `build` knows, with a line about each."""
    return {name: (inspect.getdoc(builder) or "").partition("\n")[0] for name, builder in _BUILDERS.items()}


def build(name: str, **overrides: Any) -> Autoencoder:
    """Builds the encoder and the decoder of an autoencoder.

    Args:
      name: an id of `names()`.
      **overrides: `image_size`, `channels`, `latent_dim`, `width` (of the hidden layer, or of the first convolution)
        and `dtype` (the type to compute in). Left out: the source's own.

    Raises:
      UserError: for an unknown id, or a size that the networks cannot have.
      TypeError: for another override.
    """
    if name not in _BUILDERS:
        raise UserError(f"--model={name}: there is no such autoencoder; choose one of {', '.join(_BUILDERS)}")
    for key in ("image_size", "channels", "latent_dim", "width"):
        if not 1 <= overrides.get(key, 1) <= models.LARGEST:
            raise UserError(f"--{key}={overrides[key]}: must be from 1 to {models.LARGEST:,}")
    return _BUILDERS[name](**overrides)
