"""Residual networks with spectral normalisation in the discriminator, for pictures of many sizes.

`resnet_gan` at 48×48 is the source's network for STL-10, at 128×128 that for ImageNet; w is the width, 64. A block "up"
doubles the picture, a block "down" halves it:

| generator      | output   | discriminator        | output   |
| -------------- | -------- | -------------------- | -------- |
| z              | 128      | picture              | 48×48×3  |
| Dense          | 6×6×8w   | first block, down    | 24×24×w  |
| block, up      | 12×12×4w | block, down          | 12×12×2w |
| block, up      | 24×24×2w | block, down          | 6×6×4w   |
| block, up      | 48×48×w  | block, down          | 3×3×8w   |
| BN, ReLU       |          | block                | 3×3×16w  |
| Conv 3, tanh   | 48×48×3  | ReLU, sum over 3×3   | 16w      |
|                |          | Dense                | 1        |

Other sizes begin at 3×3 to 7×7 and have more or fewer blocks; widths double with every halving, up to 16w. `sngan_32`
is the network for CIFAR-10: 256 channels in all blocks of the generator and 128 in those of the discriminator, which
halves twice. `projection_gan` is `resnet_gan` under conditions: batch normalisation is conditional, and the logit has
an inner product of the features with an embedding of the condition; or, with an auxiliary classifier, a second Dense on
the features tells the condition.

Blocks of the generator are BN, ReLU, (doubling,) Conv 3, BN, ReLU, Conv 3. Those of the discriminator are ReLU, Conv 3,
ReLU, Conv 3(, mean over 2×2). A convolution of kernel 1 stands on the shortcut where the shape changes. It commutes
with doubling and means, and is therefore applied to the smaller picture.

Reference:
  Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, appendix B.4; Miyato and Koyama,
  "cGANs with Projection Discriminator", 2018; Odena et al., "Conditional Image Synthesis with Auxiliary Classifier
  GANs", 2017; https://github.com/pfnet-research/sngan_projection.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models import spectral
from jaxgan.models.attention import SelfAttention
from jaxgan.models.layers import ConditionalBatchNorm, Conv, Dense, Initializer, keras_kernel_init, to_image
from jaxgan.models.minibatch import MinibatchStandardDeviation
from jaxgan.models.network import GAN, Network
from jaxgan.models.spectral import SpectralEmbedding
from jaxgan.ops import resampling

residual_init: Initializer = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
"""Glorot uniform times √2, of the convolutions of kernel 3 within blocks."""

zeros: Initializer = nn.initializers.zeros


class ResidualGenerator(Network):
    """Generator: z -> Dense -> a doubling block for each width -> BN, ReLU, Conv 3, tanh."""

    image_shape: tuple[int, int, int] = (48, 48, 3)
    latent_dim: int = 128
    first_width: int = 512
    widths: tuple[int, ...] = (256, 128, 64)
    attention_size: int | None = None  # side of the picture that self-attention sees

    @nn.compact
    def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
        """Maps latents (N, latent_dim)[ and conditions (N, condition_dim)] to pictures (N, *image_shape) in [−1, 1]."""
        height, width = (side >> len(self.widths) for side in self.image_shape[:2])
        start = (height, width, self.first_width)
        features = height * width * self.first_width
        x = Dense(features, kernel_init=keras_kernel_init, bias_init=zeros, dtype=self.dtype)(z)
        x = to_image(x, start)
        for channels in self.widths:
            x = self.up(x, channels, y, train)
            if x.shape[1] == self.attention_size:
                x = SelfAttention(dtype=self.dtype)(x)
        x = nn.relu(self.batch_norm(epsilon=2e-5)(x, train=train))
        return jnp.tanh(self.conv(x, self.image_shape[-1], 3, resampling.narrow_conv, keras_kernel_init))

    def up(self, x: jax.Array, channels: int, y: jax.Array | None, train: bool) -> jax.Array:
        """Doubles (N, H, W, C) to (N, 2H, 2W, channels)."""
        residual = nn.relu(self.norm(x, y, train))
        residual = self.conv(residual, channels, 3, resampling.upsampled_conv, residual_init)
        residual = nn.relu(self.norm(residual, y, train))
        residual = self.conv(residual, channels, 3, None, residual_init)
        shortcut = self.conv(x, channels, 1, None, keras_kernel_init)
        return residual + resampling.upsample(shortcut)

    def norm(self, x: jax.Array, y: jax.Array | None, train: bool) -> jax.Array:
        """Normalises (N, H, W, C), under conditions if there are any."""
        if y is None:
            return self.batch_norm(epsilon=2e-5)(x, train=train)
        shared = {"axis_name": self.axis_name, "sync_batch_norm": self.sync_batch_norm, "dtype": self.dtype}
        return ConditionalBatchNorm(epsilon=2e-5, **shared)(x, y, train=train)

    def conv(
        self, x: jax.Array, channels: int, size: int, operation: Callable[..., Any] | None, init: Initializer
    ) -> jax.Array:
        """Convolves (N, H, W, C) to `channels` with a bias; without an operation the picture keeps its size."""
        return Conv(channels, True, init, zeros, self.dtype, size, 1, size // 2, operation)(x)


class ResidualDiscriminator(Network):
    """Discriminator: a halving block for each width -> other blocks -> ReLU, sum over positions -> Dense."""

    image_shape: tuple[int, int, int] = (48, 48, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of the blocks that halve the picture
    plain_widths: tuple[int, ...] = (1024,)  # of those that follow
    spectral_norm: bool = True
    attention_size: int | None = None  # side of the picture that self-attention sees
    minibatch_std: int | None = None  # pictures in a group; None: the layer is absent
    auxiliary_classifier: bool = False  # whether conditions are told from the picture, instead of the projection

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
        """Maps pictures (N, *image_shape)[ and conditions (N, condition_dim)] to logits (N,).

        With an auxiliary classifier the logits do not depend on the conditions; its own logits (N, condition_dim) go
        into the collection "classes".
        """
        if x.shape[1:] != self.image_shape or (y is not None and y.shape[0] != x.shape[0]):
            raise ValueError(f"pictures {x.shape} and conditions {getattr(y, 'shape', None)} for {self.image_shape}")
        for index, channels in enumerate(self.widths):
            x = self.block(x, channels, train, first=index == 0, down=True)
            if x.shape[1] == self.attention_size:
                x = SelfAttention(self.spectral_norm, train, self.dtype)(x)
        if self.minibatch_std is not None:
            x = MinibatchStandardDeviation(self.minibatch_std, self.axis_name)(x)
        for channels in self.plain_widths:
            x = self.block(x, channels, train)
        features = nn.relu(x).sum((1, 2))
        logits = self.layer(Dense, 1, keras_kernel_init, train)(features)[:, 0]
        if y is None:
            return logits
        if self.auxiliary_classifier:
            classes = self.layer(Dense, self.condition_dim, keras_kernel_init, train)(features)
            if not self.is_initializing():  # of one pass, and no part of a state
                self.sow("classes", "logits", classes, reduce_fn=lambda _, new: new, init_fn=lambda: None)
            return logits
        embedding = self.embedding(features.shape[-1], train)(y.astype(features.dtype))
        return logits + (embedding * features).sum(-1)

    def block(self, x: jax.Array, channels: int, train: bool, *, first: bool = False, down: bool = False) -> jax.Array:
        """Applies a residual block to (N, H, W, C), which halves the picture or not.

        The first block takes a picture and not features: it has no ReLU in front.
        """
        hidden = channels if first else x.shape[-1]
        residual = x if first else nn.relu(x)
        residual = nn.relu(self.conv(residual, hidden, 3, None, residual_init, train))
        residual = self.conv(residual, channels, 3, resampling.pooled_conv if down else None, residual_init, train)
        if down:
            x = resampling.average_pool(x)
        if down or x.shape[-1] != channels:
            x = self.conv(x, channels, 1, None, keras_kernel_init, train)
        return residual + x

    def conv(
        self,
        x: jax.Array,
        channels: int,
        size: int,
        operation: Callable[..., Any] | None,
        init: Initializer,
        train: bool,
    ) -> jax.Array:
        """Convolves (N, H, W, C) to `channels` with a bias; without an operation the picture keeps its size."""
        options = {"kernel_size": size, "padding": size // 2, "operation": operation}
        return self.layer(Conv, channels, init, train, **options)(x)

    def layer(self, kind: Any, features: int, init: Initializer, train: bool, **options: Any) -> nn.Module:
        """Returns a layer with spectral normalisation, if this network has it."""
        shared = {"features": features, "kernel_init": init, "bias_init": zeros, "dtype": self.dtype}
        return spectral.layer(kind, self.spectral_norm, train, **shared, **options)

    def embedding(self, features: int, train: bool) -> nn.Module:
        """Returns the layer from conditions (N, condition_dim) to (N, features)."""
        shared: dict[str, Any] = {"use_bias": False, "kernel_init": keras_kernel_init, "dtype": self.dtype}
        if self.spectral_norm:
            return SpectralEmbedding(features, train=train, **shared)
        return Dense(features, **shared)


def sngan_32(
    *,
    image_size: int = 32,
    channels: int = 3,
    latent_dim: int = 128,
    generator_width: int = 256,
    discriminator_width: int = 128,
    spectral_norm: bool = True,
    attention_size: int | None = None,
    minibatch_std: int | None = None,
    dtype: Any = None,
) -> GAN:
    """Residual GAN with spectral normalisation for CIFAR-10: 4×4 to 32×32, one width in all blocks.

    For the arguments see `models.build`.
    """
    if image_size % 8 or image_size < 16:
        raise UserError(
            f"--image_size={image_size}: sngan_32 makes pictures of 8·n pixels with n ≥ 2, such as 32 or 48"
        )
    image_shape = (image_size, image_size, channels)
    _check_attention(attention_size, image_size, 2)
    return GAN(
        name="sngan_32",
        generator=ResidualGenerator(
            dtype=dtype,
            image_shape=image_shape,
            latent_dim=latent_dim,
            first_width=generator_width,
            widths=(generator_width,) * 3,
            attention_size=attention_size,
        ),
        discriminator=ResidualDiscriminator(
            dtype=dtype,
            image_shape=image_shape,
            widths=(discriminator_width,) * 2,
            plain_widths=(discriminator_width,) * 2,
            spectral_norm=spectral_norm,
            attention_size=attention_size,
            minibatch_std=minibatch_std,
        ),
    )


def resnet_gan(
    *,
    image_size: int = 48,
    channels: int = 3,
    latent_dim: int = 128,
    generator_width: int = 64,
    discriminator_width: int = 64,
    spectral_norm: bool = True,
    attention_size: int | None = None,
    minibatch_std: int | None = None,
    dtype: Any = None,
) -> GAN:
    """Residual GAN with spectral normalisation for STL-10 and ImageNet: 48×48, 64×64, 96×96, 128×128 and others.

    For the arguments see `models.build`.
    """
    return _of_any_size("resnet_gan", 0, **locals())


def projection_gan(
    *,
    image_size: int = 48,
    channels: int = 3,
    latent_dim: int = 128,
    condition_dim: int = 10,
    generator_width: int = 64,
    discriminator_width: int = 64,
    spectral_norm: bool = True,
    attention_size: int | None = None,
    minibatch_std: int | None = None,
    auxiliary_classifier: bool = False,
    dtype: Any = None,
) -> GAN:
    """Conditional `resnet_gan`: conditional batch normalisation, and a projection or an auxiliary classifier.

    For the arguments see `models.build`.
    """
    return _of_any_size("projection_gan", **locals())


def _of_any_size(
    name: str,
    condition_dim: int,
    *,
    image_size: int,
    channels: int,
    latent_dim: int,
    generator_width: int,
    discriminator_width: int,
    spectral_norm: bool,
    attention_size: int | None,
    minibatch_std: int | None,
    dtype: Any,
    auxiliary_classifier: bool = False,
) -> GAN:
    doublings = _doublings(image_size, name)
    image_shape = (image_size, image_size, channels)
    halvings = doublings + (image_size >> doublings == 6)  # 6×6 is halved once more, to 3×3
    _check_attention(attention_size, image_size, doublings - 1)
    shared = {"dtype": dtype, "image_shape": image_shape, "condition_dim": condition_dim}
    *widths, first = (generator_width * min(2**n, 16) for n in range(doublings + 1))
    return GAN(
        name=name,
        generator=ResidualGenerator(
            latent_dim=latent_dim,
            first_width=first,
            widths=tuple(reversed(widths)),
            attention_size=attention_size,
            **shared,
        ),
        discriminator=ResidualDiscriminator(
            widths=tuple(discriminator_width * min(2**n, 16) for n in range(halvings)),
            plain_widths=(discriminator_width * min(2**halvings, 16),),
            spectral_norm=spectral_norm,
            attention_size=attention_size,
            minibatch_std=minibatch_std,
            auxiliary_classifier=auxiliary_classifier,
            **shared,
        ),
    )


def _doublings(image_size: int, name: str) -> int:
    """Returns the n ≥ 1 with which image_size / 2^n is from 3 to 7, the larger of two such sides."""
    n = max((image_size // 4).bit_length() - 1, 1)
    if image_size % 2**n or not 3 <= image_size >> n <= 7:
        raise UserError(
            f"--image_size={image_size}: {name} makes pictures of s·2^n pixels, s from 3 to 7, such as 24, 48, 64 or 96"
        )
    return n


def _check_attention(attention_size: int | None, image_size: int, halvings: int) -> None:
    """Raises a UserError unless attention is off, or sees pictures that both networks have within."""
    sizes = [image_size >> n for n in range(1, halvings + 1) if not (image_size >> n) % 2]
    if attention_size is not None and attention_size not in sizes:
        raise UserError(f"--attention_size={attention_size}: pictures within these networks have {sizes} pixels")
