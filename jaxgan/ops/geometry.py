"""Geometry of convolutions, pairs of transposes, and matrix products with gradients, shared by all algorithms.

A convolution and its transpose are the same linear map in opposite directions. In this package `big` is the input side
of the strided convolution, (N, H, W, C), and `small` its output side, (N, h, w, F). A transposed convolution maps small
to big. Both have kernels (kh, kw, C, F).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]
"""(vertical, horizontal)."""


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution, as (vertical, horizontal) pairs.

    Attributes:
      big: height and width of the convolution's input.
      small: height and width of its output.
      kernel: height and width of the kernel.
      before: zeros padded above and to the left of the big side; negative values crop.
      stride: stride along both axes.
    """

    big: Pair
    small: Pair
    kernel: Pair
    before: Pair
    stride: int

    @property
    def taps(self) -> Pair:
        """Number of strides that the kernel spans, rounded up."""
        return (-(-self.kernel[0] // self.stride), -(-self.kernel[1] // self.stride))


def transposes(forward: Callable, backward: Callable) -> tuple[Callable, Callable]:
    """Makes two linear functions `f(x, *static)` each other's gradient, to any order of reverse mode.

    Args:
      forward: a linear function.
      backward: its transpose.

    Returns:
      Both functions with custom gradients.
    """

    def tie(function: Callable, transpose: Callable[[], Callable]) -> Callable:
        @functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
        @functools.partial(jax.jit, static_argnums=1, inline=True)  # traced once for all calls with the same shapes
        def tied(x: Any, static: tuple) -> Any:
            return function(x, *static)

        tied.defvjp(
            lambda x, static: (tied(x, static), None), lambda static, _, cotangent: (transpose()(cotangent, static),)
        )
        return tied

    first = tie(forward, lambda: second)
    second = tie(backward, lambda: first)
    return (lambda x, *static: first(x, static)), (lambda x, *static: second(x, static))


def tied(to_small: Callable, to_big: Callable, to_kernel: Callable) -> tuple[Callable, Callable, Callable]:
    """Makes three bilinear functions `f(a, b, *static)` each other's gradients, to any order of reverse mode.

    They are the three products of one convolution.

    Args:
      to_small: (big, kernel) -> small.
      to_big: (small, kernel) -> big.
      to_kernel: (big, small) -> kernel.

    Returns:
      The three functions with custom gradients.
    """

    def tie(function: Callable, gradients: Callable) -> Callable:
        @functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
        @functools.partial(jax.jit, static_argnums=2, inline=True)
        def product(a: Any, b: Any, static: tuple) -> Any:
            return function(a, b, *static)

        product.defvjp(
            lambda a, b, static: (product(a, b, static), (a, b)),
            lambda static, factors, cotangent: gradients(*factors, cotangent, static),
        )
        return product

    small = tie(to_small, lambda x, k, dy, static: (big(dy, k, static), kernel(x, dy, static)))
    big = tie(to_big, lambda y, k, dx, static: (small(dx, k, static), kernel(dx, y, static)))
    kernel = tie(to_kernel, lambda x, y, dk, static: (big(y, dk, static), small(x, dk, static)))
    return (
        lambda x, k, *static: small(x, k, static),
        lambda y, k, *static: big(y, k, static),
        lambda x, y, *static: kernel(x, y, static),
    )


def kernel_product(big: jax.Array, small: jax.Array) -> jax.Array:
    """Multiplies (M, K) and (M, F) to (K, F) in the faster order of the factors."""
    if big.shape[1] < small.shape[1] or len(big) < small.shape[1]:
        return big.T @ small
    # On a CPU it is faster to transpose the narrow matrix: 88 rather than 67 GFLOP/s per core.
    return lax.optimization_barrier(small.T @ big).T  # without the barrier XLA would undo the choice


# A convolution written with matrices: big (M, K), small (M, F), kernel (K, F).
to_small, to_big, to_kernel = tied(
    lambda big, kernel: big @ kernel, lambda small, kernel: small @ kernel.T, kernel_product
)


def pad(x: jax.Array, before: Pair, size: Pair) -> jax.Array:
    """Pads (N, H, W, C) with `before` zeros above and to the left, then pads or crops it to `size`.

    Args:
      x: the array.
      before: zeros above and to the left; negative values crop.
      size: height and width of the result.
    """
    config = [(0, 0, 0), *((b, s - b - n, 0) for b, s, n in zip(before, size, x.shape[1:3], strict=True)), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), config) if any(map(any, config)) else x


def overlap_add(
    taps: Callable[[int], jax.Array], number: int, axis: int, period: int, before: int, size: int
) -> list[jax.Array]:
    """Adds overlapping windows along an axis; this is the transpose of cutting them out.

    Window t covers the positions t * period - before + tap, for each tap below `number`.

    Args:
      taps: tap -> the array of its values in all windows.
      number: number of taps of a window.
      axis: the axis of these arrays that counts the windows.
      period: distance between two windows.
      before: number of positions by which the first window is cropped.
      size: number of positions of the result.

    Returns:
      `period` arrays. Interleaved along the axis, they have at least `size` positions.
    """
    length = -(-size // period)

    def shifted(tap: int, by: int) -> jax.Array:
        x = taps(tap)
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (-by, length - x.shape[axis] + by, 0)
        return lax.pad(x, jnp.zeros((), x.dtype), config) if any(config[axis]) else x

    def phase(position: int) -> jax.Array:
        last = position + before  # its tap in window t, if below `number`; its tap in window t + by is by periods lower
        reach = range(-((number - 1 - last) // period), last // period + 1)
        parts = [shifted(last - by * period, by) for by in reach]
        return functools.reduce(jnp.add, parts) if parts else jnp.zeros_like(shifted(0, 0))

    return [phase(position) for position in range(period)]
