"""From the same weights, pictures and noise, 25 steps here and in the tutorial's framework come to the same numbers."""

import jax
import numpy as np
import pytest
from reference import jax_training
from reference.cases import CASES

from jaxgan import interop

STEPS = 25


def train(name, generator_variables, discriminator_variables):
    """A run of this library from these weights: its networks, batches and result."""
    gan = CASES[name].build(**CASES[name].narrow)
    rules = jax_training.rules_of(gan)
    batches = jax_training.batches(rules, jax_training.pool(gan), steps=STEPS)
    state = jax_training.state_from(
        rules, generator_variables(gan.generator), discriminator_variables(gan.discriminator)
    )
    return gan, batches, jax_training.run(rules, state, batches)


def assert_same(ours, losses, generator, discriminator):
    np.testing.assert_allclose(ours.losses, losses, rtol=1e-8, atol=1e-8)
    for found, expected in ((ours.generator, generator), (ours.discriminator, discriminator)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8), found, expected)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mlp_b", "dcgan_anime_a", "cgan_anime"])
def test_pytorch_goes_the_same_way(name):
    pytest.importorskip("torch", reason="PyTorch is not installed; the fixtures prove the same")
    from reference import torch_networks, torch_play, torch_trajectories

    generator, discriminator = torch_networks.build(name, **CASES[name].narrow)
    torch_play.randomise(generator, 2, "float64")
    torch_play.randomise(discriminator, 3, "float64")
    with jax.enable_x64(True):
        gan, batches, ours = train(
            name,
            lambda module: interop.torch.import_variables(module, torch_play.state(generator)),
            lambda module: interop.torch.import_variables(module, torch_play.state(discriminator)),
        )
    expected = torch_trajectories.follow(gan, generator, discriminator, batches, ours.calls)
    assert_moved(ours)
    assert_same(ours, **expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_keras", pytest.param("wgan_anime", marks=pytest.mark.slow)])
def test_keras_goes_the_same_way(name):
    pytest.importorskip("keras", reason="Keras is not installed")
    from reference import keras_networks, keras_play, keras_training, keras_trajectories

    with keras_training.in_float64():
        generator, discriminator = keras_networks.build(name, "float64", **CASES[name].narrow)
        keras_play.randomise(generator, 2)
        keras_play.randomise(discriminator, 3)
        with jax.enable_x64(True):
            gan, batches, ours = train(
                name,
                lambda module: interop.keras.import_variables(module, generator.get_weights()),
                lambda module: interop.keras.import_variables(module, discriminator.get_weights()),
            )
        expected = keras_trajectories.follow(gan, generator, discriminator, batches, ours.calls)
    assert_moved(ours)
    assert_same(ours, **expected)


def assert_moved(ours):
    assert ours.losses.shape == (STEPS, 2)
    assert len(np.unique(ours.losses)) == 2 * STEPS
