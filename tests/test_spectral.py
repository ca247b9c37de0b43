"""Spectral normalisation by hand: the iteration, its gradient, and what a pass leaves behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models import spectral
from jaxgan.models.layers import Conv, Dense


def test_an_iteration_and_its_gradient_by_hand():
    # W = diag(3, 1), u = (1, 1): Wᵀu = (3, 1), W·Wᵀu = (9, 1), so σ = √82 / √10 and dσ/dW = u·vᵀ.
    matrix, u = jnp.array([[3.0, 0.0], [0.0, 1.0]]), jnp.array([1.0, 1.0])
    (sigma, moved), gradient = jax.value_and_grad(spectral.power_iteration, has_aux=True)(matrix, u)
    np.testing.assert_allclose(sigma, np.sqrt(82 / 10), rtol=1e-6)
    np.testing.assert_allclose(moved, np.array([9, 1]) / np.sqrt(82), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.outer([9, 1], [3, 1]) / np.sqrt(820), rtol=1e-6)


def test_a_matrix_of_zeros_divides_by_nothing():
    sigma, u = spectral.power_iteration(jnp.zeros((2, 3)), jnp.ones(2))
    assert float(sigma) == 0 and not np.isnan(np.asarray(u)).any()


LAYERS = {
    "conv": (spectral.SpectralConv(5, kernel_size=3), (2, 4, 4, 3), lambda kernel: kernel.reshape(-1, 5).T),
    "dense": (spectral.SpectralDense(5), (2, 7), lambda kernel: kernel.T),
    "embedding": (spectral.SpectralEmbedding(5), (2, 7), lambda kernel: kernel),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_kernel_is_divided_by_the_largest_singular_value_in_the_end(name):
    layer, shape, matrix_of = LAYERS[name]
    x = jax.random.normal(jax.random.key(1), shape)
    variables = layer.init(jax.random.key(0), x)
    [(kernel, u)] = [(variables["params"]["kernel"], variables["spectral"]["u"])]
    matrix = matrix_of(np.asarray(kernel))
    assert u.shape == matrix.shape[:1]
    training = layer.clone(train=True)
    for _ in range(100):
        _, updates = training.apply(variables, x, mutable=["spectral"])
        variables = {**variables, **updates}
    plain = {"conv": Conv(5, kernel_size=3), "dense": Dense(5), "embedding": Dense(5, use_bias=False)}[name]
    sigma = np.linalg.norm(matrix, 2)
    expected = plain.apply({"params": {**variables["params"], "kernel": kernel / sigma}}, x)
    np.testing.assert_allclose(layer.apply(variables, x), expected, rtol=1e-4, atol=1e-6)


def test_evaluation_iterates_once_more_and_forgets_it():
    layer, shape, _ = LAYERS["dense"]
    x = jnp.ones(shape)
    variables = layer.init(jax.random.key(0), x)
    first, untouched = layer.apply(variables, x, mutable=["spectral"])
    in_training, moved = layer.clone(train=True).apply(variables, x, mutable=["spectral"])
    np.testing.assert_array_equal(first, in_training)
    np.testing.assert_array_equal(untouched["spectral"]["u"], variables["spectral"]["u"])
    assert (np.asarray(moved["spectral"]["u"]) != np.asarray(variables["spectral"]["u"])).any()


def test_initialisation_does_not_iterate():
    """Else the first pass in training would be the second."""
    layer, shape, _ = LAYERS["dense"]
    one, other = (layer.clone(train=train).init(jax.random.key(0), jnp.ones(shape)) for train in (False, True))
    np.testing.assert_array_equal(one["spectral"]["u"], other["spectral"]["u"])


def test_the_estimate_is_of_the_parameters_type_in_half_precision():
    layer = spectral.SpectralConv(5, kernel_size=3, dtype=jnp.bfloat16, train=True)
    x = jnp.ones((2, 4, 4, 3))
    variables = layer.init(jax.random.key(0), x)
    y, updates = layer.apply(variables, x, mutable=["spectral"])
    assert y.dtype == jnp.bfloat16 and updates["spectral"]["u"].dtype == jnp.float32
    exact, same = layer.clone(dtype=None).apply(variables, x, mutable=["spectral"])
    np.testing.assert_array_equal(updates["spectral"]["u"], same["spectral"]["u"])
    np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.03)
