"""The step: what each player's turn touches, what the keys decide, and what the rules change."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, models
from jaxgan.ops import noise
from jaxgan.systems import adversarial, negatives

SIZE = 16
SMALL = {"image_size": SIZE, "channels": 1, "generator_width": 2, "discriminator_width": 2, "latent_dim": 5}


def rules(**changes):
    gan = changes.pop("gan", None) or models.build("dcgan_64", **SMALL)
    settings = {
        "discriminator_loss": losses.minimax_discriminator_loss,
        "generator_loss": losses.nonsaturating_generator_loss,
        "generator_optimizer": optax.sgd(0.1),
        "discriminator_optimizer": optax.sgd(0.1),
        **changes,
    }
    return adversarial.Rules(gan=gan, **settings)


def batch(batches=1, count=4, seed=0, condition_dim=0):
    random = np.random.default_rng(seed)
    found = {"image": random.integers(0, 256, (batches, count, SIZE, SIZE, 1)).astype(np.uint8)}
    if condition_dim:
        labels = random.integers(0, condition_dim, (batches, count))
        found["condition"] = np.eye(condition_dim, dtype=np.uint8)[labels]
    return found


@functools.lru_cache
def compiled(how):
    return jax.jit(functools.partial(adversarial.train_step, rules=how))


@functools.lru_cache
def start(how, seed):
    return adversarial.init_state(jax.random.key(seed), how)


def one_step(how, data=None, seed=0):
    state = start(how, seed)
    return state, *compiled(how)(state, batch() if data is None else data)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


PLAIN = rules()
FROZEN_G = rules(generator_optimizer=optax.set_to_zero())
FROZEN_D = rules(discriminator_optimizer=optax.set_to_zero())


@pytest.mark.slow
def test_the_discriminators_step_leaves_the_generators_parameters_alone():
    before, after, _ = one_step(FROZEN_G)
    assert same(before.generator.params, after.generator.params)
    assert not same(before.discriminator.params, after.discriminator.params)


def test_the_generators_step_leaves_the_discriminator_alone():
    before, after, _ = one_step(FROZEN_D)
    assert same(before.discriminator.params, after.discriminator.params)
    assert not same(before.generator.params, after.generator.params)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_parameter_that_is_not_finite_shows_in_the_losses(player):
    """So the watch need not look at the parameters themselves."""
    state = start(PLAIN, 0)
    leaves, structure = jax.tree.flatten(getattr(state, player).params)
    for index, leaf in enumerate(leaves):
        broken = [*leaves[:index], leaf.at[(0,) * leaf.ndim].set(jnp.nan), *leaves[index + 1 :]]
        changed = getattr(state, player).replace(params=jax.tree.unflatten(structure, broken))
        _, metrics = compiled(PLAIN)(state.replace(**{player: changed}), batch())
        assert not np.isfinite(metrics["d_loss"]) and not np.isfinite(metrics["g_loss"])


@pytest.mark.slow
def test_running_statistics_move_once_for_each_batch_that_is_judged():
    """The discriminator's statistics come from the real and the generated batch, not from the generator's turn."""
    before, after, _ = one_step(FROZEN_G)
    gan = FROZEN_G.gan
    keys = jax.random.split(jax.random.fold_in(before.key, 0), 4)
    _, noise_key = jax.random.split(jax.random.fold_in(keys[1], 0))
    z = noise.latents(noise_key, 4, gan.latent_dim)
    fakes, _ = gan.generator.apply(before.generator.variables, z, train=True, mutable=["batch_stats"])
    variables = before.discriminator.variables
    for images in ((batch()["image"][0].astype(np.float32) - 127.5) / 127.5, fakes):
        _, updates = gan.discriminator.apply(variables, images, train=True, mutable=["batch_stats"])
        variables = {"params": variables["params"], **updates}
    for ours, expected in zip(
        jax.tree.leaves(after.discriminator.batch_stats), jax.tree.leaves(variables["batch_stats"]), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_the_discriminators_gradient_does_not_depend_on_the_generator_being_differentiated():
    """With SGD the new parameters show the gradient: the same whether or not G learns, and as computed without G."""
    before, after, _ = one_step(PLAIN)
    _, frozen, _ = one_step(FROZEN_G)
    assert same(after.discriminator.params, frozen.discriminator.params)

    gan = PLAIN.gan
    keys = jax.random.split(jax.random.fold_in(before.key, 0), 4)
    _, noise_key = jax.random.split(jax.random.fold_in(keys[1], 0))
    z = noise.latents(noise_key, 4, gan.latent_dim)
    fakes, _ = gan.generator.apply(before.generator.variables, z, train=True, mutable=["batch_stats"])
    fakes = np.asarray(fakes)  # numbers: nothing to differentiate through
    real = (batch()["image"][0].astype(np.float32) - 127.5) / 127.5

    def loss(params):
        variables = {"params": params, "batch_stats": before.discriminator.batch_stats}
        logits = [gan.discriminator.apply(variables, x, train=True, mutable=["batch_stats"])[0] for x in (real, fakes)]
        return losses.minimax_discriminator_loss(*logits)

    gradient = jax.grad(loss)(before.discriminator.params)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, before.discriminator.params, gradient)
    for ours, theirs in zip(jax.tree.leaves(after.discriminator.params), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_reused_noise_serves_both_players():
    """With a frozen D of no batch normalisation, G's loss is D's loss on the same fakes, told the other way."""
    gan = models.build("mlp_b", image_size=SIZE, generator_width=8, discriminator_width=8, latent_dim=5)
    frozen = {"generator_optimizer": optax.set_to_zero(), "discriminator_optimizer": optax.set_to_zero()}
    for reuse in (True, False):
        how = rules(gan=gan, reuse_noise=reuse, generator_loss=losses.minimax_generator_loss, **frozen)
        _, _, metrics = one_step(how)
        real = losses.minimax_discriminator_loss
        state = adversarial.init_state(jax.random.key(0), how)
        images = (batch()["image"][0].astype(np.float32) - 127.5) / 127.5
        logits = gan.discriminator.apply(state.discriminator.variables, images, train=False)
        silent = jnp.full(4, -1e4)
        fake_part = metrics["d_loss"] - real(logits, silent)
        assert np.isclose(-metrics["g_loss"], fake_part, rtol=1e-5) == reuse


@pytest.mark.slow
def test_critic_steps_on_one_batch_are_as_many_as_asked():
    how = rules(critic_steps=3, generator_optimizer=optax.set_to_zero(), reuse_noise=True)
    once = rules(critic_steps=1, generator_optimizer=optax.set_to_zero(), reuse_noise=True)
    state, after, metrics = one_step(how)
    # Three steps of one critic step each, with the same batch and the same noise.
    for _ in range(3):
        next_state, last = compiled(once)(state, batch())
        state = next_state.replace(step=state.step, generator=state.generator)
    for name in ("d_loss", "d_real", "d_fake"):  # logged is what the last of them saw
        np.testing.assert_allclose(metrics[name], last[name], rtol=1e-4)
    for ours, theirs in zip(
        jax.tree.leaves(after.discriminator.params), jax.tree.leaves(state.discriminator.params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_new_batches_have_new_negatives_and_a_batch_that_is_judged_again_keeps_its_own(monkeypatch):
    rotated, seen = negatives.rotated, []

    def noting(key, *arguments, **options):
        jax.debug.callback(lambda data: seen.append(tuple(data.tolist())), jax.random.key_data(key))
        return rotated(key, *arguments, **options)

    monkeypatch.setattr(negatives, "rotated", noting)
    how = rules(
        gan=models.build("cgan_mnist", **{**SMALL, "condition_dim": 10}),
        matching_aware=True,
        discriminator_loss=losses.matching_aware_discriminator_loss,
        critic_steps=3,
    )
    for new, different in ((False, 1), (True, 3)):
        one_step(dataclasses.replace(how, new_batch_each_critic_step=new), batch(3 if new else 1, condition_dim=10))
        jax.effects_barrier()
        assert len(seen) == 6 and len(set(seen)) == 2 * different  # a key for the conditions, and one for the pictures
        seen.clear()


def test_rules_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="cannot serve another"):
        rules(reuse_noise=True, new_batch_each_critic_step=True)
    with pytest.raises(ValueError, match="take no condition"):
        rules(matching_aware=True)


def test_batches_that_do_not_fit_the_rules_are_refused():
    with pytest.raises(ValueError, match="one batch a step"):
        one_step(PLAIN, batch(batches=2))
    how = rules(critic_steps=3, new_batch_each_critic_step=True)
    with pytest.raises(ValueError, match="a batch for each critic step"):
        one_step(how, jax.tree.map(lambda leaf: leaf[0], batch()))


@pytest.mark.slow
def test_joint_batch_takes_statistics_over_both_halves():
    separate = one_step(rules(discriminator_loss=losses.joint_batch_discriminator_loss))[2]
    together = one_step(rules(discriminator_loss=losses.joint_batch_discriminator_loss, joint_batch=True))[2]
    assert not np.isclose(separate["d_loss"], together["d_loss"], rtol=1e-4)
    # Without batch normalisation there is no difference.
    gan = models.build("mlp_b", image_size=SIZE, generator_width=8, discriminator_width=8, latent_dim=5)
    values = [one_step(rules(gan=gan, joint_batch=joint))[2]["d_loss"] for joint in (False, True)]
    np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.slow
def test_moving_average_covers_the_whole_variable_tree():
    how = rules(average_decay=0.9)
    before, after, _ = one_step(how)
    assert after.sampling_variables is after.average
    # At step 0 the decay is min(0.9, 1/10).
    expected = jax.tree.map(
        lambda old, new: 0.1 * old + 0.9 * new, before.generator.variables, after.generator.variables
    )
    for ours, theirs in zip(jax.tree.leaves(after.average), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert set(after.average) == {"params", "batch_stats"}
    assert before.generator.variables is not None and one_step(PLAIN)[1].average is None


@pytest.mark.slow
def test_late_in_a_run_the_average_has_the_decay_that_was_asked_for():
    how = rules(average_decay=0.9)
    before = start(how, 0).replace(step=jnp.int32(1000))
    after, _ = compiled(how)(before, batch())
    expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before.average, after.generator.variables)
    for ours, theirs in zip(jax.tree.leaves(after.average), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_real_pictures_are_augmented_and_generated_ones_are_not():
    data = batch()
    _, negated, _ = one_step(rules(augment=lambda _key, images, _axis: -images), data)
    _, expected, _ = one_step(PLAIN, {"image": 255 - data["image"]})
    leaves = [jax.tree.leaves(state) for state in (negated.discriminator, expected.discriminator)]
    for ours, theirs in zip(*leaves, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert not same(negated.discriminator.params, one_step(PLAIN, data)[1].discriminator.params)


def test_every_critic_step_is_augmented_with_a_key_of_its_own():
    seen = []

    def augment(key, images, _axis):
        jax.debug.callback(lambda data: seen.append(tuple(data.tolist())), jax.random.key_data(key))
        return images

    how = rules(augment=augment, critic_steps=3)
    after = one_step(how)[1]
    compiled(how)(after, batch())
    jax.effects_barrier()
    assert len(seen) == len(set(seen)) == 6


def test_initial_parameters_respect_the_bound_too():
    state = adversarial.init_state(jax.random.key(0), rules(clip=0.01))
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(state.discriminator.params))
    assert largest == np.float32(0.01)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(state.generator.params)) > 0.5


@pytest.mark.slow
def test_normalisation_may_be_exempt_from_the_bound():
    state, after, _ = one_step(rules(clip=0.01, clip_normalization=False))
    for players in (state, after):
        params = players.discriminator.params
        assert float(jnp.abs(params["BatchNorm_0"]["scale"]).max()) > 0.5
        assert float(jnp.abs(params["Conv_0"]["kernel"]).max()) <= np.float32(0.01)


def test_floating_point_pictures_are_taken_as_they_are():
    data = batch()
    floats = {"image": (data["image"].astype(np.float32) - 127.5) / 127.5}
    players = [one_step(PLAIN, data)[1].discriminator, one_step(PLAIN, floats)[1].discriminator]
    for ours, theirs in zip(*(jax.tree.leaves(player.params) for player in players), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)  # another program, other rounding


@pytest.mark.slow
def test_a_conditional_game_gives_the_condition_to_both_players():
    gan = models.build(
        "cgan_mnist", image_size=SIZE, generator_width=2, discriminator_width=2, latent_dim=5, condition_dim=3
    )
    how = rules(gan=gan)
    data = batch(condition_dim=3)
    other = {**data, "condition": np.roll(data["condition"], 1, axis=-1)}
    _, first, _ = one_step(how, data)
    _, second, _ = one_step(how, other)
    assert not same(first.generator.params, second.generator.params)
    assert not same(first.discriminator.params, second.discriminator.params)


@pytest.mark.slow
def test_of_the_four_things_that_are_judged_the_first_and_the_last_are_logged():
    """A loss of bare scores says which are which."""
    how = rules(
        gan=models.build("cgan_mnist", **{**SMALL, "condition_dim": 10}),
        matching_aware=True,
        discriminator_loss=lambda real, wrong_condition, wrong_image, fake: jnp.mean(real) - 2 * jnp.mean(fake),
        score=lambda logits: logits,
    )
    _, _, metrics = one_step(how, batch(condition_dim=10))
    np.testing.assert_allclose(metrics["d_loss"], metrics["d_real"] - 2 * metrics["d_fake"], rtol=1e-5)


def test_real_and_generated_pictures_are_judged_under_dropout_of_their_own():
    def apply(variables, images, *, train, mutable, rngs):
        return jax.random.normal(rngs["dropout"], images.shape[:1]), {}

    gan = types.SimpleNamespace(discriminator=types.SimpleNamespace(apply=apply))
    images = jnp.zeros((4, SIZE, SIZE, 1))
    player = adversarial.Player(params={}, batch_stats={}, opt_state=())
    (real, fake), _, _ = adversarial._judge(player, [(images,), (images,)], jax.random.key(0), PLAIN, gan)
    assert not np.array_equal(real, fake)
