"""What every form of the convolution shares: its geometry, pairs of transposes, and matrix products with gradients.

A convolution and its transpose are the same linear map read in the two directions. Throughout, `big` is the side that
the strided convolution reads, (N, H, W, C), and `small` the side that it writes, (N, h, w, F); a transposed convolution
reads small and writes big. The kernel is (kh, kw, C, F) for both.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]
"""Vertical, horizontal."""


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The sizes of a convolution, as (vertical, horizontal) pairs.

    Attributes:
      big: height and width of the side that the convolution reads.
      small: height and width of the side that it writes.
      kernel: height and width of the kernel.
      before: zeros put above and to the left of the big side; negative crops.
      stride: the stride of both axes.
    """

    big: Pair
    small: Pair
    kernel: Pair
    before: Pair
    stride: int

    @property
    def taps(self) -> Pair:
        """How many strides the kernel spans, the last one perhaps in part."""
        return (-(-self.kernel[0] // self.stride), -(-self.kernel[1] // self.stride))


def transposes(forward: Callable, backward: Callable) -> tuple[Callable, Callable]:
    """Makes two linear functions `f(x, *static)` each other's gradient, to any order of reverse mode."""

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

    They are one convolution read three ways: (big, kernel) -> small, (small, kernel) -> big and (big, small) -> kernel.
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
    """(M, K) and (M, F) -> (K, F), in the faster order of factors."""
    if big.shape[1] < small.shape[1] or len(big) < small.shape[1]:
        return big.T @ small
    # On a CPU the narrow matrix makes the faster transposed left operand: 88 against 67 GFLOP/s a core.
    return lax.optimization_barrier(small.T @ big).T  # without the barrier XLA would undo the choice


# A convolution written with matrices: big (M, K), small (M, F), kernel (K, F).
to_small, to_big, to_kernel = tied(
    lambda big, kernel: big @ kernel, lambda small, kernel: small @ kernel.T, kernel_product
)


def pad(x: jax.Array, before: Pair, size: Pair) -> jax.Array:
    """Puts `before` zeros above and to the left of (N, H, W, C), and fills up or crops to `size`. Negative crops."""
    config = [(0, 0, 0), *((b, s - b - n, 0) for b, s, n in zip(before, size, x.shape[1:3], strict=True)), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), config) if any(map(any, config)) else x


def overlap_add(
    taps: Callable[[int], jax.Array], number: int, axis: int, period: int, before: int, size: int
) -> list[jax.Array]:
    """Adds overlapping windows along an axis; the transpose of cutting them out.

    Window t covers the positions t * period - before + tap, for each tap below `number`.

    Args:
      taps: gives, for a tap, the array of its values in all windows.
      number: how many taps a window has.
      axis: the axis of those arrays that counts the windows.
      period: the distance between two windows.
      before: how many positions of the first window are cropped.
      size: how many positions to write, 0 .. size - 1.

    Returns:
      `period` arrays, whose interleaving along the axis has at least `size` positions.
    """
    length = -(-size // period)

    def shifted(tap: int, by: int) -> jax.Array:
        x = taps(tap)
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (-by, length - x.shape[axis] + by, 0)
        return lax.pad(x, jnp.zeros((), x.dtype), config) if any(config[axis]) else x

    def phase(position: int) -> jax.Array:
        last = position + before  # its tap in window t, if it has that many; in window t + by, by periods less
        reach = range(-((number - 1 - last) // period), last // period + 1)
        parts = [shifted(last - by * period, by) for by in reach]
        return functools.reduce(jnp.add, parts) if parts else jnp.zeros_like(shifted(0, 0))

    return [phase(position) for position in range(period)]
