"""Instance normalisation: each channel of each picture by its own mean and variance."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.host.errors import UserError


class InstanceNorm(nn.Module):
    """Instance normalisation with PyTorch's numbers: biased variance, no running statistics.

    The variance is the mean of the squared differences from the mean. The mean of squares minus the square of the mean
    loses all its digits where a channel varies little around a large mean.

    Attributes:
      affine: whether each channel has a scale, at first 1, and a shift, at first 0.
      epsilon: added to the variance.
      dtype: of the result; None: that of the input and the parameters.

    Reference:
      Ulyanov, Vedaldi and Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
    """

    affine: bool = False
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalises pictures (N, H, W, C).

        Raises:
          UserError: for pictures of one pixel, whose variance is 0, so that nothing of them would be left.
        """
        if x.shape[1] * x.shape[2] == 1:
            raise UserError("instance normalisation: a picture of one pixel has no variance; use larger pictures")
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        centred = wide - jnp.mean(wide, (1, 2), keepdims=True)
        variance = jnp.mean(jnp.square(centred), (1, 2), keepdims=True)
        normalised = centred * jax.lax.rsqrt(variance + self.epsilon)
        if self.affine:
            scale = self.param("scale", nn.initializers.ones, x.shape[-1:], jnp.float32)
            normalised = normalised * scale + self.param("bias", nn.initializers.zeros, x.shape[-1:], jnp.float32)
        return normalised.astype(self.dtype or jnp.result_type(x, jnp.float32 if self.affine else x.dtype))
