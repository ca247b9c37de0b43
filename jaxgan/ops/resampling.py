"""Doubling and halving of pictures, alone and fused with the convolution beside them.

A nearest-neighbour doubling followed by a convolution with a kernel of 3 is a transposed convolution with a kernel of 4
and a stride of 2, and a convolution followed by the mean over 2×2 pixels is a convolution with a kernel of 4 and a
stride of 2. Both are exact, take 4/9 of the products, and never hold the larger picture twice.
"""

import jax
import jax.numpy as jnp

from jaxgan import ops


def upsample(x: jax.Array) -> jax.Array:
    """Doubles (N, H, W, C) to (N, 2H, 2W, C): each pixel becomes 2×2 equal ones."""
    count, height, width, channels = x.shape
    doubled = jnp.broadcast_to(x[:, :, None, :, None], (count, height, 2, width, 2, channels))
    return doubled.reshape(count, 2 * height, 2 * width, channels)


def average_pool(x: jax.Array) -> jax.Array:
    """Halves (N, 2H, 2W, C) to (N, H, W, C) by the mean over 2×2 pixels.

    Raises:
      ValueError: if a side is odd.
    """
    return _in_squares(x).mean((2, 4))


def max_pool(x: jax.Array) -> jax.Array:
    """Halves (N, 2H, 2W, C) to (N, H, W, C) by the maximum over 2×2 pixels.

    Raises:
      ValueError: if a side is odd.
    """
    return _in_squares(x).max((2, 4))


def _in_squares(x: jax.Array) -> jax.Array:
    count, height, width, channels = x.shape
    if height % 2 or width % 2:
        raise ValueError(f"a picture of {height}×{width} cannot be halved")
    return x.reshape(count, height // 2, 2, width // 2, 2, channels)


def upsampled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves the doubled picture: `conv(upsample(x), kernel, padding=k // 2)`, exact but for rounding.

    Args:
      x: (N, H, W, in).
      kernel: (k, k, in, out), k odd.

    Returns:
      (N, 2H, 2W, out).
    """
    # The output at 2j + d sees the pixel j through every tap of the kernel that falls on its pair.
    transposed = _widened(kernel[::-1, ::-1]).transpose(0, 1, 3, 2)
    return ops.conv_transpose(x, transposed, stride=2, padding=kernel.shape[0] // 2)


def smoothly_upsampled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves the picture doubled by bilinear interpolation, beyond whose border there are zeros.

    Doubling by bilinear interpolation is doubling by repetition and a mean with the weights ¼, ½, ¼ along each axis,
    which is here taken over the kernel instead of the picture. Exact but for rounding and for the border.

    Args:
      x: (N, H, W, in).
      kernel: (k, k, in, out), k odd.

    Returns:
      (N, 2H, 2W, out).
    """
    weights = (0.25, 0.5, 0.25)
    rest = [(0, 0)] * (kernel.ndim - 2)
    smoothed = sum(
        down * across * jnp.pad(kernel, [(i, 2 - i), (j, 2 - j), *rest])
        for i, down in enumerate(weights)
        for j, across in enumerate(weights)
    )
    return upsampled_conv(x, smoothed)  # type: ignore[arg-type]


def pooled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves and halves: `average_pool(conv(x, kernel, padding=k // 2))`, exact but for rounding.

    Args:
      x: (N, 2H, 2W, in).
      kernel: (k, k, in, out), k odd.

    Returns:
      (N, H, W, out).
    """
    return ops.conv(x, _widened(kernel) / 4, stride=2, padding=kernel.shape[0] // 2)


def narrow_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves to few channels: `conv(x, kernel, padding=k // 2)`, exact but for rounding.

    As the transpose of the convolution with the mirrored kernel it spreads its few results instead of gathering patches
    of its many inputs, which takes a CPU a fraction of the memory.

    Args:
      x: (N, H, W, in).
      kernel: (k, k, in, out), k odd.

    Returns:
      (N, H, W, out).
    """
    mirrored = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return ops.conv_transpose(x, mirrored, padding=kernel.shape[0] // 2)


def _widened(kernel: jax.Array) -> jax.Array:
    """Sums a kernel (k, k, …) at the four places of a 2×2 square: (k + 1, k + 1, …)."""
    rest = [(0, 0)] * (kernel.ndim - 2)
    return sum(jnp.pad(kernel, [(i, 1 - i), (j, 1 - j), *rest]) for i in (0, 1) for j in (0, 1))  # type: ignore[return-value]
