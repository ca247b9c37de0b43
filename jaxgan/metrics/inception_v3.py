"""Inception v3 up to its last pooling, with weights from a file: the features of the published FID.

The network is the one of the first FID, TensorFlow's of December 2015, as in PyTorch's FID port, whose array names the
weights have. It excludes the padding from its averages and uses max pooling in its last block. Pictures are resized to
299×299, bilinearly and without anti-aliasing.

Reference:
  Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016; Heusel et al., "GANs Trained by a
  Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.metrics.features import FeatureNetwork, from_file
from jaxgan.ops import pixels

FEATURES = 2048
SIDE = 299
_BATCH_SIZE = 50  # larger batches take gigabytes in the first layers
_PARTS = ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")

Weights = Mapping[str, Any]

SOURCE = "docs/how-to/evaluate.md says how to convert those of PyTorch's port"
"""What to do where a file does not hold the network."""


def inception_v3(path: str | Path, *, sha256: str) -> FeatureNetwork:
    """Loads Inception v3 as a feature network with 2048 features.

    Args:
      path: an .npz file of the arrays "Conv2d_1a_3x3.conv.weight" (O, I, height, width), "Conv2d_1a_3x3.bn.bias" and so
        on; other arrays in it are ignored.
      sha256: hexadecimal sha256 of the file.

    Raises:
      UserError: if the file is missing, has another digest, or does not hold this network.
    """
    name = f"inception-v3-pool3, bilinear to {SIDE}x{SIDE}"
    return from_file(build, path, sha256=sha256, name=name, batch_size=_BATCH_SIZE)


def build(arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], jax.Array]:
    """Returns the function that the named weights define: pictures (n, H, W, 1 or 3), uint8 or in [−1, 1] -> (n, d).

    Raises:
      ValueError: if an array is missing or does not fit the others.
    """
    try:
        used = {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items() if name.endswith(_PARTS)}
        jax.eval_shape(pooled, used, jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), np.float32))
    except KeyError as error:
        raise ValueError(f"they are not those of Inception v3: {error.args[0]} is missing; {SOURCE}") from None
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"they are not those of Inception v3: {reason}; {SOURCE}") from None
    return functools.partial(_features, used)


@jax.jit
def _features(weights: Weights, images: jax.Array) -> jax.Array:
    x = pixels.normalize(jnp.asarray(images))
    x = jnp.broadcast_to(x, (*x.shape[:3], 3))
    return pooled(weights, jax.image.resize(x, (len(x), SIDE, SIDE, 3), "bilinear", antialias=False))


def pooled(weights: Weights, x: jax.Array) -> jax.Array:
    """Maps pictures (n, H, W, 3) in [−1, 1] to features (n, d), the means of the last maps.

    Each side must have at least 75 pixels.
    """
    x = _conv(weights, "Conv2d_1a_3x3", x, stride=2)
    x = _conv(weights, "Conv2d_2a_3x3", x)
    x = _conv(weights, "Conv2d_2b_3x3", x, padding=(1, 1))
    x = _maximum(x, stride=2)
    x = _conv(weights, "Conv2d_3b_1x1", x)
    x = _conv(weights, "Conv2d_4a_3x3", x)
    x = _maximum(x, stride=2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _block_a(weights, name, x)
    x = _block_b(weights, "Mixed_6a", x)
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _block_c(weights, name, x)
    x = _block_d(weights, "Mixed_7a", x)
    x = _block_e(weights, "Mixed_7b", x, _average)
    x = _block_e(weights, "Mixed_7c", x, functools.partial(_maximum, padding=1))
    return jnp.mean(x, axis=(1, 2))


def _block_a(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    conv = functools.partial(_conv, weights)
    one = conv(f"{name}.branch1x1", x)
    five = conv(f"{name}.branch5x5_2", conv(f"{name}.branch5x5_1", x), padding=(2, 2))
    double = conv(f"{name}.branch3x3dbl_2", conv(f"{name}.branch3x3dbl_1", x), padding=(1, 1))
    double = conv(f"{name}.branch3x3dbl_3", double, padding=(1, 1))
    return _joined(one, five, double, conv(f"{name}.branch_pool", _average(x)))


def _block_b(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    conv = functools.partial(_conv, weights)
    three = conv(f"{name}.branch3x3", x, stride=2)
    double = conv(f"{name}.branch3x3dbl_2", conv(f"{name}.branch3x3dbl_1", x), padding=(1, 1))
    double = conv(f"{name}.branch3x3dbl_3", double, stride=2)
    return _joined(three, double, _maximum(x, stride=2))


def _block_c(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    conv = functools.partial(_conv, weights)
    wide, high = (0, 3), (3, 0)  # 1×7 and 7×1
    one = conv(f"{name}.branch1x1", x)
    seven = conv(f"{name}.branch7x7_2", conv(f"{name}.branch7x7_1", x), padding=wide)
    seven = conv(f"{name}.branch7x7_3", seven, padding=high)
    double = conv(f"{name}.branch7x7dbl_1", x)
    for number, padding in ((2, high), (3, wide), (4, high), (5, wide)):
        double = conv(f"{name}.branch7x7dbl_{number}", double, padding=padding)
    return _joined(one, seven, double, conv(f"{name}.branch_pool", _average(x)))


def _block_d(weights: Weights, name: str, x: jax.Array) -> jax.Array:
    conv = functools.partial(_conv, weights)
    three = conv(f"{name}.branch3x3_2", conv(f"{name}.branch3x3_1", x), stride=2)
    seven = conv(f"{name}.branch7x7x3_2", conv(f"{name}.branch7x7x3_1", x), padding=(0, 3))
    seven = conv(f"{name}.branch7x7x3_3", seven, padding=(3, 0))
    seven = conv(f"{name}.branch7x7x3_4", seven, stride=2)
    return _joined(three, seven, _maximum(x, stride=2))


def _block_e(weights: Weights, name: str, x: jax.Array, pool: Callable[[jax.Array], jax.Array]) -> jax.Array:
    conv = functools.partial(_conv, weights)

    def split(prefix: str, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return conv(f"{prefix}a", x, padding=(0, 1)), conv(f"{prefix}b", x, padding=(1, 0))

    one = conv(f"{name}.branch1x1", x)
    three = split(f"{name}.branch3x3_2", conv(f"{name}.branch3x3_1", x))
    double = conv(f"{name}.branch3x3dbl_2", conv(f"{name}.branch3x3dbl_1", x), padding=(1, 1))
    return _joined(one, *three, *split(f"{name}.branch3x3dbl_3", double), conv(f"{name}.branch_pool", pool(x)))


def _conv(
    weights: Weights, name: str, x: jax.Array, *, stride: int = 1, padding: tuple[int, int] = (0, 0)
) -> jax.Array:
    """Applies a convolution, normalisation by running statistics, and ReLU."""
    kernel, scale, bias, mean, variance = (weights[f"{name}.{part}"] for part in _PARTS)
    pads = [(amount, amount) for amount in padding]
    x = lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "OIHW", "NHWC"))
    return jax.nn.relu((x - mean) * (scale * lax.rsqrt(variance + 1e-3)) + bias)


def _maximum(x: jax.Array, *, stride: int = 1, padding: int = 0) -> jax.Array:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, stride, stride, 1), pads)


def _average(x: jax.Array) -> jax.Array:
    """Averages 3×3 windows, excluding the padding."""

    def total(x: jax.Array) -> jax.Array:
        return lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

    return total(x) / total(jnp.ones_like(x[:1, :, :, :1]))


def _joined(*parts: jax.Array) -> jax.Array:
    return jnp.concatenate(parts, axis=-1)
