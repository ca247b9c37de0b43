"""Networks of all GAN systems, by id.

gan = models.build("dcgan_anime_a")
variables = models.init(gan.generator, jax.random.key(0))
images, updates = gan.generator.apply(variables, z, train=True, mutable=["batch_stats"])
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.host.errors import UserError
from jaxgan.models.cgan import cgan_anime, cgan_mnist
from jaxgan.models.dcgan import dcgan_64, dcgan_anime_a, dcgan_anime_b
from jaxgan.models.dcgan_mnist import dcgan_mnist_a, dcgan_mnist_keras
from jaxgan.models.mlp import mlp_a, mlp_b, mlp_keras
from jaxgan.models.network import GAN, Network
from jaxgan.models.resnet import projection_gan, resnet_gan, sngan_32
from jaxgan.models.sndcgan import sndcgan
from jaxgan.models.wgan import wgan_anime

__all__ = ["GAN", "Network", "build", "init", "names"]

LARGEST = 1 << 16
"""Upper bound of every size: far larger than any trainable network, but small enough for a clear error message."""

_BUILDERS: dict[str, Callable[..., GAN]] = {
    builder.__name__: builder
    for builder in (
        mlp_a,
        mlp_b,
        mlp_keras,
        dcgan_mnist_a,
        dcgan_mnist_keras,
        dcgan_anime_a,
        dcgan_anime_b,
        dcgan_64,
        wgan_anime,
        cgan_anime,
        cgan_mnist,
        sngan_32,
        resnet_gan,
        sndcgan,
        projection_gan,
    )
}


def names() -> dict[str, str]:
    """Returns every id that `build` knows, with a one-line description."""
    return {name: (inspect.getdoc(builder) or "").partition("\n")[0] for name, builder in _BUILDERS.items()}


def build(name: str, **overrides: Any) -> GAN:
    """Builds the generator and the discriminator of a system.

    Args:
      name: an id of `names()`.
      **overrides: settings that differ from the source's. All systems have `image_size`, `channels`, `latent_dim`,
        `generator_width`, `discriminator_width` (the smallest number of channels of each network, from which the others
        follow) and `dtype` (the compute dtype). Conditional systems have `condition_dim`, systems with dropout
        `dropout_rate`, and the convolutional systems for faces `initial_std`, the standard deviation of the initial
        weights. Those with spectral normalisation in the discriminator have `spectral_norm`, residual ones
        `attention_size` and `minibatch_std`, `projection_gan` `auxiliary_classifier`, and the DCGANs for faces and
        `cgan_anime` `upsampling`, one of `jaxgan.models.blocks.UPSAMPLING`.

    Raises:
      UserError: if the id is unknown, or the network cannot have this size.
      TypeError: if the system does not have an override.
    """
    if name not in _BUILDERS:
        raise UserError(f"--model={name}: there is no such model; choose one of {', '.join(_BUILDERS)}")
    known = inspect.signature(_BUILDERS[name]).parameters
    unknown = sorted(set(overrides) - set(known))
    if unknown:
        raise TypeError(f"{name} has no {', '.join(unknown)}; it has {', '.join(known)}")
    sizes = ("image_size", "channels", "latent_dim", "condition_dim", "generator_width", "discriminator_width")
    check_sizes(**{key: overrides[key] for key in sizes if key in overrides})
    return _BUILDERS[name](**overrides)


def check_sizes(**sizes: int) -> None:
    """Raises a UserError for a size, by its name, that is not from 1 to `LARGEST`."""
    for name, size in sizes.items():
        if not 1 <= size <= LARGEST:
            raise UserError(f"--{name}={size}: must be from 1 to {LARGEST:,}")


def init(network: Network, key: jax.Array) -> dict[str, Any]:
    """Initialises the variables of a network.

    Returns:
      {"params": …, "batch_stats": …}, the latter empty without batch normalisation. Further collections, such as the
      vectors of spectral normalisation, have their own names.
    """
    return {"batch_stats": {}, **_init(network, key)}


@functools.partial(jax.jit, static_argnums=0)  # XLA removes the forward pass, whose result is unused
def _init(network: Network, key: jax.Array) -> Any:
    inputs = [jnp.zeros((2, *shape), jnp.float32) for shape in network.input_shapes]
    return network.init(key, *inputs, train=False)
