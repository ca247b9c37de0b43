"""The two hooks of the adversarial step: a penalty of the discriminator, and an augmentation of all that it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from test_adversarial import PLAIN, SMALL, batch, one_step, rules, same

from jaxgan import losses, models
from jaxgan.models import GAN, Network
from jaxgan.systems import adversarial

pytestmark = pytest.mark.slow

RATE, GAMMA = 0.1, 4.0


class LinearDiscriminator(Network):
    """D(x) = w · x."""

    image_shape: tuple[int, int, int] = (16, 16, 1)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        return nn.Dense(1, use_bias=False)(x.reshape(len(x), -1))[:, 0]


def r1(judge, real, fake, key, axis_name):
    """½ γ · mean over real pictures of the squared gradient of D at them."""
    gradients = jax.grad(lambda images: jnp.sum(judge(images)))(real)
    return 0.5 * GAMMA * jnp.mean(jnp.sum(gradients**2, axis=(1, 2, 3)))


def linear(**changes):
    gan = GAN("linear", models.build("dcgan_64", **SMALL).generator, LinearDiscriminator())
    wasserstein = {
        "discriminator_loss": losses.wasserstein_discriminator_loss,
        "generator_optimizer": optax.set_to_zero(),
        "discriminator_optimizer": optax.sgd(RATE),
    }
    return rules(gan=gan, **{**wasserstein, **changes})


def test_a_penalty_of_gradients_shrinks_a_linear_discriminator_as_by_hand():
    before, without, _ = one_step(linear())
    _, after, metrics = one_step(linear(discriminator_penalty=r1))
    [w] = jax.tree.leaves(before.discriminator.params)
    # D's gradient is w at every picture, so the penalty is γ/2 |w|², and its own gradient γ w.
    np.testing.assert_allclose(metrics["d_penalty"], 0.5 * GAMMA * np.sum(np.square(w)), rtol=1e-5)
    [plain], [penalised] = (jax.tree.leaves(state.discriminator.params) for state in (without, after))
    np.testing.assert_allclose(penalised, plain - RATE * GAMMA * w, rtol=1e-4, atol=1e-6)
    assert same(without.generator.params, after.generator.params)


def test_a_penalty_sees_both_kinds_of_pictures_under_the_conditions_of_the_real_ones():
    gan = models.build("cgan_anime", **{**SMALL, "condition_dim": 3})
    seen = []

    def noting(judge, real, fake, key, axis_name):
        seen.append((real.shape, fake.shape))
        return jnp.mean(judge(real)) - jnp.mean(judge(fake))

    _, _, metrics = one_step(rules(gan=gan, discriminator_penalty=noting), batch(condition_dim=3))
    assert set(seen) == {((4, 16, 16, 1), (4, 16, 16, 1))}
    assert np.isfinite(metrics["d_penalty"])


def test_a_lazy_penalty_is_a_step_of_its_own_at_every_so_many_critic_steps_as_many_times_as_strong():
    lazy = linear(discriminator_penalty=r1, penalty_every=3)
    _, without, _ = one_step(linear())
    step = jax.jit(lambda state: adversarial.train_step(state, batch(), lazy))
    state, found = adversarial.init_state(jax.random.key(0), lazy), []
    for _ in range(5):
        state, metrics = step(state)
        found.append((float(metrics["d_penalty"]), state))
    # D's own step comes first; the penalty's, 3 γ/2 |w|² with the gradient 3 γ w, is taken from where that has led.
    [w] = jax.tree.leaves(without.discriminator.params)
    np.testing.assert_allclose(found[0][0], 3 * 0.5 * GAMMA * np.sum(np.square(w)), rtol=1e-5)
    [moved] = jax.tree.leaves(found[0][1].discriminator.params)
    np.testing.assert_allclose(moved, w - RATE * 3 * GAMMA * w, rtol=1e-4, atol=1e-6)
    assert found[3][0] > 0 and found[1][0] == found[2][0] == found[4][0] == 0


def test_a_lazy_penalty_takes_an_update_of_the_optimiser_more():
    def counts(every):
        how = rules(discriminator_penalty=r1, penalty_every=every, discriminator_optimizer=optax.adam(1e-3))
        _, after, _ = one_step(how)
        return int(after.discriminator.opt_state[0].count)

    assert (counts(1), counts(2)) == (1, 2)


@pytest.mark.slow
def test_a_penalty_is_differentiated_through_convolutions():
    how = rules(
        discriminator_penalty=r1, discriminator_optimizer=optax.sgd(RATE), generator_optimizer=optax.set_to_zero()
    )
    images = batch()["image"][0]
    before, with_penalty, _ = one_step(how)
    without = one_step(rules(discriminator_optimizer=optax.sgd(RATE), generator_optimizer=optax.set_to_zero()))[1]
    network, player = how.gan.discriminator, before.discriminator

    def penalty(params):
        def judge(x):
            return network.apply({**player.variables, "params": params}, x, train=True, mutable=["batch_stats"])[0]

        return r1(judge, (images.astype(jnp.float32) - 127.5) / 127.5, None, None, None)

    by_hand = jax.grad(penalty)(player.params)
    moved = jax.tree.map(
        lambda plain, other: (plain - other) / RATE, without.discriminator.params, with_penalty.discriminator.params
    )
    for mine, wanted in zip(jax.tree.leaves(moved), jax.tree.leaves(by_hand), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=2e-2, atol=1e-4 * max(1.0, float(jnp.abs(wanted).max())))


def blackened(key, images, axis_name):
    return 0.0 * images


def test_an_augmentation_of_both_sides_is_all_that_the_discriminator_sees():
    before, after, metrics = one_step(rules(augment_both=blackened))
    assert float(metrics["d_real"]) == float(metrics["d_fake"])
    assert same(before.generator.params, after.generator.params)  # no gradient comes through black


def test_an_augmentation_of_both_sides_has_a_key_of_its_own_for_each_side_and_step():
    keys = []

    def noting(key, images, axis_name):
        jax.debug.callback(lambda data: keys.append(tuple(np.asarray(data))), jax.random.key_data(key))
        return images

    how = rules(augment_both=noting, critic_steps=2)
    jax.block_until_ready(
        jax.jit(lambda state: adversarial.train_step(state, batch(), how))(
            adversarial.init_state(jax.random.key(0), how)
        )
    )
    jax.effects_barrier()
    assert len(keys) == len(set(keys)) == 5  # real and generated in two critic steps, generated in G's


def test_without_hooks_the_metrics_are_those_of_two_players():
    assert set(one_step(PLAIN)[2]) == {"d_loss", "g_loss", "d_real", "d_fake"}
