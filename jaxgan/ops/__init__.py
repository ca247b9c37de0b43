"""Convolution and transposed convolution, exact to rounding and fast on every platform.

XLA computes most gradients of a convolution on a CPU with naive loops: seconds for a layer that needs milliseconds, and
all of them inside `lax.scan`. Here a CPU gets forms made of matrix products and their own gradients, chosen by shape;
GPUs and TPUs get XLA's convolutions, whose kernels are the fastest there, with gradients that XLA recognises as such
(`jaxgan.ops.accelerator`). The platform is settled when a program is lowered, so the same code serves every backend,
and nothing is stored globally.

Reverse mode works to any order; forward mode (`jax.jvp`) does not.
"""

import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax

from jaxgan.ops import accelerator, im2col, winograd
from jaxgan.ops.geometry import Geometry, Pair

Padding = int | tuple[Pair, Pair]
Operation = Callable[..., jax.Array]  # of (x, kernel, geometry)


def conv(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Padding = 0) -> jax.Array:
    """Convolves (cross-correlation, as deep learning has it).

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
    big, sides = _height_and_width(x.shape[1:3]), _height_and_width(kernel.shape[:2])
    small = _height_and_width(
        (n + b + a - k) // stride + 1 for n, b, a, k in zip(big, before, after, sides, strict=True)
    )
    if min(small) < 1:
        raise ValueError(f"a kernel of {sides} does not fit into a picture of {big} with padding {padding}")
    return _on_platform(_cpu_conv, accelerator.conv, x, kernel, Geometry(big, small, sides, before, stride))


def conv_transpose(y: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Padding = 0) -> jax.Array:
    """Applies a transposed convolution: the map that carries gradients back through `conv` with the same kernel.

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
    small, sides = _height_and_width(y.shape[1:3]), _height_and_width(kernel.shape[:2])
    big = _height_and_width(
        (n - 1) * stride + k - b - a for n, b, a, k in zip(small, before, after, sides, strict=True)
    )
    if min(big) < 1:
        raise ValueError(f"padding {padding} crops all of a picture of {small} under a kernel of {sides}")
    geometry = Geometry(big, small, sides, before, stride)
    return _on_platform(_cpu_conv_transpose, accelerator.conv_transpose, y, kernel, geometry)


def transpose(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Computes `x.transpose(axes)` of examples (N, …), axes[0] = 0; on a CPU apart from what is before and behind.

    XLA would fuse it into its neighbours, which then jump about in memory: a tenth of the step of `dcgan_mnist_a`. Only
    a loop keeps them apart; a barrier does not.
    """
    return _transpose(x, axes)


def _loop_transpose(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    parts = 8 if len(x) % 8 == 0 else len(x)
    turned = lax.map(lambda part: part.transpose(axes), x.reshape(parts, -1, *x.shape[1:]))
    return turned.reshape(-1, *turned.shape[2:])


def _platform_transpose(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    if export.is_symbolic_dim(x.shape[0]):
        return jnp.transpose(x, axes)
    return lax.platform_dependent(
        x,
        cpu=functools.partial(_loop_transpose, axes=axes),
        default=functools.partial(jnp.transpose, axes=axes),
    )


_transpose = jax.custom_vjp(_platform_transpose, nondiff_argnums=(1,))
_transpose.defvjp(
    lambda x, axes: (_transpose(x, axes), None),
    lambda axes, _, dy: (_transpose(dy, tuple(axes.index(axis) for axis in range(len(axes)))),),
)


def _height_and_width(pair: Iterable[int]) -> Pair:
    height, width = pair
    return height, width


def _sides(padding: Padding) -> tuple[Pair, Pair]:
    """The padding (above, left) and (below, right)."""
    (top, bottom), (left, right) = ((padding, padding),) * 2 if isinstance(padding, int | np.integer) else padding
    return (top, left), (bottom, right)


def _check(x: jax.Array, kernel: jax.Array, stride: int, channels: tuple[int, ...]) -> None:
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[3:] != channels:
        raise ValueError(f"input (N, H, W, channels) {x.shape} and kernel {kernel.shape} do not fit each other")
    if 0 in x.shape:
        raise ValueError(f"input {x.shape} has nothing in it")
    if stride < 1:
        raise ValueError(f"stride must be at least 1, not {stride}")


def _on_platform(cpu: Operation, others: Operation, x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    if export.is_symbolic_dim(x.shape[0]):  # a program for any number of pictures: the CPU's forms are cut to a number
        return others(x.astype(dtype), kernel.astype(dtype), geometry)
    return lax.platform_dependent(
        x.astype(dtype),
        kernel.astype(dtype),
        cpu=functools.partial(cpu, geometry=geometry),
        default=functools.partial(others, geometry=geometry),
    )


def _cpu_tile(batch: int, kernel_shape: tuple[int, ...], geometry: Geometry) -> winograd.Tile | None:
    """The Winograd tile that a CPU is fastest with, or None for the product of patches.

    Time is counted in matrix rows multiplied by a block of the kernel. Handling a transformed block of the kernel costs
    about as much as 100 rows, which decides against large tiles on small pictures.
    """
    if min(kernel_shape[2:]) < 16:  # the transforms would cost more than the products saved
        return None
    blocks = geometry.kernel[0] * geometry.kernel[1] / geometry.stride**2
    best, least = None, blocks * (batch * geometry.small[0] * geometry.small[1] + 100)
    for tile in winograd.fitting_tiles(geometry):
        cost = batch * tile.products(geometry) + 100 * tile.points**2
        if cost < (0.85 if best is None else 0.95) * least:  # a little saved is not worth the longer compilation
            best, least = tile, cost
    return best


def _cpu_conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    tile = _cpu_tile(len(x), kernel.shape, geometry)
    form: Operation = functools.partial(winograd.conv, tile=tile) if tile else im2col.conv
    if not tile and im2col.narrows(kernel.shape, geometry):
        form = im2col.narrowing_conv
    return _in_single_precision(form, x, kernel, geometry)


def _cpu_conv_transpose(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    tile = _cpu_tile(len(y), kernel.shape, geometry)
    form = functools.partial(winograd.conv_transpose, tile=tile) if tile else im2col.conv_transpose
    return _in_single_precision(form, y, kernel, geometry)


def _in_single_precision(form: Operation, x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """At least float32 inside: a CPU multiplies shorter numbers no faster, and transforms would round too much."""
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    return form(x.astype(dtype), kernel.astype(dtype), geometry).astype(x.dtype)
