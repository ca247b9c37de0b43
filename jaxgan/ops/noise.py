"""Random numbers that depend on an example's place in the GLOBAL batch, never on how many devices share the batch."""

import functools

import jax
import jax.numpy as jnp


def example_keys(key: jax.Array, count: int, axis_name: str | None = None) -> jax.Array:
    """One key for each example that this device holds.

    Args:
      key: the key of the whole global batch.
      count: examples on this device, N.
      axis_name: the mapped axis over which the global batch is split in contiguous parts, if any.

    Returns:
      Keys of shape (N,): the key folded with each example's index in the global batch.
    """
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(first + jnp.arange(count))


def latents(
    key: jax.Array,
    count: int,
    dim: int,
    *,
    std: float = 1.0,
    truncation: float | None = None,
    axis_name: str | None = None,
) -> jax.Array:
    """Normal noise z ~ N(0, std²) for `count` examples of this device, shape (N, dim), float32.

    With a truncation no value is farther from 0 than so many standard deviations: the normal distribution, cut off
    (Brock, Donahue and Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, §3.1).

    Raises:
      ValueError: the truncation is not above 0.
    """
    if truncation is not None and not truncation > 0:
        raise ValueError(f"truncation must be above 0, not {truncation}")
    keys = example_keys(key, count, axis_name)
    if truncation is None:
        return std * jax.vmap(lambda one: jax.random.normal(one, (dim,), jnp.float32))(keys)
    draw = functools.partial(jax.random.truncated_normal, lower=-truncation, upper=truncation, dtype=jnp.float32)
    return std * jax.vmap(lambda one: draw(one, shape=(dim,)))(keys)
