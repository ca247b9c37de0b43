"""VGG networks, whose maps after each layer tell the content and the texture of a picture.

| block | layers                                      | channels |
| ----- | ------------------------------------------- | -------- |
| 1, 2  | 2 × (Conv 3, 1, 1, ReLU), pool 2            | 64, 128  |
| 3     | 3 (VGG-16) or 4 (VGG-19) such layers, pool 2 | 256      |
| 4, 5  | as block 3                                  | 512      |

A layer is named by its block and its place in it: `conv3_1` before the ReLU, `relu3_1` after it, `pool3`. A picture
goes no deeper than the deepest layer that is asked for.

Reference:
  Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.frozen import frozen_conv
from jaxgan.models.layers import Conv

BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (1, 2, 4, 8, 8)  # of each block, in widths
POOLS = ("max", "average")

MEAN = (0.485, 0.456, 0.406)
"""Of the pixels in [0, 1] that torchvision's weights were trained on: red, green and blue."""

STD = (0.229, 0.224, 0.225)
"""Standard deviation of those pixels."""


class VGG(nn.Module):
    """The convolutional part of a VGG network, which is not trained: its kernels have slow gradients on a CPU.

    Attributes:
      taps: the layers whose maps are returned.
      depth: 16 or 19.
      pool: "max", as the network was trained, or "average", by which Gatys et al. found pictures smoother.
      width: channels of the first block; 64 in the source.
      dtype: compute dtype; None: the promoted dtype of inputs and parameters.
    """

    taps: tuple[str, ...]
    depth: int = 16
    pool: str = "max"
    width: int = 64
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """Maps pictures (N, H, W, C) to the maps (N, h, w, c) after each tap.

        Raises:
          UserError: for a layer that there is not, or pictures that are too small for one.
        """
        names = layer_names(self.depth)
        unknown = [tap for tap in self.taps if tap not in names]
        if unknown:
            raise UserError(f"{unknown[0]}: VGG-{self.depth} has no such layer; it has {', '.join(names)}")
        found: dict[str, jax.Array] = {}
        for name in names[: max(map(names.index, self.taps)) + 1]:
            block = int(name.partition("_")[0][-1])
            if name.startswith("conv"):
                x = Conv(CHANNELS[block - 1] * self.width, dtype=self.dtype, operation=frozen_conv, name=name)(x)
            elif name.startswith("relu"):
                x = nn.relu(x)
            else:
                x = pooled(x, self.pool)
            if name in self.taps:
                found[name] = x
        return found


def layer_names(depth: int) -> tuple[str, ...]:
    """Lists the layers of a VGG network from the first to the last."""
    names: list[str] = []
    for block, layers in enumerate(BLOCKS[depth], 1):
        for place in range(1, layers + 1):
            names += [f"conv{block}_{place}", f"relu{block}_{place}"]
        names.append(f"pool{block}")
    return tuple(names)


def pooled(x: jax.Array, kind: str) -> jax.Array:
    """Halves maps (N, H, W, C): the greatest ("max") or the mean ("average") of each 2×2; an odd last row is left out.

    Raises:
      UserError: if nothing would be left of them.
    """
    count, height, width, channels = x.shape
    if min(height, width) < 2:
        raise UserError(f"pictures are too small: maps of {height}×{width} cannot be halved; take larger ones")
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    windows = even.reshape(count, height // 2, 2, width // 2, 2, channels)
    return windows.max((2, 4)) if kind == "max" else windows.mean((2, 4))


def as_torchvision_sees(x: jax.Array) -> jax.Array:
    """Brings pictures (N, H, W, 1 or 3) in [−1, 1] to the range that torchvision's weights were trained on."""
    x = jnp.broadcast_to(x, (*x.shape[:3], 3))
    return ((x + 1.0) / 2.0 - jnp.asarray(MEAN, x.dtype)) / jnp.asarray(STD, x.dtype)


def from_torchvision(arrays: Mapping[str, np.ndarray], depth: int) -> dict[str, Any]:
    """Returns the variables of a VGG network from torchvision's arrays.

    Args:
      arrays: "0.weight" (64, 3, 3, 3), "0.bias" (64,), "2.weight" and so on, perhaps with "features." before each, as
        the state dict of `torchvision.models.vgg19().features` names them. Others are left out.
      depth: 16 or 19.

    Raises:
      ValueError: if one is missing, has another shape or numbers that are not finite; the message names it.
    """
    params: dict[str, Any] = {}
    channels = 3
    for number, name in enumerate(layer_names(depth)):
        if not name.startswith("conv"):
            continue
        wide = CHANNELS[int(name[4]) - 1] * 64
        kernel = _checked(arrays, f"{number}.weight", (wide, channels, 3, 3))
        params[name] = {
            "kernel": np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)),
            "bias": _checked(arrays, f"{number}.bias", (wide,)),
        }
        channels = wide
    return {"params": params}


def _checked(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    found = next((arrays[known] for known in (name, f"features.{name}") if known in arrays), None)
    if found is None:
        raise ValueError(f"{name} is missing")
    if found.shape != shape:
        raise ValueError(f"{name} has the shape {found.shape}, not {shape}")
    array = np.asarray(found, np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has numbers that are not finite")
    return array
