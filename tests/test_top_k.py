"""The generator's best examples, and noise on all pictures that fades."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_adversarial import batch, one_step, rules

from experiments.run.recipes import default_recipe
from jaxgan import losses, models
from jaxgan.host.errors import UserError
from jaxgan.ops import augment
from jaxgan.systems import adversarial, top_k
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES
from jaxgan.systems.gan import build_gan, build_rules

pytestmark = pytest.mark.slow

LOGITS = jnp.array([0.3, -2.0, 1.5, 0.0, -0.4, 1.1])
KEY = jax.random.key(1)


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_the_loss_is_that_of_the_best(name):
    loss = ADVERSARIAL_LOSSES[name].generator_loss
    best = jnp.array([0.3, 1.5, 1.1])
    np.testing.assert_allclose(top_k.loss(loss, LOGITS, jnp.float32(0.5)), loss(best), rtol=1e-6)
    np.testing.assert_allclose(top_k.loss(loss, LOGITS, jnp.float32(1.0)), loss(LOGITS), rtol=1e-6)
    np.testing.assert_allclose(top_k.loss(loss, LOGITS, jnp.float32(0.01)), loss(jnp.array([1.5])), rtol=1e-6)


def test_the_others_have_no_gradient():
    gradient = jax.grad(lambda x: top_k.loss(losses.wasserstein_generator_loss, x, jnp.float32(0.5)))(LOGITS)
    np.testing.assert_allclose(gradient, [-1 / 3, 0, -1 / 3, 0, 0, -1 / 3], rtol=1e-6)


def test_of_equal_ones_no_more_count_than_asked_for():
    gradient = jax.grad(lambda x: top_k.loss(losses.wasserstein_generator_loss, x, jnp.float32(0.5)))(jnp.zeros(4))
    assert sorted(gradient.tolist()) == [-0.5, -0.5, 0.0, 0.0]


def test_the_best_are_those_of_the_global_batch():
    def half(logits):
        return top_k.loss(losses.wasserstein_generator_loss, logits, jnp.float32(1 / 3), "half")

    halves = jax.vmap(half, axis_name="half")(jnp.array([[1.1, -2.0, 1.5], [0.3, 0.0, -0.4]]))  # both in one half
    np.testing.assert_allclose(jnp.mean(halves), -(1.5 + 1.1) / 2, rtol=1e-6)


def test_the_share_falls_geometrically_and_stays():
    shares = [float(top_k.share_at(jnp.int32(step), 0.25, 100)) for step in (0, 50, 100, 1000)]
    np.testing.assert_allclose(shares, [1.0, 0.5, 0.25, 0.25], rtol=1e-6)


def test_noise_has_its_deviation_and_an_example_its_own():
    images = jnp.zeros((64, 8, 8, 3))
    noisy = np.asarray(augment.add_noise(KEY, images, None, std=jnp.float32(0.3)))
    assert abs(noisy.std() - 0.3) < 0.01 and abs(noisy.mean()) < 0.01
    assert len(np.unique(noisy[:, 0, 0, 0])) == 64
    halves = jax.vmap(lambda part: augment.add_noise(KEY, part, "half", std=jnp.float32(0.3)), axis_name="half")
    np.testing.assert_allclose(halves(images.reshape(2, 32, 8, 8, 3)).reshape(images.shape), noisy, atol=1e-6)
    np.testing.assert_array_equal(augment.add_noise(KEY, images, None, std=jnp.float32(0)), images)


def test_noise_on_all_pictures_fades_linearly_and_the_best_become_fewer():
    gan = models.build("mlp_b", image_size=16, generator_width=4, discriminator_width=4, latent_dim=5)
    still = {"discriminator_optimizer": optax.set_to_zero(), "generator_optimizer": optax.set_to_zero()}
    plain, how = (
        rules(gan=gan, **still),
        rules(gan=gan, instance_noise=2.0, instance_noise_steps=10, top_k=0.25, top_k_steps=5, **still),
    )
    state, _, start = one_step(plain)
    step = jax.jit(functools.partial(adversarial.train_step, rules=how))
    scores = {}
    for number in (0, 10):
        late = state.replace(step=jnp.int32(number))
        clean = jax.jit(functools.partial(adversarial.train_step, rules=plain))(late, batch())[1]
        scores[number] = clean, step(late, batch())[1]
    clean, noisy = scores[0]
    assert float(clean["d_real"]) != float(noisy["d_real"]) and float(clean["d_fake"]) != float(noisy["d_fake"])
    clean, noisy = scores[10]
    assert float(clean["d_real"]) == float(noisy["d_real"]) and float(clean["d_fake"]) == float(noisy["d_fake"])
    assert float(noisy["g_loss"]) < float(clean["g_loss"])  # of the best of four alone
    assert set(start) == set(noisy)


def test_several_augmentations_follow_one_another_with_keys_of_their_own():
    seen = []

    def noting(name):
        return lambda key, images, axis_name: seen.append((name, jax.random.key_data(key).tolist())) or images + 1

    both = augment.chain([noting("first"), noting("second")])
    np.testing.assert_array_equal(both(KEY, jnp.zeros(1), None), [2.0])
    assert [name for name, _ in seen] == ["first", "second"] and seen[0][1] != seen[1][1]
    assert augment.chain([]) is None and augment.chain([noting]) is noting


def test_they_are_settings():
    given = {"instance_noise": 0.2, "instance_noise_steps": 7, "top_k": 0.5, "top_k_steps": 9}
    recipe = dataclasses.replace(default_recipe("dcgan_64"), **given)
    recipe.check()
    built = build_rules(recipe, build_gan(recipe, 3, 0))
    assert {name: getattr(built, name) for name in given} == given
    for wrong in ({"instance_noise": -1.0}, {"instance_noise_steps": 0}, {"top_k": 1.5}, {"top_k": 0.0}):
        with pytest.raises(UserError, match=f"{next(iter(wrong))}"):
            dataclasses.replace(recipe, **wrong).check()
