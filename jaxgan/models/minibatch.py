"""Layers that let a discriminator see how the pictures of a batch differ."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import normal_init


class MinibatchStandardDeviation(nn.Module):
    """Appends a channel: how much the pictures of a group differ, averaged over positions and channels.

    Of N pictures in groups of G, the pictures i, i + N/G, i + 2N/G, … are a group. On several devices groups are those
    of the global batch. G is the largest divisor of N that is at most `group_size`, so that any number is accepted.

    Attributes:
      group_size: pictures in a group, at most.
      axis_name: mapped axis over which the global batch is split, if any.

    Reference:
      Karras et al., "Progressive Growing of GANs", 2018, section 3.
    """

    group_size: int = 4
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (N, H, W, C) to (N, H, W, C + 1)."""
        mapped = None if self.is_initializing() else self.axis_name
        deviations = standard_deviations(everyone(x, mapped), self.group_size)
        own = of_this_device(deviations, x.shape[0], mapped)
        channel = jnp.broadcast_to(own[:, None, None, None], (*x.shape[:3], 1))
        return jnp.concatenate([x, channel.astype(x.dtype)], axis=-1)


def standard_deviations(x: jax.Array, group_size: int) -> jax.Array:
    """Returns the mean standard deviation of each picture's group.

    Args:
      x: (N, …).
      group_size: pictures in a group, at most.

    Returns:
      (N,) in at least float32: for each position and channel √(population variance over the group + 1e-8), averaged.
    """
    count = x.shape[0]
    size = max(divisor for divisor in range(1, min(group_size, count) + 1) if count % divisor == 0)
    groups = x.astype(jnp.promote_types(x.dtype, jnp.float32)).reshape(size, count // size, -1)
    deviations = jnp.sqrt(jnp.var(groups, axis=0) + 1e-8).mean(-1)  # one a group
    return jnp.tile(deviations, size)


class MinibatchDiscrimination(nn.Module):
    """Appends how close an example's features are to those of the others in the batch.

    The kernel T maps f to rows M (kernels, dims). The feature of a row is o(i) = Σⱼ exp(−‖Mᵢ − Mⱼ‖₁), summed over the
    others as in the authors' program; the paper's sum has the example itself too, which adds 1.

    Attributes:
      kernels: features that are appended, B.
      dims: length of a row, C.
      axis_name: mapped axis over which the global batch is split, if any.

    Reference:
      Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.2.
    """

    kernels: int = 100
    dims: int = 5
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps features (N, A) to (N, A + kernels)."""
        mapped = None if self.is_initializing() else self.axis_name
        kernel = self.param("kernel", normal_init(0.0, 0.05), (x.shape[1], self.kernels * self.dims), jnp.float32)
        rows = (x @ kernel).reshape(x.shape[0], self.kernels, self.dims)

        def closeness(row: jax.Array, others: jax.Array) -> jax.Array:
            return jnp.exp(-jnp.abs(row - others).sum(-1)).sum(0)

        # One example at a time: all pairs together would take N² · B · C numbers.
        everyones = everyone(rows, mapped)
        near = jax.lax.map(lambda row: closeness(row, everyones), rows) - 1
        return jnp.concatenate([x, near.astype(x.dtype)], axis=-1)


def everyone(x: jax.Array, axis_name: str | None) -> jax.Array:
    """Returns the global batch, whatever share (N, …) of it this device has."""
    return x if axis_name is None else jax.lax.all_gather(x, axis_name, tiled=True)


def of_this_device(values: jax.Array, count: int, axis_name: str | None) -> jax.Array:
    """Returns this device's share, `count` examples, of values of the global batch."""
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.lax.dynamic_slice_in_dim(values, first, count)
