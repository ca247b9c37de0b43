"""The binomial filter [1, 3, 3, 1]: smoothing, doubling and halving of pictures, alone and beside convolutions.

Each is linear, and is written along one axis after the other as a sum of shifted pictures, which a compiler makes one
loop of. The gradient of each is again one of them, so that gradients of any order are as fast.

Reference:
  Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, and the authors' code for the borders.
"""

import functools
import operator
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import ops
from jaxgan.ops.geometry import transposes

TAPS = (0.125, 0.375, 0.375, 0.125)
"""The filter along an axis; its sum is 1."""


def blur(x: jax.Array, padding: tuple[int, int]) -> jax.Array:
    """Smooths pictures: (N, H, W, C) -> (N, H + before + after − 3, W + before + after − 3, C).

    Args:
      x: pictures or features.
      padding: zeros (before, after) along both axes, each from 0 to 3.

    Raises:
      ValueError: for another padding.
    """
    if not all(0 <= side <= len(TAPS) - 1 for side in padding):
        raise ValueError(f"a filter of {len(TAPS)} taps is padded by 0 to {len(TAPS) - 1}, not {padding}")
    return _blur(x, *padding)


def downsample(x: jax.Array) -> jax.Array:
    """Smooths and halves pictures: (N, 2H, 2W, C) -> (N, H, W, C).

    Raises:
      ValueError: if a side is odd.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(f"a picture of {x.shape[1]}×{x.shape[2]} cannot be halved")
    return _gather(x)


def upsample(x: jax.Array) -> jax.Array:
    """Doubles pictures smoothly, and keeps their brightness: (N, H, W, C) -> (N, 2H, 2W, C)."""
    return 4 * _spread(x)


def upsampled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles features and convolves: a transposed convolution with a stride of 2, smoothed.

    Args:
      x: (N, H, W, in).
      kernel: (3, 3, out, in), as `ops.conv_transpose` takes it.

    Returns:
      (N, 2H, 2W, out).
    """
    return 4 * blur(ops.conv_transpose(x, kernel, stride=2), (1, 1))


def downsampled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Smooths features, and convolves with a stride of 2.

    Args:
      x: (N, 2H, 2W, in).
      kernel: (3, 3, in, out).

    Returns:
      (N, H, W, out).
    """
    return ops.conv(blur(x, (2, 2)), kernel, stride=2)


def _sliding(x: jax.Array, before: int, after: int) -> jax.Array:
    for axis in (1, 2):
        length = x.shape[axis] + before + after - (len(TAPS) - 1)
        padded = _padded(x, axis, before, after)
        x = _total(weight * lax.slice_in_dim(padded, tap, tap + length, axis=axis) for tap, weight in enumerate(TAPS))
    return x


def _halved(x: jax.Array) -> jax.Array:
    for axis in (1, 2):
        length = x.shape[axis] // 2
        padded = _padded(x, axis, 1, 1)
        x = _total(
            weight * lax.slice_in_dim(padded, tap, tap + 2 * length - 1, 2, axis) for tap, weight in enumerate(TAPS)
        )
    return x


def _doubled(x: jax.Array) -> jax.Array:
    """The transpose of `_halved`: an even pixel takes from its own and the former one, an odd one from the next."""
    for axis in (1, 2):
        length = x.shape[axis]
        padded = _padded(x, axis, 1, 1)
        former, own, following = (lax.slice_in_dim(padded, at, at + length, axis=axis) for at in range(3))
        pairs = [TAPS[0] * former + TAPS[2] * own, TAPS[1] * own + TAPS[3] * following]
        shape = (*x.shape[:axis], 2 * length, *x.shape[axis + 1 :])
        x = jnp.stack(pairs, axis + 1).reshape(shape)
    return x


def _padded(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
    sides = [(0, 0, 0)] * x.ndim
    sides[axis] = (before, after, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), sides)


def _total(parts: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, parts)


# The filter is symmetric, so that the transpose of sliding it is sliding it over the padding that was not there.
_blur, _ = transposes(_sliding, lambda y, before, after: _sliding(y, 3 - before, 3 - after))
_gather, _spread = transposes(_halved, _doubled)
