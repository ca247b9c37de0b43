"""A pool of former pictures: the discriminator is shown either a new picture, or one that was made before."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct


class ImagePool(struct.PyTreeNode):
    """Generated pictures of former steps; the same on every device.

    Attributes:
      images: (size, H, W, C), float32.
      filled: how many of them there are so far, int32.
    """

    images: jax.Array
    filled: jax.Array

    @classmethod
    def empty(cls, size: int, image_shape: tuple[int, int, int]) -> "ImagePool":
        """Returns a pool that holds nothing yet, and will hold `size` pictures (H, W, C)."""
        return cls(jnp.zeros((size, *image_shape)), jnp.zeros((), jnp.int32))


class Draws(NamedTuple):
    """What chance decides for each picture of the global batch, once the pool is full.

    Attributes:
      swap: whether the picture goes into the pool, and one of the pool is shown in its place, bool (N,).
      place: which one, int32 (N,).
    """

    swap: jax.Array
    place: jax.Array


def draw(key: jax.Array, count: int, size: int) -> Draws:
    """Draws the decisions for the pictures of a global batch.

    Args:
      key: of the global batch.
      count: how many pictures it has, N.
      size: of the pool.
    """
    swap_key, place_key = jax.random.split(key)
    return Draws(jax.random.bernoulli(swap_key, shape=(count,)), jax.random.randint(place_key, (count,), 0, size))


def exchange(pool: ImagePool, draws: Draws, fresh: jax.Array) -> tuple[ImagePool, jax.Array]:
    """Shows new pictures to the pool, one after the other, and returns those to show to the discriminator.

    While the pool has room, it takes each picture, which is shown as well. Once it is full, a picture that `swap` names
    takes the place of an old one, which is shown instead; every other one is shown, and not kept.

    Args:
      pool: of former steps.
      draws: what chance decides, N each.
      fresh: the new pictures of the global batch, (N, H, W, C).

    Returns:
      The pool after them, and N pictures to show.

    Reference:
      Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017, in the
      form of Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017.
    """
    size = len(pool.images)

    def one(pool: ImagePool, drawn: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[ImagePool, jax.Array]:
        swap, place, picture = drawn
        room = pool.filled < size
        place = jnp.where(room, pool.filled, place)
        old = pool.images[place]
        shown = jnp.where(room | ~swap, picture, old.astype(picture.dtype))
        # One picture is written, also where nothing changes: the pool itself is never copied.
        kept = jnp.where(room | swap, picture.astype(old.dtype), old)
        return ImagePool(pool.images.at[place].set(kept), jnp.minimum(pool.filled + 1, size)), shown

    return jax.lax.scan(one, pool, (*draws, fresh))
