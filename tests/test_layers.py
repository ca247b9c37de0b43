"""Layers against values worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgan.host.errors import UserError
from jaxgan.models import layers

ONES = nn.initializers.ones


def test_convolution_geometry_by_hand():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    layer = layers.Conv(1, False, ONES, kernel_size=2, stride=2)
    y, _ = layer.init_with_output(jax.random.key(0), x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[0 + 1 + 4 + 5, 2 + 3 + 6 + 7], [8 + 9 + 12 + 13, 10 + 11 + 14 + 15]])


def test_transposed_convolution_geometry_by_hand():
    x = jnp.array([[1.0, 2.0]]).reshape(1, 1, 2, 1)
    kernel = jnp.arange(1.0, 10.0).reshape(3, 3, 1, 1)
    layer = layers.ConvTranspose(1, False, kernel_size=3, stride=2, padding=((0, 0), (1, 0)))
    y = layer.apply({"params": {"kernel": kernel}}, x)
    # Each pixel lays down its copy of the kernel, unflipped, two columns apart; the first column is cropped.
    expected = np.zeros((3, 5))
    expected[:, 0:3] += np.arange(1, 10).reshape(3, 3)
    expected[:, 2:5] += 2 * np.arange(1, 10).reshape(3, 3)
    np.testing.assert_array_equal(y[0, :, :, 0], expected[:, 1:])


X = jnp.array([[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]])  # means 3 and 1, biased variances 14/3 and 2, unbiased 7 and 3


@pytest.mark.parametrize(("unbiased", "variances"), [(True, [7.0, 3.0]), (False, [14 / 3, 2.0])])
def test_batch_normalisation_by_hand(unbiased, variances):
    layer = layers.BatchNorm(momentum=0.75, epsilon=0.5, unbiased_running_variance=unbiased)
    variables = layer.init(jax.random.key(0), X, train=False)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], [0, 0])
    params = {"scale": jnp.array([2.0, 1.0]), "bias": jnp.array([0.0, 10.0])}
    variables = {"params": params, "batch_stats": variables["batch_stats"]}
    y, updates = layer.apply(variables, X, train=True, mutable=["batch_stats"])
    expected = (np.asarray(X) - [3, 1]) / np.sqrt(np.array([14 / 3, 2]) + 0.5) * [2, 1] + [0, 10]
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    np.testing.assert_allclose(updates["batch_stats"]["mean"], [0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(updates["batch_stats"]["var"], 0.75 + 0.25 * np.array(variances), rtol=1e-6)
    # Evaluation uses what was kept.
    kept = {"params": params, "batch_stats": {"mean": jnp.array([3.0, 1.0]), "var": jnp.array([3.5, 0.5])}}
    evaluated = layer.apply(kept, X, train=False)
    np.testing.assert_allclose(evaluated[:, 0], (np.asarray(X)[:, 0] - 3) / 2 * 2, rtol=1e-6)


def test_batch_statistics_always_leaves_the_running_ones_alone_in_evaluation():
    layer = layers.BatchNorm(always_batch_statistics=True)
    variables = layer.init(jax.random.key(0), X, train=False)
    y = layer.apply(variables, X, train=False)
    np.testing.assert_allclose(np.asarray(y).mean(0), 0, atol=1e-6)


def test_batch_statistics_over_a_mapped_axis_are_those_of_the_whole_batch():
    x = jax.random.normal(jax.random.key(1), (8, 5)) * 3 + 2
    layer, mapped = layers.BatchNorm(), layers.BatchNorm(axis_name="half")
    variables = layer.init(jax.random.key(0), x, train=False)
    whole, updates = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    halves, half_updates = jax.vmap(
        lambda part: mapped.apply(variables, part, train=True, mutable=["batch_stats"]), axis_name="half"
    )(x.reshape(2, 4, 5))
    np.testing.assert_allclose(halves.reshape(8, 5), whole, atol=1e-6)
    for name in ("mean", "var"):
        for half in half_updates["batch_stats"][name]:
            np.testing.assert_allclose(half, updates["batch_stats"][name], rtol=1e-5)


def test_batch_statistics_of_each_device_alone():
    x = jnp.array([[0.0], [2.0], [10.0], [14.0]])  # shares: mean 1 and 12, variance 1 and 4, unbiased 2 and 8
    layer = layers.BatchNorm(axis_name="half", sync_batch_norm=False, epsilon=0.0)
    variables = layer.init(jax.random.key(0), x, train=False)
    halves, updates = jax.vmap(
        lambda part: layer.apply(variables, part, train=True, mutable=["batch_stats"]), axis_name="half"
    )(x.reshape(2, 2, 1))
    np.testing.assert_allclose(halves.reshape(4), [-1, 1, -1, 1], atol=1e-6)
    for half in range(2):  # the same on every device: means over devices, moved by a tenth
        np.testing.assert_allclose(updates["batch_stats"]["mean"][half], [0.1 * 6.5], rtol=1e-6)
        np.testing.assert_allclose(updates["batch_stats"]["var"][half], [0.9 * 1 + 0.1 * 5], rtol=1e-6)


def test_dropout_keeps_the_mean_and_drops_whole_channels():
    x = jnp.ones((200, 4, 4, 16))
    rngs = {"dropout": jax.random.key(3)}
    y = np.asarray(layers.Dropout(0.25, whole_channels=True).apply({}, x, train=True, rngs=rngs))
    channels = y.reshape(200, 16, 16)
    assert ((channels == 0).all(1) | (channels == np.float32(1 / 0.75)).all(1)).all()
    np.testing.assert_allclose((channels[:, 0] == 0).mean(), 0.25, atol=0.03)
    single = np.asarray(layers.Dropout(0.25).apply({}, x, train=True, rngs=rngs))
    assert not ((single.reshape(200, 16, 16) == 0).all(1) | (single.reshape(200, 16, 16) != 0).all(1)).all()
    np.testing.assert_array_equal(layers.Dropout(0.25).apply({}, x, train=False), x)


def test_dropout_meets_its_rate_to_a_65536th():
    y = np.asarray(layers.Dropout(0.4).apply({}, jnp.ones((64, 4096)), train=True, rngs={"dropout": jax.random.key(3)}))
    np.testing.assert_array_equal(np.unique(y), np.float32([0, 2**16 / 39322]))
    np.testing.assert_allclose(y.mean(), 1, atol=0.005)  # four standard errors


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan")])
def test_dropout_refuses_what_is_no_rate(rate):
    with pytest.raises(ValueError, match="dropout rate"):
        layers.Dropout(rate).apply({}, jnp.ones((2, 3)), train=False)


def test_a_single_example_has_no_batch_statistics():
    norm = layers.BatchNorm()
    variables = norm.init(jax.random.key(0), jnp.ones((2, 3)), train=False)
    with pytest.raises(UserError, match="raise batch_size"):
        norm.apply(variables, jnp.ones((1, 3)), train=True, mutable=["batch_stats"])
    assert norm.apply(variables, jnp.ones((1, 3)), train=False).shape == (1, 3)


def test_running_statistics_keep_their_type_beside_wider_pictures():
    with jax.enable_x64(True):
        norm = layers.BatchNorm()
        variables = norm.init(jax.random.key(0), jnp.ones((2, 3), jnp.float32), train=False)
        _, moved = norm.apply(variables, jnp.ones((4, 3), jnp.float64), train=True, mutable=["batch_stats"])
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(moved))


def test_dropout_does_not_depend_on_the_number_of_devices():
    x = jnp.ones((8, 6))
    rngs = {"dropout": jax.random.key(3)}
    whole = layers.Dropout(0.5).apply({}, x, train=True, rngs=rngs)
    halves = jax.vmap(
        lambda part: layers.Dropout(0.5, axis_name="half").apply({}, part, train=True, rngs=rngs), axis_name="half"
    )(x.reshape(2, 4, 6))
    np.testing.assert_array_equal(halves.reshape(8, 6), whole)


def test_feature_order_is_channels_first():
    x = jnp.arange(12.0).reshape(1, 12)
    image = layers.to_image(x, (2, 2, 3))
    np.testing.assert_array_equal(image[0, :, :, 0], [[0, 1], [2, 3]])
    same = {"params": {"kernel": jnp.eye(12), "bias": jnp.zeros(12)}}
    np.testing.assert_array_equal(layers.Dense(12).apply(same, image), x)
    variables = layers.Dense(5).init(jax.random.key(0), x)
    np.testing.assert_allclose(layers.Dense(5).apply(variables, image), layers.Dense(5).apply(variables, x), rtol=1e-6)


def test_leaky_relu():
    x = jnp.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(layers.leaky_relu(x, 0.2), [-0.2, 0.0, 2.0])
    np.testing.assert_allclose(jax.grad(lambda x: layers.leaky_relu(x, 0.2).sum())(x), [0.2, 0.2, 1.0])
