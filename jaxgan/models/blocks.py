"""Building blocks of the convolutional systems: one block for upsampling, one for downsampling."""

import jax
from flax import linen as nn

from jaxgan.models.layers import Conv, ConvTranspose, Initializer, leaky_relu, normal_init, torch_kernel_init
from jaxgan.models.network import Network
from jaxgan.models.spectral import SpectralConv


class ConvolutionalNetwork(Network):
    """Network of convolutions without biases, mostly followed by batch normalisation.

    Kernels are initialised from N(0, initial_std²), scales of batch normalisation from N(1, initial_std²), its biases
    with 0. Without `initial_std`, kernels and scales have PyTorch's defaults, U(±1/√fan_in) and 1.
    """

    initial_std: float | None = None
    momentum: float = 0.9
    epsilon: float = 1e-5
    unbiased_running_variance: bool = True
    always_batch_statistics: bool = False

    def conv(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int) -> jax.Array:
        """Applies a convolution without normalisation.

        Args:
          x: (N, H, W, C).
          features: number of output channels.
          kernel_size: side of the kernel.
          stride: stride along both axes.
          padding: zeros added on each side.
        """
        layer = Conv(features, False, self._kernel_init(), None, self.dtype, kernel_size, stride, padding)
        return layer(x)

    def spectral_conv(
        self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int, train: bool
    ) -> jax.Array:
        """Applies a convolution with spectral normalisation and a bias, which is initially 0.

        Args:
          x: (N, H, W, C).
          features: number of output channels.
          kernel_size: side of the kernel.
          stride: stride along both axes.
          padding: zeros added on each side.
          train: whether the vector of spectral normalisation moves.
        """
        layer = SpectralConv(
            features,
            kernel_init=self._kernel_init(),
            bias_init=nn.initializers.zeros,
            dtype=self.dtype,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            train=train,
        )
        return layer(x)

    def conv_transpose(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int) -> jax.Array:
        """Applies a transposed convolution without normalisation.

        Args:
          x: (N, H, W, C).
          features: number of output channels.
          kernel_size: side of the kernel.
          stride: stride along both axes.
          padding: rows and columns cropped from each side of the output.
        """
        layer = ConvTranspose(features, False, self._kernel_init(), None, self.dtype, kernel_size, stride, padding)
        return layer(x)

    def norm(self, x: jax.Array, train: bool) -> jax.Array:
        """Applies batch normalisation with the settings of this network."""
        layer = self.batch_norm(
            momentum=self.momentum,
            epsilon=self.epsilon,
            unbiased_running_variance=self.unbiased_running_variance,
            always_batch_statistics=self.always_batch_statistics,
            scale_init=normal_init(1.0, self.initial_std or 0.0),
        )
        return layer(x, train=train)

    def up(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int, train: bool) -> jax.Array:
        """Applies a transposed convolution, batch normalisation and ReLU.

        Args:
          x: (N, H, W, C).
          features: number of output channels.
          kernel_size: side of the kernel.
          stride: stride along both axes.
          padding: rows and columns cropped from each side of the output.
          train: whether to use and update the statistics of the batch.
        """
        return nn.relu(self.norm(self.conv_transpose(x, features, kernel_size, stride, padding), train))

    def down(self, x: jax.Array, features: int, kernel_size: int, stride: int, padding: int, train: bool) -> jax.Array:
        """Applies a convolution, batch normalisation and LeakyReLU 0.2.

        Args:
          x: (N, H, W, C).
          features: number of output channels.
          kernel_size: side of the kernel.
          stride: stride along both axes.
          padding: zeros added on each side.
          train: whether to use and update the statistics of the batch.
        """
        return leaky_relu(self.norm(self.conv(x, features, kernel_size, stride, padding), train))

    def _kernel_init(self) -> Initializer:
        return torch_kernel_init if self.initial_std is None else normal_init(0.0, self.initial_std)
