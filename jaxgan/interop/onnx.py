"""Programs in ONNX, for any number of pictures, by the converter jax2onnx.

The converter has no zeros between the pixels of a picture, which a transposed convolution begins with, and knows one
order of a kernel's axes. So a program is first written in what it knows, and what depends on the weights alone, such as
spectral normalisation, is computed. onnxruntime and its like then run it, without JAX.
"""

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax import export, lax
from jax.extend import core

from jaxgan.host.errors import UserError
from jaxgan.interop.programs import Program

_CALLS = ("jit", "closed_call", "custom_jvp_call", "custom_vjp_call")
_LATER = ("broadcast_in_dim", "iota", "dim_as_value")  # computed by the program: their results are large, or not known

_KEPT = ("window_strides", "rhs_dilation", "feature_group_count", "batch_group_count", "precision")  # of a convolution


def pack(program: Program) -> bytes:
    """Packs a program of a network, see `jaxgan.interop.programs`, with its weights.

    Raises:
      UserError: if the converter is not installed or lacks an operation of the network, or if the network needs to know
        the number of pictures.
    """
    with _quiet():
        try:
            converter: Any = importlib.import_module("jax2onnx")
        except ImportError:
            raise UserError("--format=onnx: needs the converter; run pip install 'jaxgan[onnx]'") from None
        return _converted(program, converter)


def _converted(program: Program, converter: Any) -> bytes:
    inputs = program.symbolic_inputs()
    written = jax.make_jaxpr(lambda *arguments: _simplified(program, arguments))(*inputs)
    try:
        model = converter.to_onnx(
            lambda *arguments: core.jaxpr_as_fun(written)(*arguments)[0],
            inputs,
            model_name=program.output,
            input_names=[name for name, _, _ in program.inputs],
            output_names=[program.output],
        )
    except Exception as error:  # a converter may raise anything for what it does not know
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"--format=onnx: the converter cannot write this network ({reason})") from error
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what the converter says of layers of other libraries, and of shapes that it works out later."""
    loggers = [logging.getLogger(name) for name in ("jax2onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _simplified(program: Program, arguments: Sequence[jax.Array]) -> jax.Array:
    """Computes a program by operations that the converter knows."""
    shapes = [jax.ShapeDtypeStruct(argument.shape, argument.dtype) for argument in arguments]
    (output,) = _evaluated(jax.make_jaxpr(program.function)(*shapes), arguments)
    return output


def _evaluated(closed: core.ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    values = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(closed.jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in _needed(closed.jaxpr):
        inputs = [read(atom) for atom in equation.invars]
        with jax.ensure_compile_time_eval() if _is_constant(equation, inputs) else contextlib.nullcontext():
            values |= dict(zip(equation.outvars, _outputs(equation, inputs), strict=True))
    return [read(atom) for atom in closed.jaxpr.outvars]


def _needed(jaxpr: core.Jaxpr) -> list[core.JaxprEqn]:
    """Returns the equations on which the results depend."""
    wanted, found = {atom for atom in jaxpr.outvars if not isinstance(atom, core.Literal)}, []
    for equation in reversed(jaxpr.eqns):
        if wanted.intersection(equation.outvars):
            found.append(equation)
            wanted.update(atom for atom in equation.invars if not isinstance(atom, core.Literal))
    return found[::-1]


def _is_constant(equation: core.JaxprEqn, inputs: Sequence[Any]) -> bool:
    """Whether an equation is of the weights alone, and of a size that is known."""
    results: list[Any] = [output.aval for output in equation.outvars]
    dimensions = [side for result in results for side in result.shape]
    known = not any(isinstance(value, jax.core.Tracer) for value in inputs)
    return known and equation.primitive.name not in _LATER and not any(map(export.is_symbolic_dim, dimensions))


def _outputs(equation: core.JaxprEqn, inputs: Sequence[Any]) -> Sequence[Any]:
    primitive, params = equation.primitive, equation.params
    if primitive is lax.pad_p:
        x, value = inputs
        return [_pad(x, value, params["padding_config"])]
    if primitive is lax.conv_general_dilated_p:
        return [_convolve(*inputs, **params)]
    if primitive.name == "stack":
        return [lax.concatenate([lax.expand_dims(part, [params["axis"]]) for part in inputs], params["axis"])]
    if primitive.name in _CALLS:  # the operations of a function in its place
        return _evaluated(params.get("jaxpr") or params["call_jaxpr"], inputs)
    found = primitive.bind(*inputs, **params)
    return found if primitive.multiple_results else [found]


def _pad(x: jax.Array, value: jax.Array, config: Sequence[tuple[int, int, int]]) -> jax.Array:
    """Pads along one axis after the other, by pieces that are put together: the converter pads no batch of any size."""
    for axis, (before, after, between) in enumerate(config):
        if between:  # by an axis of their own, which then goes into that of the pixels
            length = x.shape[axis] * (1 + between)
            shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
            x = _framed(lax.expand_dims(x, [axis + 1]), value, axis + 1, 0, between).reshape(shape)
        x = _framed(x, value, axis, before, after - between)
    return x


def _framed(x: jax.Array, value: jax.Array, axis: int, before: int, after: int) -> jax.Array:
    """Adds so many values before and after an axis, or takes as many away."""
    if before < 0 or after < 0:
        first, last = max(0, -before), max(0, -after)
        sizes = [size for size in (first, x.shape[axis] - first - last, last) if size]
        x = lax.split(x, sizes, axis)[1 if first else 0]
    parts = [x]
    if before > 0:
        parts.insert(0, lax.full((*x.shape[:axis], before, *x.shape[axis + 1 :]), value, x.dtype))
    if after > 0:
        parts.append(lax.full((*x.shape[:axis], after, *x.shape[axis + 1 :]), value, x.dtype))
    return lax.concatenate(parts, axis) if len(parts) > 1 else x


def _convolve(
    x: jax.Array,
    kernel: jax.Array,
    *,
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    dimension_numbers: lax.ConvDimensionNumbers,
    **others: Any,
) -> jax.Array:
    """Convolves (N, H, W, C) that is dilated, padded and cropped beforehand, with a kernel (kh, kw, in, out)."""
    cropped = any(side < 0 for pair in padding for side in pair)
    if cropped or any(step > 1 for step in lhs_dilation):
        sides = [(*pair, step - 1) for pair, step in zip(padding, lhs_dilation, strict=True)]
        x = _pad(x, jax.numpy.zeros((), x.dtype), [(0, 0, 0), *sides, (0, 0, 0)])
        padding = [(0, 0), (0, 0)]
    images, (out, into, *square), results = dimension_numbers
    numbers = lax.ConvDimensionNumbers(images, (3, 2, 0, 1), results)
    kernel = kernel.transpose(*square, into, out)
    others = {name: value for name, value in others.items() if name in _KEPT}
    return lax.conv_general_dilated(x, kernel, padding=padding, dimension_numbers=numbers, **others)
