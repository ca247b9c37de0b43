"""CycleGAN: its networks' sizes, its pools, its rate, its settings, its domains and its outputs."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import sample
from experiments.run import references, translation
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import data, models, systems
from jaxgan.data import avatars, folder_domains
from jaxgan.data.avatars import domains
from jaxgan.host.errors import NoSuchSplit, UserError
from jaxgan.models.resnet_translation import ResNetTranslator, reflected, resnet_translator
from jaxgan.models.unet import unet
from jaxgan.systems import cyclegan, image_pool, unpaired_translation
from jaxgan.systems.cyclegan import CycleganSettings
from jaxgan.systems.image_pool import Draws, ImagePool

SMALL = {"width": 2, "blocks": 1, "discriminator_width": 2, "discriminator_layers": 1, "batch_size": 2}
SETTINGS = CycleganSettings(model="cyclegan")


def two(counts=(5, 3), side=8):
    random = np.random.default_rng(0)
    sets = [random.integers(0, 256, (count, side, side, 3), np.uint8) for count in counts]
    return dict(zip("ab", map(data.from_arrays, sets), strict=True))


def count(network):
    shapes = jax.eval_shape(functools.partial(models.init, network), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))


# Networks.


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (resnet_translator(), 11_378_179),
        pytest.param(resnet_translator(blocks=6, image_size=128), 7_837_699, marks=pytest.mark.slow),
        pytest.param(resnet_translator(norm="batch"), 11_383_427, marks=pytest.mark.slow),
    ],
)
def test_the_numbers_of_parameters_are_the_sources(network, parameters):
    assert count(network) == parameters


@pytest.mark.slow
def test_the_whole_model_has_the_sources_number_of_parameters():
    rules = cyclegan.build_rules(dataclasses.replace(SETTINGS, image_size=256), 3)
    assert 2 * count(rules.generator) + 2 * count(rules.discriminator) == 28_285_832


@pytest.mark.parametrize("shape", [(8, 8, 3), (12, 20, 1)])
def test_a_translator_keeps_the_shape_of_rectangles_too(shape):
    network = ResNetTranslator(width=1, blocks=1)
    made, _ = jax.eval_shape(
        functools.partial(network.init_with_output, train=True), jax.random.key(0), jnp.zeros((2, *shape))
    )
    assert made.shape == (2, *shape)


def test_reflections_by_hand_and_pictures_that_have_none():
    row = jnp.arange(4.0).reshape(1, 1, 4, 1) + jnp.zeros((1, 4, 1, 1))
    np.testing.assert_array_equal(reflected(row, 3)[0, 0, :, 0], [3, 2, 1, 0, 1, 2, 3, 2, 1, 0])
    with pytest.raises(UserError, match="pictures of 4×4 have no reflection of 4 pixels"):
        reflected(row, 4)
    for size, better in ((62, 64), (4, 8)):
        with pytest.raises(UserError, match=f"^image_size={size}: a residual translator takes .* choose {better}"):
            resnet_translator(image_size=size)
    with pytest.raises(UserError, match="pictures of 8×10: a residual translator takes multiples of 4"):
        jax.eval_shape(lambda x: ResNetTranslator().init(jax.random.key(0), x, train=True), jnp.zeros((1, 8, 10, 3)))


# The pool.


def test_the_pool_follows_the_sources_rule():
    pool, kept = ImagePool.empty(3, (1, 1, 1)), []
    random = np.random.default_rng(0)
    run = jax.jit(image_pool.exchange)
    for start in range(0, 24, 4):
        swap, place = random.random(4) > 0.5, random.integers(0, 3, 4).astype("int32")
        fresh = np.arange(start, start + 4, dtype="float32") + 1
        expected = []
        for picture, swaps, at in zip(fresh, swap, place, strict=True):
            if len(kept) < 3:
                kept.append(picture)
                expected.append(picture)
            elif swaps:
                expected.append(kept[at])
                kept[at] = picture
            else:
                expected.append(picture)
        pool, shown = run(pool, Draws(jnp.asarray(swap), jnp.asarray(place)), fresh.reshape(4, 1, 1, 1))
        np.testing.assert_array_equal(shown.ravel(), expected)
        np.testing.assert_array_equal(pool.images.ravel()[: len(kept)], kept)
    assert int(pool.filled) == 3


def test_draws_are_fair_and_by_the_key():
    draw = jax.jit(functools.partial(image_pool.draw, count=4000, size=5))
    draws, again = (jax.tree.map(np.asarray, draw(jax.random.key(seed))) for seed in (0, 1))
    assert abs(draws.swap.mean() - 0.5) < 0.03
    assert np.abs(np.bincount(draws.place, minlength=5) / 4000 - 0.2).max() < 0.03
    assert (again.swap != draws.swap).any() and (again.place != draws.place).any()


# Settings.


def rates(epochs, **settings):
    chosen = dataclasses.replace(SETTINGS, learning_rate=1.0, **settings)
    return [float(cyclegan.learning_rate(chosen, 7, 7 * (epoch - 1) + 6)) for epoch in epochs]


def test_the_learning_rate_has_both_tables_of_the_source():
    epochs = (1, 99, 100, 101, 102, 199, 200, 201)
    found = rates(epochs)
    np.testing.assert_allclose(found, [1, 1, 1, 100 / 101, 99 / 101, 2 / 101, 1 / 101, 0], atol=1e-6)
    earlier = rates(epochs, decay_to_zero=True)
    np.testing.assert_allclose(earlier, [1, 1, 100 / 101, 99 / 101, 98 / 101, 1 / 101, 0, 0], atol=1e-6)
    assert rates(epochs, decay_epochs=0.0) == [1.0] * len(epochs)
    first = dataclasses.replace(SETTINGS, learning_rate=1.0)
    assert float(cyclegan.learning_rate(first, 7, 700)) < 1.0 == float(cyclegan.learning_rate(first, 7, 699))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"width": 0}, "width=0"),
        ({"blocks": -1}, "blocks=-1"),
        ({"generator": "unet"}, "blocks=1: a U-Net has none"),
        ({"pool_size": -1}, "pool_size=-1"),
        ({"cycle_weight_b": -1.0}, "cycle_weight_b=-1.0"),
        ({"identity_weight": math.inf}, "identity_weight=inf"),
        ({"decay_epochs": -1.0}, "decay_epochs=-1.0"),
        ({"discriminator_layers": 3}, "discriminator_layers=3: leaves nothing of pictures of 8 pixels"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, named):
    with pytest.raises(UserError, match=f"^{named}"):
        systems.build("cyclegan", two(), **{**SMALL, **settings})


def test_settings_become_rules():
    chosen = dataclasses.replace(SETTINGS, image_size=64, loss="bce", width=3, cycle_weight_a=1.0, pool_size=0)
    rules = cyclegan.build_rules(chosen, channels=1)
    assert rules.generator == resnet_translator(image_size=64, channels=1, width=3, blocks=6)
    assert (rules.discriminator.pictures, rules.discriminator.norm) == (1, "instance")
    assert (rules.loss, rules.cycle_weight_a, rules.cycle_weight_b, rules.enlarge) == ("bce", 1.0, 10.0, 8)
    assert cyclegan.build_rules(SETTINGS, 3).generator.blocks == 9
    other = cyclegan.build_rules(dataclasses.replace(chosen, generator="unet", precision="bfloat16"), 3)
    expected = unet(image_size=64, width=3, norm="instance", dropout_rate=0.0, dtype=jnp.bfloat16)
    assert other.generator == expected and other.discriminator.dtype == jnp.bfloat16
    assert jax.eval_shape(lambda key: unpaired_translation.init_state(key, rules), jax.random.key(0)).pool_a is None


def test_batches_and_domains_that_do_not_fit_are_refused():
    system = systems.build("cyclegan", two(), **SMALL)
    batch = {"image": np.zeros((1, 2, 8, 8, 3), np.uint8)}
    with pytest.raises(UserError, match=r'^batch: has no "a"; give \{"a"'):
        jax.eval_shape(lambda key: system.step(system.init(key), batch), jax.random.key(0))
    with pytest.raises(UserError, match="the two domains have different shapes"):
        systems.build("cyclegan", {**two(), "b": two(side=12)["b"]}, **SMALL)


# The system, with a translation that inverts pictures.


@pytest.fixture
def inverted(monkeypatch):
    monkeypatch.setattr(cyclegan, "translate", lambda network, direction, state, images: 255 - images)
    return systems.build("cyclegan", two(), **SMALL)


def test_the_preview_shows_both_ways_of_pictures_that_are_not_trained_on(inverted):
    shown = inverted.preview.images(None).reshape(6, 8, 8, 8, 3)
    sets = two()
    np.testing.assert_array_equal(shown[0], sets["a"].images[[0, 1, 2, 3, 4, 0, 1, 2]])
    np.testing.assert_array_equal(shown[4], 255 - sets["b"].images[[0, 1, 2, 0, 1, 2, 0, 1]])
    np.testing.assert_array_equal(shown[[0, 3]], shown[[2, 5]])
    held = {"a": dataclasses.replace(sets["a"], held_out={"image": sets["b"].images}), "b": sets["b"]}
    other = systems.build("cyclegan", held, **SMALL).preview.images(None).reshape(6, 8, 8, 8, 3)
    np.testing.assert_array_equal(other[0], shown[3])


def test_measures_by_hand(inverted):
    images = two()["a"].images
    found = cyclegan.measure(None, None, images, domain="b", input=255 - images)
    assert {name: measure.value for name, measure in found.items() if not name.endswith("unchanged_rmse")} == {
        "b_to_a/cycle_l1": 0.0,
        "a_to_b/l1": 0.0,
        "a_to_b/rmse": 0.0,
    }
    difference = (255.0 - 2.0 * images) / 127.5
    unchanged = np.sqrt(np.square(difference).mean((1, 2, 3))).mean()
    np.testing.assert_allclose(found["a_to_b/unchanged_rmse"].value, unchanged, rtol=1e-6)
    assert set(inverted.outputs.measure(None, images)) == {"a_to_b/cycle_l1"}


# Drawn domains.


def test_a_face_differs_in_the_colour_alone_and_no_face_is_in_both(tmp_path):
    made = domains.load(
        domain_a="blonde hair", domain_b="blue hair", size=32, count=3, seed=1, with_inputs=True, cache_dir=tmp_path
    )
    hair = [data.load("avatars", image_size=32, num_examples=6, split="test", cache_dir=tmp_path)]
    assert made["a"].condition_names[11] == "blonde hair" and (made["a"].conditions[:, 11] == 1).all()
    assert (made["b"].conditions[:, 8] == 1).all() and hair[0].images.shape == (6, 32, 32, 3)
    for number, (name, colour, other) in enumerate((("a", 11, 8), ("b", 8, 11))):
        images, inputs = made[name].images, made[name].arrays["input"]
        assert (avatars.measure_hair_colour(images) == colour).all()
        assert (avatars.measure_hair_colour(inputs) == other).all()
        for index in range(3):
            alike = (images[index] == inputs[index]).all(-1)
            assert 0.2 < alike.mean() < 0.9  # all but the hair, its outline and what it tints
            corners = alike[:2, [0, 1, -2, -1]]
            assert corners.all()  # backgrounds and accessories suit both colours
            drawn = [avatars.draw(1, face, 32).image for face in range(6)]
            shares = [(images[index] == plain).all(-1).mean() for plain in drawn]
            assert np.argmax(shares) == 2 * index + number  # the face of this number, in whatever else it is


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"domain_a": "bald"}, "domain_a=bald: choose one of orange hair,"),
        ({"domain_b": "blue eyes"}, "domain_b=blue eyes: must be another colour of the hair than"),
        ({"domain_b": "blonde hair"}, "domain_b=blonde hair: must be another colour"),
        ({"size": 8}, "image_size=8"),
        ({"count": 0}, "0 avatars cannot be drawn"),
    ],
)
def test_domains_that_cannot_be_drawn_are_refused(given, named):
    with pytest.raises(UserError, match=f"^{named}"):
        domains.load(**{"domain_a": "blonde hair", "domain_b": "blue hair", "size": 16, "count": 1, **given})


# Domains of a folder.


def write(folder, count, mode="RGB"):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new(mode, (10, 12), (40 * number, 9, 9) if mode == "RGB" else 40 * number).save(folder / f"{number}.png")


def test_two_subfolders_are_two_domains_of_their_own_lengths(tmp_path):
    write(tmp_path / "set" / "apples", 3)
    write(tmp_path / "set" / "oranges", 5, "L")
    load = functools.partial(folder_domains.load, tmp_path / "set", 8, cache_dir=tmp_path / "cache")
    found = load()
    assert {name: part.images.shape for name, part in found.items()} == {"a": (2, 8, 8, 3), "b": (4, 8, 8, 3)}
    assert [len(part.held_out["image"]) for part in found.values()] == [1, 1]
    np.testing.assert_array_equal(load(split="test")["a"].images, found["a"].held_out["image"])
    assert [len(part) for part in load(split="all").values()] == [3, 5]
    with pytest.raises(NoSuchSplit, match="has no split validation; it has train, test, all"):
        load(split="validation")


def test_the_sources_four_folders_are_two_splits(tmp_path):
    for name, count in (("trainA", 2), ("trainB", 3), ("testA", 1), ("testB", 2)):
        write(tmp_path / "set" / name, count)
    load = functools.partial(folder_domains.load, tmp_path / "set", 8, cache_dir=tmp_path / "cache")
    assert [len(part) for part in load().values()] == [2, 3]
    assert [len(part) for part in load(split="test").values()] == [1, 2]
    assert [len(part.held_out["image"]) for part in load().values()] == [1, 2]


def test_folders_that_are_no_two_domains_are_refused(tmp_path):
    write(tmp_path / "one" / "a", 2)
    write(tmp_path / "empty" / "a", 2)
    (tmp_path / "empty" / "b").mkdir()
    write(tmp_path / "lonely" / "a", 1)
    write(tmp_path / "lonely" / "b", 2)
    cases = {
        "nowhere": "there is no such folder",
        "one": "two domains are two subfolders of pictures, or trainA and trainB; it has 1: a",
        "empty": "b: there are no pictures in this folder",
        "lonely": "domain A, a, has 1 picture; a domain needs at least 2",
    }
    for name, named in cases.items():
        with pytest.raises(UserError, match=f"^data_dir=.*{named}") as error:
            folder_domains.load(tmp_path / name, 8, cache_dir=tmp_path / "cache")
        assert "\n" not in str(error.value)


# Commands.


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"dataset": "avatars_pairs"}, "dataset=avatars_pairs: cyclegan takes domains; choose avatars_domains"),
        ({"dataset": "folder_domains"}, "dataset=folder_domains: name the folder with data_dir"),
        ({"model": "mlp_b", "dataset": "avatars_domains"}, "dataset=avatars_domains: mlp_b takes no domains"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(given, named):
    with pytest.raises(UserError, match=f"^{named}"):
        resolve({"model": "cyclegan", **given}, systems.names())


def test_held_out_faces_are_shown_and_scored_in_both_directions(monkeypatch):
    recipe = resolve({"model": "cyclegan", "image_size": 16, "num_examples": 2, "blocks": 1, "width": 2,
                      "discriminator_layers": 1}, systems.names())  # fmt: skip
    assert recipe.dataset == "avatars_domains" and references.reference_split(recipe) == "test"
    unseen = references.reference_domains(recipe, "test", 4, 0)
    right = {"a_to_b": unseen["b"], "b_to_a": unseen["a"]}

    def answer(network, direction, state, images):  # the truth, and for other pictures nothing new
        known = {pixels.tobytes(): image for pixels, image in zip(
            right[direction].arrays["input"], right[direction].images, strict=True)}  # fmt: skip
        return np.stack([known.get(pixels.tobytes(), pixels) for pixels in images])

    monkeypatch.setattr(cyclegan, "translate", answer)
    system = recipe.family.build(recipe.settings, unseen)
    scores = translation.domain_scores(recipe, system, None, unseen)
    for direction in ("a_to_b", "b_to_a"):
        assert scores[f"{direction}/rmse"]["value"] == 0 < 0.1 < scores[f"{direction}/unchanged_rmse"]["value"]
        hair = scores[f"{direction}/hair/measured_conditional_accuracy"]
        assert hair["value"] == hair["accuracy_on_real"]
        run = TrainedRun(recipe, system, 0, None, (), "")
        shown = translation.translations(run, 8, 0, direction)
        assert shown.rows == ("input", "output", "and back", "truth")
        rows = shown.images.reshape(4, 2, 16, 16, 3)
        np.testing.assert_array_equal(rows[1], rows[3])
        np.testing.assert_array_equal(rows[1], right[direction].images[:2])
    assert sample.shows(run) == ("translations",)
