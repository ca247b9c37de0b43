"""Conditional networks heed the condition; the discriminator refuses three kinds of wrong examples, each at a third."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from reference import cases, jax_training
from reference.cases import CASES
from reference.recording import recorded

from experiments.run.recipes import resolve
from jaxgan import losses
from jaxgan.host.errors import UserError
from jaxgan.systems import adversarial, interpolated


@pytest.mark.parametrize("name", ["cgan_anime", "cgan_mnist"])
def test_every_condition_makes_another_picture_and_another_verdict(name):
    gan = CASES[name].build(**CASES[name].narrow)
    conditions = np.eye(gan.condition_dim, dtype=np.float32)
    rng = np.random.default_rng(0)
    z = np.repeat(rng.standard_normal((1, gan.latent_dim), np.float32), gan.condition_dim, axis=0)
    x = np.repeat(np.tanh(rng.standard_normal((1, *gan.image_shape), np.float32)), gan.condition_dim, axis=0)
    for network, given in ((gan.generator, z), (gan.discriminator, x)):
        variables = cases.random_variables(network, scale=0.3)
        apply = jax.jit(lambda *arguments, network=network: network.apply(*arguments, train=False))
        output = np.asarray(apply(variables, given, conditions)).reshape(gan.condition_dim, -1)
        distances = np.abs(output[:, None] - output[None]).max(axis=-1)
        assert distances[~np.eye(gan.condition_dim, dtype=bool)].min() > 1e-4
        same = np.asarray(apply(variables, given, np.repeat(conditions[:1], len(given), axis=0)))
        np.testing.assert_allclose(same, np.repeat(same[:1], len(same), axis=0), rtol=1e-5, atol=1e-6)


def test_several_conditions_are_judged_as_one_after_the_other():
    gan = CASES["cgan_anime"].build(**CASES["cgan_anime"].narrow)
    assert gan.discriminator.several_conditions
    rng = np.random.default_rng(0)
    x = np.tanh(rng.standard_normal((3, *gan.image_shape), np.float32))
    y = rng.standard_normal((3, 2, gan.condition_dim), np.float32)
    variables = cases.random_variables(gan.discriminator, scale=0.3)
    judge = jax.jit(lambda x, y: gan.discriminator.apply(variables, x, y, train=True))
    each = np.stack([judge(x, y[:, place]) for place in range(2)], axis=1)
    np.testing.assert_allclose(judge(x, y), each, rtol=1e-5, atol=1e-6)
    assert np.abs(each[:, 0] - each[:, 1]).min() > 1e-3


def test_each_negative_counts_a_third():
    """Winning a term lowers the loss by a third of its cross-entropy; so are the gradients a third."""
    rng = np.random.default_rng(0)
    terms = [rng.standard_normal(5, np.float32) for _ in range(4)]
    loss = losses.matching_aware_discriminator_loss
    gradient = jax.grad(loss, argnums=(0, 1, 2, 3))(*terms)
    sigmoid = [1 / (1 + np.exp(-logits)) for logits in terms]
    np.testing.assert_allclose(gradient[0], (sigmoid[0] - 1) / 5, rtol=1e-5)
    for index in (1, 2, 3):
        np.testing.assert_allclose(gradient[index], sigmoid[index] / 5 / 3, rtol=1e-5)
        won = [np.full(5, -50, np.float32) if place == index else logits for place, logits in enumerate(terms)]
        np.testing.assert_allclose(loss(*terms) - loss(*won), np.log1p(np.exp(terms[index])).mean() / 3, rtol=1e-5)


@pytest.fixture(scope="module")
def played():
    """One step of ``cgan_anime`` with a single critic step: the critic before it, what it was given, and the loss."""
    gan = CASES["cgan_anime"].build(**CASES["cgan_anime"].narrow)
    rules = jax_training.rules_of(gan, critic_steps=1)
    variables = [cases.random_variables(module, scale=0.3) for module in (gan.generator, gan.discriminator)]
    state = jax_training.state_from(rules, *variables)
    (batch,) = jax_training.batches(rules, jax_training.pool(gan), steps=1)
    batch["image"] = batch["image"].astype(np.float32)
    with recorded(gan) as calls:
        _, metrics = jax.jit(lambda state, batch: adversarial.train_step(state, batch, rules))(state, batch)
        given = calls.take()["discriminator"][:4]
    judge = jax.jit(lambda *call: gan.discriminator.apply(variables[1], *call, train=False))
    logits = [np.asarray(judge(*call), np.float64) for call in given]
    return {name: values[0] for name, values in batch.items()}, given, logits, float(metrics["d_loss"])


@pytest.mark.slow
def test_the_wrong_examples_are_other_examples(played):
    batch, given, _, _ = played
    (x, y), (x_again, wrong_y), (wrong_x, y_of_another), (fake, y_of_fake) = given
    for pictures in (x, x_again, wrong_x):
        np.testing.assert_array_equal(pictures, batch["image"])
    for conditions in (y, y_of_fake):
        np.testing.assert_array_equal(conditions, batch["condition"])
    turns = [np.roll(y, places, axis=0) for places in range(1, len(y))]
    for wrong in (wrong_y, y_of_another):  # those of the examples some places further
        assert any(np.array_equal(wrong, turned) for turned in turns)
    assert np.abs(fake - x).max() > 0.1


@pytest.mark.slow
def test_a_discriminator_with_batch_statistics_sees_wrong_pictures_as_such():
    gan = CASES["cgan_mnist"].build(**CASES["cgan_mnist"].narrow)
    assert not gan.discriminator.several_conditions
    rules = dataclasses.replace(
        jax_training.rules_of(gan, critic_steps=1),
        matching_aware=True,
        discriminator_loss=losses.matching_aware_discriminator_loss,
    )
    state = jax_training.state_from(
        rules, *(cases.random_variables(module, scale=0.3) for module in (gan.generator, gan.discriminator))
    )
    (batch,) = jax_training.batches(rules, jax_training.pool(gan), steps=1)
    batch["image"] = batch["image"].astype(np.float32)
    with recorded(gan) as calls:
        jax.jit(lambda state, batch: adversarial.train_step(state, batch, rules))(state, batch)
        (x, y), (x_again, wrong_y), (wrong_x, y_again), (_, y_of_fake) = calls.take()["discriminator"][:4]
    for pictures in (x, x_again):
        np.testing.assert_array_equal(pictures, batch["image"][0])
    for conditions in (y, y_again, y_of_fake):
        np.testing.assert_array_equal(conditions, batch["condition"][0])
    for wrong, right in ((wrong_x, x), (wrong_y, y)):
        assert any(np.array_equal(wrong, np.roll(right, places, axis=0)) for places in range(1, len(right)))


@pytest.mark.slow
def test_a_wrong_condition_may_be_wrong_in_one_attribute():
    gan = CASES["cgan_anime"].build(**CASES["cgan_anime"].narrow)
    rules = dataclasses.replace(jax_training.rules_of(gan, critic_steps=1), wrong_attributes=(2, 2))
    state = jax_training.state_from(
        rules, *(cases.random_variables(module, scale=0.3) for module in (gan.generator, gan.discriminator))
    )
    (batch,) = jax_training.batches(rules, jax_training.pool(gan), steps=1)
    batch["condition"] = np.tile(np.array([1, 0, 0, 1], batch["condition"].dtype), (*batch["condition"].shape[:2], 1))
    with recorded(gan) as calls:
        jax.jit(lambda state, batch: adversarial.train_step(state, batch, rules))(state, batch)
        (_, right), (_, wrong), *_ = calls.take()["discriminator"][:4]
    np.testing.assert_array_equal(right, batch["condition"][0])
    assert {tuple(row) for row in wrong} <= {(0, 1, 0, 1), (1, 0, 1, 0)}


@pytest.mark.slow
def test_the_generator_also_learns_from_means_of_conditions_and_the_discriminator_does_not():
    gan = CASES["cgan_anime"].build(**CASES["cgan_anime"].narrow)
    rules = dataclasses.replace(
        jax_training.rules_of(gan, critic_steps=1),
        interpolate=True,
        reuse_noise=True,
        discriminator_optimizer=optax.set_to_zero(),
    )
    state = jax_training.state_from(
        rules, *(cases.random_variables(module, scale=0.3) for module in (gan.generator, gan.discriminator))
    )
    (batch,) = jax_training.batches(rules, jax_training.pool(gan), steps=1)
    given = np.asarray(batch["condition"][0], np.float32)
    with recorded(gan) as calls:
        _, metrics = jax.jit(lambda state, batch: adversarial.train_step(state, batch, rules))(state, batch)
        seen = calls.take()
    (z, asked) = seen["generator"][0]
    *own, (fakes, judged) = seen["discriminator"]
    np.testing.assert_array_equal(asked, judged)
    assert len(asked) == len(fakes) == len(z) == 3 * len(given) // 2
    np.testing.assert_array_equal(interpolated.given_of(asked), given)
    shifts = [0.5 * (given + np.roll(given, places, axis=0))[::2] for places in range(1, len(given))]
    assert any(np.array_equal(asked[2::3], shift) for shift in shifts)
    assert len(np.unique(z, axis=0)) == len(z)
    for pictures, conditions in own:
        assert len(pictures) == len(given) and np.isin(conditions, (0, 1)).all()
    np.testing.assert_array_equal(own[-1][0], interpolated.given_of(fakes))  # with reused noise
    logits = gan.discriminator.apply({"params": state.discriminator.params}, fakes, judged, train=True)
    assert metrics["g_loss"] == pytest.approx(np.log1p(np.exp(-logits)).mean(), rel=1e-5)


def test_interpolated_conditions_by_hand():
    given = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    between = np.asarray(interpolated.means(jax.random.key(0), given))
    others = 2 * between - given[::2]
    assert any(np.array_equal(others, np.roll(given, places, axis=0)[::2]) for places in (1, 2, 3))
    both = np.asarray(interpolated.joined(given, between))
    np.testing.assert_array_equal(both, np.stack([*given[:2], between[0], *given[2:], between[1]]))
    np.testing.assert_array_equal(interpolated.given_of(both), given)
    with pytest.raises(UserError, match=r"interpolate_conditions: .* which is 3"):
        interpolated.means(jax.random.key(0), given[:3])


@pytest.mark.slow
def test_the_step_minimises_all_four_terms(played):
    _, _, logits, d_loss = played
    accepted = np.log1p(np.exp(-logits[0])).mean()
    refused = [np.log1p(np.exp(values)).mean() for values in logits[1:]]
    assert d_loss == pytest.approx(accepted + sum(refused) / 3, rel=1e-5)
    for term in refused:  # none could be left out unnoticed
        assert abs(d_loss - (accepted + (sum(refused) - term) / 3)) > 1e-2


def test_pairs_that_are_held_out_are_in_no_picture_and_their_colours_in_others():
    from benchmarks import held_out_pairs
    from jaxgan.data import avatars

    out, others = held_out_pairs.split_pairs(20, 0)
    assert len(out) == 20 and len(out) + len(others) == 132 and not set(out) & set(others)
    assert {hair for hair, _ in others} == set(range(12)) and {eyes for _, eyes in others} == set(range(11))
    drawn = avatars.load(size=48, count=60)
    kept = held_out_pairs.without(drawn, out)
    images, conditions = held_out_pairs.of_pairs(drawn, out)
    assert 0 < len(images) < 60 and len(images) + len(kept) == 60
    assert len(held_out_pairs.of_pairs(kept, out)[0]) == 0
    seen = held_out_pairs.seen_in_pixels(images)
    assert held_out_pairs.right(seen, conditions)["hair"] > 0.9
    assert held_out_pairs.right(seen, np.roll(conditions, 1, axis=1))["both"] < 0.2


def test_pairs_are_judged_by_a_classifier_too_and_drawn_as_the_flag_file_has_it():
    from benchmarks import held_out_pairs
    from jaxgan.data import avatars, heads, tags
    from jaxgan.metrics.features import Embedding, FeatureNetwork

    pairs = [(3, 4), (3, 4), (11, 10), (0, 0)]
    conditions = np.stack([avatars.condition(*pair) for pair in pairs])
    seen = np.stack([avatars.condition(*pair) for pair in [(3, 4), (3, 5), (10, 10), (1, 1)]])
    network = FeatureNetwork(
        "stand-in", "", lambda images: Embedding(images[:, 0, 0], seen), heads.heads_of(tags.CONDITION_NAMES)
    )
    found = held_out_pairs.judged(network, np.zeros((4, 32, 32, 3), np.uint8), conditions)
    assert found["number"] == 4 and set(found) == {"number", "classifier", "pixels"}
    assert found["classifier"] == {"hair": 0.5, "eyes": 0.5, "both": 0.25}
    recipe = held_out_pairs.recipe_of({"steps": 7}, 3)
    assert (recipe.image_size, recipe.num_examples, recipe.steps, recipe.seed) == (32, 30_000, 7, 3)
    assert recipe.wrong_in_one and recipe.average_decay == 0.995


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": "projection_gan", "auxiliary_classifier": 1.0, "matching_aware": True}, "--auxiliary_classifier"),
        ({"model": "projection_gan", "auxiliary_classifier": 0.0}, "--auxiliary_classifier"),
        ({"model": "mlp_a", "interpolate_conditions": True}, "--interpolate_conditions"),
        ({"model": "cgan_mnist", "interpolate_conditions": True, "batch_size": 7}, "--batch_size=7: must be even"),
    ],
)
def test_settings_of_conditions_that_contradict_others_are_refused(flags, message):
    with pytest.raises(UserError) as refused:
        resolve(flags, (flags["model"],))
    assert message in refused.value.as_flags
