"""What every network of the library has, and the pair of networks that a game is played with."""

import dataclasses
from typing import Any, ClassVar

from flax import linen as nn

from jaxgan.models.layers import BatchNorm


class Network(nn.Module):
    """A generator or a discriminator.

    A generator maps latents (N, latent_dim), for conditional families with a condition (N, condition_dim), to images
    (N, H, W, C) in [−1, 1]; a discriminator maps images, and the condition, to logits (N,).

    Attributes:
      convolutional: whether it has convolutions; without any, a step takes little time.
      several_conditions: a discriminator that also maps images and K conditions for each, (N, K, condition_dim), to
        logits (N, K), and looks at each image once for all of them.
    """

    several_conditions: ClassVar[bool] = False
    convolutional: ClassVar[bool] = True

    dtype: Any = None  # the type to compute in; None: the promotion of inputs and parameters
    axis_name: str | None = None  # the mapped axis over which the global batch is split
    sync_batch_norm: bool = True  # batch statistics of the global batch, or of each device's share
    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_dim: int = 0  # 0 for a discriminator
    latent_std: float = 1.0  # standard deviation of the latents
    condition_dim: int = 0  # 0 for a family without a condition

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each input, without the batch."""
        first = (self.latent_dim,) if self.latent_dim else self.image_shape
        return (first, (self.condition_dim,)) if self.condition_dim else (first,)

    def batch_norm(self, **options: Any) -> BatchNorm:
        """Batch normalisation as this network is told to do it."""
        return BatchNorm(axis_name=self.axis_name, sync_batch_norm=self.sync_batch_norm, dtype=self.dtype, **options)


@dataclasses.dataclass(frozen=True)
class GAN:
    """A generator and a discriminator that fit each other.

    Attributes:
      name: the id under which `models.build` made it.
      generator: a Linen module, (z[, y]) -> x in [−1, 1].
      discriminator: a Linen module, (x[, y]) -> logits (N,).
    """

    name: str
    generator: Network
    discriminator: Network

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        return self.generator.latent_dim

    @property
    def latent_std(self) -> float:
        """Standard deviation of z."""
        return self.generator.latent_std

    @property
    def condition_dim(self) -> int:
        """Length of y, 0 for a family without a condition."""
        return self.generator.condition_dim

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.generator.image_shape

    def on(self, axis_name: str | None, sync_batch_norm: bool = True) -> "GAN":
        """Returns the same pair for batches that are split over a mapped axis; see `layers.BatchNorm`."""
        return dataclasses.replace(
            self,
            generator=self.generator.clone(axis_name=axis_name, sync_batch_norm=sync_batch_norm),
            discriminator=self.discriminator.clone(axis_name=axis_name, sync_batch_norm=sync_batch_norm),
        )
