"""Random crops and flips that are the same for several pictures of an example, such as the two of a pair."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan.ops import noise


def jitter(
    key: jax.Array,
    pictures: Sequence[jax.Array],
    *,
    enlarge: int = 0,
    flip: bool = False,
    axis_name: str | None = None,
) -> tuple[jax.Array, ...]:
    """Enlarges pictures, cuts a random part of their first size out of them, and mirrors it with probability ½.

    An example has one part and one mirroring, which depend on its index in the global batch.

    Args:
      key: of the global batch.
      pictures: each (N, H, W, C), floating-point; the same N, H and W.
      enlarge: pixels by which height and width grow before the part is cut out; offsets are from 0 to this, inclusive.
      flip: whether to mirror left and right.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The pictures, in their shapes.

    Reference:
      Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, section 6.2.
    """
    if not enlarge and not flip:
        return tuple(pictures)
    count, height, width = pictures[0].shape[:3]
    keys = noise.example_keys(key, count, axis_name)
    offset_keys, flip_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    offsets = jax.vmap(lambda one: jax.random.randint(one, (2,), 0, enlarge + 1))(offset_keys)
    mirrored = jax.vmap(jax.random.bernoulli)(flip_keys)[:, None, None, None]
    jittered = []
    for picture in pictures:
        if enlarge:
            larger = (count, height + enlarge, width + enlarge, picture.shape[-1])
            cut = functools.partial(_cut, size=(height, width))
            picture = jax.vmap(cut)(jax.image.resize(picture, larger, "linear"), offsets)
        jittered.append(jnp.where(mirrored, picture[:, :, ::-1], picture) if flip else picture)
    return tuple(jittered)


def _cut(picture: jax.Array, offset: jax.Array, *, size: tuple[int, int]) -> jax.Array:
    return jax.lax.dynamic_slice(picture, (offset[0], offset[1], 0), (*size, picture.shape[-1]))
