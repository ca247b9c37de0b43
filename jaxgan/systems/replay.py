"""Experience replay: the discriminator also sees what the generator made long ago."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import struct

from jaxgan.ops import noise

Example = tuple[jax.Array, ...]


class History(struct.PyTreeNode):
    """Generated examples of former steps; the same on every device.

    Attributes:
      examples: the arrays of an example, each (size, …), float32: pictures, and their conditions if there are any.
      filled: how many of them there are so far, int32.
    """

    examples: Example
    filled: jax.Array

    @classmethod
    def empty(cls, size: int, shapes: Sequence[tuple[int, ...]]) -> "History":
        """Returns a history that holds nothing yet.

        Args:
          size: how many examples it will hold.
          shapes: of the arrays of an example.
        """
        return cls(tuple(jnp.zeros((size, *shape)) for shape in shapes), jnp.zeros((), jnp.int32))


def exchange(history: History, key: jax.Array, fresh: Example, axis_name: str | None = None) -> tuple[History, Example]:
    """Replaces every second example of the global batch by one of the history, which then takes in the others.

    Examples are drawn from the history with replacement. It is filled from its beginning; once it is full, new examples
    take the places of random ones. While it is empty, the batch stays as it is.

    Args:
      history: of former steps, with room for half of the global batch.
      key: of the global batch.
      fresh: this device's share, the arrays of an example, each (N, …).
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The history after the step, and this device's share of the mixed batch, in the dtypes of the fresh examples.

    Reference:
      Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
      section 2.3.
    """
    example_key, place_key = jax.random.split(key)
    count, size = fresh[0].shape[0], history.examples[0].shape[0]
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    replaced = ((first + jnp.arange(count)) % 2 == 1) & (history.filled > 0)
    keys = noise.example_keys(example_key, count, axis_name)
    drawn = jax.vmap(lambda one: jax.random.randint(one, (), 0, jnp.maximum(history.filled, 1)))(keys)

    def mixed(old: jax.Array, new: jax.Array) -> jax.Array:
        return jnp.where(replaced.reshape(-1, *(1,) * (new.ndim - 1)), old[drawn].astype(new.dtype), new)

    everyone = fresh if axis_name is None else jax.lax.all_gather(fresh, axis_name, tiled=True)
    taken = tuple(array[::2] for array in everyone)
    number = taken[0].shape[0]
    in_turn = (history.filled + jnp.arange(number)) % size
    places = jnp.where(history.filled < size, in_turn, jax.random.permutation(place_key, size)[:number])
    examples = tuple(
        old.at[places].set(new.astype(old.dtype), unique_indices=True)
        for old, new in zip(history.examples, taken, strict=True)
    )
    shown = tuple(mixed(old, new) for old, new in zip(history.examples, fresh, strict=True))
    return History(examples, jnp.minimum(history.filled + number, size)), shown
