"""Examples that do not belong together: what a conditional discriminator must learn to refuse."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.ops import noise


def turned(key: jax.Array, examples: jax.Array, axis_name: str | None = None, *, back: bool = False) -> jax.Array:
    """Each example replaced by another of the global batch: the batch turned by a random number of places, never by 0.

    Args:
      key: decides the number of places, 1 to N − 1.
      examples: this device's share, (n, …).
      axis_name: the mapped axis over which the global batch of N is split, if any.
      back: turn the other way, as far: where ``turned(key, a)`` has b[i] beside a[j], this has b[j] beside a[i].

    Returns:
      This device's share of the turned batch, (n, …).

    Raises:
      UserError: for a batch of one, which has no other example.
    """
    count = examples.shape[0]
    everyone = examples if axis_name is None else jax.lax.all_gather(examples, axis_name, tiled=True)
    if everyone.shape[0] < 2:
        raise UserError("a batch of one example has no wrong one to show the discriminator; raise --batch_size")
    places = jax.random.randint(key, (), 1, everyone.shape[0])
    rolled = jnp.roll(everyone, -places if back else places, axis=0)
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.lax.dynamic_slice_in_dim(rolled, first, count)


def wrong_in_one(
    key: jax.Array, conditions: jax.Array, attributes: Sequence[int], axis_name: str | None = None
) -> jax.Array:
    """Each condition with ONE of its attributes replaced by another value, drawn from all the others.

    A discriminator refuses a condition that is wrong throughout by the attribute that is easiest to see; here it must
    look at each of them.

    Args:
      key: decides which attribute, and which value.
      conditions: this device's share, (n, sum of attributes), zeros and ones; an attribute without a one is not named
        and stays so.
      attributes: how many neighbouring columns each attribute has, at least 2, in order.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The wrong conditions, of the same shape; a condition that names nothing stays as it is.

    Raises:
      ValueError: where the attributes are not the columns of the conditions.
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
