"""DiffAugment: each operation by hand and as in PyTorch, draws of their own, and the generator's gradient."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.run.recipes import default_recipe
from jaxgan.host.errors import UserError
from jaxgan.ops import differentiable_augmentation as augmentation
from jaxgan.systems.gan import build_gan, build_rules

pytestmark = pytest.mark.slow

IMAGES = jax.random.uniform(jax.random.key(0), (64, 16, 12, 3), minval=-1, maxval=1)
ALL = ("color", "translation", "cutout", "affine")
KEY = jax.random.key(7)


def test_nothing_asked_for_is_nothing():
    assert augmentation.build(()) is None


def test_colours_by_hand():
    image = jnp.array([[[[0.0, 0.6], [-0.4, 0.2]]]])  # one row of two pixels of two channels, with the mean 0.1
    one = jnp.array([2.0])
    np.testing.assert_allclose(augmentation.brightness(image, one), image + 2)
    saturated = [[[[-0.3, 0.9], [-0.7, 0.5]]]]  # about 0.3 and −0.1
    np.testing.assert_allclose(augmentation.saturation(image, one), saturated, atol=1e-6)
    contrasted = [[[[-0.1, 1.1], [-0.9, 0.3]]]]
    np.testing.assert_allclose(augmentation.contrast(image, one), contrasted, atol=1e-6)


def test_a_translation_goes_downwards_and_to_the_right_and_fills_with_zeros():
    image = np.arange(1.0, 13).reshape(1, 3, 4, 1)
    moved = augmentation.translate(jnp.asarray(image), jnp.array([[1, -2]]), limits=(2, 2))[0, :, :, 0]
    np.testing.assert_array_equal(moved, [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0]])


def test_a_cutout_is_a_rectangle_of_zeros_and_what_lies_outside_is_ignored():
    ones = jnp.ones((2, 4, 5, 1))
    cut = augmentation.cutout(ones, jnp.array([[0, 5], [2, 2]]), size=(2, 3))[..., 0]
    np.testing.assert_array_equal(cut[0], [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    np.testing.assert_array_equal(cut[1], [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]])


def test_translations_reach_an_eighth_of_each_side_and_no_further():
    ones = jnp.ones((4000, 16, 12, 1))
    moved = np.asarray(augmentation.build(("translation",))(KEY, ones, None))[..., 0]
    rows, columns = (moved.max(axis=axis) for axis in (2, 1))
    lost = {(int(row.sum()), int(column.sum())) for row, column in zip(rows, columns, strict=True)}
    # int(16/8 + ½) = 2 of 16 rows, int(12/8 + ½) = 2 of 12 columns, in all combinations
    assert lost == {(16 - i, 12 - j) for i in range(3) for j in range(3)}
    assert 0.15 < np.mean(rows[:, :2].sum(1) == 0) < 0.25  # a fifth is moved by 2 downwards


def test_cutouts_are_half_of_each_side_about_any_pixel():
    ones = jnp.ones((4000, 16, 13, 1))
    cut = 1 - np.asarray(augmentation.build(("cutout",))(KEY, ones, None))[..., 0]
    rows, columns = (cut.max(axis=axis) for axis in (2, 1))
    heights, widths = rows.sum(axis=1), columns.sum(axis=1)
    # 8 rows, the centre from 0 to 16 with either; 7 columns (an odd number), the centre from 0 to 12
    assert (heights.min(), heights.max(), widths.min(), widths.max()) == (4, 8, 4, 7)
    assert set(rows.argmax(axis=1)) == set(range(13)) and set(columns.argmax(axis=1)) == set(range(10))
    assert 0.45 < np.mean(heights == 8) < 0.62  # 9 of 17


def test_an_affine_change_by_hand():
    image = jnp.zeros((33, 33)).at[6, 16].set(1.0)  # ten pixels above the centre

    def place(**draws):
        names = ("turn", "lean", "width", "height", "right", "down")
        given = jnp.array([[draws.get(name, 0.0) for name in names]])
        moved = augmentation.affine(image[None, :, :, None], given)[0, :, :, 0]
        rows, columns = np.meshgrid(np.arange(33) - 16, np.arange(33) - 16, indexing="ij")
        return (rows * moved).sum() / moved.sum(), (columns * moved).sum() / moved.sum()

    np.testing.assert_allclose(place(), (-10, 0), atol=1e-5)
    np.testing.assert_allclose(place(right=1.0, down=-0.5), (-10 - 33 / 32, 33 / 16), atol=1e-4)
    # A point between pixels is read bilinearly, which moves its centre by up to a tenth of a pixel.
    np.testing.assert_allclose(place(height=1.0), (-12, 0), atol=0.1)
    np.testing.assert_allclose(place(height=-1.0, width=1.0), (-10 / 1.2, 0), atol=0.1)
    np.testing.assert_allclose(place(lean=1.0), (-10, 3), atol=1e-4)
    angle = np.deg2rad(20)
    np.testing.assert_allclose(place(turn=1.0), (-10 * np.cos(angle), -10 * np.sin(angle)), atol=0.1)  # to the left
    # Turned about the centre, and only then shifted.
    both = (-10 * np.cos(angle), -10 * np.sin(angle) + 33 / 16)
    np.testing.assert_allclose(place(turn=1.0, right=1.0), both, atol=0.1)


def test_colours_have_their_bounds():
    grey = jnp.full((4000, 2, 2, 3), 0.25)
    shifted = np.asarray(augmentation.build(("color",))(KEY, grey, None))[:, 0, 0, 0] - 0.25
    assert -0.5 <= shifted.min() < -0.49 and 0.49 < shifted.max() <= 0.5 and abs(shifted.mean()) < 0.02
    # Only saturation moves channels apart, and only contrast pixels: their means are what is moved about.
    colours = jnp.tile(jnp.array([0.3, 0.0, -0.3]), (4000, 2, 2, 1))
    spread = np.ptp(np.asarray(augmentation.build(("color",))(KEY, colours, None))[:, 0, 0], axis=1) / 0.6
    assert 0 <= spread.min() < 0.02 and 2.7 < spread.max() <= 3.0 and abs(spread.mean() - 1) < 0.05


def test_pictures_and_policies_have_draws_of_their_own():
    same = jnp.tile(IMAGES[:1], (50, 1, 1, 1))
    for policy in ALL:
        seen = np.asarray(augmentation.build((policy,))(KEY, same, None)).reshape(50, -1)
        assert len(np.unique(seen, axis=0)) > 15


@pytest.mark.slow
def test_the_same_key_gives_the_same_pictures_on_any_number_of_devices():
    change = augmentation.build(ALL)
    whole = change(KEY, IMAGES, None)
    halves = jax.vmap(lambda part: change(KEY, part, "half"), axis_name="half")(IMAGES.reshape(2, 32, 16, 12, 3))
    np.testing.assert_allclose(halves.reshape(whole.shape), whole, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_pictures_keep_their_type(dtype):
    with jax.enable_x64(True):
        assert augmentation.build(ALL)(KEY, IMAGES.astype(dtype), None).dtype == dtype


@pytest.mark.torch
def test_values_and_gradients_are_pytorchs():
    """In float64, with the same draws on both sides; the gradient shows that nothing is clipped or cut off."""
    torch = pytest.importorskip("torch", reason="the reference needs PyTorch")
    from reference import torch_augmentation
    from reference.torch_play import picture

    random = np.random.default_rng(0)
    images, weights = random.uniform(-1, 1, (2, 5, 9, 8, 3))
    draws = {
        "brightness": random.uniform(-0.5, 0.5, 5),
        "saturation": random.uniform(0, 2, 5),
        "contrast": random.uniform(0.5, 1.5, 5),
        "shift": random.integers(-1, 2, (5, 2)),
        "center": np.stack([random.integers(0, 9 + 1 - 5 % 2, 5), random.integers(0, 8 + 1, 5)], 1),
    }

    def ours(x):
        x = augmentation.brightness(x, jnp.asarray(draws["brightness"]))
        x = augmentation.saturation(x, jnp.asarray(draws["saturation"]))
        x = augmentation.contrast(x, jnp.asarray(draws["contrast"]))
        x = augmentation.translate(x, jnp.asarray(draws["shift"]), limits=(1, 1))
        return augmentation.cutout(x, jnp.asarray(draws["center"]), size=(5, 4))

    x = picture(images).requires_grad_()
    theirs = torch_augmentation.diffaugment(x, draws)
    (theirs * picture(weights)).sum().backward()
    with jax.enable_x64(True):
        found, pull_back = jax.vjp(ours, jnp.asarray(images))
        [gradient] = pull_back(jnp.asarray(weights))
    assert isinstance(theirs, torch.Tensor)
    for mine, reference in ((found, theirs.detach()), (gradient, x.grad)):
        np.testing.assert_allclose(mine, reference.permute(0, 2, 3, 1).numpy(), rtol=0, atol=1e-12)


def test_it_is_a_setting_that_refuses_other_words():
    recipe = dataclasses.replace(default_recipe("dcgan_64"), diffaugment="color, cutout")
    rules = build_rules(recipe, build_gan(recipe, 3, 0))
    expected = augmentation.build(("color", "cutout"))(KEY, IMAGES, None)
    np.testing.assert_array_equal(rules.augment_both(KEY, IMAGES, None), expected)
    assert build_rules(default_recipe("dcgan_64"), build_gan(default_recipe("dcgan_64"), 3, 0)).augment_both is None
    with pytest.raises(UserError, match="diffaugment=colour: 'colour' is none of color, translation, cutout, affine"):
        dataclasses.replace(recipe, diffaugment="colour").check()
