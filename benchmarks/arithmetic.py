"""The arithmetic that a training step cannot do without, counted from the shapes of its layers."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan import models
from jaxgan.models.layers import Conv, ConvTranspose, Dense
from jaxgan.models.weight_norm import WeightNormConv, WeightNormConvTranspose, WeightNormDense
from jaxgan.systems import adversarial

LINEAR = Dense | WeightNormDense
TRANSPOSED = ConvTranspose | WeightNormConvTranspose


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
      name: the path of the module.
      products: multiplications of its forward pass for one example; those with padding are counted too.
      kernels: the sides that the kernel of a convolution may have: its own and, of a convolution beside a doubling or
        halving, that of both in one.
    """

    name: str
    products: int
    kernels: tuple[int, ...] = ()


def layers(network: models.Network, conditions: int = 1) -> list[Layer]:
    """Lists the layers with weights, in the order they are called, for one example under so many conditions."""
    arguments = [jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in network.input_shapes]
    if conditions > 1:
        arguments[1] = jax.ShapeDtypeStruct((1, conditions, network.condition_dim), jnp.float32)
    return _called(lambda *inputs: network.init(jax.random.key(0), *inputs, train=False), arguments)


def layers_of_step(step: Callable[..., Any], state: Any, batch: Any) -> list[Layer]:
    """Lists the layers with weights that a training step calls, for a whole batch; the turns of a loop count as one.

    Args:
      step: (state, batch) -> (state, metrics).
      state: its shapes.
      batch: its shapes.
    """
    return _called(step, (state, batch))


def _called(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Layer]:
    found = []

    def record(call: Any, inputs: Any, keywords: Any, context: nn.module.InterceptorContext) -> Any:
        output = call(*inputs, **keywords)
        module = context.module
        if context.method_name == "__call__" and isinstance(module, LINEAR | TRANSPOSED | Conv | WeightNormConv):
            products = _products(module, inputs[0].shape, output.shape)
            found.append(Layer("/".join(module.path), products, _kernels(module)))
        return output

    with nn.intercept_methods(record):
        jax.eval_shape(function, *arguments)
    return found


def _kernels(module: Any) -> tuple[int, ...]:
    if isinstance(module, LINEAR):
        return ()
    side = module.kernel_size
    return (side,) if getattr(module, "operation", None) is None else (side, side + 1)


def _products(module: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
    if isinstance(module, LINEAR):
        return math.prod(inputs) * outputs[-1]
    window = module.kernel_size**2
    if isinstance(module, TRANSPOSED):
        return math.prod(inputs) * window * outputs[-1]
    return math.prod(outputs) * window * inputs[-1]


def step_operations(rules: adversarial.Rules, batch_size: int) -> int:
    """Multiplications and additions of one step: the forward passes that it needs, and two products for each gradient.

    The gradient of what goes into a network's first layer is not needed where that is noise or a real picture.
    """
    generator, discriminator = layers(rules.gan.generator), layers(rules.gan.discriminator)
    make, judge = (sum(layer.products for layer in network) for network in (generator, discriminator))
    forwards = 1 if rules.reuse_noise else 1 + rules.critic_steps
    judged = [discriminator] * (4 if rules.matching_aware else 2)
    if rules.matching_aware and rules.gan.discriminator.several_conditions:  # the real pictures, under three each
        judged = [layers(rules.gan.discriminator, conditions=3), discriminator]
    products = forwards * make + (2 * make - generator[0].products)
    passes = [3 * sum(layer.products for layer in network) - network[0].products for network in judged]
    products += rules.critic_steps * sum(passes)
    products += 2 * judge  # the generator's step: forward, and back to the picture
    return 2 * batch_size * products
