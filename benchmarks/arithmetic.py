"""The arithmetic that a training step cannot do without, counted from the shapes of its layers."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import game, models
from jaxgan.layers import Conv, ConvTranspose, Dense


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
      name: the path of the module.
      products: multiplications of its forward pass for one example; those with padding are counted too.
    """

    name: str
    products: int


def layers(network: models.Network) -> list[Layer]:
    """The layers with weights, in the order in which they are called."""
    found = []

    def record(call: Any, inputs: Any, keywords: Any, context: nn.module.InterceptorContext) -> Any:
        output = call(*inputs, **keywords)
        module = context.module
        if context.method_name == "__call__" and isinstance(module, Dense | Conv | ConvTranspose):
            found.append(Layer("/".join(module.path), _products(module, inputs[0].shape, output.shape)))
        return output

    arguments = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in network.input_shapes]
    with nn.intercept_methods(record):
        jax.eval_shape(lambda *inputs: network.init(jax.random.key(0), *inputs, train=False), *arguments)
    return found


def _products(module: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
    if isinstance(module, Dense):
        return inputs[-1] * outputs[-1]
    window = module.kernel_size**2
    if isinstance(module, ConvTranspose):
        return math.prod(inputs) * window * outputs[-1]
    return math.prod(outputs) * window * inputs[-1]


def step_operations(rules: game.Rules, batch_size: int) -> int:
    """Multiplications and additions of one step: the forward passes that it needs, and two products for each gradient.

    The gradient of what goes into a network's first layer is not needed where that is noise or a real picture.
    """
    generator, discriminator = layers(rules.gan.generator), layers(rules.gan.discriminator)
    make, judge = (sum(layer.products for layer in network) for network in (generator, discriminator))
    forwards = 1 if rules.reuse_noise else 1 + rules.critic_steps
    examples = 4 if rules.matching_aware else 2
    products = forwards * make + (2 * make - generator[0].products)
    products += rules.critic_steps * examples * (3 * judge - discriminator[0].products)
    products += 2 * judge  # the generator's step: forward, and back to the picture
    return 2 * batch_size * products
