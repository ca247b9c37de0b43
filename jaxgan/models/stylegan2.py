"""StyleGAN2: a generator of styles and noise whose pictures add up over the sizes, and a residual discriminator.

With w(s) = min(channel_base / s, channel_max) channels at the size s×s, for pictures of r×r:

| generator                         | output       | discriminator                                | output       |
| --------------------------------- | ------------ | -------------------------------------------- | ------------ |
| z -> mapping -> a style a layer   |              | picture -> Conv 1×1                          | r×r×w(r)     |
| constant                          | 4×4×w(4)     | for s = r, r/2, …, 8:                        |              |
| layer                             | 4×4×w(4)     | Conv 3×3                                     | s×s×w(s)     |
| to picture                        | 4×4          | smooth, Conv 3×3 of stride 2                 | s/2×s/2      |
| for s = 8, 16, …, r:              |              | + (smooth and halve, Conv 1×1)               |              |
| doubling layer                    | s×s×w(s)     | standard deviation of the minibatch, Conv 3×3 | 4×4×w(4)    |
| layer                             | s×s×w(s)     | Dense w(4)                                   | w(4)         |
| to picture, + the former, doubled | s×s          | Dense 1                                      | 1            |

A layer is a modulated convolution, noise, bias and LeakyReLU. The layer "to picture" takes the style of the layer that
comes next, the last one a style of its own: 2·log₂(r) − 2 styles in all.

Reference:
  Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, and "Training Generative Adversarial
  Networks with Limited Data", 2020, with the authors' code.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.equalized import EqualizedConv
from jaxgan.models.minibatch import MinibatchStandardDeviation
from jaxgan.models.network import GAN, Network
from jaxgan.models.styles import GAIN, MappingNetwork, SynthesisLayer, ToImage, activate, dense
from jaxgan.ops import filtering

START = 4  # height and width of the constant


class StyleNetwork(Network):
    """Generator or discriminator of StyleGAN2.

    Attributes:
      channel_base: channels of a size are this over the size, …
      channel_max: … and no more than this.
    """

    channel_base: int = 32768
    channel_max: int = 512

    def width(self, side: int) -> int:
        """Returns the number of channels of features of this height and width."""
        return max(1, min(self.channel_base // side, self.channel_max))

    @property
    def sides(self) -> tuple[int, ...]:
        """The sizes of features, from 4 to the picture's."""
        return tuple(2**power for power in range(2, self.image_shape[0].bit_length()))


class Generator(StyleNetwork):
    """Generator of StyleGAN2. Training calls its two parts, `map` and `synthesize`, with noise and mixed styles.

    Its variables besides parameters are "noise", the fixed noise of evaluation, and "latents", the average style.

    Attributes:
      mapping_layers: linear layers from z to w.
      psi: in evaluation styles are drawn to this share of their way from the average style; 1: as they are.
      cutoff: number of layers whose styles `psi` changes, the coarsest first; None: all.
    """

    latent_dim: int = 512
    mapping_layers: int = 8
    psi: float = 1.0
    cutoff: int | None = None

    def setup(self) -> None:
        """Makes the parts."""
        first, *others = self.sides
        layers = [SynthesisLayer(self.width(first), first, dtype=self.dtype)]
        for side in others:
            layers.append(SynthesisLayer(self.width(side), side, doubling=True, dtype=self.dtype))
            layers.append(SynthesisLayer(self.width(side), side, dtype=self.dtype))
        self.mapping = MappingNetwork(self.latent_dim, self.mapping_layers, self.condition_dim)
        self.constant = self.param("constant", nn.initializers.normal(1.0), (START, START, self.width(START)))
        self.layers = layers
        self.to_image = [ToImage(self.image_shape[-1], dtype=self.dtype) for _ in self.sides]
        self.average = self.variable("latents", "average", jnp.zeros, (self.latent_dim,), jnp.float32)

    @property
    def styles(self) -> int:
        """The number of styles that a picture is made of."""
        return 2 * len(self.sides)

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """The height and width of each layer's noise."""
        return tuple(side for side in self.sides for _ in (0, 1))[1:]

    def __call__(self, z: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim), and conditions, to pictures (N, *image_shape) in [−1, 1], with fixed noise."""
        return jnp.clip(self.synthesize(self.truncated(self.map(z, condition))), -1.0, 1.0)

    def map(self, z: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """Maps latents, and conditions, to styles (N, latent_dim)."""
        w: jax.Array = self.mapping(z, condition)
        return w

    def truncated(self, w: jax.Array) -> jax.Array:
        """Repeats styles (N, latent_dim) for each layer and draws them to the average: (N, styles, latent_dim)."""
        ws = jnp.repeat(w[:, None], self.styles, axis=1)
        if self.psi == 1.0:
            return ws
        nearer = self.average.value + self.psi * (ws - self.average.value)
        changed = jnp.arange(self.styles) < (self.styles if self.cutoff is None else self.cutoff)
        return jnp.where(changed[:, None], nearer, ws)

    def synthesize(self, ws: jax.Array, noise: tuple[jax.Array, ...] | None = None) -> jax.Array:
        """Maps styles of the layers to pictures (N, *image_shape) of at least float32, without bounds.

        Args:
          ws: (N, styles, latent_dim).
          noise: of each layer, (N, side, side) with the sides of `noise_sides`; None: the fixed one.

        Raises:
          ValueError: for another number of styles. JAX would take the last one for those that are missing.
        """
        if ws.shape[1:] != (self.styles, self.latent_dim):
            raise ValueError(f"{self.styles} styles of {self.latent_dim} make a picture, not {ws.shape[1:]}")
        x = jnp.broadcast_to(self.constant, (ws.shape[0], *self.constant.shape))
        image: Any = None
        for index, layer in enumerate(self.layers):
            x = layer(x, ws[:, index], None if noise is None else noise[index])
            if index % 2 == 0:  # the last layer of its size
                added = self.to_image[index // 2](x, ws[:, index + 1])
                image = added if image is None else filtering.upsample(image) + added
        return image


class Discriminator(StyleNetwork):
    """Discriminator of StyleGAN2. Under a condition a logit is the product of features with the mapped condition.

    Attributes:
      minibatch_std: pictures in a group whose differences it sees.
      residual: whether halvings have a way around; without one it is the network of ProGAN.
    """

    minibatch_std: int = 4
    residual: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape) in [−1, 1], and conditions (N, condition_dim), to logits (N,)."""
        x = activate(self._conv(self.width(self.sides[-1]), 1)(x))
        for side in reversed(self.sides[1:]):
            y = activate(self._conv(self.width(side), 3)(x))
            y = self._conv(self.width(side // 2), 3, operation=filtering.downsampled_conv)(y)
            if self.residual:
                past = self._conv(self.width(side // 2), 1, use_bias=False)(filtering.downsample(x))
                x = activate(y, GAIN * math.sqrt(0.5)) + past * jnp.asarray(math.sqrt(0.5), past.dtype)
            else:
                x = activate(y)
        x = MinibatchStandardDeviation(self.minibatch_std, self.axis_name)(x)
        x = activate(self._conv(self.width(START), 3)(x))
        x = activate(dense(self.width(START), dtype=self.dtype)(x))
        if not self.condition_dim:
            return dense(1, dtype=self.dtype)(x)[:, 0]
        x = dense(self.width(START), dtype=self.dtype)(x)
        mapped = MappingNetwork(self.width(START), condition_dim=self.condition_dim)(None, condition)
        return jnp.sum(x * mapped, axis=-1) / math.sqrt(self.width(START))

    def _conv(self, features: int, kernel_size: int, **options: Any) -> EqualizedConv:
        return EqualizedConv(
            features, kernel_size=kernel_size, padding=kernel_size // 2, gain=1.0, dtype=self.dtype, **options
        )


def stylegan2(
    *,
    name: str = "stylegan2",
    image_size: int = 256,
    channels: int = 3,
    latent_dim: int = 512,
    condition_dim: int = 0,
    channel_base: int = 32768,
    channel_max: int = 512,
    mapping_layers: int = 8,
    minibatch_std: int = 4,
    residual: bool = True,
    dtype: Any = None,
) -> GAN:
    """StyleGAN2, by default in the authors' configuration F.

    Args:
      name: of the system.
      image_size: height and width of the pictures, a power of two from 8 on.
      channels: of the pictures.
      latent_dim: length of a latent and of a style.
      condition_dim: length of the conditions; 0 without.
      channel_base: channels of a size are this over the size, …
      channel_max: … and no more than this.
      mapping_layers: linear layers from z to w.
      minibatch_std: pictures in a group whose differences the discriminator sees.
      residual: whether the discriminator has residual blocks.
      dtype: compute dtype.

    Raises:
      UserError: for a size that is no power of two from 8 on.
    """
    if image_size < 2 * START or image_size & (image_size - 1):
        raise UserError(f"--image_size={image_size}: {name} makes pictures of 8, 16, 32, 64, … pixels, powers of two")
    shared: dict[str, Any] = {
        "dtype": dtype,
        "image_shape": (image_size, image_size, channels),
        "condition_dim": condition_dim,
        "channel_base": channel_base,
        "channel_max": channel_max,
    }
    return GAN(
        name,
        Generator(latent_dim=latent_dim, mapping_layers=mapping_layers, **shared),
        Discriminator(minibatch_std=minibatch_std, residual=residual, **shared),
    )
