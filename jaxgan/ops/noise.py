"""Random numbers that depend on an example's index in the global batch, not on the number of devices."""

import functools

import jax
import jax.numpy as jnp


def example_keys(key: jax.Array, count: int, axis_name: str | None = None) -> jax.Array:
    """Derives one PRNG key for each example on this device.

    Args:
      key: PRNG key of the global batch.
      count: number of examples on this device, N.
      axis_name: mapped axis over which the global batch is split into contiguous parts, if any.

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
    """Draws normal noise z ~ N(0, std²) for the examples on this device.

    A truncation limits values to that many standard deviations from 0: z is then drawn from the truncated normal
    distribution.

    Args:
      key: PRNG key of the global batch.
      count: number of examples on this device, N.
      dim: length of a latent.
      std: standard deviation.
      truncation: limit in standard deviations; None draws the full normal distribution.
      axis_name: mapped axis over which the global batch is split, if any.

    Returns:
      float32 (N, dim).

    Raises:
      ValueError: if the truncation is not positive.

    Reference:
      Brock, Donahue and Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, §3.1.
    """
    if truncation is not None and not truncation > 0:
        raise ValueError(f"truncation must be above 0, not {truncation}")
    keys = example_keys(key, count, axis_name)
    if truncation is None:
        return std * jax.vmap(lambda one: jax.random.normal(one, (dim,), jnp.float32))(keys)
    draw = functools.partial(jax.random.truncated_normal, lower=-truncation, upper=truncation, dtype=jnp.float32)
    return std * jax.vmap(lambda one: draw(one, shape=(dim,)))(keys)
