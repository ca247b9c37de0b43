"""The same training step as a plain JAX and Flax program has it: XLA's convolutions, no loop around the step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import ops
from jaxgan.training import parallel

LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Any = 0) -> jax.Array:
    """Computes what `flax.linen.Conv` does, with the arguments of `jaxgan.ops.conv`."""
    return lax.conv_general_dilated(x, kernel, (stride, stride), _sides(padding), dimension_numbers=LAYOUT)


def conv_transpose(y: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: Any = 0) -> jax.Array:
    """Computes what `flax.linen.ConvTranspose` does, with the arguments of `jaxgan.ops.conv_transpose`."""
    sides = [
        (size - 1 - before, size - 1 - after)
        for size, (before, after) in zip(kernel.shape[:2], _sides(padding), strict=True)
    ]
    return lax.conv_transpose(y, kernel, (stride, stride), sides, dimension_numbers=LAYOUT, transpose_kernel=True)


def _sides(padding: Any) -> Sequence[tuple[int, int]]:
    return [(padding, padding)] * 2 if isinstance(padding, int) else padding


def use_plain_convolutions(*, loops: bool = False) -> None:
    """Puts XLA's convolutions in the place of the library's, for the rest of this process.

    Unless `loops`, loops become Python's: within one of XLA's, even of one turn, the gradients of its convolutions are
    far slower on a CPU, and ``lax.scan(..., unroll=True)`` leaves a loop of one turn as it is.
    """
    ops.conv, ops.conv_transpose = conv, conv_transpose
    if not loops:
        lax.scan = _python_loop


def _python_loop(body: Callable[[Any, Any], tuple[Any, Any]], carry: Any, inputs: Any) -> tuple[Any, Any]:
    """``lax.scan``, written out turn by turn."""
    outputs = []
    for turn in range(len(jax.tree.leaves(inputs)[0])):
        carry, output = body(carry, jax.tree.map(lambda leaf, turn=turn: leaf[turn], inputs))
        outputs.append(output)
    return carry, jax.tree.map(lambda *values: jnp.stack(values), *outputs)


def compile_step(step: parallel.Step, devices: Sequence[jax.Device]) -> parallel.Program:
    """Compiles one step a call, without the loop of `jaxgan.training.parallel`."""

    def run(state: Any, draws: Any, count: Any, examples: Any) -> tuple[Any, Any]:
        del count
        batch = jax.tree.map(lambda leaf: leaf[draws[0]], examples)
        state, metrics = step(state, batch, axis_name=None)
        return state, jax.tree.map(lambda value: value[None], metrics)

    return parallel.Program("jit", tuple(devices), jax.jit(run, donate_argnums=0))
