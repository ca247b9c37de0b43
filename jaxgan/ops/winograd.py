"""Convolution by Winograd's minimal filtering, also for strided convolutions.

A convolution with stride s whose kernel spans r strides is an r x r convolution of stride 1 over images cut into s x s
blocks, with the values of a block as channels. A tile of m x m outputs then needs (m + r - 1)² matrix products instead
of m² r², which is 16/36 of them for a kernel of 4 with stride 2 and m = 3. Forward pass, input gradient and kernel
gradient of the convolution and its transpose are compositions of the same three pairs of transforms.

The speed in XLA comes from barriers between the stages, long contiguous runs, and lists of matrices instead of stacks.
Only a few images are processed at a time, so that intermediate results stay in the processor's cache.

Reference:
  Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, arXiv:1509.09308.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.ops.geometry import Geometry, kernel_product, overlap_add, pad, tied, transposes

Matrix = tuple[tuple[float, ...], ...]
POINTS = tuple(map(Fraction, (0, 1, -1, -2)))  # small numbers, so that rounding errors stay small
PART_BYTES = 5_000_000  # of images on the big side that are processed at a time
PART_ROWS = 256  # minimum rows of a matrix: with fewer, slower products cost more than the cache saves


@dataclasses.dataclass(frozen=True)
class Tile:
    """Minimal filter F(m, r), out = A^T [(G kernel) * (B^T in)] along each axis.

    Attributes:
      outputs: m, the side of a tile of outputs.
      taps: r, the side of the kernel.
      big: B^T (points, points), where points = m + r - 1.
      kernel: G (points, taps).
      small: A^T (outputs, points).
    """

    outputs: int
    taps: int
    big: Matrix
    kernel: Matrix
    small: Matrix

    @property
    def points(self) -> int:
        """Number of products per tile and axis."""
        return self.outputs + self.taps - 1

    def tiles(self, geometry: Geometry) -> tuple[int, int]:
        """Returns the number of tiles that cover the small side, per axis, rounded up."""
        return (-(-geometry.small[0] // self.outputs), -(-geometry.small[1] // self.outputs))

    def products(self, geometry: Geometry) -> int:
        """Returns the number of matrix rows to multiply per image."""
        rows, columns = self.tiles(geometry)
        return rows * columns * self.points**2


def minimal_filter(outputs: int, taps: int) -> Tile:
    """Builds F(outputs, taps) by the Toom-Cook algorithm.

    It multiplies polynomials by their values at points and at infinity.
    """
    points = POINTS[: outputs + taps - 2]
    infinity = [Fraction(0)] * len(points)
    others = [[q for q in points if q != p] for p in points]
    big = [[*_coefficients(roots), Fraction(0)] for roots in others] + [_coefficients(points)]
    kernel = [
        [p**k / math.prod(p - q for q in roots) for k in range(taps)] for p, roots in zip(points, others, strict=True)
    ] + [[*infinity, Fraction(1)][-taps:]]
    small = [[*(p**i for p in points), Fraction(i == outputs - 1)] for i in range(outputs)]
    return Tile(outputs, taps, *(tuple(tuple(map(float, row)) for row in matrix) for matrix in (big, kernel, small)))


def _coefficients(roots: Sequence[Fraction]) -> list[Fraction]:
    """Returns the coefficients of the polynomial with these roots, lowest power first."""
    coefficients = [Fraction(1)]
    for root in roots:
        times_x, times_root = [Fraction(0), *coefficients], [*(root * c for c in coefficients), Fraction(0)]
        coefficients = [a - b for a, b in zip(times_x, times_root, strict=True)]
    return coefficients


TILES = tuple(minimal_filter(outputs, taps) for outputs, taps in ((2, 2), (3, 2), (2, 3), (3, 3)))


def fitting_tiles(geometry: Geometry) -> list[Tile]:
    """Returns the tiles for this kernel and stride, smallest first."""
    return [tile for tile in TILES if geometry.taps == (tile.taps, tile.taps)]


def _combine(coefficients: Sequence[float], terms: Sequence[jax.Array]) -> jax.Array:
    """Returns sum(c * t) without multiplications by 0, 1 or -1."""
    signed = [
        t if c == 1 else -t if c == -1 else t * np.asarray(c, t.dtype)
        for c, t in zip(coefficients, terms, strict=True)
        if c
    ]
    return functools.reduce(jnp.add, signed)


def _column(matrix: tuple[tuple[float, ...], ...], index: int) -> list[float]:
    return [row[index] for row in matrix]


def _big_to_tiles(x: jax.Array, geometry: Geometry, tile: Tile) -> list[jax.Array]:
    """Transforms (N, H, W, C) to points² matrices (N tiles, s s C)."""
    batch, channels, s, m = x.shape[0], x.shape[-1], geometry.stride, tile.outputs
    tile_rows, tile_columns = tile.tiles(geometry)
    rows, columns = tile_rows * m + tile.taps - 1, tile_columns * m + tile.taps - 1
    x = lax.optimization_barrier(pad(x, geometry.before, (rows * s, columns * s)))
    x = x.reshape(batch, rows, s, columns, s * channels)

    def every(first: int, number: int) -> slice:
        return slice(first, first + m * (number - 1) + 1, m)

    matrices = []
    for u in range(tile.points):
        inside = [_combine(tile.big[u], [x[:, every(p, tile_rows), i] for p in range(tile.points)]) for i in range(s)]
        row = lax.optimization_barrier(jnp.concatenate(inside, -1))
        across = [row[:, :, every(q, tile_columns)] for q in range(tile.points)]
        matrices += [_combine(tile.big[v], across).reshape(-1, s * s * channels) for v in range(tile.points)]
    return matrices


def _tiles_to_big(matrices: list[jax.Array], geometry: Geometry, tile: Tile) -> jax.Array:
    """Adds overlapping tiles, first columns and then rows; the transpose of `_big_to_tiles`."""
    s, n, (tile_rows, tile_columns) = geometry.stride, tile.points, tile.tiles(geometry)
    batch, channels = matrices[0].shape[0] // (tile_rows * tile_columns), matrices[0].shape[1] // (s * s)
    add = functools.partial(overlap_add, number=n * s, period=tile.outputs * s)

    def spread(parts: list[jax.Array], axis: int) -> list[jax.Array]:
        """Undoes B^T along an axis whose block position is the axis before the last."""

        def tap(index: int) -> jax.Array:
            p, i = divmod(index, s)
            return _combine(_column(tile.big, p), [part[..., i, :] for part in parts])

        return add(tap, axis=axis, before=geometry.before[axis - 1], size=geometry.big[axis - 1])

    matrices = [v.reshape(batch, tile_rows, tile_columns, s, s, channels) for v in matrices]
    rows = []
    for u in range(n):
        phases = spread(matrices[u * n : (u + 1) * n], 2)  # each (N, tile rows, positions, s, C)
        row = jnp.stack([phase.transpose(0, 1, 3, 2, 4) for phase in phases], 4)
        rows.append(lax.optimization_barrier(row.reshape(batch, tile_rows, s, -1)))
    big = jnp.stack(spread(rows, 1), 2)
    return pad(big.reshape(batch, big.shape[1] * big.shape[2], -1, channels), (0, 0), geometry.big)


def _small_to_tiles(y: jax.Array, geometry: Geometry, tile: Tile) -> list[jax.Array]:
    """Transforms (N, h, w, F) to points² matrices (N tiles, F)."""
    batch, channels, m, (tile_rows, tile_columns) = y.shape[0], y.shape[-1], tile.outputs, tile.tiles(geometry)
    y = pad(y, (0, 0), (tile_rows * m, tile_columns * m)).reshape(batch, tile_rows, m, -1)
    matrices = []
    for u in range(tile.points):
        row = _combine(_column(tile.small, u), [y[:, :, i] for i in range(m)])
        row = row.reshape(batch, tile_rows, tile_columns, m, channels)
        across = [row[:, :, :, j] for j in range(m)]
        matrices += [_combine(_column(tile.small, v), across).reshape(-1, channels) for v in range(tile.points)]
    return matrices


def _tiles_to_small(matrices: list[jax.Array], geometry: Geometry, tile: Tile) -> jax.Array:
    """Applies the transpose of `_small_to_tiles`."""
    m, n, (tile_rows, tile_columns) = tile.outputs, tile.points, tile.tiles(geometry)
    batch, channels = matrices[0].shape[0] // (tile_rows * tile_columns), matrices[0].shape[1]
    matrices = [v.reshape(batch, tile_rows, tile_columns, channels) for v in matrices]
    rows = []
    for i in range(m):
        down = [_combine(tile.small[i], matrices[v::n]) for v in range(n)]
        rows.append(jnp.stack([_combine(tile.small[j], down) for j in range(m)], 3))
    small = jnp.stack(rows, 2).reshape(batch, tile_rows * m, tile_columns * m, channels)
    return pad(small, (0, 0), geometry.small)


def _kernel_to_tiles(kernel: jax.Array, geometry: Geometry, tile: Tile) -> list[jax.Array]:
    """Transforms (kh, kw, C, F) to points² matrices (s s C, F)."""
    s, r, (channels, features) = geometry.stride, tile.taps, kernel.shape[2:]
    whole = jnp.pad(kernel, [(0, r * s - kernel.shape[0]), (0, r * s - kernel.shape[1]), (0, 0), (0, 0)])
    whole = whole.reshape(r, s, r, s, channels, features)
    matrices = []
    for u in range(tile.points):
        row = _combine(tile.kernel[u], list(whole))
        across = [row[:, b] for b in range(r)]
        matrices += [_combine(tile.kernel[v], across).reshape(-1, features) for v in range(tile.points)]
    return matrices


def _tiles_to_kernel(matrices: list[jax.Array], geometry: Geometry, tile: Tile) -> jax.Array:
    """Applies the transpose of `_kernel_to_tiles`."""
    s, r, n = geometry.stride, tile.taps, tile.points
    channels, features = matrices[0].shape[0] // (s * s), matrices[0].shape[1]
    matrices = [v.reshape(s, s, channels, features) for v in matrices]
    rows = []
    for a in range(r):
        down = [_combine(_column(tile.kernel, a), matrices[v::n]) for v in range(n)]
        rows.append(jnp.stack([_combine(_column(tile.kernel, b), down) for b in range(r)], 1))
    whole = jnp.stack(rows).reshape(r * s, r * s, channels, features)
    return whole[: geometry.kernel[0], : geometry.kernel[1]]


kernel_to_tiles, _ = transposes(_kernel_to_tiles, _tiles_to_kernel)


def _parts(batch: int, geometry: Geometry, tile: Tile, channels: int) -> int:
    """Returns the number of equal parts of a batch: the fewest whose images fit the cache, or 1."""
    rows, columns = tile.tiles(geometry)
    size = geometry.big[0] * geometry.big[1] * channels * 4

    def fits(pictures: int) -> bool:
        return pictures * size <= PART_BYTES and pictures * rows * columns >= PART_ROWS

    return next((n for n in range(1, batch + 1) if batch % n == 0 and fits(batch // n)), 1)


def _part_by_part(function: Callable, inputs: Any, parts: int) -> Any:
    """Applies `function` to the parts of the inputs, one after another."""
    if parts == 1:
        return function(inputs)
    cut = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), inputs)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), lax.map(function, cut))


def _to_small(x: jax.Array, kernel: list[jax.Array], geometry: Geometry, tile: Tile) -> jax.Array:
    def part(x: jax.Array) -> jax.Array:
        products = [a @ b for a, b in zip(_big_to_tiles(x, geometry, tile), kernel, strict=True)]
        return _tiles_to_small(products, geometry, tile)

    return _part_by_part(part, x, _parts(len(x), geometry, tile, x.shape[-1]))


def _to_big(y: jax.Array, kernel: list[jax.Array], geometry: Geometry, tile: Tile) -> jax.Array:
    def part(y: jax.Array) -> jax.Array:
        products = [a @ b.T for a, b in zip(_small_to_tiles(y, geometry, tile), kernel, strict=True)]
        return _tiles_to_big(products, geometry, tile)

    return _part_by_part(part, y, _parts(len(y), geometry, tile, len(kernel[0]) // geometry.stride**2))


def _to_kernel(x: jax.Array, y: jax.Array, geometry: Geometry, tile: Tile) -> list[jax.Array]:
    def part(x: jax.Array, y: jax.Array) -> list[jax.Array]:
        return list(map(kernel_product, _big_to_tiles(x, geometry, tile), _small_to_tiles(y, geometry, tile)))

    parts = _parts(len(x), geometry, tile, x.shape[-1])
    if parts == 1:
        return part(x, y)
    cut = [side.reshape(parts, -1, *side.shape[1:]) for side in (x, y)]
    zeros = [jnp.zeros((geometry.stride**2 * x.shape[-1], y.shape[-1]), x.dtype)] * tile.points**2
    total, _ = lax.scan(lambda total, sides: (list(map(jnp.add, total, part(*sides))), None), zeros, cut)
    return total


to_small, to_big, to_kernel = tied(_to_small, _to_big, _to_kernel)


def conv(x: jax.Array, kernel: jax.Array, geometry: Geometry, tile: Tile) -> jax.Array:
    """Convolves images with a kernel.

    Args:
      x: (N, H, W, C).
      kernel: (kh, kw, C, F).
      geometry: sizes of the convolution.
      tile: minimal filter that fits the geometry, see `fitting_tiles`.

    Returns:
      (N, h, w, F).
    """
    return to_small(x, kernel_to_tiles(kernel, geometry, tile), geometry, tile)


def conv_transpose(y: jax.Array, kernel: jax.Array, geometry: Geometry, tile: Tile) -> jax.Array:
    """Applies the transpose of `conv`.

    Args:
      y: (N, h, w, F).
      kernel: (kh, kw, C, F).
      geometry: sizes of the convolution.
      tile: minimal filter that fits the geometry, see `fitting_tiles`.

    Returns:
      (N, H, W, C).
    """
    return to_big(y, kernel_to_tiles(kernel, geometry, tile), geometry, tile)
