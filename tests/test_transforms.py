"""The parameter clip: its bound holds exactly, wherever the parameters start and however large the updates are."""

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import transforms


def apply(limit, params, updates):
    transform = transforms.clip_params(limit)
    changes, _ = transform.update(updates, transform.init(params), params)
    return optax.apply_updates(params, changes)


def test_by_hand():
    params = {"a": jnp.array([0.25, -0.25, 0.5]), "b": jnp.array(0.0)}
    updates = {"a": jnp.array([0.125, -1.0, 1.0]), "b": jnp.array(-0.25)}
    after = apply(0.5, params, updates)
    np.testing.assert_array_equal(after["a"], [0.375, -0.5, 0.5])
    np.testing.assert_array_equal(after["b"], -0.25)


FLOATS = st.floats(-8, 8, width=32)


@hypothesis.given(
    params=hypothesis.extra.numpy.arrays(np.float32, 16, elements=FLOATS),
    updates=hypothesis.extra.numpy.arrays(np.float32, 16, elements=FLOATS),
    limit=st.sampled_from([0.01, 0.1, 1e-3, 0.5, 1.0, 3.0]),
)
@hypothesis.settings(max_examples=100)
def test_the_bound_holds_exactly_and_what_lies_inside_is_left_alone(params, updates, limit):
    bound = np.float32(limit)
    for function in (apply, jax.jit(apply, static_argnums=0)):
        after = np.asarray(function(limit, jnp.asarray(params), jnp.asarray(updates)))
        assert float(np.abs(after).max()) <= limit
        moved = params + updates
        np.testing.assert_allclose(after, np.clip(moved, -bound, bound), rtol=0, atol=2e-6)


@pytest.mark.slow
def test_the_bound_holds_over_many_steps_from_the_bound_itself():
    optimizer = optax.chain(optax.rmsprop(5e-3), transforms.clip_params(0.01))
    params = jax.random.uniform(jax.random.key(0), (1000,), jnp.float32, -0.01, 0.01)

    @jax.jit
    def step(params, state, key):
        updates, state = optimizer.update(jax.random.normal(key, params.shape), state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    for key in jax.random.split(jax.random.key(1), 300):
        params, state = step(params, state, key)
        assert float(jnp.abs(params).max()) <= np.float32(0.01)


def test_a_limit_that_the_type_does_not_hold_is_rounded_inwards():
    for dtype in (jnp.float32, jnp.bfloat16, jnp.float16):
        for limit in (0.1, 0.01, 1e-3):
            after = apply(limit, jnp.zeros(2, dtype), jnp.array([1.0, -1.0], dtype))
            assert 0.99 * limit < float(after[0]) <= limit
            assert float(after[1]) == -float(after[0])


def test_masked_parameters_are_free():
    transform = optax.masked(transforms.clip_params(0.1), {"free": False, "bound": True})
    params = {"free": jnp.array([1.0]), "bound": jnp.array([1.0])}
    updates, _ = transform.update(jax.tree.map(jnp.zeros_like, params), transform.init(params), params)
    after = optax.apply_updates(params, updates)
    assert float(after["free"][0]) == 1.0
    np.testing.assert_allclose(after["bound"], 0.1, rtol=1e-6)  # from 1 it lands on the update's own grid, within
    assert float(after["bound"][0]) <= np.float32(0.1)


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        transforms.clip_params(0.0)
    with pytest.raises(ValueError, match="params"):
        transforms.clip_params(1.0).update(jnp.zeros(2), optax.EmptyState())
