"""Wrong pictures and wrong conditions are wrong, each in its way, on any number of devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.data import tags
from jaxgan.host.errors import UserError
from jaxgan.systems import negatives

ATTRIBUTES = (12, 11)


def test_rotated_never_leaves_the_batch_as_it_is():
    examples = jnp.arange(6)
    seen = set()
    for seed in range(40):
        rotated = np.asarray(negatives.rotated(jax.random.key(seed), examples))
        assert sorted(rotated) == list(range(6))
        assert (rotated != np.arange(6)).all()
        turn = functools.partial(negatives.rotated, jax.random.key(seed), axis_name="half")
        halves = jax.vmap(turn, axis_name="half")(examples.reshape(2, 3))
        np.testing.assert_array_equal(halves.reshape(-1), rotated)
        seen.add(int(rotated[0]))
    assert seen == {1, 2, 3, 4, 5}


def test_a_batch_of_one_has_nothing_wrong_to_show():
    with pytest.raises(UserError, match="raise batch_size"):
        negatives.rotated(jax.random.key(0), jnp.arange(1))


def test_rotated_back_makes_the_same_pairs():
    pictures, conditions = jnp.arange(6), jnp.arange(6) + 10
    for seed in range(10):
        key = jax.random.key(seed)
        pairs = zip(np.asarray(negatives.rotated(key, pictures)), np.asarray(conditions), strict=True)
        turn = functools.partial(negatives.rotated, key, axis_name="half", back=True)
        back = np.asarray(jax.vmap(turn, axis_name="half")(conditions.reshape(2, 3))).reshape(-1)
        np.testing.assert_array_equal(back, negatives.rotated(key, conditions, back=True))
        assert set(pairs) == set(zip(np.asarray(pictures), back, strict=True))


@pytest.mark.slow
def test_one_attribute_is_wrong_and_the_other_right():
    right = np.tile(tags.parse_condition("blue hair red eyes").astype(np.float32), (4000, 1))
    key = jax.random.key(0)
    wrong = np.asarray(negatives.wrong_in_one(key, right, ATTRIBUTES))
    np.testing.assert_array_equal(wrong[:, :12].sum(axis=1), 1)
    np.testing.assert_array_equal(wrong[:, 12:].sum(axis=1), 1)
    other_hair = (wrong[:, :12] != right[:, :12]).any(axis=1)
    other_eyes = (wrong[:, 12:] != right[:, 12:]).any(axis=1)
    assert (other_hair ^ other_eyes).all()
    assert abs(other_hair.mean() - 0.5) < 0.03  # four standard deviations
    hair, eyes = wrong[other_hair, :12].sum(axis=0), wrong[other_eyes, 12:].sum(axis=0)
    assert hair[8] == 0 and (np.delete(hair, 8) > 100).all()  # any other colour, evenly: 2000 / 11 each
    assert eyes[9] == 0 and (np.delete(eyes, 9) > 100).all()
    split = jax.vmap(lambda part: negatives.wrong_in_one(key, part, ATTRIBUTES, "half"), axis_name="half")
    np.testing.assert_array_equal(np.asarray(split(right.reshape(2, 2000, 23))).reshape(4000, 23), wrong)


def test_an_attribute_that_is_not_named_is_left_alone():
    right = np.stack([tags.parse_condition(text) for text in ("pink hair", "green eyes")] * 50).astype(np.float32)
    wrong = np.asarray(negatives.wrong_in_one(jax.random.key(1), right, ATTRIBUTES))
    assert (wrong != right).any(axis=1).all()
    np.testing.assert_array_equal(wrong.sum(axis=1), 1)
    assert not wrong[::2, 12:].any() and not wrong[1::2, :12].any()


@pytest.mark.parametrize("attributes", [(12, 12), (22, 1), (23, 23)])
def test_attributes_are_the_columns(attributes):
    with pytest.raises(ValueError, match="conditions of 23"):
        negatives.wrong_in_one(jax.random.key(0), np.zeros((2, 23), np.float32), attributes)
