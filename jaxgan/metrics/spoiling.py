"""Ways to spoil pictures, so that feature networks learn to see them and scores can be read against them.

A network that has only learned what pictures show may not notice how they are drawn: a classifier of hair colours
calls a grey, speckled face real if the hair is right. Each way here is a fault of generators: blur, noise, faded
colours, pixels that have lost their places, a chequered pattern, a face put together from two.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.ops import pixels

KINDS = ("none", "blurred", "noised", "faded", "jittered", "chequered", "mixed")
"""The ways to spoil a picture; the first leaves it as it is."""

LIGHT, HEAVY = 0.15, 0.7
"""Strengths, from 0 to 1, of a fault that one sees on looking twice, and of one that nobody overlooks."""

_SLAB = 200  # pictures that are spoilt together
_BLURS = (1, 1, 2, 2, 3)  # reach in pixels of the passes at strength 1: together a standard deviation of 3.1 pixels
_MOST_NOISE = 0.6  # standard deviation at strength 1, of pixels in [-1, 1]


def spoil(key: jax.Array, images: jax.Array, kind: str, strength: jax.Array | float) -> jax.Array:
    """Spoils pictures in one way.

    Args:
      key: PRNG key of what is random in it.
      images: (N, H, W, C), floats in [−1, 1].
      kind: one of `KINDS`.
      strength: from 0 (as they are) to 1, one for all pictures or for each, (N,).

    Returns:
      Pictures of the same shape, in [−1, 1].

    Raises:
      KeyError: for another kind.
    """
    strength = jnp.broadcast_to(jnp.asarray(strength, images.dtype), images.shape[:1])[:, None, None, None]
    return jnp.clip(_WAYS[kind](key, images, strength), -1.0, 1.0)


def spoil_some(key: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Spoils half of the pictures, each in a random way and with a random strength.

    Args:
      key: PRNG key.
      images: (N, H, W, C), floats in [−1, 1].

    Returns:
      The pictures, and how each was spoilt, one-hot in the order of `KINDS`, (N, 7).
    """
    kind_key, strength_key, key = jax.random.split(key, 3)
    count = len(images)
    odds = jnp.array([1.0] + [1.0 / (len(KINDS) - 1)] * (len(KINDS) - 1))
    kinds = jax.random.categorical(kind_key, jnp.log(odds), shape=(count,))
    # Light faults more often than heavy ones: those are harder to see.
    strength = 0.05 + 0.95 * jax.random.uniform(strength_key, (count,)) ** 2
    return spoil_each(key, images, kinds, strength), jax.nn.one_hot(kinds, len(KINDS))


def spoil_each(key: jax.Array, images: jax.Array, kinds: jax.Array, strength: jax.Array | float) -> jax.Array:
    """Spoils each picture in its own way.

    Args:
      key: PRNG key.
      images: (N, H, W, C), floats in [−1, 1].
      kinds: index into `KINDS` for each picture, (N,).
      strength: see `spoil`.
    """
    spoilt = images
    for number, (kind, kind_key) in enumerate(zip(KINDS, jax.random.split(key, len(KINDS)), strict=True)):
        chosen = (kinds == number)[:, None, None, None]
        spoilt = jnp.where(chosen, spoil(kind_key, images, kind, strength), spoilt)
    return spoilt


def spoil_set(images: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    """Spoils a set of pictures with equal shares of all kinds but the first.

    Args:
      images: uint8 (n, H, W, C).
      strength: from 0 to 1.
      seed: random seed.

    Returns:
      uint8 (n, H, W, C).
    """
    parts = []
    for number, start in enumerate(range(0, len(images), _SLAB)):
        part = images[start : start + _SLAB]
        filled = np.resize(part, (_SLAB, *part.shape[1:]))  # repeated, so that one program serves all slabs
        parts.append(np.asarray(_spoil_slab(jax.random.key(seed), number, filled, strength))[: len(part)])
    return np.concatenate(parts)


@jax.jit
def _spoil_slab(key: jax.Array, number: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    kinds = 1 + jnp.arange(len(images)) % (len(KINDS) - 1)
    spoilt = spoil_each(jax.random.fold_in(key, number), pixels.normalize(images), kinds, strength)
    return pixels.quantize(spoilt)


def _none(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    return images


def _blurred(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    blurred, passes = images, strength * len(_BLURS)
    for number, reach in enumerate(_BLURS):
        once = blurred
        for axis in (1, 2):
            once = 0.5 * once + 0.25 * (_moved(once, axis, reach) + _moved(once, axis, -reach))
        blurred += jnp.clip(passes - number, 0.0, 1.0) * (once - blurred)  # the last pass counts in part
    return blurred


def _moved(images: jax.Array, axis: int, by: int) -> jax.Array:
    """Moves pictures by some pixels along an axis, repeating the border."""
    size = images.shape[axis]
    by = max(-size + 1, min(size - 1, by))
    middle = jax.lax.slice_in_dim(images, max(0, -by), size - max(0, by), axis=axis)
    border = jax.lax.slice_in_dim(images, size - 1 if by < 0 else 0, size if by < 0 else 1, axis=axis)
    borders = jnp.repeat(border, abs(by), axis=axis)
    return jnp.concatenate([middle, borders] if by < 0 else [borders, middle], axis=axis)


def _noised(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    return images + _MOST_NOISE * strength * jax.random.normal(key, images.shape, images.dtype)


def _faded(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    """Draws colours towards grey; of grey pictures, tones towards the middle one."""
    pale = images.mean(axis=3, keepdims=True) if images.shape[3] > 1 else images.mean(axis=(1, 2, 3), keepdims=True)
    return images + strength * (pale - images)


def _jittered(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    """Takes each pixel from a place nearby: at strength 1, twice along each axis, from either side or from its own."""
    for step, axis in enumerate((1, 2, 1, 2)):
        draws = jax.random.uniform(jax.random.fold_in(key, step), (*images.shape[:3], 1))
        later, earlier = _moved(images, axis, -1), _moved(images, axis, 1)
        images = jnp.where(draws < strength / 3, later, jnp.where(draws > 1 - strength / 3, earlier, images))
    return images


def _chequered(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    """Adds what transposed convolutions leave: a pattern that repeats every four pixels, of each picture its own."""
    count, height, width, channels = images.shape
    tile = jax.random.normal(key, (count, 4, 4, channels), images.dtype)
    tile -= tile.mean(axis=(1, 2), keepdims=True)
    pattern = jnp.tile(tile, (1, -(-height // 4), -(-width // 4), 1))[:, :height, :width]
    return images + _MOST_NOISE * strength * pattern


def _mixed(key: jax.Array, images: jax.Array, strength: jax.Array) -> jax.Array:
    """Lays the next picture of the batch over each; at strength 1 both count the same."""
    return images + 0.5 * strength * (jnp.roll(images, 1, axis=0) - images)


_WAYS = {
    "none": _none,
    "blurred": _blurred,
    "noised": _noised,
    "faded": _faded,
    "jittered": _jittered,
    "chequered": _chequered,
    "mixed": _mixed,
}
