"""Convolution in the forms that GPUs and TPUs have kernels for, gradients included.

A convolution has three products: (big, kernel) -> small, (small, kernel) -> big and (big, small) -> kernel. A GPU's
library has one kernel for each, and XLA has to recognise which one a convolution is. It recognises the gradients of a
convolution, but not the kernel gradient of a transposed one as JAX derives it: that becomes a forward convolution with
the small picture for its window, dilated by the stride. So the two operations share three products here, each written
as the gradient of a convolution that XLA knows, in a geometry that it knows.

Where a picture is no larger than the kernel, XLA takes the one for the other. Such products are made of patches, as
those of matrices, which is what they are with one position on the small side or a kernel of one pixel.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.ops.geometry import Geometry, Pair, pad, tied

LAYOUT = ("NHWC", "HWIO", "NHWC")
LAYOUT_TRANSPOSED = ("NHWC", "HWOI", "NHWC")


def _to_small(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    if _is_matrix_product(geometry) or _area(geometry.kernel) > _area(geometry.big):
        y = _patches(x, geometry) @ kernel.reshape(-1, kernel.shape[-1])
        return y.reshape(x.shape[0], *geometry.small, -1)
    return _strided(x, kernel, geometry)


def _strided(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    after = [
        (n - 1) * geometry.stride + k - b - size
        for n, k, b, size in zip(geometry.small, geometry.kernel, geometry.before, geometry.big, strict=True)
    ]
    padding = list(zip(geometry.before, after, strict=True))
    return lax.conv_general_dilated(x, kernel, (geometry.stride,) * 2, padding, dimension_numbers=LAYOUT)


def _to_big(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    if _is_matrix_product(geometry) or _area(geometry.kernel) > _area(geometry.small):
        patches = y.reshape(-1, y.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1]).T
        x = jax.ShapeDtypeStruct((y.shape[0], *geometry.big, kernel.shape[2]), y.dtype)
        (added,) = jax.linear_transpose(lambda x: _patches(x, geometry), x)(patches)
        return added
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
    shape = (*geometry.kernel, x.shape[-1], y.shape[-1])
    small = geometry.small[0] <= geometry.kernel[0] and geometry.small[1] <= geometry.kernel[1]
    if _is_matrix_product(geometry) or small:
        return (_patches(x, geometry).T @ y.reshape(-1, y.shape[-1])).reshape(shape)
    kernel = jax.ShapeDtypeStruct(shape, x.dtype)
    (gradient,) = jax.linear_transpose(lambda kernel: _strided(x, kernel, geometry), kernel)(y)
    return gradient


def _area(size: Pair) -> int:
    return size[0] * size[1]


def _is_matrix_product(geometry: Geometry) -> bool:
    """Tells whether no two positions of the small side see the same pixel, because there is one, or it sees one."""
    return geometry.small == (1, 1) or geometry.kernel == (1, 1)


def _patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Lays out what each position of the small side sees: (N, H, W, C) -> (N h w, kh kw C)."""
    (kh, kw), (h, w), stride = geometry.kernel, geometry.small, geometry.stride
    height, width = (h - 1) * stride + 1, (w - 1) * stride + 1  # from the first position to the last
    x = pad(x, geometry.before, (height + kh - 1, width + kw - 1))
    if geometry.small == (1, 1):
        return x.reshape(x.shape[0], -1)
    ends = [(x.shape[0], i + height, j + width, x.shape[-1]) for i in range(kh) for j in range(kw)]
    starts = [(0, i, j, 0) for i in range(kh) for j in range(kw)]
    strides = (1, stride, stride, 1)
    taps = [lax.slice(x, start, end, strides) for start, end in zip(starts, ends, strict=True)]
    return jnp.concatenate(taps, -1).reshape(-1, kh * kw * x.shape[-1])


to_small, to_big, to_kernel = tied(_to_small, _to_big, _to_kernel)


def conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolves (N, H, W, C) with (kh, kw, C, F) to (N, h, w, F)."""
    geometry, crop = _without_crop(geometry)
    return to_small(pad(x, crop, geometry.big), kernel, geometry)


def conv_transpose(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Carries (N, h, w, F) back through the convolution with (kh, kw, C, F) to (N, H, W, C)."""
    inner, crop = _without_crop(geometry)
    return pad(to_big(y, kernel, inner), (-crop[0], -crop[1]), geometry.big)


def _without_crop(geometry: Geometry) -> tuple[Geometry, Pair]:
    """Splits off what XLA:GPU refuses: negative padding of the big side.

    Returns:
      The geometry of the pixels that the convolution reads, and the (negative) padding that leaves these of all.
    """
    crop = (min(geometry.before[0], 0), min(geometry.before[1], 0))
    before = (geometry.before[0] - crop[0], geometry.before[1] - crop[1])
    # Fewer pixels than a stride may be left over behind the last window: there they count as padding that is not there.
    read = [
        min(size + c, n * geometry.stride + k - 1 - b)
        for size, c, n, k, b in zip(geometry.big, crop, geometry.small, geometry.kernel, before, strict=True)
    ]
    return dataclasses.replace(geometry, big=(read[0], read[1]), before=before), crop
