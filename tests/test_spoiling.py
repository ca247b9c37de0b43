"""Spoiled pictures: by hand where nothing is random, and in the right direction with the strength."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.metrics import spoiling

KEY = jax.random.key(0)
NOISE = np.random.default_rng(0).uniform(-1, 1, (8, 4, 4, 3))
IMAGES = jnp.asarray(NOISE.repeat(3, axis=1).repeat(3, axis=2), jnp.float32)  # 12×12, of areas as drawings have them
spoil = jax.jit(spoiling.spoil, static_argnames="kind")


@pytest.mark.parametrize("kind", spoiling.KINDS)
def test_more_strength_is_further_away_and_none_is_none(kind):
    far = [float(jnp.abs(spoil(KEY, IMAGES, kind=kind, strength=s) - IMAGES).mean()) for s in (0.0, 0.15, 0.7, 1.0)]
    assert far[0] == 0
    assert far == sorted(far) and (kind == "none") == (far[-1] == 0)
    assert float(jnp.abs(spoil(KEY, IMAGES, kind=kind, strength=1.0)).max()) <= 1


def test_each_picture_may_have_its_own_strength():
    strengths = jnp.linspace(0, 1, 8)
    together = spoil(KEY, IMAGES, kind="faded", strength=strengths)
    for number, strength in enumerate(strengths):
        np.testing.assert_allclose(
            together[number], spoil(KEY, IMAGES, kind="faded", strength=strength)[number], atol=1e-6
        )


def test_by_hand():
    dot = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(1.0)
    once = spoil(KEY, dot, kind="blurred", strength=1 / 5)  # a single pass
    binomial = np.outer([0, 1, 2, 1, 0], [0, 1, 2, 1, 0]) / 16
    np.testing.assert_allclose(once[0, :, :, 0], binomial, atol=1e-6)
    colours = jnp.asarray([[[[0.9, 0.3, -0.6]]]])
    np.testing.assert_allclose(spoil(KEY, colours, kind="faded", strength=0.5)[0, 0, 0], [0.55, 0.25, -0.2], atol=1e-6)
    np.testing.assert_allclose(spoil(KEY, dot, kind="faded", strength=1.0), jnp.full_like(dot, 1 / 25), atol=1e-6)
    two = jnp.stack([jnp.zeros((2, 2, 1)), jnp.ones((2, 2, 1))])
    np.testing.assert_allclose(spoil(KEY, two, kind="mixed", strength=0.5)[:, 0, 0, 0], [0.25, 0.75], atol=1e-6)


def test_jitter_invents_no_tones_and_chequers_repeat():
    jittered = np.asarray(spoil(KEY, IMAGES, kind="jittered", strength=1.0))
    assert np.isin(jittered, np.asarray(IMAGES)).all()
    pattern = spoil(KEY, jnp.zeros((1, 12, 12, 1)), kind="chequered", strength=0.3)
    np.testing.assert_array_equal(pattern[:, :8, :8], pattern[:, 4:, 4:])


def test_half_of_the_pictures_are_spoilt_in_turn_of_chance_and_the_labels_say_how():
    images = jnp.tile(IMAGES, (100, 1, 1, 1))
    spoilt, labels = jax.jit(spoiling.spoil_some)(KEY, images)
    kinds = np.asarray(labels).argmax(axis=1)
    changed = np.asarray(jnp.abs(spoilt - images).max(axis=(1, 2, 3)) > 0)
    np.testing.assert_array_equal(changed, kinds != 0)
    counts = np.bincount(kinds, minlength=len(spoiling.KINDS))
    assert abs(counts[0] - 400) < 60 and (np.abs(counts[1:] - 400 / 6) < 35).all()
