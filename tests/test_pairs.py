"""Pairs of pictures: drawn faces and what they are made from, and folders of pairs."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import avatars, folder_pairs, stream
from jaxgan.data.avatars.dice import Dice
from jaxgan.data.avatars.pairs import INPUTS, draw_pair
from jaxgan.data.avatars.palette import EYE_PAINTS, HAIR_PAINTS, SKINS
from jaxgan.data.avatars.traits import choose
from jaxgan.data.examples import Examples
from jaxgan.data.pairs import hold_out, split_pairs
from jaxgan.host.errors import NoSuchSplit, UserError

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(index, kind, size=64):
    both, _ = draw_pair(index, seed=0, size=size, pair_input=kind)
    return both[:size], both[size:]


# Drawn pairs.


@pytest.mark.parametrize("kind", INPUTS)
def test_the_image_is_the_avatar_and_the_input_is_decided_by_its_number(kind):
    face, drawn = halves(3, kind)
    np.testing.assert_array_equal(face, avatars.draw(0, 3, 64).image)
    np.testing.assert_array_equal(drawn, halves(3, kind)[1])
    assert drawn.shape == face.shape and drawn.dtype == np.uint8
    assert (drawn != halves(4, kind)[1]).mean() > 0.05


def test_a_map_has_the_colours_of_its_classes_and_no_shades_on_the_background_of_the_face():
    for index in range(6):
        avatar, (face, drawn) = avatars.draw(0, index, 64), halves(index, "parts")
        colours, counts = np.unique(drawn.reshape(-1, 3), axis=0, return_counts=True)
        found = {tuple(map(int, colour)): count / 64**2 for colour, count in zip(colours, counts, strict=True)}
        skin = SKINS[choose(Dice(0, index)).skin]
        assert found[HAIR_PAINTS[avatar.hair].base] > 0.15
        assert found[EYE_PAINTS[avatar.eyes].base] > 0.005
        assert found[skin] > 0.05
        # In the corner there is nothing but background.
        np.testing.assert_array_equal(drawn[:12, :2], face[:12, :2])
        figure = drawn[20:60, 20:44].reshape(-1, 3)
        assert len(np.unique(figure, axis=0)) < 0.6 * len(np.unique(face[20:60, 20:44].reshape(-1, 3), axis=0))


def test_a_sketch_has_lines_alone_and_none_of_the_background():
    for index in range(6):
        _, drawn = halves(index, "sketch")
        assert (drawn == drawn[..., :1]).all()
        assert 0.05 < (drawn < 128).mean() < 0.5
        assert (drawn[:4, :4] == 255).all() and (drawn[:4, -4:] == 255).all()


def test_a_grey_picture_has_the_brightness_of_the_face():
    face, drawn = halves(0, "grey")
    np.testing.assert_allclose(drawn[..., 0], face @ [0.299, 0.587, 0.114], atol=1)
    assert (drawn == drawn[..., :1]).all()


def test_pairs_are_loaded_with_their_conditions_and_a_few_held_out(tmp_path):
    options = {"image_size": 16, "num_examples": 5, "cache_dir": tmp_path}
    train = data.load("avatars_pairs", pair_input="sketch", **options)
    alone = data.load("avatars", **options)
    np.testing.assert_array_equal(train.images, alone.images)
    np.testing.assert_array_equal(train.conditions, alone.conditions)
    assert train.image_shape == (16, 16, 3) and train.arrays["input"].shape == (5, 16, 16, 3)
    test = data.load("avatars_pairs", pair_input="sketch", split="test", **options)
    np.testing.assert_array_equal(train.held_out["image"][:5], test.images)
    np.testing.assert_array_equal(train.held_out["input"][:5], test.arrays["input"])
    digests = {data.load("avatars_pairs", pair_input=kind, **options).digest for kind in INPUTS}
    assert len(digests | {alone.digest}) == 4
    again = data.load("avatars_pairs", pair_input="sketch", **options)
    assert again.digest == train.digest


@pytest.mark.parametrize(
    ("dataset", "options", "named"),
    [
        ("avatars_pairs", {"pair_input": "photo"}, "pair_input=photo: choose one of parts, sketch, grey"),
        ("avatars_pairs", {"image_size": 15}, "image_size=15"),
        ("avatars_pairs", {"num_examples": 0}, "0 avatars cannot be drawn"),
        ("folder_pairs", {}, "dataset=folder_pairs: name the folder of pairs by data_dir"),
        (
            "folder_pairs",
            {"data_dir": "/nowhere", "pair": "top"},
            "pair=top: choose one of left, right, first, second",
        ),
        ("folder_pairs", {"data_dir": "/nowhere"}, "data_dir=/nowhere: there is no such folder"),
    ],
)
def test_what_cannot_be_loaded_is_refused(dataset, options, named, tmp_path):
    with pytest.raises(UserError, match=f"^{named}"):
        data.load(dataset, **{"image_size": 16, "cache_dir": tmp_path, **options})
    with pytest.raises(NoSuchSplit, match="has no split validation"):
        data.load(dataset, image_size=16, data_dir=tmp_path, split="validation")


# Folders of pairs.


def side_by_side(path, left=RED, right=BLUE, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    both = Image.new("RGB", (2 * size[0], size[1]), left)
    both.paste(right, (size[0], 0, 2 * size[0], size[1]))
    both.save(path)


def picture(path, colour, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def load(root, pair="left", size=4, **options):
    return folder_pairs.load(root, size, pair=pair, cache_dir=root.parent / "cache", **options)


@pytest.mark.parametrize(("pair", "image", "input"), [("left", RED, BLUE), ("right", BLUE, RED)])
def test_the_target_is_the_half_that_is_named(tmp_path, pair, image, input):
    for number in range(3):
        side_by_side(tmp_path / "pairs" / f"{number}.png", size=(12, 8))
    found = load(tmp_path / "pairs", pair)
    assert len(found) == 3 and found.image_shape == (4, 4, 3)
    assert (found.images == image).all() and (found.arrays["input"] == input).all()
    assert load(tmp_path / "pairs", pair).digest == found.digest


@pytest.mark.parametrize(("pair", "image", "input"), [("first", RED, BLUE), ("second", BLUE, RED)])
def test_the_target_is_in_the_subfolder_that_is_named(tmp_path, pair, image, input):
    root = tmp_path / "pairs"
    for number in range(3):
        picture(root / "A" / "deep" / f"{number}.png", RED)
        picture(root / "B" / "deep" / f"{number}.bmp", BLUE, size=(6, 12))
    found = load(root, pair)
    assert len(found) == 3 and (found.images == image).all() and (found.arrays["input"] == input).all()


def test_pairs_of_grey_pictures_have_one_channel(tmp_path):
    (tmp_path / "pairs").mkdir()
    Image.new("L", (8, 4), 7).save(tmp_path / "pairs" / "0.png")
    assert load(tmp_path / "pairs").image_shape == (4, 4, 1)


def test_partners_that_are_missing_are_counted_and_left_out(tmp_path, capsys):
    root = tmp_path / "pairs"
    for number in range(20):
        picture(root / "A" / f"{number:02d}.png", (number, 0, 0))
        if number != 7:
            picture(root / "B" / f"{number:02d}.png", (number, 0, 9))
    found = load(root, "first")
    assert len(found) == 19
    np.testing.assert_array_equal(found.images[..., 0], found.arrays["input"][..., 0])
    assert "1 of 20 pairs" in (said := capsys.readouterr().err) and "A/07.png" in said
    for number in range(2):
        (root / "B" / f"{number:02d}.png").unlink()
    with pytest.raises(UserError, match=r"^data_dir=.*3 of 20 pairs .*A/00\.png, A/01\.png, A/07\.png"):
        load(root, "first")


def test_files_that_are_no_pair_are_counted_and_left_out(tmp_path, capsys):
    root = tmp_path / "pairs"
    for number in range(20):
        side_by_side(root / f"{number:02d}.png")
    picture(root / "03.png", RED, size=(9, 4))  # an odd width
    assert len(load(root)) == 19 and "1 of 20 pairs" in capsys.readouterr().err
    picture(root / "04.png", RED, size=(8, 8))  # not wider than high
    (root / "05.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"3 of 20 pairs .*03\.png, 04\.png, 05\.png.*; repair or remove") as caught:
        load(root)
    # Pictures that are no pairs at all are a newcomer's mistake more often than damage.
    assert "(--pair=left takes files of two pictures side by side, --pair=first or" in caught.value.as_flags


def test_two_subfolders_need_two_subfolders(tmp_path):
    side_by_side(tmp_path / "pairs" / "0.png")
    with pytest.raises(UserError, match="pair=first needs two subfolders"):
        load(tmp_path / "pairs", "first")


def test_a_twentieth_of_a_folder_is_held_out():
    stacked = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 2, 3), np.uint8)
    stacked[:, 2:] += 100
    pairs = split_pairs(Examples({"image": stacked}, (), "digest"))
    assert pairs.image_shape == (2, 2, 3)
    np.testing.assert_array_equal(pairs.arrays["input"], pairs.images + 100)
    train, test, every = (hold_out(pairs, split) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(every)) == (38, 2, 40)
    np.testing.assert_array_equal(train.held_out["image"], test.images)
    assert len({train.digest, test.digest, every.digest}) == 3 and not test.held_out


def test_streamed_pairs_are_those_that_were_asked_for():
    stacked = np.arange(5 * 8 * 2 * 1, dtype=np.uint8).reshape(5, 8, 2, 1)
    arrays = split_pairs(Examples({"image": stacked}, (), "")).arrays
    found = stream.gather(arrays, np.array([[4, 0], [2, 2]]))
    np.testing.assert_array_equal(found["input"], stacked[[[4, 0], [2, 2]], 4:])
    np.testing.assert_array_equal(found["image"], stacked[[[4, 0], [2, 2]], :4])
    with pytest.raises(IndexError):
        stream.gather(arrays, np.array([5]))


def test_facades_are_pairs_of_a_photo_and_a_map_of_few_colours(real_data, tmp_path):
    archive = real_data / "facades.tar"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    import tarfile

    with tarfile.open(archive) as opened:
        names = [name for name in opened.getnames() if name.startswith("facades/val/") and name.endswith(".jpg")][:8]
        opened.extractall(tmp_path / "set", members=[opened.getmember(name) for name in names], filter="data")
    found = load(tmp_path / "set", "left", 32)
    assert len(found) == len(names) == 8
    # A map has flat colours: neighbours are alike more often than in a photo.
    flat = [np.mean(np.abs(np.diff(found.arrays[name].astype(int), axis=2)) < 3) for name in ("input", "image")]
    assert flat[0] > flat[1] + 0.1
