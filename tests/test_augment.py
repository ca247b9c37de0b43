"""Augmentation on the device: exact where it can be, and each example by its own key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxgan.ops import augment

IMAGES = jax.random.uniform(jax.random.key(0), (64, 9, 9, 3), minval=-1, maxval=1)


def test_nothing_asked_for_is_nothing():
    assert augment.build() is None


def test_flip_mirrors_about_half_of_the_pictures_and_changes_no_other():
    flipped = augment.build(flip=True)(jax.random.key(1), IMAGES, None)
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, IMAGES, strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)])
    assert (mirrored ^ same).all()
    assert 20 <= mirrored.sum() <= 44


def test_rotation_by_quarters_is_exact():
    image = IMAGES[0]
    for quarters in range(4):
        turned = augment.rotate(image, jnp.float32(90 * quarters))
        np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-5)


def test_rotation_agrees_with_scipy():
    image = np.asarray(IMAGES[0])
    for degrees in (7.0, -20.0, 33.0):
        expected = scipy.ndimage.rotate(image, degrees, reshape=False, order=1, mode="nearest")
        np.testing.assert_allclose(augment.rotate(image, jnp.float32(degrees)), expected, atol=1e-4)


def test_each_picture_turns_by_its_own_angle_within_the_bound():
    ramp = jnp.broadcast_to(jnp.linspace(-1, 1, 17)[None, None, :, None], (50, 17, 17, 1))
    turned = augment.build(rotation=20.0)(jax.random.key(2), ramp, None)
    # In a ramp along x the slope along y at the centre is −sin of the angle times the ramp's own slope (1/8).
    angles = np.rad2deg(np.arcsin(np.asarray(turned[:, 9, 8, 0] - turned[:, 7, 8, 0]) / 2 * 8))
    assert np.abs(angles).max() <= 20.0 + 0.1
    assert len(np.unique(angles.round(3))) > 40
    assert angles.min() < -10 < 10 < angles.max()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_pictures_keep_their_type_where_numbers_may_be_long(dtype):
    with jax.enable_x64(True):
        images = IMAGES.astype(dtype)
        assert augment.build(flip=True, rotation=20.0)(jax.random.key(1), images, None).dtype == dtype


@pytest.mark.slow
def test_who_is_mirrored_says_nothing_of_the_angle():
    ramp = jnp.broadcast_to(jnp.linspace(-1, 1, 17)[None, None, :, None], (400, 17, 17, 1))
    changed = np.asarray(augment.build(flip=True, rotation=20.0)(jax.random.key(4), ramp, None))
    along_x, along_y = changed[:, 8, 9, 0] - changed[:, 8, 7, 0], changed[:, 9, 8, 0] - changed[:, 7, 8, 0]
    mirrored, positive = along_x < 0, along_y / along_x < 0
    assert 0.4 < np.mean(mirrored == positive) < 0.6  # one key for both would give 0 or 1


@pytest.mark.slow
def test_the_same_key_gives_the_same_pictures_on_any_number_of_devices():
    change = augment.build(flip=True, rotation=15.0)
    whole = change(jax.random.key(3), IMAGES, None)
    halves = jax.vmap(lambda part: change(jax.random.key(3), part, "half"), axis_name="half")(
        IMAGES.reshape(2, 32, 9, 9, 3)
    )
    np.testing.assert_allclose(halves.reshape(whole.shape), whole, atol=1e-6)
