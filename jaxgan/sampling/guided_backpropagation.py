"""Guided backpropagation: gradients that tell what in a picture excites a unit.

At each ReLU, and each leaky one, a gradient goes back only where it is positive and the input was: what would calm the
unit is left out. The function is given as it is; its trace is read, and no network knows of it.

Reference:
  Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal

_CALLS = ("jit", "pjit", "closed_call")  # equations that only hold others


def guided(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Returns a function of the same values, whose gradients are guided at each ReLU and leaky ReLU.

    Found are max(x, 0) and `where(x > 0, x, …)`, however they are written, of arrays with at least two axes: a variance
    that is kept from falling below 0 is no ReLU. All other operations, also ReLUs within a loop, keep their own
    gradients.

    Args:
      function: of arrays, to one array.
    """

    def apply(*arguments: Any) -> jax.Array:
        trace = jax.make_jaxpr(function)(*arguments)
        (value,) = _evaluate(trace, jax.tree.leaves(arguments), {})
        result: jax.Array = value
        return result

    return apply


@jax.custom_vjp
def guide(activation: jax.Array) -> jax.Array:
    """Returns an activation as it is; its gradient is kept only where both are positive."""
    return activation


def _guide_forward(activation: jax.Array) -> tuple[jax.Array, jax.Array]:
    return activation, activation > 0


def _guide_backward(active: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (jnp.where(active & (gradient > 0), gradient, 0),)


guide.defvjp(_guide_forward, _guide_backward)


def _evaluate(trace: ClosedJaxpr, arguments: Sequence[Any], positive: dict[int, tuple[Any, Any]]) -> list[Any]:
    """Evaluates a jaxpr with every ReLU guided.

    Args:
      trace: the equations, with their constants.
      arguments: values of its inputs.
      positive: by the id of a value x > 0: that value, which is kept so that the id stays its own, and x.

    Returns:
      The values of its outputs.
    """
    jaxpr = trace.jaxpr
    values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*trace.consts, *arguments), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        inputs, inner = [read(atom) for atom in equation.invars], _inner(equation)
        if inner is not None:
            outputs = _evaluate(inner, inputs, positive)
        else:
            outputs = equation.primitive.bind(*inputs, **equation.primitive.get_bind_params(equation.params))
            if not equation.primitive.multiple_results:
                outputs = [outputs]
            if _compares_with_zero(equation):
                positive[id(outputs[0])] = (outputs[0], inputs[0])
            elif _is_maximum_with_zero(equation) or _selects_positive(equation, inputs, positive):
                outputs = [guide(outputs[0]) if jnp.ndim(outputs[0]) > 1 else outputs[0]]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _inner(equation: Any) -> ClosedJaxpr | None:
    """Returns the equations that an equation stands for: those of a call, or of a ReLU with a gradient of its own."""
    name, params = equation.primitive.name, equation.params
    if name in _CALLS:
        return next((value for value in params.values() if isinstance(value, ClosedJaxpr)), None)
    if name == "custom_jvp_call" and _is_relu(params["call_jaxpr"]):
        call: ClosedJaxpr = params["call_jaxpr"]
        return call
    return None


def _is_relu(jaxpr: ClosedJaxpr) -> bool:
    """Whether a jaxpr is max(x, 0) and no more, within any calls."""
    if len(jaxpr.jaxpr.eqns) != 1:
        return False
    (equation,) = jaxpr.jaxpr.eqns
    inner = _inner(equation)
    return _is_maximum_with_zero(equation) if inner is None else _is_relu(inner)


def _is_zero(atom: Any) -> bool:
    return isinstance(atom, Literal) and jnp.ndim(atom.val) == 0 and atom.val == 0


def _compares_with_zero(equation: Any) -> bool:
    return equation.primitive.name in ("gt", "ge") and _is_zero(equation.invars[1])


def _is_maximum_with_zero(equation: Any) -> bool:
    return equation.primitive.name == "max" and any(map(_is_zero, equation.invars))


def _selects_positive(equation: Any, inputs: Sequence[Any], positive: dict[int, tuple[Any, Any]]) -> bool:
    """Whether an equation takes x where x > 0, and something else elsewhere."""
    if equation.primitive.name != "select_n" or len(inputs) != 3:
        return False
    _, compared = positive.get(id(inputs[0]), (None, None))
    return compared is not None and inputs[2] is compared
