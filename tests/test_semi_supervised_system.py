"""The semi-supervised GAN as a system: settings, sources, what is written down of them, and what is measured."""

import json
import math

import jax
import numpy as np
import pytest

from experiments.run import start
from experiments.run.recipes import resolve
from jaxgan import data, systems
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.systems import semi_supervised, semi_supervised_outputs
from jaxgan.training.files.description import write_description
from jaxgan.training.files.workdir import Workdir

SMALL = {"generator_width": 4, "discriminator_width": 8, "latent_dim": 3, "batch_size": 4, "labels_per_class": 2}


@pytest.fixture(scope="module")
def digits():
    """A small system on made-up digits of three classes, its examples and its first state."""
    images = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 1), np.uint8)
    pictures = data.from_arrays(images, np.arange(24) % 3)
    system = systems.build("ssgan_mnist", pictures, **SMALL)
    return system, pictures, jax.jit(system.init)(jax.random.key(0))


def settings_of(**changes):
    return resolve({"model": "ssgan_mnist", "dataset": "mnist", **changes}, ("ssgan_mnist",)).settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels_per_class": 0}, "labels_per_class=0: must be above 0"),
        ({"labels_seed": -1}, "seed=-1: must be from 0"),
        ({"generator_loss": "hinge"}, "generator_loss=hinge: choose one of feature_matching"),
        ({"unsupervised_weight": -1.0}, "unsupervised_weight=-1.0: must be 0 or more"),
        ({"average_decay": 1.0}, "average_decay=1.0: must be at least 0 and below 1"),
        ({"beta1": 1.5}, "beta1=1.5: must be at least 0 and below 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=f"^{message}"):
        settings_of(**changes)


def test_defaults_are_those_of_the_source():
    recipe = resolve({"model": "ssgan_mnist"}, ("ssgan_mnist",))
    chosen = recipe.settings
    rates = chosen.generator_learning_rate, chosen.discriminator_learning_rate
    assert (chosen.batch_size, *rates, chosen.beta1, recipe.epochs) == (100, 3e-3, 3e-3, 0.5, 300)
    assert (chosen.labels_per_class, chosen.average_decay, chosen.unsupervised_weight) == (10, 0.9999, 1.0)


def test_settings_reach_the_networks_and_the_rules():
    chosen = settings_of(generator_loss="minimax", unsupervised=False, unsupervised_weight=0.5, average_decay=0.9)
    rules = semi_supervised.build_rules(chosen, (20, 20, 3), 7)
    assert rules.gan.image_shape == (20, 20, 3) and rules.gan.discriminator.classes == 7
    assert (rules.generator_loss, rules.unsupervised) == ("minimax", False)
    assert (rules.unsupervised_weight, rules.average_decay) == (0.5, 0.9)
    names = semi_supervised.build_report(True).metrics, semi_supervised.build_report(False).metrics
    assert set(names[0]) - set(names[1]) == {"unlabelled_loss", "g_loss", "d_real", "d_fake"}


def test_pictures_without_labels_are_refused():
    with pytest.raises(UserError, match="dataset: its pictures have no labels"):
        systems.build("ssgan_mnist", data.from_arrays(np.zeros((4, 6, 6, 1), np.uint8)))


def test_the_classes_of_avatars_are_their_first_head():
    names = ("red hair", "blue hair", "green eyes", "grey eyes", "brown eyes")
    system = settings_and_system(Examples.described((6, 6, 3), names, "digest"))
    assert system.outputs.score.network.classes == 2
    state = jax.eval_shape(system.init, jax.random.key(0))  # without pictures to calibrate on
    assert int(np.prod(state.classifier["WeightNormDense_5"]["bias"].shape)) == 2


def settings_and_system(examples):
    family = systems.family_of("ssgan_mnist")
    return family.build(family.settings(model="ssgan_mnist", image_size=6, **SMALL), examples)


def test_one_set_is_divided_and_sources_are_taken_as_they_are(digits):
    system, pictures, _ = digits
    parts = system.sources(pictures)
    assert {name: len(part) for name, part in parts.items()} == {"labelled": 6, "unlabelled": 24}
    assert system.sources(parts) is parts
    other = systems.build("ssgan_mnist", pictures, labels_seed=1, **SMALL).sources(pictures)
    assert other["labelled"].digest != parts["labelled"].digest
    plain = systems.build("mlp_b", pictures, generator_width=2, discriminator_width=2)
    assert plain.sources(pictures) is pictures


def test_the_description_of_a_run_has_the_labelled_pictures(digits, tmp_path):
    system, pictures, _ = digits
    with Workdir(tmp_path / "run") as workdir:
        write_description(workdir, "made", pictures, "--labels_per_class=2\n", system.sources(pictures))
    described = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert described["sha256"] == pictures.digest and described["pictures"] == 24
    assert described["sources"]["labelled"] == {"pictures": 6, "sha256": system.sources(pictures)["labelled"].digest}
    assert described["sources"]["unlabelled"]["pictures"] == 24


def test_a_batch_of_other_sources_is_refused_in_words(digits):
    system, _, state = digits
    with pytest.raises(UserError, match=r'^batch: has no "labelled"'):
        system.step(state, {"image": np.zeros((4, 6, 6, 1), np.uint8)})


def test_latents_are_uniform(digits):
    system, _, _ = digits
    latent = system.outputs.latent
    z = np.asarray(latent.latents(jax.random.key(0), 500))
    assert z.shape == (500, 3) and z.min() >= 0 and z.max() < 1 and not latent.normal
    np.testing.assert_allclose((z.mean(), z.std()), (0.5, 1 / math.sqrt(12)), atol=0.03)
    moved = latent.latents(jax.random.key(0), 500, mean=1.0, std=2.0, truncation=0.5)
    np.testing.assert_allclose(moved, 1.5 + 2 * (0.5 / math.sqrt(3)) * (z - 0.5), rtol=1e-5)


def test_accuracy_is_of_pictures_with_a_class_by_the_average_and_without(digits, monkeypatch):
    system, pictures, state = digits
    images, labels = np.asarray(pictures.images), np.arange(24) % 3
    state = state.replace(classifier=jax.tree.map(np.zeros_like, state.classifier))

    def stand_in(gan, variables, given):
        averaged = not np.any(variables["params"]["WeightNormDense_0"]["kernel"])
        told = labels[: len(given)] if averaged else np.zeros(len(given), int)
        return np.log(0.02 + 0.94 * np.eye(3)[told])

    monkeypatch.setattr(semi_supervised_outputs, "classify", stand_in)
    found = system.outputs.measure_labelled(state, images, {"class": np.where(np.arange(24) < 18, labels, -1)})
    probes = {"probe_accuracy", "probe_accuracy_of_random_features"}
    assert set(found) == {"accuracy", "accuracy_without_average"} | probes
    assert all(0 <= found[name].value <= 1 and "9 real pictures" in found[name].meaning for name in probes)
    assert found["accuracy"].value == 1.0 and found["accuracy_without_average"].value == pytest.approx(1 / 3)
    assert found["accuracy_without_average"].standard_error == pytest.approx(math.sqrt(2 / 9 / 18))
    assert "18 real pictures whose class" in found["accuracy"].meaning
    assert system.outputs.measure_labelled(state, images, {"hair": labels}) == {}
    sure = system.outputs.measure(state, images, jax.random.key(0))["confidence"]
    assert sure.value == pytest.approx(0.96)


def test_features_are_the_last_hidden_units(digits):
    system, pictures, state = digits
    gan = system.outputs.measure.args[0]
    features = semi_supervised_outputs.features_of(gan, state.classifier_variables, pictures.images)
    layer = state.classifier["WeightNormDense_5"]
    weights = layer["kernel"] / np.linalg.norm(layer["kernel"], axis=0) * layer["scale"]
    logits = features @ weights + layer["bias"]
    found = semi_supervised_outputs.classify(gan, state.classifier_variables, pictures.images)
    np.testing.assert_allclose(found, jax.nn.log_softmax(logits), rtol=1e-4, atol=1e-5)


def test_classification_is_in_evaluation_mode(digits):
    system, pictures, state = digits
    gan = system.outputs.measure.args[0]
    whole = semi_supervised_outputs.classify(gan, state.classifier_variables, pictures.images)
    assert whole.shape == (24, 3)
    np.testing.assert_allclose(np.exp(whole).sum(axis=1), 1.0, rtol=1e-5)
    alone = semi_supervised_outputs.classify(gan, state.classifier_variables, pictures.images[:2])
    np.testing.assert_allclose(alone, whole[:2], rtol=1e-3, atol=1e-4)


def test_the_convolutional_one_has_the_settings_of_the_source():
    recipe = resolve({"model": "ssgan_conv", "dataset": "avatars"}, ("ssgan_mnist", "ssgan_conv"))
    chosen = recipe.settings
    assert (chosen.generator_width, chosen.discriminator_width, chosen.latent_dim) == (128, 96, 100)
    assert (chosen.generator_learning_rate, chosen.discriminator_learning_rate, chosen.beta1) == (3e-4, 3e-4, 0.5)
    assert (chosen.batch_size, chosen.generator_loss) == (100, "absolute_feature_matching")
    assert (recipe.picture_size, recipe.epochs) == (32, 800)
    gan = semi_supervised.build_rules(chosen, (40, 40, 1), 12).gan
    assert gan.name == "ssgan_conv" and gan.image_shape == (40, 40, 1) and gan.discriminator.classes == 12
    assert gan.discriminator.width == 96 and gan.generator.width == 128


NAMES = ("red hair", "blue hair", "green eyes", "grey eyes", "brown eyes")


@pytest.mark.parametrize(("kind", "columns"), [(None, slice(0, 2)), ("hair", slice(0, 2)), ("eyes", slice(2, 5))])
def test_the_kind_of_labels_that_is_asked_for_is_the_class(kind, columns):
    conditions = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [1, 0, 1, 0, 0]] * 2)
    pictures = data.from_arrays(np.zeros((6, 10, 10, 3), np.uint8), conditions, condition_names=NAMES)
    sizes = {"generator_width": 2, "discriminator_width": 2, "batch_size": 2, "labels_per_class": 1}
    system = systems.build("ssgan_conv", pictures, labels_of=kind, **sizes)
    labelled = system.sources(pictures)["labelled"]
    assert labelled.condition_names == NAMES[columns] == system.outputs.classify.kind.classes
    np.testing.assert_array_equal(labelled.conditions, np.eye(columns.stop - columns.start))
    assert system.outputs.score.network.classes == columns.stop - columns.start
    assert system.short_step is False


def test_a_kind_that_the_labels_do_not_have_is_refused():
    with pytest.raises(UserError, match=r"^labels_of=nose: the pictures have no such labels; choose one of hair, eyes"):
        semi_supervised.head_of(NAMES, "nose")
    assert semi_supervised.head_of(("3", "7"), "class").classes == ("3", "7")


@pytest.mark.parametrize("kind", [None, "class", "eyes"])
def test_sizes_are_checked_before_any_picture_is_read(kind):
    asked = {"model": "ssgan_conv", "dataset": "avatars", "labels_of": kind}
    start.check_sizes(resolve(asked, ("ssgan_conv",)))
    with pytest.raises(UserError, match="image_size=8: ssgan_conv takes pictures from 9 pixels on"):
        start.check_sizes(resolve({**asked, "image_size": 8}, ("ssgan_conv",)))
