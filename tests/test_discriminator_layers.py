"""Layers of later systems: by hand, and equal to PyTorch in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgan.models import attention, equalized, layers, minibatch

pytestmark = pytest.mark.slow


def test_minibatch_standard_deviation_by_hand():
    # Of four pictures in groups of two, 0 and 2 are a group, and 1 and 3: deviations 1 and 3 at every pixel.
    x = jnp.array([1.0, 10.0, 3.0, 4.0])[:, None, None, None] * jnp.ones((4, 2, 2, 3))
    y = minibatch.MinibatchStandardDeviation(2).apply({}, x)
    assert y.shape == (4, 2, 2, 4)
    np.testing.assert_array_equal(y[..., :3], x)
    np.testing.assert_allclose(y[:, 0, 0, 3], [1, 3, 1, 3], rtol=1e-6)
    assert (y[..., 3] == y[:, :1, :1, 3]).all()


@pytest.mark.parametrize(("count", "groups"), [(4, 1), (6, 2), (7, 7), (3, 1), (1, 1)])
def test_a_group_is_the_largest_divisor_of_the_batch(count, groups):
    x = jnp.arange(count, dtype=jnp.float32)[:, None]
    deviations = minibatch.standard_deviations(x, 4)
    assert len(np.unique(deviations)) <= groups
    np.testing.assert_allclose(deviations[0], np.sqrt(np.var(np.arange(count)[::groups]) + 1e-8), rtol=1e-5)


def test_equal_pictures_have_a_gradient():
    gradient = jax.grad(lambda x: minibatch.standard_deviations(x, 4).sum())(jnp.ones((4, 3)))
    np.testing.assert_array_equal(gradient, 0)


def test_minibatch_discrimination_by_hand():
    # Rows 0, ½ and 2 of one number: distances ½, 2 and 1½.
    layer = minibatch.MinibatchDiscrimination(kernels=1, dims=1)
    y = layer.apply({"params": {"kernel": jnp.array([[0.5]])}}, jnp.array([[0.0], [1.0], [4.0]]))
    near = np.exp([-0.5, -2.0, -1.5])
    np.testing.assert_allclose(y[:, 1], [near[0] + near[1], near[0] + near[2], near[1] + near[2]], rtol=1e-6)
    np.testing.assert_array_equal(y[:, 0], [0, 1, 4])


@pytest.mark.parametrize("kind", ["deviation", "discrimination"])
def test_minibatch_layers_see_the_global_batch_on_any_number_of_devices(kind):
    x = jax.random.normal(jax.random.key(0), (8, 2, 2, 3) if kind == "deviation" else (8, 6))
    layer = {
        "deviation": minibatch.MinibatchStandardDeviation(4),
        "discrimination": minibatch.MinibatchDiscrimination(3, 2),
    }[kind]
    variables = layer.init(jax.random.key(1), x)

    def weighted(layer, part, weights):
        return jnp.sum(layer.apply(variables, part)[..., -1] * weights)

    weights = jnp.arange(8.0).reshape(8, *(1,) * (x.ndim - 2))
    whole, gradient = jax.value_and_grad(lambda x: weighted(layer, x, weights))(x)
    mapped = layer.clone(axis_name="half")
    halves = [array.reshape(2, 4, *array.shape[1:]) for array in (x, weights)]

    def total(parts):
        return jax.vmap(lambda part, weights: weighted(mapped, part, weights), axis_name="half")(parts, halves[1]).sum()

    found, halved = jax.value_and_grad(total)(halves[0])
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    np.testing.assert_allclose(halved.reshape(x.shape), gradient, atol=1e-5)


def test_pixel_normalisation_by_hand():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(equalized.pixel_norm(x), [[3 / 12.5**0.5, 4 / 12.5**0.5], [0, 0]], rtol=1e-6)
    assert equalized.pixel_norm(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_equalised_layers_scale_as_they_are_applied():
    x = jnp.ones((1, 3, 3, 2))
    conv = equalized.EqualizedConv(1, kernel_size=3, gain=3.0)
    y = conv.apply({"params": {"kernel": jnp.ones((3, 3, 2, 1)), "bias": jnp.zeros(1)}}, x)
    np.testing.assert_allclose(y, 18 * 3 / np.sqrt(18), rtol=1e-6)
    variables = equalized.EqualizedDense(400).init(jax.random.key(0), jnp.ones((1, 50)))["params"]
    np.testing.assert_allclose(np.std(variables["kernel"]), 1, rtol=0.02)
    np.testing.assert_array_equal(variables["bias"], 0)
    spread = equalized.EqualizedDense(400).apply({"params": variables}, jax.random.normal(jax.random.key(1), (64, 50)))
    np.testing.assert_allclose(np.std(spread), 2**0.5, rtol=0.05)


def test_conditional_normalisation_by_hand():
    # Means 3 and variances 4 of the column; class 1 has a scale of 1 + ½ and a shift of 10.
    x, y = jnp.array([[1.0], [5.0], [1.0], [5.0]]), jnp.eye(2)[jnp.array([0, 1, 1, 0])]
    layer = layers.ConditionalBatchNorm(epsilon=0.0)
    variables = layer.init(jax.random.key(0), x, y, train=False)
    np.testing.assert_array_equal(variables["params"]["scale"], np.zeros((2, 1)))
    params = {"scale": jnp.array([[0.0], [0.5]]), "bias": jnp.array([[0.0], [10.0]])}
    found, updates = layer.apply({**variables, "params": params}, x, y, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(found[:, 0], [-1, 11.5, 8.5, 1], rtol=1e-6)
    np.testing.assert_allclose(updates["batch_stats"]["mean"], [0.3], rtol=1e-6)
    pictures = jnp.broadcast_to(x[:, None, None], (4, 2, 2, 1))
    found, _ = layer.apply({**variables, "params": params}, pictures, y, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(found[:, 1, 1, 0], [-1, 11.5, 8.5, 1], rtol=1e-6)


def test_attention_does_nothing_before_it_is_trained_and_mixes_positions_afterwards():
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 8))
    layer = attention.SelfAttention()
    variables = layer.init(jax.random.key(1), x)
    np.testing.assert_array_equal(layer.apply(variables, x), x)
    open_gate = {"params": {**variables["params"], "gate": jnp.array(1.0)}}
    reach = jax.grad(lambda x: layer.apply(open_gate, x)[0, 0, 0].sum())(x)
    assert (jnp.abs(reach[0]).sum(-1) > 0).sum() > 4 and not reach[1].any()


# The same numbers as PyTorch.


def torch_module():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def channels_first(x):
    return torch_module().from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).requires_grad_()


def agree(function, x, expected, reference_input):
    """Values, and gradients of a sum weighted by cosines, of an array with the channels last."""
    torch = torch_module()
    target = np.moveaxis(expected.detach().numpy(), 1, -1)
    weights = np.cos(np.arange(target.size)).reshape(target.shape)
    (expected * torch.from_numpy(np.ascontiguousarray(np.moveaxis(weights, -1, 1)))).sum().backward()
    with jax.enable_x64(True):
        found = function(x)
        gradient = jax.grad(lambda x: jnp.sum(function(x) * weights))(x)
    np.testing.assert_allclose(found, target, rtol=0, atol=1e-10)
    np.testing.assert_allclose(gradient, np.moveaxis(reference_input.grad.numpy(), 1, -1), rtol=0, atol=1e-10)


@pytest.mark.torch
def test_minibatch_standard_deviation_is_pytorchs():
    torch = torch_module()
    x = np.random.default_rng(0).standard_normal((6, 4, 4, 3))
    given = channels_first(x)
    groups = given.view(3, 2, 3, 4, 4)
    deviations = (groups - groups.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
    expected = torch.cat([given, deviations.view(1, 2).expand(3, 2).reshape(6, 1, 1, 1).expand(6, 1, 4, 4)], 1)
    agree(lambda x: minibatch.MinibatchStandardDeviation(3).apply({}, x), x, expected, given)


@pytest.mark.torch
def test_minibatch_discrimination_is_pytorchs():
    torch = torch_module()
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((5, 4)), 0.3 * rng.standard_normal((4, 6))
    given = channels_first(x)
    rows = (given @ torch.from_numpy(kernel)).view(5, 3, 2)
    near = torch.exp(-(rows[:, None] - rows[None]).abs().sum(-1)).sum(1) - 1
    layer = minibatch.MinibatchDiscrimination(3, 2)
    agree(lambda x: layer.apply({"params": {"kernel": kernel}}, x), x, torch.cat([given, near], 1), given)


@pytest.mark.torch
def test_equalised_layers_and_pixel_normalisation_are_pytorchs():
    torch = torch_module()
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.standard_normal((2, 5, 5, 3)), rng.standard_normal((3, 3, 3, 4)), rng.standard_normal(4)
    given = channels_first(x)
    weight = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))) * np.sqrt(2 / 27)
    y = torch.nn.functional.conv2d(given, weight, torch.from_numpy(bias), padding=1)
    expected = y / (y.square().mean(1, keepdim=True) + 1e-8).sqrt()
    layer = equalized.EqualizedConv(4, kernel_size=3, padding=1)
    variables = {"params": {"kernel": kernel, "bias": bias}}
    agree(lambda x: equalized.pixel_norm(layer.apply(variables, x)), x, expected, given)

    flat, matrix = rng.standard_normal((2, 6)), rng.standard_normal((6, 4))
    given = channels_first(flat)
    expected = given @ torch.from_numpy(matrix) / np.sqrt(6) + torch.from_numpy(bias)
    dense = equalized.EqualizedDense(4, gain=1.0)
    agree(lambda x: dense.apply({"params": {"kernel": matrix, "bias": bias}}, x), flat, expected, given)


@pytest.mark.torch
def test_attention_is_pytorchs():
    torch = torch_module()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 6, 16))
    shapes = {"Conv_0": (16, 2), "Conv_1": (16, 2), "Conv_2": (16, 8), "Conv_3": (8, 16)}
    kernels = {name: rng.standard_normal((1, 1, *shape)) / 4 for name, shape in shapes.items()}
    given = channels_first(x)

    def project(picture, name):
        weight = torch.from_numpy(kernels[name][0, 0].T.copy())[:, :, None, None]
        return torch.nn.functional.conv2d(picture, weight)

    queries = project(given, "Conv_0").flatten(2)
    keys, values = (torch.nn.functional.max_pool2d(project(given, name), 2).flatten(2) for name in ("Conv_1", "Conv_2"))
    weights = torch.softmax(queries.transpose(1, 2) @ keys, -1)
    attended = (values @ weights.transpose(1, 2)).view(2, 8, 4, 6)
    expected = given + 0.7 * project(attended, "Conv_3")
    params = {"gate": np.float64(0.7), **{name: {"kernel": kernel} for name, kernel in kernels.items()}}
    layer: nn.Module = attention.SelfAttention()
    agree(lambda x: layer.apply({"params": params}, x), x, expected, given)
