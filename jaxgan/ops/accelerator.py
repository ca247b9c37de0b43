"""Convolution in the forms that GPUs and TPUs have kernels for, gradients included.

A convolution has three products: (big, kernel) -> small, (small, kernel) -> big and (big, small) -> kernel. A GPU's
library has one kernel for each, and XLA has to recognise which one a convolution is. It recognises the gradients of a
convolution, but not the kernel gradient of a transposed one as JAX derives it: that becomes a forward convolution with
the small picture for its window, dilated by the stride. So the two operations share three products here, each written
as the gradient of a convolution that XLA knows. What touches a single position of the small side, and kernels of one
pixel, are products of matrices, and JAX's own gradients of these are too.
"""

import jax
from jax import lax

from jaxgan.ops.geometry import Geometry, pad, tied

LAYOUT = ("NHWC", "HWIO", "NHWC")
LAYOUT_TRANSPOSED = ("NHWC", "HWOI", "NHWC")


def _to_small(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    after = [
        (n - 1) * geometry.stride + k - b - size
        for n, k, b, size in zip(geometry.small, geometry.kernel, geometry.before, geometry.big, strict=True)
    ]
    padding = list(zip(geometry.before, after, strict=True))
    return lax.conv_general_dilated(x, kernel, (geometry.stride,) * 2, padding, dimension_numbers=LAYOUT)


def _to_big(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    padding = [
        (k - 1 - b, size - 1 + b - (n - 1) * geometry.stride)
        for n, k, b, size in zip(geometry.small, geometry.kernel, geometry.before, geometry.big, strict=True)
    ]
    return lax.conv_general_dilated(
        y,
        kernel[::-1, ::-1],
        (1, 1),
        padding,
        lhs_dilation=(geometry.stride,) * 2,
        dimension_numbers=LAYOUT_TRANSPOSED,
    )


def _to_kernel(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    kernel = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    (gradient,) = jax.linear_transpose(lambda kernel: _to_small(x, kernel, geometry), kernel)(y)
    return gradient


to_small, to_big, to_kernel = tied(_to_small, _to_big, _to_kernel)


def is_matrix_product(geometry: Geometry) -> bool:
    """Tells whether every output of the convolution is a product of one run of pixels with the whole kernel."""
    return geometry.small == (1, 1) or geometry.kernel == (1, 1)


def conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolves (N, H, W, C) with (kh, kw, C, F) to (N, h, w, F)."""
    if not is_matrix_product(geometry):
        return to_small(x, kernel, geometry)
    rows = _rows(x, geometry)
    return (rows @ kernel.reshape(-1, kernel.shape[-1])).reshape(len(x), *geometry.small, -1)


def conv_transpose(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Carries (N, h, w, F) back through the convolution with (kh, kw, C, F) to (N, H, W, C)."""
    if not is_matrix_product(geometry):
        return to_big(y, kernel, geometry)
    rows = y.reshape(-1, y.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1]).T
    return _from_rows(rows, len(y), geometry)


def _rows(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Lays (N, H, W, C) out as (N h w, kh kw C), where `is_matrix_product`."""
    if geometry.small == (1, 1):
        return pad(x, geometry.before, geometry.kernel).reshape(len(x), -1)
    stride, (h, w) = geometry.stride, geometry.small
    read = pad(x, geometry.before, ((h - 1) * stride + 1, (w - 1) * stride + 1))
    return read[:, ::stride, ::stride].reshape(-1, x.shape[-1])


def _from_rows(rows: jax.Array, batch: int, geometry: Geometry) -> jax.Array:
    """Puts (N h w, kh kw C) back where `_rows` takes it from, and zeros elsewhere: its transpose."""
    before = (-geometry.before[0], -geometry.before[1])
    if geometry.small == (1, 1):
        return pad(rows.reshape(batch, *geometry.kernel, -1), before, geometry.big)
    pictures = rows.reshape(batch, *geometry.small, -1)
    gaps = [(0, 0, 0), (0, 0, geometry.stride - 1), (0, 0, geometry.stride - 1), (0, 0, 0)]
    if geometry.stride > 1:
        pictures = lax.pad(pictures, pictures.dtype.type(0), gaps)
    return pad(pictures, before, geometry.big)
