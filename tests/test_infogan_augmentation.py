"""Augmentation of what InfoGAN's discriminator and Q see: of every picture, with a key of its own."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_infogan import SMALL_RULES, inputs, rules, start

from jaxgan.systems import information


def test_all_that_is_judged_is_augmented_each_with_a_key_of_its_own(monkeypatch):
    shown = []

    def augment(key, images, axis_name):
        shown.append(jax.random.key_data(key).tolist())
        return -images

    images, _, _ = inputs()
    given = dataclasses.replace(SMALL_RULES, augment=augment)
    seen = []
    monkeypatch.setattr(information, "take_step", lambda *arguments: seen.append(arguments))
    information.train_step(start(), {"image": images[None]}, given)
    (*_, show) = seen[0]
    for change in show:
        np.testing.assert_array_equal(change(images), -images)
    assert len({str(key) for key in shown}) == 3
    information.train_step(start().replace(step=jnp.int32(1)), {"image": images[None]}, given)
    seen[1][-1][0](images)
    assert len({str(key) for key in shown}) == 4


@pytest.mark.slow
def test_the_discriminator_and_the_generators_step_see_what_is_augmented():
    """Pictures of one colour tell nothing: D learns no more than its biases, and G nothing."""
    state = start()
    grey = (jnp.zeros_like,) * 3
    step = jax.jit(information.take_step, static_argnames=("rules", "axis_name", "show"))
    after, metrics = step(state, *inputs(), rules(rates=(0.1, 0.1)), None, grey)
    jax.tree.map(np.testing.assert_array_equal, after.generator.params, state.generator.params)
    assert float(metrics["d_real"]) == pytest.approx(float(metrics["d_fake"]), abs=1e-6)
    plain, _ = step(state, *inputs(), rules(rates=(0.1, 0.1)))
    assert any(
        (a != b).any()
        for a, b in zip(*map(jax.tree.leaves, (plain.generator.params, state.generator.params)), strict=True)
    )
