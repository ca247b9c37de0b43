"""The critic's bound holds after every one of its steps, and each of them sees pictures and noise of its own."""

import jax
import numpy as np
import pytest
from reference import cases, jax_training
from reference.recording import recorded

from jaxgan import models
from jaxgan.systems import adversarial

SIZES = {"image_size": 32, "latent_dim": 5, "generator_width": 1, "discriminator_width": 1}
CLIP = np.float32(0.01)


@pytest.fixture(scope="module")
def played():
    """What was noted in 200 steps, and the critic's greatest weight at the end of each."""
    gan = models.build("wgan_anime", **SIZES)
    # Faster than the recipe's 5e-5, so that every weight runs into the bound many times.
    rules = jax_training.rules_of(gan, discriminator_learning_rate=2e-3)
    generator, critic = (cases.random_variables(module, scale=0.1) for module in (gan.generator, gan.discriminator))
    state = jax_training.state_from(rules, generator, critic)
    batches = jax_training.batches(rules, jax_training.pool(gan, size=23), steps=200)
    batches = [{"image": batch["image"].astype(np.float32)} for batch in batches]
    history, bounds = [], []
    with recorded(gan) as calls:
        step = jax.jit(lambda state, batch: adversarial.train_step(state, batch, rules))
        for batch in batches:
            state, _ = step(state, batch)
            history.append(calls.take())
            bounds.append([np.abs(leaf).max() for leaf in jax.tree.leaves(state.discriminator.params)])
    return batches, history, np.array(bounds)


@pytest.mark.slow
def test_the_bound_holds_after_every_critic_step(played):
    _, history, bounds = played
    assert bounds.dtype == np.float32 and bounds.max() == CLIP
    seen = np.array([step["discriminator_bound"] for step in history])
    # Two calls of the critic in each of its steps and one in the generator's: its weights before the first step, and
    # after each.
    assert seen.shape == (200, 11) and seen.dtype == np.float32
    assert seen[0, :2].min() > CLIP  # where it started
    assert seen[0, 2:].max() <= CLIP and seen[1:].max() <= CLIP


@pytest.mark.slow
def test_it_is_the_clip_that_holds_them(played):
    """Nearly every array has come to the bound; two have hardly a gradient at this width."""
    _, _, bounds = played
    assert bounds.shape[1] == 14 and (bounds == CLIP).any(axis=0).sum() >= 12


@pytest.mark.slow
def test_the_initial_critic_is_bounded():
    gan = models.build("wgan_anime", **SIZES)
    state = jax.jit(lambda key: adversarial.init_state(key, jax_training.rules_of(gan)))(jax.random.key(0))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(state.discriminator.params)) == CLIP


@pytest.mark.slow
def test_each_critic_step_sees_its_own_batch(played):
    batches, history, _ = played
    for batch, step in zip(batches[:5], history[:5], strict=True):
        real = [step["discriminator"][index][0] for index in range(0, 10, 2)]
        np.testing.assert_array_equal(np.array(real), batch["image"])
        assert len(np.unique(np.array(real).reshape(5, -1), axis=0)) == 5


@pytest.mark.slow
def test_each_critic_step_has_its_own_noise(played):
    _, history, _ = played
    noise = np.array([[call[0] for call in step["generator"]] for step in history[:20]])
    assert noise.shape == (20, 6, 4, 5)  # five critic steps and the generator's own, of four examples
    assert len(np.unique(noise)) == noise.size
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.1


@pytest.mark.slow
def test_the_critic_judges_what_came_from_its_noise(played):
    """Fakes of different critic steps differ in every example."""
    _, history, _ = played
    fakes = np.array([history[3]["discriminator"][index][0] for index in (1, 3, 5, 7, 9, 10)]).reshape(24, -1)
    distances = np.abs(fakes[:, None] - fakes[None]).max(axis=-1)
    assert distances[~np.eye(24, dtype=bool)].min() > 0
