"""Detection of convolutions whose gradients XLA computes slowly on a CPU, such as those of `flax.linen.Conv`."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

ADVICE = (
    "Slow gradients: this step takes gradients of XLA's own convolutions, such as flax.linen.Conv; on a CPU"
    " jaxgan.models.layers.Conv and ConvTranspose compute the same up to 20 times as fast."
)


def adviser(say: Callable[[str], None]) -> Callable[[Any], None]:
    """Returns a function that looks at the jaxpr of a step, and gives the advice at most once.

    Args:
      say: prints a line.
    """
    told: list[str] = []

    def look(jaxpr: Any) -> None:
        if not told and jax.default_backend() == "cpu" and has_kernel_gradients(jaxpr):
            told.append(ADVICE)
            say(ADVICE)

    return look


def has_kernel_gradients(jaxpr: Jaxpr | ClosedJaxpr) -> bool:
    """Whether a convolution of a jaxpr is the gradient of a kernel, in the form that a CPU gets.

    JAX takes the gradient of a kernel as the convolution of the pictures with the gradient of the output, in which
    batch and channels have changed places: the batch is then not the first axis of the pictures.
    """
    return any(
        equation.primitive.name == "conv_general_dilated" and equation.params["dimension_numbers"].lhs_spec[0] != 0
        for equation in _equations(jaxpr)
    )


def _equations(jaxpr: Jaxpr | ClosedJaxpr) -> Iterator[Any]:
    """Yields the equations of a jaxpr and of those within it; of forms by platform those for a CPU alone."""
    for equation in jaxpr.eqns:
        yield equation
        params = dict(equation.params)
        platforms = params.get("branches_platforms")
        if platforms is not None:
            params["branches"] = [_of_cpu(params["branches"], platforms)]
        for inner in jax.tree.leaves(list(params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                yield from _equations(inner)


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, Jaxpr | ClosedJaxpr)


def _of_cpu(branches: Any, platforms: Any) -> Any:
    named = (branch for branch, names in zip(branches, platforms, strict=True) if names is None or "cpu" in names)
    return next(named)
