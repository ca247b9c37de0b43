import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import avatars, tags
from jaxgan.data.avatars import curves, traits
from jaxgan.data.avatars.dice import Dice, mix
from jaxgan.data.avatars.palette import EYE_PAINTS, HAIR_PAINTS
from jaxgan.data.avatars.scene import paint
from jaxgan.host.errors import UserError


def test_hash_is_splitmix64():
    # The first numbers of the published generator for the states 0 and 1234567.
    assert mix(0) == 0xE220A8397B1DCDAF
    assert mix(1234567) == 6457827717110365317


def test_choices_never_change():
    chosen = [traits.choose(Dice(seed, index)) for seed in (0, 1) for index in range(100)]
    assert not any(choice.against for choice in chosen)  # the last field, which nobody is given by chance
    digest = hashlib.sha256(json.dumps([dataclasses.astuple(choice)[:-1] for choice in chosen]).encode()).hexdigest()
    assert digest == "12223e8e13fad37e0a11a0902e549eb67d392ef11eb5393962e60a48b0c82f62"


def test_labels_never_change():
    faces = [traits.choose(Dice(0, index)) for index in range(8)]
    assert [face.hair for face in faces] == [9, 1, 10, 1, 1, 5, 2, 10]
    assert [face.eyes for face in faces] == [7, 8, 4, 5, 5, 3, 9, 2]


def test_dice_are_uniform_and_distinct():
    units = np.array([[Dice(3, index).unit(purpose) for purpose in ("hair", "eyes")] for index in range(4000)])
    assert units.min() >= 0 and units.max() < 1
    assert np.abs(np.histogram(units[:, 0], 10, (0, 1))[0] - 400).max() < 100
    assert abs(np.corrcoef(units.T)[0, 1]) < 0.06
    assert len(np.unique(units)) == units.size


@pytest.mark.parametrize("size", [16, 17, 31, 32, 48, 64, 96, 100, 128, 200, 256])
def test_a_face_is_a_uint8_picture_of_the_size(size):
    avatar = avatars.draw(0, 5, size)
    assert avatar.image.shape == (size, size, 3)
    assert avatar.image.dtype == np.uint8
    assert avatar.image.std() > 20


@pytest.mark.parametrize("size", [16, 48, 64, 96, 128])
def test_a_face_is_the_same_at_every_size(size):
    for index in range(6):
        large, small = avatars.draw(0, index, 256), avatars.draw(0, index, size)
        assert large.traits == small.traits
        reduced = np.asarray(_resized(large.image, size), float)
        assert np.abs(reduced - small.image).mean() < 6
        other = np.asarray(_resized(avatars.draw(0, index + 1, 256).image, size), float)
        assert np.abs(other - small.image).mean() > 20


def _resized(image, size):
    from PIL import Image

    return Image.fromarray(image).resize((size, size), Image.Resampling.BOX)


def test_drawing_is_a_pure_function():
    faces = [avatars.draw(9, index, 48).image for index in range(12)]
    again = [avatars.draw(9, index, 48).image for index in reversed(range(12))][::-1]
    np.testing.assert_array_equal(faces, again)
    assert len({face.tobytes() for face in faces}) == 12
    assert (avatars.draw(10, 0, 48).image != faces[0]).any()


def test_another_process_draws_the_same_pixels_and_needs_neither_tensorflow_nor_jax():
    program = (
        "import hashlib, sys; from jaxgan.data import avatars;"
        "print(hashlib.sha256(b''.join(avatars.draw(2, i, 32).image.tobytes() for i in range(10))).hexdigest());"
        "print(sorted({'tensorflow', 'jax', 'flax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    here = hashlib.sha256(b"".join(avatars.draw(2, i, 32).image.tobytes() for i in range(10))).hexdigest()
    assert done.stdout.split("\n")[:2] == [here, "[]"]


def test_hair_and_eye_colours_are_balanced_and_independent():
    faces = [traits.choose(Dice(0, index)) for index in range(13_200)]
    table = np.zeros((12, 11))
    np.add.at(table, ([face.hair for face in faces], [face.eyes for face in faces]), 1)
    # Standard deviations: 32 for a hair colour (mean 1100), 33 for an eye colour (1200), 10 for a pair (100).
    assert np.abs(table.sum(1) - 1100).max() < 140
    assert np.abs(table.sum(0) - 1200).max() < 140
    assert np.abs(table - 100).max() < 45


def test_every_trait_occurs():
    faces = [traits.choose(Dice(0, index)) for index in range(2000)]
    for name, options in {
        "style": traits.HAIR_STYLES, "fringe": traits.FRINGES, "face": traits.FACE_SHAPES, "mouth": traits.MOUTHS,
        "eye_shape": traits.EYE_SHAPES, "brows": traits.BROWS, "background": traits.BACKGROUNDS,
        "headwear": traits.HEADWEAR, "glasses": traits.GLASSES, "clothes": traits.CLOTHES, "side": (-1, 1),
    }.items():  # fmt: skip
        assert {getattr(face, name) for face in faces} == set(options)


@pytest.mark.parametrize(
    ("name", "options", "least"),
    [
        ("hair", range(12), 4.0),
        ("eyes", range(11), 0.4),
        ("style", traits.HAIR_STYLES, 2.0),
        ("fringe", traits.FRINGES, 0.7),
        ("face", traits.FACE_SHAPES, 0.3),
        ("skin", range(7), 0.8),
        ("mouth", traits.MOUTHS, 0.05),
        ("eye_shape", traits.EYE_SHAPES, 0.3),
        ("brows", traits.BROWS, 0.05),
        ("background", traits.BACKGROUNDS, 0.5),
        ("headwear", traits.HEADWEAR, 0.2),
        ("glasses", traits.GLASSES, 0.3),
        ("clothes", traits.CLOTHES, 0.3),
    ],
)
def test_each_option_looks_different(name, options, least):
    """Any two options differ by more than `least` grey levels in the mean over the picture."""
    dice = Dice(0, 2)
    face = dataclasses.replace(traits.choose(dice), style="short", headwear="none", glasses="none")
    pictures = np.array([paint(dataclasses.replace(face, **{name: option}), dice, 64) for option in options], float)
    distance = np.abs(pictures[:, None] - pictures[None]).mean((2, 3, 4))
    assert distance[~np.eye(len(pictures), dtype=bool)].min() > least


@pytest.fixture(scope="module", params=[48, *(pytest.param(size, marks=pytest.mark.slow) for size in (64, 96))])
def drawn(request):
    faces = [avatars.draw(77, index, request.param) for index in range(300)]
    return np.stack([face.image for face in faces]), [face.hair for face in faces], [face.eyes for face in faces]


def test_hair_colour_can_be_measured(drawn):
    images, hair, _ = drawn
    measured = avatars.measure_hair_colour(images)
    assert measured.shape == (300,) and measured.dtype == np.int64
    assert (measured == hair).mean() >= 0.99


def test_eye_colour_can_be_measured(drawn):
    images, _, eyes = drawn
    assert (avatars.measure_eye_colour(images) == eyes).mean() >= 0.97


def test_nothing_worn_hides_hair_or_eyes():
    for headwear in traits.HEADWEAR:
        for glasses in traits.GLASSES:
            dice = [Dice(4, index) for index in range(6)]
            worn = [dataclasses.replace(traits.choose(d), headwear=headwear, glasses=glasses) for d in dice]
            images = np.stack([paint(face, d, 64) for face, d in zip(worn, dice, strict=True)])
            assert avatars.measure_hair_colour(images).tolist() == [face.hair for face in worn], (headwear, glasses)
            assert (avatars.measure_eye_colour(images) == [face.eyes for face in worn]).mean() > 0.8, (
                headwear,
                glasses,
            )


def test_measures_survive_the_noise_of_a_generator():
    faces = [avatars.draw(8, index, 64) for index in range(100)]
    noise = np.random.default_rng(0).normal(0, 20, (100, 64, 64, 3))
    noisy = np.clip(np.stack([face.image for face in faces]) + noise, 0, 255).astype(np.uint8)
    assert (avatars.measure_hair_colour(noisy) == [face.hair for face in faces]).mean() >= 0.95


def test_measures_of_plain_colours():
    for paints, measure in ((HAIR_PAINTS, avatars.measure_hair_colour), (EYE_PAINTS, avatars.measure_eye_colour)):
        plain = np.array([np.full((32, 32, 3), tones.base) for tones in paints], np.uint8)
        assert measure(plain).tolist() == list(range(len(paints)))


@pytest.mark.parametrize(
    "images", [np.zeros((4, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 1), np.uint8)]
)
def test_measures_name_a_wrong_input(images):
    with pytest.raises(ValueError, match="uint8"):
        avatars.measure_hair_colour(images)


def test_condition_is_in_the_order_of_the_tags():
    assert avatars.CONDITION_NAMES == tags.CONDITION_NAMES
    assert len(avatars.CONDITION_NAMES) == 23
    vector = avatars.condition(avatars.HAIR_COLOURS.index("blue"), avatars.EYE_COLOURS.index("red"))
    assert vector.dtype == np.uint8
    np.testing.assert_array_equal(vector, tags.parse_condition("blue hair red eyes"))
    for hair, eyes in ((12, 0), (-1, 0), (0, 11), (0, -1)):
        with pytest.raises(ValueError, match="must be an index"):
            avatars.condition(hair, eyes)


@pytest.mark.parametrize("size", [0, 15, 257, -96, 48.5])
def test_impossible_sizes_are_refused(size, tmp_path):
    with pytest.raises(ValueError, match="from 16 to 256"):
        avatars.draw(0, 0, size)
    with pytest.raises(UserError, match="image_size"):
        avatars.load(size=size, count=2, cache_dir=tmp_path)


def test_impossible_seeds_and_counts_are_refused(tmp_path):
    for seed, index in ((-1, 0), (0, -1), (1 << 64, 0)):
        with pytest.raises(ValueError, match="integer from 0"):
            avatars.draw(seed, index, 32)
    with pytest.raises(UserError, match="at least 1"):
        avatars.load(size=32, count=0, cache_dir=tmp_path)
    with pytest.raises(UserError, match="seed"):
        avatars.load(size=32, count=1, seed=-1, cache_dir=tmp_path)


def test_load_draws_once_and_in_order(tmp_path):
    pictures = avatars.load(size=16, count=150, seed=3, cache_dir=tmp_path)
    assert pictures.images.shape == (150, 16, 16, 3)
    assert pictures.condition_names == avatars.CONDITION_NAMES
    for index in (0, 70, 149):
        image, condition = avatars.draw_example(index, seed=3, size=16)
        np.testing.assert_array_equal(pictures.images[index], image)
        np.testing.assert_array_equal(pictures.conditions[index], condition)
    entries = sorted(path.name for path in tmp_path.iterdir())
    assert avatars.load(size=16, count=150, seed=3, cache_dir=tmp_path).digest == pictures.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == entries
    assert avatars.load(size=16, count=150, seed=4, cache_dir=tmp_path).digest != pictures.digest


def test_recolourable_faces_have_backgrounds_that_tell_nothing_of_the_hair(tmp_path):
    def corners(seed, index, hair, change=lambda chosen: chosen):
        dice = Dice(seed, index)
        image = paint(change(dataclasses.replace(traits.choose(dice), hair=hair)), dice, 32)
        return image[:2, [0, 1, -2, -1]]

    differ = 0
    for index in range(12):
        differ += (corners(0, index, 0) != corners(0, index, 11)).any()
        found = [corners(0, index, hair, avatars.recolourable) for hair in (0, 5, 11)]
        np.testing.assert_array_equal(found[1:], found[:1] * 2)
    assert differ > 3  # of other faces they do
    both = [avatars.load(size=16, count=8, any_hair=any_hair, cache_dir=tmp_path) for any_hair in (False, True)]
    np.testing.assert_array_equal(*[faces.conditions for faces in both])
    assert (avatars.measure_hair_colour(both[1].images) == both[1].conditions[:, :12].argmax(1)).all()
    assert both[0].digest != both[1].digest
    named = data.load("avatars_recolourable", image_size=16, num_examples=8, cache_dir=tmp_path)
    np.testing.assert_array_equal(named.images, both[1].images)


def test_curves():
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    for outline in (square, square[::-1]):  # outwards, whichever way the outline runs
        np.testing.assert_allclose(np.abs(curves.grown(outline, np.sqrt(2)) - 0.5), 1.5)
    line = curves.curve((0.0, 0.0), (1.0, 2.0), (3.0, 1.0))
    for point in ((0.0, 0.0), (1.0, 2.0), (3.0, 1.0)):
        assert np.abs(line - point).sum(1).min() < 1e-12
    np.testing.assert_allclose(curves.bend((0, 0), (1, 2), (2, 0))[4], (1, 1))
    pen = curves.stroke(np.array([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]), 0.5, 1.0, 0.0)
    np.testing.assert_allclose(np.abs(pen[:, 1]), [0.25, 0.25, 0, 0, 0.25, 0.25], atol=1e-12)
