"""Negatives: pictures and conditions that do not belong together, which a conditional discriminator must reject."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan.host.errors import UserError
from jaxgan.ops import noise


def rotated(key: jax.Array, examples: jax.Array, axis_name: str | None = None, *, back: bool = False) -> jax.Array:
    """Rotates the global batch by a random non-zero offset, so that each example is replaced by another one.

    Args:
      key: the key of the offset, drawn uniformly from 1 to N − 1.
      examples: this device's share, (n, …).
      axis_name: the mapped axis over which the global batch of N is split, if any.
      back: rotate by the same offset the other way. Pairing a with `rotated(key, b, back=True)` gives the same pairs as
        pairing `rotated(key, a)` with b.

    Returns:
      This device's share of the rotated batch, (n, …).

    Raises:
      UserError: for a batch of one example, which has no other to take.
    """
    count = examples.shape[0]
    everyone = examples if axis_name is None else jax.lax.all_gather(examples, axis_name, tiled=True)
    if everyone.shape[0] < 2:
        raise UserError("a batch of one example has no wrong one to show the discriminator; raise --batch_size")
    offset = jax.random.randint(key, (), 1, everyone.shape[0])
    rolled = jnp.roll(everyone, -offset if back else offset, axis=0)
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.lax.dynamic_slice_in_dim(rolled, first, count)


def wrong_in_one(
    key: jax.Array, conditions: jax.Array, attributes: Sequence[int], axis_name: str | None = None
) -> jax.Array:
    """Replaces exactly one attribute of each condition by another value, drawn uniformly from the others.

    A discriminator can reject a condition that is wrong in every attribute by the one that is easiest to see. If only
    one is wrong, it has to look at all of them.

    Args:
      key: the key of the attribute and of its new value.
      conditions: this device's share, (n, sum of attributes), zeros and ones. An attribute whose columns are all zero
        is unset and stays so.
      attributes: the number of adjacent columns of each attribute, at least 2, in order.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The wrong conditions, of the same shape; a condition with no attribute set is returned unchanged.

    Raises:
      ValueError: if the attributes do not add up to the columns of the conditions.
    """
    if sum(attributes) != conditions.shape[-1] or min(attributes) < 2:
        raise ValueError(f"attributes of {tuple(attributes)} columns, but conditions of {conditions.shape[-1]}")
    stops = tuple(itertools.accumulate(attributes))

    def wrong(key: jax.Array, condition: jax.Array) -> jax.Array:
        which_key, value_key = jax.random.split(key)
        parts = jnp.split(condition, stops[:-1])
        named = jnp.stack([part.any() for part in parts])
        which = jax.random.categorical(which_key, jnp.where(named, 0.0, -jnp.inf))
        keys = jax.random.split(value_key, len(parts))
        others = [jnp.roll(part, jax.random.randint(k, (), 1, len(part))) for k, part in zip(keys, parts, strict=True)]
        return jnp.concatenate([jnp.where(which == i, *pair) for i, pair in enumerate(zip(others, parts, strict=True))])

    return jax.vmap(wrong)(noise.example_keys(key, conditions.shape[0], axis_name), conditions)
