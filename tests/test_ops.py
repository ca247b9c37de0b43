"""Convolutions against float64 references, at every geometry of the models and at random ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import PartitionSpec

from jaxgan import ops
from jaxgan.ops import winograd
from jaxgan.ops.geometry import Geometry

# size of the big side, its channels, size of the small side, its channels, kernel, stride, padding of the big side
GEOMETRIES = {
    "k4 s2, tiles of three": (12, 16, 6, 24, 4, 2, 1),
    "k4 s2, tiles of two": (8, 32, 4, 16, 4, 2, 1),
    "k4 s2, one tile in part": (14, 16, 7, 32, 4, 2, 1),
    "k4 s2, odd picture": (13, 16, 6, 16, 4, 2, 1),
    "k4 s2, to 3x3": (6, 16, 3, 20, 4, 2, 1),
    "k4 s2, colour": (24, 3, 12, 16, 4, 2, 1),
    "k4 s2, grey": (28, 1, 14, 16, 4, 2, 1),
    "k4 s2, more padding than it needs": (10, 16, 7, 16, 4, 2, 3),
    "k6 head": (6, 20, 1, 16, 6, 2, 0),
    "k4 head": (4, 20, 1, 16, 4, 1, 0),
    "k3 head": (3, 24, 1, 16, 3, 2, 0),
    "k5 tail, a row unused": (6, 32, 1, 1, 5, 2, 0),
    "k4 tail": (4, 32, 1, 1, 4, 1, 0),
    "k3 tail": (3, 32, 1, 1, 3, 1, 0),
    "k1": (4, 23, 4, 16, 1, 1, 0),
    "k1 s2": (5, 6, 3, 4, 1, 2, 0),
    "k3 s1": (7, 32, 7, 16, 3, 1, 1),
    "k3 s1, few channels": (6, 4, 6, 5, 3, 1, 1),
    "k3 s2 valid, grey, a row unused": (28, 1, 13, 16, 3, 2, 0),
    "k3 s2 valid": (13, 16, 6, 32, 3, 2, 0),
    "k5 s2 same, grey": (28, 1, 14, 16, 5, 2, ((1, 2), (1, 2))),
    "k5 s2 same": (14, 16, 7, 32, 5, 2, ((1, 2), (1, 2))),
    "k5 s3": (96, 3, 32, 16, 5, 3, 1),
    "k7 s1 valid, colour": (14, 3, 8, 16, 7, 1, 0),
    "k7 s1 valid, to colour": (14, 16, 8, 3, 7, 1, 0),
    "k7 s1, to grey": (9, 5, 8, 1, 7, 1, ((1, 4), (1, 4))),
    "k2 s3, gaps": (9, 3, 3, 4, 2, 3, 0),
    "negative padding": (12, 16, 5, 16, 3, 2, ((-1, 0), (1, -2))),
}
SLOW = ("k7 s1 valid, colour", "k7 s1 valid, to colour", "k7 s1, to grey", "k5 s3", "k4 s2, more padding than it needs")
all_geometries = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in GEOMETRIES]
)

# What is tested is the arithmetic: no time is spent on making it fast.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


def sides(padding):
    return ((padding, padding),) * 2 if isinstance(padding, int) else padding


def numbers(seed, *shapes):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape) for shape in shapes]


def example(name, batch=2):
    big, channels, small, features, kernel, stride, padding = GEOMETRIES[name]
    shapes = (batch, big, big, channels), (kernel, kernel, channels, features), (batch, small, small, features)
    return *numbers(0, *shapes), stride, sides(padding)


def lax_conv(x, kernel, stride, padding):
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def lax_reference(x, kernel, dy, stride, padding):
    """The convolution of x and its two gradients along dy, in float64."""
    with jax.enable_x64(True):
        y, pull = jax.vjp(functools.partial(lax_conv, stride=stride, padding=padding), x, kernel)
        return [np.asarray(a) for a in (y, *pull(dy))]


def definition(x, kernel, dy, stride, padding):
    """The same by the definition: a sum over the kernel's offsets."""
    y, dx, dkernel = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(kernel)
    for offset in np.ndindex(kernel.shape[:2]):
        pairs = []  # for each axis, (position in the big side, position in the small side)
        for small, big, k, p in zip(dy.shape[1:3], x.shape[1:3], offset, padding, strict=True):
            pairs.append([(i * stride + k - p[0], i) for i in range(small) if 0 <= i * stride + k - p[0] < big])
        for row, i in pairs[0]:
            for column, j in pairs[1]:
                y[:, i, j] += x[:, row, column] @ kernel[offset]
                dx[:, row, column] += dy[:, i, j] @ kernel[offset].T
                dkernel[offset] += x[:, row, column].T @ dy[:, i, j]
    return y, dx, dkernel


def transposed_padding(x, kernel, dy, stride, padding):
    """The padding of `conv_transpose` that leads back to the size of x, rows that `conv` left unused included."""
    sizes = zip(x.shape[1:3], dy.shape[1:3], kernel.shape, padding, strict=False)
    return tuple((before, (small - 1) * stride + k - before - big) for big, small, k, (before, _) in sizes)


def assert_close(actual, expected, tolerance):
    assert actual.shape == expected.shape
    error = np.linalg.norm(np.asarray(actual, np.float64) - expected)
    assert error <= tolerance * max(np.linalg.norm(expected), 1e-3)


def check(reference, x, kernel, dy, stride, padding, dtypes, transform=quick_jit):
    """Both operations and all their gradients: the transposed convolution is the convolution's gradient."""
    y, dx, dkernel = reference(x, kernel, dy, stride, padding)
    conv = functools.partial(ops.conv, stride=stride, padding=padding)
    back = transposed_padding(x, kernel, dy, stride, padding)
    conv_transpose = functools.partial(ops.conv_transpose, stride=stride, padding=back)

    @transform
    def ours(x, kernel, dy):
        forward, pull = jax.vjp(conv, x, kernel)
        backward, pull_transpose = jax.vjp(conv_transpose, dy, kernel)
        return forward, *pull(dy), backward, *pull_transpose(x)

    for dtype in dtypes:
        with jax.enable_x64(True):
            results = ours(*(jnp.asarray(a, dtype) for a in (x, kernel, dy)))
        for result, expected in zip(results, (y, dx, dkernel, dx, y, dkernel), strict=True):
            assert result.dtype == dtype
            assert_close(result, expected, {"float32": 1e-5, "float64": 1e-12}[dtype])


@pytest.fixture
def transformed(monkeypatch):
    """Has convolutions done by a Winograd tile where one fits; the small examples here would get patches otherwise."""

    def use(outputs=2):
        def tile(batch, kernel_shape, geometry):
            fitting = [tile for tile in winograd.fitting_tiles(geometry) if tile.outputs <= outputs]
            return fitting[-1] if fitting else None

        monkeypatch.setattr(ops, "_cpu_tile", tile)

    use()
    return use


@all_geometries
def test_values_and_gradients(name):
    check(lax_reference, *example(name), ["float32", "float64"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, outputs, dtype",
    [
        ("k4 s2, tiles of three", 3, "float32"),
        ("k4 s2, tiles of two", 2, "float64"),
        ("k4 s2, one tile in part", 2, "float32"),
        ("k4 s2, odd picture", 3, "float64"),
        ("k4 s2, more padding than it needs", 2, "float64"),
        ("k3 s1", 2, "float32"),
        ("k3 s1", 3, "float32"),
        ("k5 s2 same", 2, "float64"),
        ("negative padding", 2, "float64"),
    ],
)
def test_values_and_gradients_of_transformed(name, outputs, dtype, transformed):
    transformed(outputs)
    check(lax_reference, *example(name), [dtype])


@pytest.mark.parametrize("name", ["k4 s2, tiles of two", pytest.param("k3 s1", marks=pytest.mark.slow)])
def test_values_and_gradients_part_by_part(name, transformed, monkeypatch):
    monkeypatch.setattr(winograd, "_parts", lambda batch, *_: batch // 2)
    check(lax_reference, *example(name, batch=6), ["float32", "float64"])


def test_parts_fit_the_cache_and_fill_the_matrices():
    def parts(batch, size, channels, outputs):
        geometry = Geometry((2 * size,) * 2, (size,) * 2, (4, 4), (1, 1), 2)
        [tile] = [t for t in winograd.fitting_tiles(geometry) if t.outputs == outputs]
        return winograd._parts(batch, geometry, tile, channels)

    assert parts(64, 24, 64, 3) == 8  # 8 pictures of 590 kB, 64 tiles each
    assert parts(64, 12, 128, 3) == 4  # 16 of 295 kB, 16 tiles each
    assert parts(64, 6, 256, 3) == 1  # 32 of 147 kB would be in the cache, but matrices of 128 rows
    assert parts(61, 24, 64, 3) == 1  # a prime number of pictures, each alone too few rows


@pytest.mark.parametrize("name", ["k4 s2, tiles of two", "k5 s2 same, grey"])
def test_values_and_gradients_inside_scan(name, transformed):
    def scanned(function):
        return quick_jit(
            lambda *arrays: [a[0] for a in lax.scan(lambda c, xs: (c, function(*xs)), 0, [a[None] for a in arrays])[1]]
        )

    check(lax_reference, *example(name), ["float32"], scanned)


@st.composite
def random_examples(draw):
    stride = draw(st.integers(1, 3))
    kernel = draw(st.tuples(*[st.integers(1, 6)] * 2))
    padding = draw(st.tuples(*[st.tuples(*[st.integers(-1, 3)] * 2)] * 2))
    smallest = [max(1, k - sum(p)) for k, p in zip(kernel, padding, strict=True)]
    big = [draw(st.integers(n, n + 8)) for n in smallest]
    small = [(n + sum(p) - k) // stride + 1 for n, p, k in zip(big, padding, kernel, strict=True)]
    channels, features, batch = (draw(st.sampled_from(n)) for n in ([1, 3, 16, 17], [1, 4, 16, 18], [1, 3]))
    arrays = numbers(0, (batch, *big, channels), (*kernel, channels, features), (batch, *small, features))
    return *arrays, stride, padding


random_settings = functools.partial(
    settings,
    deadline=None,
    derandomize=True,
    print_blob=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@random_settings(max_examples=10)
@given(random_examples())
def test_values_and_gradients_at_random(drawn):
    check(definition, *drawn, ["float64"])


@pytest.mark.long
@random_settings(max_examples=30)
@given(random_examples(), st.integers(2, 3))
def test_values_and_gradients_of_transformed_at_random(transformed, drawn, outputs):
    transformed(outputs)
    check(definition, *drawn, ["float64"])


@pytest.mark.parametrize(
    "name, batch, outputs",
    [
        ("k4 s2, tiles of three", 64, 3),
        ("k4 s2, tiles of two", 64, 2),
        ("k4 s2, to 3x3", 64, None),
        ("k3 s1", 64, 3),
        ("k4 s2, colour", 64, None),
        ("k4 tail", 64, None),
        ("k3 s2 valid", 64, None),
    ],
)
def test_choice_of_tile(name, batch, outputs):
    big, channels, small, features, kernel, stride, padding = GEOMETRIES[name]
    geometry = Geometry((big, big), (small, small), (kernel, kernel), (sides(padding)[0][0],) * 2, stride)
    tile = ops._cpu_tile(batch, (kernel, kernel, channels, features), geometry)
    assert (tile.outputs if tile else None) == outputs


@pytest.mark.parametrize("tile", winograd.TILES, ids=lambda tile: f"F({tile.outputs}, {tile.taps})")
def test_tile_is_an_exact_filter(tile):
    signal, kernel = numbers(0, tile.points, tile.taps)
    filtered = np.array(tile.small) @ ((np.array(tile.kernel) @ kernel) * (np.array(tile.big) @ signal))
    np.testing.assert_allclose(filtered, np.correlate(signal, kernel, "valid"), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["conv", "conv_transpose"])
@pytest.mark.parametrize("name", ["k4 s2, tiles of two", "k3 s2 valid, grey, a row unused", "k4 tail"])
def test_second_derivatives(name, operation, transformed):
    """Both gradients of a gradient penalty, |d sum(tanh(conv(x))) / dx|²."""
    x, kernel, dy, stride, padding = example(name)
    theirs = functools.partial(lax_conv, stride=stride, padding=padding)
    ours = functools.partial(getattr(ops, operation), stride=stride, padding=padding)
    if operation == "conv_transpose":
        shape, conv, x = x.shape, theirs, dy
        ours = functools.partial(ops.conv_transpose, stride=stride, padding=transposed_padding(*example(name)))

        def theirs(y, kernel):
            return jax.vjp(lambda x: conv(x, kernel), jnp.zeros(shape))[1](y)[0]

    def gradients(function):
        def penalty(x, kernel):
            return jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(function(x, kernel))))(x) ** 2)

        return quick_jit(jax.grad(penalty, (0, 1)))(x, kernel)

    with jax.enable_x64(True):
        for actual, expected in zip(gradients(ours), gradients(theirs), strict=True):
            assert_close(actual, np.asarray(expected), 1e-12)


@pytest.mark.parametrize("name", ["k4 s2, tiles of two", "k3 s2 valid, grey, a row unused"])
def test_vmap(name, transformed):
    x, kernel, dy, stride, padding = example(name, batch=3)
    x, kernel = (jnp.asarray(a, jnp.float32) for a in (x, kernel))
    y = quick_jit(jax.vmap(functools.partial(ops.conv, stride=stride, padding=padding), (0, None)))(x[:, None], kernel)
    assert_close(y[:, 0], definition(x, kernel, dy, stride, padding)[0], 1e-5)


def test_shard_map_and_pmap(transformed):
    x, kernel, dy, stride, padding = example("k4 s2, tiles of two")
    arrays = [jnp.asarray(a, jnp.float32) for a in (x, kernel, dy)]

    def body(x, kernel, dy):
        return jax.vjp(functools.partial(ops.conv, stride=stride, padding=padding), x, kernel)[1](dy)

    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    split, whole = PartitionSpec("batch"), PartitionSpec()
    sharded = jax.shard_map(body, mesh=mesh, in_specs=(split, whole, split), out_specs=(split, whole), check_vma=False)
    mapped = jax.pmap(body, "batch", in_axes=(0, None, 0))
    _, dx, dkernel = definition(x, kernel, dy, stride, padding)
    for actual in (quick_jit(sharded)(*arrays), [a[0] for a in mapped(*[arrays[0][None], arrays[1], arrays[2][None]])]):
        assert_close(actual[0], dx, 1e-5)
        assert_close(actual[1], dkernel, 1e-5)


@pytest.mark.parametrize("types", [("bfloat16", "bfloat16"), ("bfloat16", "float32")])
@pytest.mark.parametrize("name", ["k4 s2, tiles of two", "k3 s2 valid, grey, a row unused"])
def test_half_precision(name, types, transformed):
    """Rounded once, at the end: the sums are float32. Mixed types give the promoted one; gradients keep their own."""
    x, kernel, dy, stride, padding = example(name)
    x, kernel = (jnp.asarray(a, t) for a, t in zip((x, kernel), types, strict=True))

    @quick_jit
    def ours(x, kernel):
        y, pull = jax.vjp(functools.partial(ops.conv, stride=stride, padding=padding), x, kernel)
        return y, *pull(jnp.asarray(dy, y.dtype))

    results = ours(x, kernel)
    assert [a.dtype for a in results] == [jnp.promote_types(*types), *types]
    wide = [np.asarray(a, np.float64) for a in (x, kernel)]
    for result, expected in zip(results, definition(*wide, dy, stride, padding), strict=True):
        assert_close(result, expected, 3e-3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.conv(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 3, 5))), "do not fit"),
        (lambda: ops.conv_transpose(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 2, 5))), "do not fit"),
        (lambda: ops.conv(jnp.zeros((1, 2, 2, 2)), jnp.zeros((3, 3, 2, 5))), "does not fit into"),
        (lambda: ops.conv_transpose(jnp.zeros((1, 1, 1, 2)), jnp.zeros((2, 2, 5, 2)), padding=1), "crops all"),
        (lambda: ops.conv(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 2, 5)), stride=0), "stride"),
        (lambda: ops.conv(jnp.zeros((0, 4, 4, 2)), jnp.zeros((3, 3, 2, 5))), "nothing in it"),
    ],
)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_padding_may_be_any_whole_number():
    x, kernel = (jnp.asarray(array) for array in numbers(0, (1, 4, 4, 2), (3, 3, 2, 5)))
    np.testing.assert_array_equal(ops.conv(x, kernel, padding=np.int64(1)), ops.conv(x, kernel, padding=1))


@pytest.mark.parametrize("batch", [1, 6, 16])
@pytest.mark.parametrize("axes", [(0, 2, 3, 1), (0, 3, 1, 2)])
def test_transpose(batch, axes):
    x, weights = numbers(0, (batch, 3, 4, 5), tuple(np.array((batch, 3, 4, 5))[list(axes)]))
    np.testing.assert_array_equal(ops.transpose(jnp.asarray(x), axes), jnp.asarray(x.transpose(axes)))
    gradient = jax.grad(lambda x: jnp.sum(ops.transpose(x, axes) * weights))(jnp.asarray(x))
    np.testing.assert_array_equal(gradient, jax.grad(lambda x: jnp.sum(x.transpose(axes) * weights))(jnp.asarray(x)))
