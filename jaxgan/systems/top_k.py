"""Top-k training: the generator learns from its best examples alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def share_at(step: jax.Array, last: float, steps: int) -> jax.Array:
    """Returns the share of the batch at a step: it falls from 1 to `last` geometrically in some steps, then stays."""
    return last ** jnp.minimum(step.astype(jnp.float32) / steps, 1.0)


def loss(
    generator_loss: Callable[[jax.Array], jax.Array],
    logits: jax.Array,
    share: jax.Array,
    axis_name: str | None = None,
) -> jax.Array:
    """Computes the generator's loss on the examples of the global batch with the highest logits.

    Args:
      generator_loss: logits (N,) -> scalar, a mean over the examples.
      logits: of this device's generated examples, (N,).
      share: how much of the global batch counts, in (0, 1]; rounded to whole examples, and one at least.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      A scalar whose mean over the devices is the mean over the chosen examples.

    Reference:
      Sinha et al., "Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad Samples", 2020.
    """
    count = logits.shape[0]
    everyone = logits if axis_name is None else jax.lax.all_gather(logits, axis_name, tiled=True)
    ranks = jnp.argsort(jnp.argsort(-jax.lax.stop_gradient(everyone)))
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    chosen = jnp.maximum(jnp.round(share * everyone.shape[0]), 1.0)
    counts = jax.lax.dynamic_slice_in_dim(ranks, first, count) < chosen
    each = jax.vmap(lambda one: generator_loss(one[None]))(logits)
    return jnp.mean(jnp.where(counts, each, 0.0)) * (everyone.shape[0] / chosen)
