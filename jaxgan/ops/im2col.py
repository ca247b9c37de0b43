"""Convolution as one matrix product of patches ("im2col"), for any geometry."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.ops.geometry import Geometry, overlap_add, pad, to_big, to_small, transposes

_MANY = 25  # taps of a kernel, above which its patches are cut in two steps


def narrows(kernel_shape: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether `narrowing_conv` is faster than `conv`: of large kernels, whose patches take the time."""
    height, width, before, after = kernel_shape
    return geometry.stride == 1 and height * width > _MANY and 2 * after <= before


def _big_to_patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Cuts (N, H, W, C) into patches (N h w, kh kw C).

    A row of a patch is cut into runs of stride * C adjacent values, which makes few, long slices. Large kernels are cut
    first into columns and then into rows: 14 slices for 7×7 instead of 49, each of which takes time to compile.
    """
    batch, channels = x.shape[0], x.shape[-1]
    (kh, kw), (h, w), stride = geometry.kernel, geometry.small, geometry.stride
    if geometry.small == (1, 1):  # one patch: nothing to cut
        return pad(x, geometry.before, geometry.kernel).reshape(batch, -1)
    rows, columns = h + geometry.taps[0] - 1, w + geometry.taps[1] - 1
    x = pad(x, geometry.before, (rows * stride, columns * stride))
    x = lax.optimization_barrier(x)
    if stride == 1 and kh * kw > _MANY:
        across = lax.optimization_barrier(jnp.concatenate([x[:, :, b : b + w] for b in range(kw)], -1))
        return jnp.concatenate([across[:, a : a + h] for a in range(kh)], -1).reshape(batch * h * w, -1)
    x = x.reshape(batch, rows, stride, columns, stride * channels)
    runs = []
    for row in range(kh):
        a, i = divmod(row, stride)
        for b in range(geometry.taps[1]):
            run = min(stride, kw - b * stride) * channels
            runs.append(x[:, a : a + h, i, b : b + w, :run])
    return jnp.concatenate(runs, -1).reshape(batch * h * w, -1)


def _patches_to_big(patches: jax.Array, geometry: Geometry) -> jax.Array:
    """Adds overlapping patches, first rows and then columns; the transpose of `_big_to_patches`."""
    (kh, kw), (h, w), stride = geometry.kernel, geometry.small, geometry.stride
    batch, channels = patches.shape[0] // (h * w), patches.shape[1] // (kh * kw)
    if geometry.small == (1, 1):
        uncropped = patches.reshape(batch, kh, kw, channels)
        return pad(uncropped, (-geometry.before[0], -geometry.before[1]), geometry.big)
    patches = patches.reshape(batch, h, w, kh, kw * channels)
    rows = overlap_add(lambda tap: patches[:, :, :, tap], kh, 1, stride, geometry.before[0], geometry.big[0])
    strips = lax.optimization_barrier(jnp.stack(rows, 2)).reshape(batch, -1, w, kw, channels)
    columns = overlap_add(lambda tap: strips[:, :, :, tap], kw, 2, stride, geometry.before[1], geometry.big[1])
    return pad(jnp.stack(columns, 3).reshape(batch, strips.shape[1], -1, channels), (0, 0), geometry.big)


big_to_patches, patches_to_big = transposes(_big_to_patches, _patches_to_big)


def conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolves images with a kernel.

    Args:
      x: (N, H, W, C).
      kernel: (kh, kw, C, F).
      geometry: sizes of the convolution.

    Returns:
      (N, h, w, F).
    """
    out = to_small(big_to_patches(x, geometry), kernel.reshape(-1, kernel.shape[-1]))
    return out.reshape(x.shape[0], *geometry.small, kernel.shape[-1])


def narrowing_conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolves images with a kernel of stride 1 that has fewer output than input channels; see `conv`.

    It multiplies first, and then adds up what overlaps, as the transposed convolution of the mirrored kernel does: the
    patches are those of the few output channels.
    """
    (kh, kw), (top, left) = geometry.kernel, geometry.before
    mirrored = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return conv_transpose(
        x, mirrored, Geometry(geometry.small, geometry.big, geometry.kernel, (kh - 1 - top, kw - 1 - left), 1)
    )


def conv_transpose(y: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Applies the transpose of `conv`.

    Args:
      y: (N, h, w, F).
      kernel: (kh, kw, C, F).
      geometry: sizes of the convolution.

    Returns:
      (N, H, W, C).
    """
    return patches_to_big(to_big(y.reshape(-1, y.shape[-1]), kernel.reshape(-1, kernel.shape[-1])), geometry)
