"""Convolution and transposed convolution, exact to rounding and fast on every platform.

XLA computes most gradients of a convolution on a CPU with naive loops: seconds for a layer that needs milliseconds, and
all of them inside `lax.scan`. Here a CPU gets forms made of matrix products and their own gradients, chosen by shape;
GPUs and TPUs get XLA's convolutions, whose kernels are the fastest there. The platform is settled when a
program is lowered, so the same code serves every backend, and nothing is stored globally.

Reverse mode works to any order; forward mode (`jax.jvp`) does not.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import patches, winograd
from jaxgan.convolution import Geometry

Padding = int | tuple[tuple[int, int], tuple[int, int]]


def conv(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Padding = 0) -> jax.Array:
    """Convolution (cross-correlation, as deep learning has it).

    Args:
      x: (N, H, W, in).
      kernel: (kh, kw, in, out).
      stride: of both axes.
      padding: zeros on every side, or ((top, bottom), (left, right)); negative numbers crop.

    Returns:
      (N, h, w, out), h = (H + top + bottom - kh) // stride + 1 and w likewise, in the promoted type of x and kernel.

    Raises:
      ValueError: if the shapes do not fit each other, or nothing would be left of the picture.
    """
    before, after = _sides(padding)
    _check(x, kernel, stride, kernel.shape[2:3])
    big, sides = x.shape[1:3], kernel.shape[:2]
    small = tuple((n + b + a - k) // stride + 1 for n, b, a, k in zip(big, before, after, sides, strict=True))
    if min(small) < 1:
        raise ValueError(f"a kernel of {sides} does not fit into a picture of {big} with padding {padding}")
    return _on_platform(_cpu_conv, _lax_conv, x, kernel, Geometry(big, small, sides, before, stride))


def conv_transpose(y: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Padding = 0) -> jax.Array:
    """Transposed convolution: the map that carries gradients back through `conv` with the same kernel.

    PyTorch's `ConvTranspose2d` with padding p and output_padding o has padding ((p, p - o), (p, p - o)) here.

    Args:
      y: (N, h, w, in).
      kernel: (kh, kw, out, in), the kernel of the mirrored `conv`, without any flip.
      stride: of both axes.
      padding: how much to crop on every side, or ((top, bottom), (left, right)); negative numbers add zeros.

    Returns:
      (N, H, W, out), H = (h - 1) * stride + kh - top - bottom and W likewise, in the promoted type of y and kernel.

    Raises:
      ValueError: if the shapes do not fit each other, or nothing would be left of the picture.
    """
    before, after = _sides(padding)
    _check(y, kernel, stride, kernel.shape[3:4])
    small, sides = y.shape[1:3], kernel.shape[:2]
    big = tuple((n - 1) * stride + k - b - a for n, b, a, k in zip(small, before, after, sides, strict=True))
    if min(big) < 1:
        raise ValueError(f"padding {padding} crops all of a picture of {small} under a kernel of {sides}")
    return _on_platform(_cpu_conv_transpose, _lax_conv_transpose, y, kernel, Geometry(big, small, sides, before, stride))


def _sides(padding: Padding) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding (above, left) and (below, right)."""
    (top, bottom), (left, right) = ((padding, padding),) * 2 if isinstance(padding, int) else padding
    return (top, left), (bottom, right)


def _check(x: jax.Array, kernel: jax.Array, stride: int, channels: tuple[int, ...]) -> None:
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[3:] != channels:
        raise ValueError(f"input (N, H, W, channels) {x.shape} and kernel {kernel.shape} do not fit each other")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, not {stride}")


def _on_platform(cpu_form, lax_form, x, kernel, geometry):
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    form = functools.partial(lax.platform_dependent, cpu=functools.partial(cpu_form, geometry=geometry),
                             default=functools.partial(lax_form, geometry=geometry))
    return form(x.astype(dtype), kernel.astype(dtype))


def _cpu_tile(channels: int, features: int, geometry: Geometry) -> winograd.Tile | None:
    """The Winograd tile that beats the product of patches on a CPU, or None."""
    tile = winograd.best_tile(geometry)
    if tile is None or min(channels, features) < 16:  # few channels: the transforms cost more than the products saved
        return None
    arithmetic = geometry.small[0] * geometry.small[1] * geometry.kernel[0] * geometry.kernel[1]
    return tile if tile.products(geometry) * geometry.stride**2 < 0.9 * arithmetic else None


def _cpu(patches_form, winograd_form, x, kernel, geometry):
    dtype = x.dtype
    if dtype.itemsize < 4:  # half-precision products are slower than float32 on a CPU, and less exact
        x, kernel = x.astype(jnp.float32), kernel.astype(jnp.float32)
    tile = _cpu_tile(*kernel.shape[2:], geometry)
    out = winograd_form(x, kernel, geometry, tile) if tile else patches_form(x, kernel, geometry)
    return out.astype(dtype)


_cpu_conv = functools.partial(_cpu, patches.conv, winograd.conv)
_cpu_conv_transpose = functools.partial(_cpu, patches.conv_transpose, winograd.conv_transpose)


def _lax_conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    after = [(n - 1) * geometry.stride + k - b - size
             for n, k, b, size in zip(geometry.small, geometry.kernel, geometry.before, geometry.big, strict=True)]
    return lax.conv_general_dilated(
        x, kernel, (geometry.stride,) * 2, list(zip(geometry.before, after, strict=True)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _lax_conv_transpose(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    padding = [(k - 1 - b, size - 1 + b - (n - 1) * geometry.stride)
               for n, k, b, size in zip(geometry.small, geometry.kernel, geometry.before, geometry.big, strict=True)]
    return lax.conv_general_dilated(
        y, kernel[::-1, ::-1], (1, 1), padding, lhs_dilation=(geometry.stride,) * 2,
        dimension_numbers=("NHWC", "HWOI", "NHWC"))
