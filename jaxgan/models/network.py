"""Base class of all networks, and the pair of networks of a GAN."""

import dataclasses
from typing import Any, ClassVar

from flax import linen as nn

from jaxgan.models.layers import BatchNorm


class Network(nn.Module):
    """Generator or discriminator.

    A generator maps latents (N, latent_dim), and conditions (N, condition_dim) if it is conditional, to images (N, H,
    W, C) in [−1, 1]. A discriminator maps images, and the conditions, to logits (N,).

    Attributes:
      convolutional: whether it has convolutions; without any, a step takes little time.
      several_conditions: whether a discriminator also accepts K conditions per image, (N, K, condition_dim), and
        returns logits (N, K), while it processes each image only once.
    """

    several_conditions: ClassVar[bool] = False
    convolutional: ClassVar[bool] = True

    dtype: Any = None  # compute dtype; None: the promoted dtype of inputs and parameters
    axis_name: str | None = None  # mapped axis over which the global batch is split
    sync_batch_norm: bool = True  # whether batch statistics are those of the global batch or of each device's share
    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_dim: int = 0  # 0 for a discriminator
    latent_std: float = 1.0  # standard deviation of the latents
    condition_dim: int = 0  # 0 without conditions

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each input, without the batch axis."""
        first = (self.latent_dim,) if self.latent_dim else self.image_shape
        return (first, (self.condition_dim,)) if self.condition_dim else (first,)

    def batch_norm(self, **options: Any) -> BatchNorm:
        """Returns a batch normalisation layer with the settings of this network."""
        return BatchNorm(axis_name=self.axis_name, sync_batch_norm=self.sync_batch_norm, dtype=self.dtype, **options)


@dataclasses.dataclass(frozen=True)
class GAN:
    """Generator and discriminator with matching shapes.

    Attributes:
      name: id of the system, see `models.build`.
      generator: Linen module, (z[, y]) -> x in [−1, 1].
      discriminator: Linen module, (x[, y]) -> logits (N,).
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
        """Length of y; 0 without conditions."""
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
