"""The forms of the convolution for GPUs and TPUs, against `lax` in float64, and what they are lowered to."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from jax import export
from test_ops import (
    GEOMETRIES,
    all_geometries,
    assert_close,
    definition,
    example,
    lax_conv,
    lax_reference,
    quick_jit,
    random_examples,
    random_settings,
    sides,
    transposed_padding,
)

from jaxgan import ops
from jaxgan.ops import accelerator
from jaxgan.ops.geometry import Geometry

pytestmark = pytest.mark.slow

GEOMETRIES = {
    **GEOMETRIES,
    "k6 s3": (12, 3, 4, 8, 6, 3, ((1, 2), (2, 1))),
    "k7 s1": (9, 4, 9, 5, 7, 1, 3),
    "k7 s2, odd picture": (15, 3, 8, 4, 7, 2, 3),
    "k7 s3, one side padded": (13, 2, 4, 3, 7, 3, ((0, 3), (3, 0))),
    "k2 s2": (6, 4, 3, 6, 2, 2, 0),
    "k1 s3, padded": (7, 5, 3, 4, 1, 3, 1),
    "k3 on one pixel": (1, 4, 1, 6, 3, 1, 1),
}
everywhere = pytest.mark.parametrize("name", GEOMETRIES)


def drawn(name, batch=2):
    if name in all_geometries.args[1]:
        return example(name, batch)
    big, channels, small, features, kernel, stride, padding = GEOMETRIES[name]
    generator = np.random.default_rng(0)
    shapes = (batch, big, big, channels), (kernel, kernel, channels, features), (batch, small, small, features)
    return *map(generator.normal, (0,) * 3, (1,) * 3, shapes), stride, sides(padding)


def geometry_of(x, kernel, dy, stride, padding):
    return Geometry(x.shape[1:3], dy.shape[1:3], kernel.shape[:2], tuple(p[0] for p in padding), stride)


def forms(*drawn):
    geometry = geometry_of(*drawn)
    return [functools.partial(form, geometry=geometry) for form in (accelerator.conv, accelerator.conv_transpose)]


def check(reference, x, kernel, dy, stride, padding):
    """Both operations and all their gradients: the transposed convolution is the convolution's gradient."""
    y, dx, dkernel = reference(x, kernel, dy, stride, padding)
    conv, conv_transpose = forms(x, kernel, dy, stride, padding)

    @quick_jit
    def ours(x, kernel, dy):
        forward, pull = jax.vjp(conv, x, kernel)
        backward, pull_transpose = jax.vjp(conv_transpose, dy, kernel)
        return forward, *pull(dy), backward, *pull_transpose(x)

    with jax.enable_x64(True):
        results = ours(x, kernel, dy)
    for result, expected in zip(results, (y, dx, dkernel, dx, y, dkernel), strict=True):
        assert_close(result, expected, 1e-12)


@everywhere
def test_values_and_gradients(name):
    check(lax_reference, *drawn(name))


@random_settings(max_examples=10)
@given(random_examples())
def test_values_and_gradients_at_random(drawn):
    check(definition, *drawn)


@pytest.mark.long
@random_settings(max_examples=200)
@given(random_examples())
def test_values_and_gradients_at_many_random_ones(drawn):
    check(definition, *drawn)


def second_derivatives(function, x, kernel):
    """Both gradients of a penalty on both gradients, |d sum(tanh(f)) / d(x, kernel)|²: reverse over reverse."""

    def penalty(x, kernel):
        dx, dkernel = jax.grad(lambda *inputs: jnp.sum(jnp.tanh(0.1 * function(*inputs))), (0, 1))(x, kernel)
        return jnp.sum(dx**2) + jnp.sum(dkernel**2)

    return quick_jit(jax.grad(penalty, (0, 1)))(x, kernel)


def check_second_derivatives(x, kernel, dy, stride, padding):
    conv, conv_transpose = forms(x, kernel, dy, stride, padding)
    theirs = functools.partial(lax_conv, stride=stride, padding=padding)

    def theirs_transposed(y, kernel):
        return jax.vjp(lambda x: theirs(x, kernel), jnp.zeros(x.shape))[1](y)[0]

    with jax.enable_x64(True):
        for ours, reference, inputs in ((conv, theirs, x), (conv_transpose, theirs_transposed, dy)):
            expected = second_derivatives(reference, inputs, kernel)
            for actual, wanted in zip(second_derivatives(ours, inputs, kernel), expected, strict=True):
                assert_close(actual, np.asarray(wanted), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["k4 s2, to 3x3", "k5 tail, a row unused", "k5 s2 same, grey", "k2 s3, gaps", "negative padding", "k1 s2"]
)
def test_second_derivatives(name):
    check_second_derivatives(*drawn(name, batch=1))


@pytest.mark.slow
@everywhere
def test_second_derivatives_everywhere(name):
    check_second_derivatives(*drawn(name))


@pytest.mark.slow
@random_settings(max_examples=20)
@given(random_examples())
def test_second_derivatives_at_random(drawn):
    check_second_derivatives(*drawn)


def gradients(operation, stride, padding, x, kernel, dy):
    return jax.vjp(functools.partial(operation, stride=stride, padding=padding), x, kernel)[1](dy)


def lowered(platform, operation, arrays, stride, padding):
    """The convolutions, as text, of an operation's two gradients on a platform; and how many matrix products."""
    function = functools.partial(gradients, operation, stride, padding)
    text = export.export(jax.jit(function), platforms=[platform])(*arrays).mlir_module()
    found = re.findall(r"stablehlo.convolution\(.*?\).*", text)
    # Of each: how its axes are named, its window, and the types of what goes in and comes out.
    return [re.sub(r"loc\(.*|%\w+(#\d+)?", "", line).strip() for line in found], text.count("stablehlo.dot_general")


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["k4 s2, tiles of three", "k5 s2 same", "k3 s2 valid", "k3 s1", "k5 s3"])
def test_kernel_gradients_are_those_of_the_mirror_convolution(name, dtype, platform):
    """XLA knows a convolution's kernel gradient; that of a transposed one it takes for one with a huge window."""
    x, kernel, dy, stride, padding = drawn(name)
    back = transposed_padding(x, kernel, dy, stride, padding)
    x, kernel, dy = (jax.ShapeDtypeStruct(a.shape, dtype) for a in (x, kernel, dy))
    of_conv, products = lowered(platform, ops.conv, (x, kernel, dy), stride, padding)
    of_transpose, more = lowered(platform, ops.conv_transpose, (dy, kernel, x), stride, back)
    assert (len(of_conv), len(of_transpose), products, more) == (2, 2, 0, 0)
    assert len(set(of_conv) & set(of_transpose)) == 1, "the kernel gradient is the same, that of the input is not"
    kind = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    for convolution in (*of_conv, *of_transpose):
        assert re.findall(r"x([a-z]+\d+)>", convolution.rpartition(" : ")[2]) == [kind] * 3


@pytest.mark.parametrize("name", ["k6 head", "k4 head", "k5 tail, a row unused", "k1", "k1 s2", "k1 s3, padded"])
def test_heads_tails_and_kernels_of_one_pixel_are_matrix_products(name):
    x, kernel, dy, stride, padding = drawn(name)
    back = transposed_padding(x, kernel, dy, stride, padding)
    x, kernel, dy = (jax.ShapeDtypeStruct(a.shape, "float32") for a in (x, kernel, dy))
    assert lowered("cuda", ops.conv, (x, kernel, dy), stride, padding) == ([], 2)
    assert lowered("cuda", ops.conv_transpose, (dy, kernel, x), stride, back) == ([], 2)


def test_vmap():
    x, kernel, dy, *rest = drawn("k4 s2, odd picture", batch=3)
    conv, conv_transpose = forms(x, kernel, dy, *rest)
    y, dx, _ = definition(x, kernel, dy, *rest)
    with jax.enable_x64(True):
        one_by_one = [jax.vmap(form, (0, None))(a[:, None], kernel) for form, a in ((conv, x), (conv_transpose, dy))]
    for actual, expected in zip(one_by_one, (y, dx), strict=True):
        assert_close(actual[:, 0], expected, 1e-12)
