"""StarGAN: its networks and why they pad with zeros, its losses, rates, settings and outputs, and recoloured faces."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import sample
from experiments.run import references, start, translation
from experiments.run.evaluation import make_measurer
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import data, losses, models, ops, systems
from jaxgan.data import avatars
from jaxgan.data.avatars import recoloured
from jaxgan.data.examples import Examples
from jaxgan.data.tags import CONDITION_NAMES
from jaxgan.host.errors import UserError
from jaxgan.losses import class_loss
from jaxgan.models.instance_norm import InstanceNorm
from jaxgan.models.stargan import StarGANGenerator, labelled_conv, stargan
from jaxgan.systems import stargan as family
from jaxgan.systems import stargan_outputs
from jaxgan.systems.conditional_translation import permuted
from jaxgan.systems.stargan import StarganSettings

SMALL = {"width": 2, "blocks": 1, "discriminator_width": 2, "batch_size": 2, "critic_steps": 2}
SETTINGS = StarganSettings(model="stargan")
NAMES = ("red hair", "blue hair", "green hair", "red eyes", "blue eyes")


def examples(count=5, side=8):
    random = np.random.default_rng(0)
    conditions = np.concatenate([np.eye(3)[np.arange(count) % 3], np.eye(2)[np.arange(count) % 2]], axis=1)
    images = random.integers(0, 256, (count, side, side, 3), np.uint8)
    return data.from_arrays(images, conditions.astype(np.uint8), condition_names=NAMES)


def count(network):
    shapes = jax.eval_shape(functools.partial(models.init, network), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))


# Networks.


@pytest.mark.parametrize(
    ("sizes", "of_generator", "of_discriminator"),
    [
        ({}, 8_430_528, 44_762_048),
        pytest.param({"image_size": 256}, 8_430_528, 44_884_928, marks=pytest.mark.slow),
        pytest.param({"labels": 8}, 8_439_936, 44_786_624, marks=pytest.mark.slow),
    ],
)
def test_the_numbers_of_parameters_are_the_sources(sizes, of_generator, of_discriminator):
    generator, discriminator = stargan(**sizes)
    assert (count(generator), count(discriminator)) == (of_generator, of_discriminator)


@pytest.mark.parametrize(("size", "layers", "patches"), [(128, None, 2), (64, None, 1), (16, None, 1), (16, 2, 4)])
def test_a_discriminator_has_six_halvings_or_fewer(size, layers, patches):
    _, discriminator = stargan(image_size=size, width=1, blocks=0, discriminator_width=1, layers=layers)
    judged, _ = jax.eval_shape(
        functools.partial(discriminator.init_with_output, train=True), jax.random.key(0), jnp.zeros((3, size, size, 3))
    )
    assert judged.source.shape == (3, patches, patches) and judged.classes.shape == (3, 5)


def test_a_mask_of_nothing_leaves_the_picture_as_it_is_and_of_everything_paints_it():
    network = StarGANGenerator(width=1, blocks=0, mask=True)
    picture, labels = jnp.linspace(-1, 1, 2 * 8 * 8 * 3).reshape(2, 8, 8, 3), jnp.eye(5)[:2]
    params = network.init(jax.random.key(0), picture, labels, train=True)["params"]
    head = "Conv_3"  # after the stem and both halvings
    assert params[head]["kernel"].shape == (7, 7, 1, 4)
    found = {}
    for share, weight in (("none", -1e4), ("all", 1e4)):
        kernel = jnp.zeros_like(params[head]["kernel"]).at[3, 3, 0, 3].set(weight).at[3, 3, 0, 0].set(9.0)
        # The last stage's only channel ends in a ReLU: where it is 0 the mask is one half.
        changed = {**params, head: {"kernel": kernel}}
        shift = {"scale": jnp.zeros(1), "bias": jnp.ones(1)}
        last = sorted(name for name in params if name.startswith("InstanceNorm"))[-1]
        found[share] = network.apply({"params": {**changed, last: shift}}, picture, labels, train=True)
    np.testing.assert_allclose(found["none"], picture, atol=1e-6)
    np.testing.assert_allclose(found["all"], np.broadcast_to(np.tanh([9.0, 0, 0]), picture.shape), atol=1e-6)


def test_a_generator_keeps_the_shape_of_rectangles_too():
    network = StarGANGenerator(width=1, blocks=1)
    made, _ = jax.eval_shape(
        functools.partial(network.init_with_output, train=True),
        jax.random.key(0),
        jnp.zeros((2, 12, 20, 1)),
        jnp.zeros((2, 5)),
    )
    assert made.shape == (2, 12, 20, 1)
    with pytest.raises(UserError, match="pictures of 8×10: StarGAN translates multiples of 4"):
        jax.eval_shape(
            lambda x, y: network.init(jax.random.key(0), x, y, train=True), jnp.zeros((1, 8, 10, 3)), jnp.zeros((1, 5))
        )


def test_labels_are_constant_planes():
    """Also where the kernel is larger than the picture; both gradients too."""
    shape = (9, 4)
    random = np.random.default_rng(0)
    picture, kernel = (jnp.asarray(random.standard_normal(s)) for s in ((2, *shape, 3), (7, 7, 5, 4)))
    labels, weights = jnp.asarray([[1.0, 0.0], [0.5, 2.0]]), random.standard_normal((2, *shape, 4))

    def total(convolve, labels, kernel):
        planes = jnp.broadcast_to(labels[:, None, None], (2, *shape, 2))
        made = convolve(jnp.concatenate([picture, planes], axis=-1), kernel)
        return jnp.sum(made * weights), made

    both = [
        jax.jit(jax.grad(functools.partial(total, convolve), argnums=(0, 1), has_aux=True))(labels, kernel)
        for convolve in (functools.partial(labelled_conv, channels=3), functools.partial(ops.conv, padding=3))
    ]
    jax.tree.map(lambda mine, other: np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-3), *both)


def test_with_reflections_a_label_would_be_normalised_away():
    """Why the padding is of zeros: the change of what the stem makes, when the label changes."""
    random = np.random.default_rng(0)
    picture, kernel = (random.standard_normal(shape).astype("float32") for shape in ((16, 16, 3), (7, 7, 5, 4)))
    labelled = [
        np.concatenate([picture, np.broadcast_to(np.eye(2, dtype="float32")[n], (16, 16, 2))], -1) for n in (0, 1)
    ]
    margins = ((3, 3), (3, 3), (0, 0))
    padded = [np.pad(x, margins, mode=mode) for mode in ("reflect", "constant") for x in labelled]
    made = jax.jit(lambda x: InstanceNorm().apply({}, ops.conv(x, kernel)))(np.stack(padded))
    with_reflections, with_zeros = np.abs(made[0] - made[1]).max(), np.abs(made[2] - made[3]).max()
    assert with_reflections < 1e-4 < 0.5 < with_zeros


# Losses.


def test_classification_losses_by_hand():
    logits = jnp.asarray([[0.0, 0.0, math.log(3.0), 0.0], [5.0, 5.0, 0.0, 0.0]])
    labels = jnp.asarray([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])  # the second has no class of the first kind
    expected = (math.log(2) + math.log(4 / 3) + math.log(2)) / 2
    np.testing.assert_allclose(class_loss(logits, labels, (2, 2)), expected, rtol=1e-6)
    by_themselves = class_loss(logits[:1], labels[:1], ())
    np.testing.assert_allclose(by_themselves, 3 * math.log(2) + math.log(4 / 3), rtol=1e-6)
    assert class_loss(jnp.asarray([[-1e4, 1e4]]), jnp.asarray([[1.0, 0.0]]), (2,)) == 2e4
    with pytest.raises(losses.ShapeError):
        class_loss(logits, labels[:, :3], ())


def test_targets_are_the_labels_of_the_batch_in_another_order():
    labels = jnp.arange(12.0).reshape(6, 2)
    one, again, other = (np.asarray(permuted(jax.random.key(seed), labels)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(np.sort(other, axis=0), labels)
    assert (one != other).any()


# Settings.


def test_the_learning_rate_falls_to_zero_or_as_in_the_program():
    def rates(iterations, **settings):
        chosen = dataclasses.replace(SETTINGS, **settings)
        return [float(family.learning_rate(chosen, 1.0, iteration)) for iteration in iterations]

    iterations = (0, 99_999, 100_000, 100_001, 150_000, 199_999, 200_000)
    np.testing.assert_allclose(rates(iterations), [1, 1, 1, 0.99999, 0.5, 1e-5, 0], rtol=1e-3, atol=1e-7)
    as_there = rates((100_999, 101_000, 101_999, 102_000, 199_999), decay="program")
    np.testing.assert_allclose(as_there, [1, 0.99999, 0.99999, 0.99998, 0.99901], rtol=1e-6)
    assert rates(iterations, decay_steps=0) == [1.0] * len(iterations)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"width": 0}, "width=0"),
        ({"blocks": -1}, "blocks=-1"),
        ({"critic_steps": 0}, "critic_steps=0"),
        ({"penalty_weight": -1.0}, "penalty_weight=-1.0"),
        ({"generator_learning_rate": math.inf}, "generator_learning_rate=inf"),
        (
            {"discriminator_layers": 4},
            "discriminator_layers=4: leaves nothing of pictures of 8 pixels; choose at most 3",
        ),
        ({"kinds": "hair,nose"}, "kinds=hair,nose: the pictures' conditions are of hair, eyes"),
        ({"kinds": ","}, "kinds=,: names none; choose from hair, eyes"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, named):
    with pytest.raises(UserError, match=f"^{named}"):
        systems.build("stargan", examples(), **{**SMALL, **settings})


def test_pictures_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"^image_size=12: StarGAN takes powers of two from 8 on"):
        systems.build("stargan", examples(side=12), **SMALL)
    with pytest.raises(UserError, match="pictures have no conditions"):
        systems.build("stargan", data.from_arrays(examples().images), **SMALL)
    system = systems.build("stargan", examples(), **SMALL)
    batch = {"image": np.zeros((3, 2, 8, 8, 3), np.uint8), "condition": np.zeros((3, 2, 5), np.uint8)}
    with pytest.raises(ValueError, match="StarGAN takes 2 batches a step, got 3"):
        jax.eval_shape(lambda key: system.step(system.init(key), batch), jax.random.key(0))


def test_settings_become_rules():
    kinds = family.kinds_of(NAMES, "eyes")
    chosen = dataclasses.replace(SETTINGS, image_size=64, precision="bfloat16", width=3)
    rules = family.build_rules(chosen, 1, kinds, 5)
    assert (rules.columns, rules.kinds, rules.condition_dim) == ((3, 4), (2,), 5)
    expected = stargan(image_size=64, channels=1, labels=2, width=3, dtype=jnp.bfloat16)
    assert (rules.generator, rules.discriminator) == expected
    assert family.build_rules(dataclasses.replace(SETTINGS, class_loss="binary"), 3, kinds, 5).kinds == ()
    both = family.build_rules(SETTINGS, 3, family.kinds_of(NAMES, None), 5)
    assert (both.columns, both.kinds, both.generator.image_shape) == ((0, 1, 2, 3, 4), (3, 2), (128, 128, 3))
    told = {"critic_steps": 3, "penalty_weight": 2.0, "class_weight": 3.0, "reconstruction_weight": 4.0, "flip": False}
    told["identity_weight"] = 5.0
    rules = family.build_rules(dataclasses.replace(SETTINGS, **told), 3, kinds, 5)
    assert {name: getattr(rules, name) for name in told} == told


def test_labels_that_do_not_exclude_one_another_need_the_binary_loss():
    labels = np.eye(5, dtype=np.uint8)[np.arange(20) % 3]
    labels[:3, :2] = 1  # more than a tenth have two colours of hair
    pictures = np.zeros((20, 8, 8, 3), np.uint8)
    examples = Examples({"image": pictures, "condition": labels}, condition_names=NAMES)
    with pytest.raises(UserError, match=r"class_loss=softmax: 3 pictures have several labels of hair"):
        family.build(dataclasses.replace(SETTINGS, image_size=8, kinds="hair"), examples)


@pytest.mark.parametrize("kinds", [None, "hair", "class", "hair, eyes"])
def test_a_recipe_is_checked_before_any_picture_is_read(kinds):
    start.check_sizes(resolve({"model": "stargan", "kinds": kinds}, systems.names()))
    with pytest.raises(UserError, match="image_size=48"):
        start.check_sizes(resolve({"model": "stargan", "kinds": kinds, "image_size": 48}, systems.names()))


# The system, with a translation that paints labels, and a discriminator that sees the last class of each kind.


@pytest.fixture
def painted(monkeypatch):
    def paint(rules, state, images, labels):
        painted = np.array(images)
        painted[:, 0, : labels.shape[1], 0] = labels
        return painted

    monkeypatch.setattr(stargan_outputs, "translated", paint)
    seen = np.array([0, 0, 1, 0, 1], np.float32)
    monkeypatch.setattr(
        stargan_outputs, "classified", lambda rules, state, images: np.tile(seen[list(rules.columns)], (len(images), 1))
    )
    return functools.partial(systems.build, "stargan", examples(), **SMALL)


def test_the_preview_shows_pictures_in_every_class_and_nothing_else_changed(painted):
    system = painted()
    assert system.preview.rows == ("input", *NAMES)
    shown = system.preview.images(None).reshape(6, 8, 8, 8, 3)
    np.testing.assert_array_equal(shown[0], examples().images[[0, 1, 2, 3, 4, 0, 1, 2]])
    labels = shown[1:, 1, 0, :5, 0]  # of the second picture, blue hair and blue eyes
    expected = [[1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0, 0, 1, 0, 1], [0, 1, 0, 1, 0], [0, 1, 0, 0, 1]]
    np.testing.assert_array_equal(labels, expected)


def test_of_many_classes_a_preview_shows_twelve():
    names = tuple(map(str, range(40)))
    images = np.zeros((40, 8, 8, 1), np.uint8)
    system = systems.build("stargan", data.from_arrays(images, np.arange(40), condition_names=names), **SMALL)
    assert len(system.preview.rows) == 13 and system.preview.rows[1::11] == ("0", "39")


def test_what_a_condition_leaves_open_stays_as_it_is_seen(painted):
    into, images = painted().outputs.translate_to, examples().images[:2]
    made = into.images(None, images, np.array([[1, 0, 0, 0, 0], [0, 1, 0, 1, 0]]))
    np.testing.assert_array_equal(made[:, 0, :5, 0], [[1, 0, 0, 0, 1], [0, 1, 0, 1, 0]])
    by_themselves = painted(class_loss="binary").outputs.translate_to
    made = by_themselves.images(None, images, np.array([[1, 0, 0, 0, 0], [0, 1, 0, 1, 0]]))
    np.testing.assert_array_equal(made[:, 0, :5, 0], [[1, 0, 1, 0, 1], [0, 1, 1, 1, 1]])
    hair = painted(kinds="hair").outputs.translate_to
    for condition in ([1, 0, 0, 1, 0], [0, 0, 0, 0, 0]):
        with pytest.raises(UserError, match=r"^condition: is to be of hair, which this system translates"):
            hair.images(None, images, np.array([condition] * 2))


def test_measures_by_hand(painted):
    system, pictures = painted(), examples()
    pictures.images.setflags(write=False)
    found = system.outputs.measure(None, pictures.images, jax.random.key(0))
    painted_over = pictures.images.astype(np.float32)
    painted_over[:, 0, :5, 0] = [0, 0, 1, 0, 1]
    expected = np.abs(painted_over - pictures.images).mean() / 127.5
    np.testing.assert_allclose(found["cycle_l1"].value, expected, rtol=1e-6)
    labels = {"hair": np.array([2, 2, 1, -1, 0]), "eyes": np.full(5, -1)}
    found = system.outputs.measure_labelled(None, pictures.images, labels)
    assert {name: measure.value for name, measure in found.items()} == {"hair/classified": 0.5}
    assert painted(class_loss="binary").outputs.measure_labelled is None


# Recoloured faces.


@pytest.mark.parametrize("any_hair", [False, True])
def test_a_recoloured_face_is_the_same_but_for_one_colour(tmp_path, any_hair):
    given = {"size": 32, "count": 6, "seed": 3, "any_hair": any_hair, "cache_dir": tmp_path}
    plain = avatars.load(**given)
    for part, start_, stop in (("hair", 0, 12), ("eyes", 12, 23)):
        found = recoloured.load(part=part, **given)
        np.testing.assert_array_equal(found.arrays["input"], plain.images)
        changed = found.conditions != plain.conditions
        assert (changed.sum(axis=1) == 2).all() and (changed[:, start_:stop].sum(axis=1) == 2).all()
        alike = (found.images == plain.images).all(-1)
        assert alike[:, 0].mean() > 0.5 and (alike.mean((1, 2)) < 1).all()
        if part == "hair":
            assert (avatars.measure_hair_colour(found.images) == found.conditions[:, :12].argmax(1)).all()
            assert alike[:, :2, [0, 1, -2, -1]].all()  # backgrounds stay
    for given, named in (
        ({"part": "nose"}, "faces have colours of hair and eyes, not of nose"),
        ({"size": 8}, "image_s"),
    ):
        with pytest.raises(UserError, match=f"^{named}"):
            recoloured.load(**{"part": "hair", "size": 16, "count": 1, **given})


@pytest.fixture
def of_faces(monkeypatch):
    """A run of 16×16 faces, whose translations are the truth, where that is known, else inverted pictures."""
    given = {"model": "stargan", "image_size": 16, "num_examples": 4, "width": 2, "blocks": 1, "kinds": "hair"}
    recipe = resolve(given, systems.names())
    truths = references.recoloured_pictures(recipe, "hair", 3)
    known = {one.tobytes(): other for one, other in zip(truths.arrays["input"], truths.images, strict=True)}

    def answer(rules, state, images, labels):
        assert labels.shape[1] == 12 and (labels.sum(axis=1) == 1).all()
        return np.stack([known.get(pixels.tobytes(), 255 - pixels) for pixels in images])

    monkeypatch.setattr(stargan_outputs, "translated", answer)
    monkeypatch.setattr(
        stargan_outputs, "classified", lambda rules, state, images: np.eye(12)[np.arange(len(images)) % 12]
    )
    described = data.Examples.described((16, 16, 3), CONDITION_NAMES, "")
    system = recipe.family.build(recipe.settings, described)
    return TrainedRun(recipe, system, 0, None, CONDITION_NAMES, ""), truths


def test_held_out_faces_are_shown_and_scored(of_faces):
    run, truths = of_faces
    assert sample.shows(run) == ("translations",)
    shown = translation.translations(run, 9, 0)
    assert shown.rows == ("input", "output", "truth")
    rows = shown.images.reshape(3, 3, 16, 16, 3)
    with pytest.raises(UserError, match=r"^direction: stargan translates into conditions"):
        translation.translations(run, 9, 0, "a_to_b")
    np.testing.assert_array_equal(rows[1], rows[2])
    np.testing.assert_array_equal(rows[2], truths.images)
    scores = make_measurer(run.recipe, run.system, num=3)(None)
    assert scores["rmse"]["value"] == scores["change_outside"]["value"] == 0 < 0.1 < scores["unchanged_rmse"]["value"]
    hair = scores["hair/measured_conditional_accuracy"]
    assert hair["value"] == hair["accuracy_on_real"]
    assert {"cycle_l1", "hair/classified", "eyes/measured_conditional_accuracy"} <= scores.keys()


def test_translations_have_conditions_of_their_own():
    with pytest.raises(UserError, match=r"^condition: show=translations chooses its own"):
        sample.check(sample.Sample(show="translations", condition="blue hair"))


def test_changes_outside_of_the_hair_are_counted(of_faces, monkeypatch):
    run, truths = of_faces
    monkeypatch.setattr(
        stargan_outputs, "translated", lambda rules, state, images, labels: images // 2 + np.uint8(127) * (images < 128)
    )
    found = make_measurer(run.recipe, run.system, num=3)(None)["change_outside"]["value"]
    inputs = truths.arrays["input"].astype(np.float32)
    changes = np.abs(inputs // 2 + 127 * (inputs < 128) - inputs) / 127.5
    outside = (truths.images == truths.arrays["input"]).all(-1)
    expected = np.mean([change[where].mean() for change, where in zip(changes, outside, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pictures_of_ones_own_are_translated_into_a_condition_or_into_all(of_faces, tmp_path):
    run, _ = of_faces
    for number in range(2):
        Image.new("RGB", (16, 16), (40 * number, 9, 9)).save(tmp_path / f"{number}.png")
    translate = functools.partial(translation.translated, run, str(tmp_path))
    one = translate(condition="blonde hair", pairs=True)
    assert one.rows == ("input", "blonde hair") and len(one.images) == 4
    np.testing.assert_array_equal(one.images[2:], 255 - one.images[:2])
    alone = translate(condition="Blue Hair", pairs=False)
    assert [CONDITION_NAMES[place] for place in alone.labels.argmax(1)] == ["blue hair"] * 2
    every = translate(pairs=True)
    assert every.columns == 13 and every.heads == ("input", *CONDITION_NAMES[:12]) and len(every.images) == 26
    np.testing.assert_array_equal(every.images[13], 255 - every.images[14])
    assert len(translate(pairs=False).labels) == 24
    for given, named in (
        ({"condition": "bald"}, 'condition: the condition "bald" has no known name'),
        ({"condition": "blue eyes"}, "condition: is to be of hair"),
        ({"direction": "a_to_b"}, "direction: stargan translates into conditions"),
    ):
        with pytest.raises(UserError, match=f"^{named}"):
            translate(pairs=True, **given)


def test_a_condition_of_what_translates_in_directions_is_refused(of_faces):
    run, _ = of_faces
    recipe = resolve({"model": "pix2pix", "image_size": 32, "width": 2}, systems.names())
    system = recipe.family.build(recipe.settings, data.Examples.described((32, 32, 3), (), ""))
    with pytest.raises(UserError, match=r"^condition: pix2pix translates input_to_image; leave it out"):
        translation.translated(
            dataclasses.replace(run, recipe=recipe, system=system), "x.png", condition="7", pairs=True
        )
