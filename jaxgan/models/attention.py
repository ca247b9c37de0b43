"""Self-attention over the positions of a picture."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models import spectral
from jaxgan.models.layers import Conv, keras_kernel_init
from jaxgan.ops import resampling


class SelfAttention(nn.Module):
    """Residual self-attention: x + γ·o, where o attends from each position to all others; γ is initially 0.

    As in the source's program (not its figure), keys and values are taken from the picture halved by the maximum.

    Attributes:
      spectral_norm: whether its convolutions have spectral normalisation.
      train: whether the vectors of spectral normalisation move.
      dtype: compute dtype; None: the promoted dtype of input and parameters.

    Reference:
      Zhang et al., "Self-Attention Generative Adversarial Networks", 2019.
    """

    spectral_norm: bool = False
    train: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (N, H, W, C) to the same shape; H and W even."""
        count, height, width, channels = x.shape
        queries = self._conv(x, max(channels // 8, 1)).reshape(count, height * width, -1)
        keys = resampling.max_pool(self._conv(x, max(channels // 8, 1))).reshape(count, height * width // 4, -1)
        values = resampling.max_pool(self._conv(x, max(channels // 2, 1))).reshape(count, height * width // 4, -1)
        weights = nn.softmax(jnp.einsum("nqc,nkc->nqk", queries, keys), axis=-1)
        attended = jnp.einsum("nqk,nkc->nqc", weights, values).reshape(count, height, width, -1)
        gate = self.param("gate", nn.initializers.zeros, (), jnp.float32)
        return x + gate.astype(x.dtype) * self._conv(attended, channels)

    def _conv(self, x: jax.Array, features: int) -> jax.Array:
        options = {"use_bias": False, "kernel_init": keras_kernel_init, "dtype": self.dtype, "kernel_size": 1}
        return spectral.layer(Conv, self.spectral_norm, self.train, features=features, **options)(x)
