"""Adaptive augmentation: its operations by hand and as in PyTorch, and how its probability is adjusted."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_adversarial import batch, one_step, rules

from experiments.run.recipes import default_recipe
from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.ops import adaptive_augmentation as augmentation
from jaxgan.ops.adaptive_augmentation import Draw
from jaxgan.ops.affine_maps import warp
from jaxgan.systems import adversarial
from jaxgan.systems.ada import AdaptiveAugmentation, ADAState, adjusted
from jaxgan.systems.gan import build_gan, build_rules

pytestmark = pytest.mark.slow

KEY = jax.random.key(3)
IMAGES = jax.random.uniform(jax.random.key(0), (24, 8, 8, 3), minval=-1, maxval=1)


def only(count=1, **values):
    """Draws of which only the named operations happen at a probability of one half."""
    draws = augmentation.draw(jax.random.split(KEY, count))
    return {
        name: Draw(jnp.full(count, 0.0 if name in values else 0.99), jnp.asarray(values.get(name, drawn.value)))
        for name, drawn in draws.items()
    }


def moved(image, **values):
    """An image (H, W, C) under some geometric operations."""
    matrices = augmentation.geometry(only(**{name: jnp.array([value]) for name, value in values.items()}), 0.5, (8, 8))
    return np.asarray(warp(image[None], matrices)[0])


def colored(image, **values):
    matrices = augmentation.colors(only(**{name: jnp.array([value]) for name, value in values.items()}), 0.5)
    return np.asarray(augmentation.recolor(image[None], matrices)[0])


def test_nothing_happens_at_a_probability_of_zero_and_everything_at_one():
    nothing = augmentation.augment(KEY, IMAGES, None, probability=jnp.float32(0))
    np.testing.assert_array_equal(nothing, IMAGES)
    changed = np.asarray(augmentation.augment(KEY, IMAGES, None, probability=jnp.float32(1)))
    assert (np.abs(changed - IMAGES).max(axis=(1, 2, 3)) > 0.1).all()
    rarely = np.asarray(augmentation.augment(KEY, IMAGES, None, probability=jnp.float32(0.02)))
    same = np.abs(rarely - IMAGES).max(axis=(1, 2, 3)) < 1e-5
    assert 12 <= same.sum() < 24  # 0.98^13 is 0.77


def test_operations_that_do_not_happen_leave_the_picture():
    np.testing.assert_allclose(moved(IMAGES[0]), IMAGES[0], atol=1e-5)
    np.testing.assert_allclose(colored(IMAGES[0]), IMAGES[0], atol=1e-5)


def test_flips_and_quarter_turns_are_numpys():
    image = IMAGES[0]
    np.testing.assert_allclose(moved(image, flip=True), image[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(moved(image, flip=False), image, atol=1e-5)
    for turns in range(4):
        np.testing.assert_allclose(moved(image, quarter_turns=turns), np.rot90(image, turns), atol=2e-5)


def test_shifts_are_in_shares_of_the_side_whole_ones_rounded_and_edges_are_mirrored():
    image = IMAGES[0]
    # 0.13 · 8 is 1.04 pixels to the right, rounded to 1; what comes in from the left is the mirrored column 1.
    expected = np.concatenate([image[:, 1:2], image[:, :-1]], axis=1)
    np.testing.assert_allclose(moved(image, whole_shift=[0.13, 0.0]), expected, atol=1e-5)
    down = np.concatenate([image[2:0:-1], image[:-2]], axis=0)
    np.testing.assert_allclose(moved(image, shift=[0.0, 2.0]), down, atol=1e-5)  # 2 · 0.125 · 8


def test_scales_enlarge_and_stretch_along_x():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, :, None] - 3.5, (8, 8, 1))
    np.testing.assert_allclose(moved(ramp, scale=5.0), ramp / 2, atol=1e-5)  # 2^(0.2 · 5)
    np.testing.assert_allclose(moved(ramp, stretch=5.0), ramp / 2, atol=1e-5)
    upright = ramp.transpose(1, 0, 2)
    np.testing.assert_allclose(moved(upright, stretch=5.0)[3:5], 2 * upright[3:5], atol=1e-5)


def test_rotations_turn_about_the_centre():
    for name in ("rotation_before", "rotation_after"):
        np.testing.assert_allclose(moved(IMAGES[0], **{name: np.pi / 2}), np.rot90(IMAGES[0]), atol=2e-5)
    # One of both happens with the probability p: at ½ each below 1 − √½.
    gates = only(rotation_before=jnp.array([1.0]))
    gates["rotation_before"] = gates["rotation_before"]._replace(gate=jnp.array([0.3]))
    still = augmentation.geometry(gates, 0.5, (8, 8))
    np.testing.assert_allclose(still[0], np.eye(3), atol=1e-6)


def test_colours_by_hand():
    pixel = jnp.array([[[0.9, 0.3, 0.0]]])  # its mean is 0.4
    np.testing.assert_allclose(colored(pixel, brightness=2.0), pixel + 0.4, atol=1e-6)
    np.testing.assert_allclose(colored(pixel, contrast=2.0), 2 * pixel, atol=1e-6)
    np.testing.assert_allclose(colored(pixel, luma_flip=True), pixel - 0.8, atol=1e-6)
    np.testing.assert_allclose(colored(pixel, saturation=1.0), 2 * (pixel - 0.4) + 0.4, atol=1e-6)
    # A third of a turn about grey carries red to green, green to blue and blue to red.
    np.testing.assert_allclose(colored(pixel, hue=2 * np.pi / 3), [[[0.0, 0.9, 0.3]]], atol=1e-6)


def test_a_grey_picture_keeps_one_channel_and_refuses_two():
    grey = IMAGES[..., :1]
    brighter = augmentation.recolor(grey[:1], augmentation.colors(only(brightness=jnp.array([1.0])), 0.5))
    np.testing.assert_allclose(brighter, grey[:1] + 0.2, atol=1e-6)
    turned = augmentation.recolor(grey[:1], augmentation.colors(only(hue=jnp.array([1.0])), 0.5))
    np.testing.assert_allclose(turned, grey[:1], atol=1e-6)
    with pytest.raises(ValueError, match="1 or 3 channels, not of 2"):
        augmentation.augment(KEY, IMAGES[..., :2], None, probability=jnp.float32(1))


@pytest.mark.slow
def test_the_same_key_gives_the_same_pictures_on_any_number_of_devices():
    def change(images, axis_name):
        return augmentation.augment(KEY, images, axis_name, probability=jnp.float32(0.7))

    halves = jax.vmap(lambda part: change(part, "half"), axis_name="half")(IMAGES.reshape(2, 12, 8, 8, 3))
    np.testing.assert_allclose(halves.reshape(IMAGES.shape), change(IMAGES, None), atol=1e-5)


@pytest.mark.torch
def test_values_and_gradients_are_pytorchs():
    """In float64, by its grid_sample with mirrored edges, from the same draws; every operation happens to some."""
    pytest.importorskip("torch", reason="the reference needs PyTorch")
    from reference import torch_augmentation
    from reference.torch_play import picture

    random = np.random.default_rng(0)
    images, weights = random.uniform(-1, 1, (2, 16, 7, 9, 3))
    with jax.enable_x64(True):
        draws = augmentation.draw(jax.random.split(KEY, 16))
        assert draws["scale"].value.dtype == np.float64

        def ours(x):
            return augmentation.recolor(
                warp(x, augmentation.geometry(draws, 0.7, (7, 9))), augmentation.colors(draws, 0.7)
            )

        found, pull_back = jax.vjp(ours, jnp.asarray(images))
        [gradient] = pull_back(jnp.asarray(weights))
    x = picture(images).requires_grad_()
    theirs = torch_augmentation.ada(x, {name: tuple(map(np.array, drawn)) for name, drawn in draws.items()}, 0.7)
    (theirs * picture(weights)).sum().backward()
    for mine, reference in ((found, theirs.detach()), (gradient, x.grad)):
        np.testing.assert_allclose(mine, reference.permute(0, 2, 3, 1).numpy(), rtol=0, atol=1e-10)


def test_the_probability_is_adjusted_every_four_steps_towards_the_target():
    rule, state, found = AdaptiveAugmentation(target=0.6, images=1.0, every=4), ADAState.start(), []
    for step, sign in enumerate([1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, *[1.0] * 4]):
        state = adjusted(state, rule, jnp.float32(sign), 50, jnp.int32(step))
        found.append(float(state.probability))
    # A mean of 0.75 over 200 pictures raises it by 200/1000, one of 0.25 lowers it by as much, and so on.
    np.testing.assert_allclose(found, [0] * 3 + [0.2] * 4 + [0] * 4 + [0.2], atol=1e-6)


def test_the_probability_stays_between_none_and_always():
    rule = AdaptiveAugmentation(images=0.1, every=1)
    for sign, bound in ((1.0, 1.0), (-1.0, 0.0)):
        state = ADAState.start().replace(probability=jnp.float32(0.5))
        for step in range(3):
            state = adjusted(state, rule, jnp.float32(sign), 64, jnp.int32(step))
        assert float(state.probability) == bound


def test_a_step_counts_the_signs_of_real_pictures_and_reports_the_probability_that_it_had():
    """With a discriminator that is not moved, the sum of signs is that of what it says of them."""
    gan = models.build("mlp_b", image_size=16, generator_width=4, discriminator_width=4, latent_dim=5)
    how = rules(gan=gan, ada=AdaptiveAugmentation(), discriminator_optimizer=optax.set_to_zero(), critic_steps=2)
    before, after, metrics = one_step(how)
    real = (batch()["image"][0].astype(np.float32) - 127.5) / 127.5
    logits = gan.discriminator.apply(before.discriminator.variables, real, train=False)
    assert float(after.extra["ada"].signs) == 2 * float(np.sign(logits).sum())
    assert float(after.extra["ada"].count) == 8
    assert float(metrics["ada_p"]) == 0.0 and "sign" not in metrics
    augmented = before.replace(extra={"ada": before.extra["ada"].replace(probability=jnp.float32(0.9))})
    _, again = jax.jit(functools.partial(adversarial.train_step, rules=how))(augmented, batch())
    assert float(again["ada_p"]) == pytest.approx(0.9)
    assert float(again["d_real"]) != float(metrics["d_real"]) and float(again["g_loss"]) != float(metrics["g_loss"])


def test_it_is_a_setting():
    recipe = dataclasses.replace(default_recipe("dcgan_64"), ada=True, ada_target=0.5, ada_kimg=100.0)
    assert build_rules(recipe, build_gan(recipe, 3, 0)).ada == AdaptiveAugmentation(0.5, 100.0, 4)
    assert build_rules(default_recipe("dcgan_64"), build_gan(recipe, 3, 0)).ada is None
    for given in ({"ada_target": 1.0}, {"ada_kimg": 0.0}):
        with pytest.raises(UserError, match=f"{next(iter(given))}"):
            dataclasses.replace(recipe, **given).check()
