"""InfoGAN as a system: its settings, what its preview and its exhibit show, and what is measured of it."""

import math
import types

import jax
import numpy as np
import pytest

from experiments import sample
from experiments.run import evaluation
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import data, systems
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.models import infogan as networks
from jaxgan.models.infogan import Codes
from jaxgan.systems import code_measures, infogan, infogan_outputs, information
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES
from jaxgan.systems.system import preview_key

SMALL = {"generator_width": 2, "discriminator_width": 2, "noise_dim": 3, "batch_size": 4}


def settings_of(model="infogan_mnist", **changes):
    return resolve({"model": model, "dataset": "avatars", **changes}, (model,)).settings


@pytest.fixture(scope="module")
def digits():
    """A small system on made-up digits of one channel, and a state with weights that make pictures differ."""
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), np.uint8)
    pictures = data.from_arrays(images, np.arange(24) % 3)
    system = systems.build("infogan_mnist", pictures, categorical_codes="4,2", **SMALL)
    state = jax.jit(system.init)(jax.random.key(0))
    louder = jax.tree.map(lambda leaf: 30 * leaf if leaf.ndim > 1 else leaf, state.generator.params)
    return system, state.replace(generator=state.generator.replace(params=louder)), images


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categorical_codes": "10,one"}, "categorical_codes=10,one: give numbers of classes from 2 on"),
        ({"categorical_codes": "1"}, "categorical_codes=1: give numbers of classes from 2 on"),
        ({"categorical_codes": "", "continuous_codes": 0}, "continuous_codes=0: an InfoGAN has codes"),
        ({"continuous_codes": -1}, "continuous_codes=-1: must be from 0 to"),
        ({"noise_dim": -1}, "noise_dim=-1: must be from 0 to"),
        ({"negative_slope": 1.0}, "negative_slope=1.0: must be at least 0 and below 1"),
        ({"categorical_weight": -0.5}, "categorical_weight=-0.5: must be 0 or more"),
        ({"generator_learning_rate": math.inf}, "generator_learning_rate=inf: must be 0 or more"),
        ({"beta1": 1.0}, "beta1=1.0: must be at least 0 and below 1"),
        ({"model": "infogan_faces", "negative_slope": 0.1}, "negative_slope: infogan_faces has that of its DCGAN"),
        ({"spectral_norm": True}, "spectral_norm: infogan_mnist has no spectral normalisation; take infogan_faces"),
        ({"upsampling": "nearest"}, "upsampling: infogan_mnist doubles pictures in a way of its own"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=f"^{message}"):
        settings_of(**changes).check()


def test_defaults_are_those_of_the_source():
    recipe = resolve({"model": "infogan_mnist"}, ("infogan_mnist",))
    chosen = recipe.settings
    rates = chosen.generator_learning_rate, chosen.discriminator_learning_rate
    assert (chosen.batch_size, *rates, chosen.beta1, recipe.steps) == (128, 1e-3, 2e-4, 0.5, 50 * 100)
    assert (chosen.categorical_weight, chosen.continuous_weight) == (1.0, 1.0)
    assert networks.build("infogan_mnist").discriminator.negative_slope == 0.01


def test_settings_reach_the_networks_and_the_rules():
    assert settings_of().codes == Codes(62, (10,), 2) and settings_of(model="infogan_faces").codes.categorical == (
        10,
        10,
    )
    chosen = settings_of(
        noise_dim=5, categorical_codes="3, 2", continuous_codes=1, negative_slope=0.1, categorical_weight=2.0
    )
    rules = infogan.build_rules(chosen, channels=3)
    assert rules.gan.codes == rules.gan.discriminator.codes == Codes(5, (3, 2), 1)
    assert rules.gan.latent_dim == 11 and rules.gan.image_shape == (28, 28, 3)
    assert rules.gan.discriminator.negative_slope == 0.1
    assert (rules.categorical_weight, rules.continuous_weight) == (2.0, 1.0)
    chosen = settings_of(model="infogan_faces", image_size=16, spectral_norm=True, upsampling="nearest", loss="hinge")
    rules = infogan.build_rules(chosen, channels=3)
    assert rules.gan.discriminator.spectral_norm and rules.gan.generator.upsampling == "nearest"
    assert rules.loss is ADVERSARIAL_LOSSES["hinge"] and rules.augment is None
    assert infogan.build_rules(settings_of(diffaugment="affine"), channels=1).augment is not None
    without = settings_of(categorical_codes="", continuous_codes=3)
    assert without.codes == Codes(62, (), 3)
    assert "categorical_information" not in infogan.build_report(without.codes, "nonsaturating").metrics


@pytest.mark.slow
def test_samples_keep_their_classes_whatever_the_spread(digits):
    system, _, _ = digits
    latent, codes = system.outputs.latent, system.outputs.latent.codes
    z = np.asarray(latent.latents(jax.random.key(0), 24))
    moved = np.asarray(latent.latents(jax.random.key(0), 24, mean=0.5, std=2.0, truncation=0.3))
    for place in codes.categorical_columns():
        np.testing.assert_array_equal(moved[:, place], z[:, place])
    others = np.r_[: codes.noise_dim, codes.continuous_columns()]
    np.testing.assert_allclose(moved[:, others], 0.5 + 2.0 * 0.3 / math.sqrt(3) * z[:, others], rtol=1e-5)
    wide = latent.latents(jax.random.key(0), 24, truncation=5.0)  # uniform numbers end at √3 deviations
    np.testing.assert_array_equal(wide, z)
    assert not latent.normal


def near(pictures, expected):
    return np.abs(pictures.astype(int) - expected.astype(int)).max() <= 1  # other rounding in another program


@pytest.mark.slow
def test_the_preview_has_a_row_for_each_class(digits):
    system, state, _ = digits
    shown = system.preview.images(state)
    assert system.preview.rows == ("class 0", "class 1", "class 2", "class 3") and system.preview.columns == 6
    assert shown.shape == (24, 8, 8, 1)
    z = np.array(information.draw_latents(preview_key(0), 24, system.outputs.latent.codes))
    z[:, 3:7] = np.repeat(np.eye(4), 6, axis=0)
    assert near(shown, system.outputs.latent.images(state, z))


def test_the_exhibit_has_a_row_for_each_code_in_which_nothing_else_changes(digits):
    system, state, _ = digits
    exhibit = system.outputs.exhibits["codes"](state, 40, 7)  # two sets of four rows of four
    assert exhibit.images.shape == (32, 8, 8, 1) and (exhibit.columns, exhibit.together) == (4, 4)
    assert exhibit.rows == ("categorical 1", "categorical 2", "continuous 1", "continuous 2")
    assert exhibit.heads == ("class 0, -2.0", "class 1, -0.7", "class 2, +0.7", "class 3, +2.0")
    sets = np.array(information.draw_latents(jax.random.key(7), 2, system.outputs.latent.codes))
    sets[:, -2:] = 0.0
    expected = np.repeat(sets[:, None, None], 4, axis=1).repeat(4, axis=2)  # (set, row, column, latent)
    expected[:, 0, :, 3:7] = np.eye(4)
    expected[:, 1, :2, 7:9] = np.eye(2)
    expected[:, 2, :, -2] = expected[:, 3, :, -1] = np.linspace(-2, 2, 4)
    drawn = system.outputs.latent.images(state, expected.reshape(32, -1)).reshape(2, 4, 4, 8, 8, 1)
    drawn[:, 1, 2:] = 255  # the second code has two classes
    rows = exhibit.images.reshape(2, 4, 4, 8, 8, 1)
    assert near(rows, drawn)
    for row in (0, 2):
        assert len(np.unique(rows[0, row].reshape(4, -1), axis=0)) == 4


def stand_in(monkeypatch, chances, means):
    """Has Q believe this of any pictures."""
    monkeypatch.setattr(infogan_outputs, "read_codes", lambda gan, state, images: (chances, means))


def test_information_is_of_drawn_pictures_and_their_own_codes(digits, monkeypatch):
    system, state, images = digits
    codes, key = system.outputs.latent.codes, jax.random.key(3)
    z = np.asarray(information.draw_latents(key, 24, codes))
    sure = tuple(
        np.log(0.1 / classes + 0.9 * z[:, place])
        for classes, place in zip((4, 2), codes.categorical_columns(), strict=True)
    )
    stand_in(monkeypatch, sure, z[:, -2:] + 0.01)
    found = system.outputs.measure(state, images, key)
    assert found["categorical_1_information"].value == pytest.approx(math.log(4) + math.log(0.925))
    assert found["categorical_2_information"].value == pytest.approx(math.log(2) + math.log(0.95))
    assert "1.39 is all" in found["categorical_1_information"].meaning
    expected = math.log(2) - 0.5 * math.log(2 * math.pi * math.e * 1e-4)
    assert found["continuous_2_information"].value == pytest.approx(expected, rel=1e-4)
    names = {f"continuous_{code}_{what}" for code in (1, 2) for what in ("information", "slant", "thickness")}
    assert set(found) == names | {"categorical_1_information", "categorical_2_information"}
    ink = system.outputs.latent.images(state, z)[..., 0] / 255.0
    expected = code_measures.correlation_within(z[:, -1], code_measures.thicknesses(ink), z[:, 3:7].argmax(axis=1))
    assert found["continuous_2_thickness"].value == pytest.approx(expected[0], abs=0.02)


def test_accuracy_is_of_real_pictures_after_matching(digits, monkeypatch):
    system, state, images = digits
    labels = np.arange(24) % 3
    first = np.log(0.01 + np.eye(4)[(labels + 2) % 4])
    second = np.log(0.01 + np.eye(2)[np.zeros(24, int)])
    stand_in(monkeypatch, (first, second), np.zeros((24, 2)))
    found = system.outputs.measure_labelled(state, images, {"class": labels})
    assert found["categorical_1_accuracy"].value == 1.0 and found["categorical_2_accuracy"].value == 1 / 3
    assert found["categorical_2_accuracy"].standard_error == pytest.approx(math.sqrt(2 / 9 / 24))
    half = np.where(np.arange(24) < 12, labels, -1)  # the others have no label
    found = system.outputs.measure_labelled(state, images, {"hair": half, "eyes": np.full(24, -1)})
    assert set(found) == {"hair/categorical_1_accuracy", "hair/categorical_2_accuracy"}
    assert found["hair/categorical_1_accuracy"].value == 1.0


def test_q_reads_real_pictures_in_evaluation_mode(digits):
    system, state, images = digits
    gan = system.outputs.exhibits["codes"].args[0]
    chances, means = infogan_outputs.read_codes(gan, state, images)
    assert [part.shape for part in chances] == [(24, 4), (24, 2)] and means.shape == (24, 2)
    np.testing.assert_allclose([np.exp(part).sum(axis=1) for part in chances], 1.0, rtol=1e-5)
    alone, _ = infogan_outputs.read_codes(gan, state, images[:2])
    np.testing.assert_allclose(alone[0], chances[0][:2], rtol=1e-3, atol=1e-4)


def test_evaluation_hands_over_labels_where_there_are_any(digits, monkeypatch):
    _, _, images = digits
    pictures = data.from_arrays(images, np.arange(24) % 3)
    asked = {}
    outputs = types.SimpleNamespace(
        translate_to=None,
        require=lambda name, system: lambda state, images, key: {},
        measure_labelled=lambda state, images, labels: asked.update(labels) or {},
    )
    monkeypatch.setattr(evaluation, "reference_pictures", lambda *arguments: pictures)
    inputs = {"": ("image",)}
    stand = types.SimpleNamespace(outputs=outputs, name="infogan_mnist", image_shape=(8, 8, 1), inputs=inputs)
    recipe = types.SimpleNamespace(family=types.SimpleNamespace(paired=False, unpaired=False))
    evaluation.make_measurer(recipe, stand, num=30, split="test")(None)
    assert set(asked) == {"class"}
    np.testing.assert_array_equal(asked["class"], np.arange(24) % 3)
    asked.clear()
    monkeypatch.setattr(evaluation, "reference_pictures", lambda *arguments: data.from_arrays(images))
    evaluation.make_measurer(recipe, stand, num=30, split="test")(None)
    assert not asked


def test_what_a_run_can_be_asked_for():
    recipe = resolve({"model": "infogan_faces", "dataset": "avatars", "image_size": 16}, ("infogan_faces",))
    system = recipe.family.build(recipe.settings, Examples.described((16, 16, 3), (), ""))
    run = TrainedRun(recipe, system, 5, None, (), "digest")
    assert sample.shows(run) == ("samples", "interpolation", "neighbours", "arithmetic", "features", "codes")
    assert system.report.bar == ("d_loss", "g_loss", "categorical_information")
