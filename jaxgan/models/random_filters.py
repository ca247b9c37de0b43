"""One layer of random filters of many sizes: the smallest network whose maps tell a texture.

Reference:
  Ustyuzhaninov, Brendel, Gatys and Bethge, "What Does It Take to Generate Natural Textures?", 2017.
"""

from typing import Any

import jax
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models.frozen import frozen_conv
from jaxgan.models.layers import Conv

SIZES = (3, 5, 7, 11, 15, 23, 37, 55)
"""Heights and widths of the source's filters."""


class RandomFilters(nn.Module):
    """Convolutions of several sizes side by side, each with a ReLU, at the size of the picture.

    Attributes:
      taps: the layers whose maps are returned: `filters3` for the filters of 3×3 pixels, and so on.
      features: filters of each size; 128 in the source.
      dtype: compute dtype; None: the promoted dtype of inputs and parameters.
    """

    taps: tuple[str, ...]
    features: int = 128
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """Maps pictures (N, H, W, C) to the maps (N, H, W, features) of each tap.

        Raises:
          UserError: for a layer that there is not.
        """
        known = {f"filters{size}": size for size in SIZES}
        unknown = [tap for tap in self.taps if tap not in known]
        if unknown:
            raise UserError(f"{unknown[0]}: there is no such layer of filters; there are {', '.join(known)}")
        return {tap: nn.relu(self._filters(known[tap], tap)(x)) for tap in self.taps}

    def _filters(self, size: int, name: str) -> Conv:
        return Conv(self.features, dtype=self.dtype, kernel_size=size, operation=frozen_conv, name=name)


def sizes_for(side: int) -> tuple[int, ...]:
    """Returns the source's sizes that are at most half of a picture's side, at least the first."""
    return tuple(size for size in SIZES if size <= side // 2) or SIZES[:1]
