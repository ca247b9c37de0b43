"""Experience replay: what the discriminator sees, what the history keeps, and on how many devices."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_adversarial import batch, one_step, rules

from experiments.run.recipes import default_recipe
from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.systems import adversarial
from jaxgan.systems.gan import build_gan, build_rules
from jaxgan.systems.replay import History, exchange

pytestmark = pytest.mark.slow

KEYS = jax.random.split(jax.random.key(0), 50)
SMALL = {"image_size": 16, "generator_width": 4, "discriminator_width": 4}


def fresh(step, count=4):
    """Pictures that tell the step and the place that they come from: 104 is that of place 4 in step 1."""
    numbers = 100.0 * step + jnp.arange(count)
    return (jnp.broadcast_to(numbers[:, None, None, None], (count, 2, 2, 1)), numbers[:, None])


def played(steps, size=6, count=4):
    """The history after each step, and what was shown, as numbers."""
    history, seen = History.empty(size, ((2, 2, 1), (1,))), []
    for step in range(steps):
        history, (images, told) = jax.jit(exchange)(history, KEYS[step], fresh(step, count))
        np.testing.assert_array_equal(images[:, 0, 0], told)  # pictures keep their conditions
        np.testing.assert_array_equal(history.examples[0][:, 1, 1], history.examples[1])
        seen.append((np.asarray(told)[:, 0], np.asarray(history.examples[1])[:, 0], int(history.filled)))
    return seen


def test_at_first_the_batch_is_as_it_was_and_its_first_halves_fill_the_history():
    seen = played(3)
    np.testing.assert_array_equal(seen[0][0], [0, 1, 2, 3])
    np.testing.assert_array_equal(seen[0][1], [0, 2, 0, 0, 0, 0])
    np.testing.assert_array_equal(seen[2][1], [0, 2, 100, 102, 200, 202])
    assert [filled for *_, filled in seen] == [2, 4, 6]


def test_every_second_picture_is_one_of_the_history_of_former_steps():
    for step, (shown, _, _) in enumerate(seen := played(30)):
        np.testing.assert_array_equal(shown[::2], 100.0 * step + np.array([0, 2]))
        if step:
            _, before, filled = seen[step - 1]
            assert set(shown[1::2]) <= set(before[:filled])


def test_once_full_new_ones_take_the_places_of_as_many_random_ones():
    seen = played(40)
    changed = np.array([now[1] != before[1] for before, now in itertools.pairwise(seen[3:])])
    assert (changed.sum(axis=1) == 2).all() and changed.any(axis=0).all()
    assert len({tuple(np.flatnonzero(row)) for row in changed}) > 5
    assert all(filled == 6 for *_, filled in seen[2:])


def test_a_size_that_half_batches_do_not_divide_is_filled_to_the_end():
    seen = played(4, size=5, count=6)  # three at a time
    np.testing.assert_array_equal(seen[1][1], [104, 2, 4, 100, 102])
    assert [filled for *_, filled in seen] == [3, 5, 5, 5]


@pytest.mark.slow
def test_devices_have_the_same_history_and_their_share_of_what_is_shown():
    history, _ = exchange(History.empty(6, ((2, 2, 1), (1,))), KEYS[0], fresh(0, 6))
    whole, shown = exchange(history, KEYS[1], fresh(1, 6))
    parts = jax.tree.map(lambda array: array.reshape(2, 3, *array.shape[1:]), fresh(1, 6))
    shared = jax.vmap(lambda part: exchange(history, KEYS[1], part, "half"), axis_name="half")
    histories, halves = shared(parts)
    for one, both in zip(jax.tree.leaves(whole), jax.tree.leaves(histories), strict=True):
        np.testing.assert_array_equal(both[0], one)
        np.testing.assert_array_equal(both[1], one)
    np.testing.assert_array_equal(halves[1].reshape(6, 1), shown[1])


def test_the_discriminator_sees_the_history_and_the_generator_learns_from_new_ones():
    """D is linear enough to be asked: with a history of white pictures, d_fake alone moves."""
    gan = models.build("mlp_b", latent_dim=5, **SMALL)
    still = {"discriminator_optimizer": optax.set_to_zero(), "generator_optimizer": optax.set_to_zero()}
    how = rules(gan=gan, replay=4, **still)
    before, after, metrics = one_step(how)
    assert int(after.extra["history"].filled) == 2
    _, _, without = one_step(rules(gan=gan, **still))
    assert {name: float(value) for name, value in metrics.items()} == {
        name: float(value) for name, value in without.items()
    }
    white = History((jnp.ones((4, 16, 16, 1)),), jnp.int32(4))
    _, again = jax.jit(functools.partial(adversarial.train_step, rules=how))(
        before.replace(extra={"history": white}), batch()
    )
    changed = {name for name in metrics if float(metrics[name]) != float(again[name])}
    assert changed == {"d_loss", "d_fake"}


def test_conditions_are_kept_with_their_pictures():
    gan = models.build("cgan_mnist", latent_dim=5, condition_dim=3, **SMALL)
    how = rules(gan=gan, replay=4, critic_steps=2)
    _, after, _ = one_step(how, batch(condition_dim=3))
    images, told = after.extra["history"].examples
    assert images.shape == (4, 16, 16, 1) and told.shape == (4, 3)
    assert int(after.extra["history"].filled) == 4  # two in each critic step
    np.testing.assert_array_equal(told, np.tile(batch(condition_dim=3)["condition"][0, ::2], (2, 1)))


def test_it_is_a_setting_that_holds_half_a_batch():
    recipe = dataclasses.replace(default_recipe("cgan_mnist"), replay=64)
    recipe.check()
    assert build_rules(recipe, build_gan(recipe, 1, 10)).replay == 64
    for given in ({"replay": 31}, {"replay": -1}, {"penalty": "gp"}, {"penalty": "r2"}):
        with pytest.raises(UserError, match="replay"):
            dataclasses.replace(recipe, batch_size=64, **given).check()
    dataclasses.replace(recipe, penalty="r1").check()
