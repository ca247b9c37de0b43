"""Features that a discriminator has learnt: the pictures that excite its units most, and what in them does.

A unit is a channel of a layer. Its response to a picture is the largest value of its map, at whatever place that is.
Each picture is looked at alone: a network that normalises by the statistics of a batch gets batches of one.

Reference:
  Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
  Networks", 2016, §6.2.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgan.host.errors import UserError, printable
from jaxgan.models import Network, inference
from jaxgan.ops import pixels
from jaxgan.sampling.guided_backpropagation import guided


class Layer(NamedTuple):
    """A layer whose output has a map for each channel.

    Attributes:
      name: path of the module, such as "Conv_3".
      shape: (height, width, channels).
      convolution: whether it is a convolution, as its class says.
    """

    name: str
    shape: tuple[int, int, int]
    convolution: bool


def layers(network: Network, variables: Any) -> tuple[Layer, ...]:
    """Lists the layers of a discriminator that give maps larger than 1×1, from the picture to the logit."""
    inputs = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in network.input_shapes]
    convolutions: dict[str, bool] = {}
    maps = jax.eval_shape(lambda x, y=None: _maps(network, variables, x, y, convolutions), *inputs)
    return tuple(
        Layer(name, maps[name].shape[1:], convolution)
        for name, convolution in convolutions.items()
        if max(maps[name].shape[1:3]) > 1
    )


def find_layer(network: Network, variables: Any, name: str | None) -> Layer:
    """Returns the layer of a name; None: the last convolution.

    Raises:
      UserError: if there is none.
    """
    found = layers(network, variables)
    convolutions = [layer for layer in found if layer.convolution]
    if not convolutions:
        raise UserError("--show=features: this discriminator has no convolutions with maps larger than 1×1")
    if name is None:
        return convolutions[-1]
    for layer in found:
        if layer.name == name:
            return layer
    raise UserError(f"--layer={printable(name)}: the discriminator has {', '.join(layer.name for layer in found)}")


def responses(
    network: Network, variables: Any, layer: str, images: np.ndarray, condition: np.ndarray | None = None
) -> np.ndarray:
    """Measures how much each picture excites each unit of a layer.

    Args:
      network: the discriminator.
      variables: its variables.
      layer: a name that `layers` lists.
      images: uint8 (N, H, W, C).
      condition: (N, condition_dim), for conditional networks.

    Returns:
      float32 (N, units). No picture changes what another gives.
    """
    parts = inference.chunks(images, condition, inference.chunk_of(network))
    return np.concatenate([np.asarray(_responses(network, variables, layer, *part)) for part in parts])


def strongest(found: np.ndarray, units: int, pictures: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the units with the largest mean response to the pictures that excite each of them most.

    Args:
      found: responses, (N, C).
      units: how many units, at most C.
      pictures: how many pictures of each, at most N.

    Returns:
      The units (units,), the strongest first, and for each the pictures (units, pictures), the most exciting first.
    """
    order = np.argsort(-found, axis=0, kind="stable")[:pictures]
    strength = np.take_along_axis(found, order, axis=0).mean(axis=0)
    chosen = np.argsort(-strength, kind="stable")[:units]
    return chosen, order[:, chosen].T


def excitements(
    network: Network,
    variables: Any,
    layer: str,
    units: np.ndarray,
    images: np.ndarray,
    condition: np.ndarray | None = None,
) -> np.ndarray:
    """Tells by guided backpropagation what in each picture excites a unit.

    Args:
      network: the discriminator.
      variables: its variables.
      layer: a name that `layers` lists.
      units: a unit for each picture, (N,).
      images: uint8 (N, H, W, C).
      condition: (N, condition_dim), for conditional networks.

    Returns:
      The guided gradients of the units' responses, with respect to pictures in [−1, 1]; float32 (N, H, W, C).
    """
    most = inference.chunk_of(network)
    parts = inference.chunks(images, condition, most)
    return np.concatenate(
        [
            np.asarray(_excitements(network, variables, layer, jnp.asarray(units[place : place + most]), *part))
            for place, part in zip(range(0, len(images), most), parts, strict=True)
        ]
    )


def shades(gradients: np.ndarray) -> np.ndarray:
    """Draws gradients (N, H, W, C) as pictures, uint8: grey for 0, black and white for the largest thousandth of each.

    One large value would leave the others grey.
    """
    large = np.quantile(np.abs(gradients), 0.999, axis=(1, 2, 3), keepdims=True)
    scaled = np.clip(gradients / np.where(large > 0, large, 1), -1, 1)
    return np.round(127.5 + 127.5 * scaled).astype(np.uint8)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _responses(
    network: Network, variables: Any, layer: str, images: jax.Array, condition: jax.Array | None
) -> jax.Array:
    return jax.vmap(functools.partial(_response, network, variables, layer))(pixels.normalize(images), condition)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _excitements(
    network: Network, variables: Any, layer: str, units: jax.Array, images: jax.Array, condition: jax.Array | None
) -> jax.Array:
    def gradient(unit: jax.Array, image: jax.Array, y: jax.Array | None) -> jax.Array:
        return jax.grad(guided(lambda x: _response(network, variables, layer, x, y)[unit]))(image)

    return jax.vmap(gradient)(units, pixels.normalize(images), condition)


def _response(network: Network, variables: Any, layer: str, image: jax.Array, y: jax.Array | None) -> jax.Array:
    """Returns the response of each unit of a layer, (C,), to a picture (H, W, C) in [−1, 1]."""
    maps = _maps(network, variables, image[None], None if y is None else y[None], {})
    places = maps[layer].astype(jnp.float32).reshape(-1, maps[layer].shape[-1])
    # Not their maximum: where several places are alike, that would blend what each of them sees.
    return jnp.take_along_axis(places, places.argmax(axis=0, keepdims=True), axis=0)[0]


def _maps(
    network: Network, variables: Any, x: jax.Array, condition: jax.Array | None, convolutions: dict[str, bool]
) -> dict[str, jax.Array]:
    """Returns what the layers give that have maps, (N, h, w, c), by name.

    Args:
      network: the discriminator.
      variables: its variables.
      x: pictures (N, H, W, C) in [−1, 1].
      condition: (N, condition_dim) or None.
      convolutions: takes up the layers in their order, and whether they are convolutions.
    """
    found: dict[str, jax.Array] = {}

    def keep(call: Any, arguments: Any, keywords: Any, context: nn.module.InterceptorContext) -> Any:
        output = call(*arguments, **keywords)
        path = context.module.path
        if context.method_name == "__call__" and path and isinstance(output, jax.Array) and output.ndim == 4:
            name = "/".join(path)
            found[name] = output
            convolutions[name] = "Conv" in type(context.module).__name__
        return output

    with nn.intercept_methods(keep):
        inference.apply(network, variables, x, condition)
    return found
