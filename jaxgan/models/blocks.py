"""What the convolutional families are stacked from: one block upwards, one block downwards."""

import jax
from flax import linen as nn

from jaxgan.layers import Conv, ConvTranspose, leaky_relu, normal_init
from jaxgan.models.network import Network


class ConvolutionalNetwork(Network):
    """A network of convolutions without biases, each mostly followed by batch normalisation.

    Kernels start from N(0, std²), the scales of batch normalisation from N(1, std²), its biases from 0.
    """

    std: float = 0.02
    momentum: float = 0.9
    epsilon: float = 1e-5
    unbiased_running_variance: bool = True
    always_batch_statistics: bool = False

    def conv(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int) -> jax.Array:
        """A convolution alone."""
        init = normal_init(0.0, self.std)
        layer = Conv(features, False, init, None, self.dtype, kernel_size, stride, padding)
        return layer(x)

    def conv_transpose(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int) -> jax.Array:
        """A transposed convolution alone."""
        init = normal_init(0.0, self.std)
        layer = ConvTranspose(features, False, init, None, self.dtype, kernel_size, stride, padding)
        return layer(x)

    def norm(self, x: jax.Array, train: bool) -> jax.Array:
        """Batch normalisation alone."""
        layer = self.batch_norm(
            momentum=self.momentum,
            epsilon=self.epsilon,
            unbiased_running_variance=self.unbiased_running_variance,
            always_batch_statistics=self.always_batch_statistics,
            scale_init=normal_init(1.0, self.std),
        )
        return layer(x, train=train)

    def up(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int, train: bool) -> jax.Array:
        """Transposed convolution, batch normalisation, ReLU."""
        return nn.relu(self.norm(self.conv_transpose(x, features, kernel_size, stride, padding), train))

    def down(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int, train: bool) -> jax.Array:
        """Convolution, batch normalisation, LeakyReLU 0.2."""
        return leaky_relu(self.norm(self.conv(x, features, kernel_size, stride, padding), train))
