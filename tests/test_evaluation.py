"""What a run is measured against, and what comes out, with thumbnails for features: no network is trained here."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from test_tfds import write_dataset

from experiments import evaluate
from experiments.run import evaluation, references
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan.data import avatars, tags
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.metrics import features
from jaxgan.systems.outputs import Measure
from jaxgan.training.fitting import initial_state

NUM = 200
SMALL = {"image_size": 16, "generator_width": 4, "discriminator_width": 4, "num_examples": 64}
RECIPE = resolve({"model": "cgan_anime", **SMALL}, ("cgan_anime",))
SYSTEM = RECIPE.family.build(RECIPE.settings, Examples.described((16, 16, 3), tags.CONDITION_NAMES, ""))


class Honest(evaluation.Evaluator):
    """Its generator gives the real pictures themselves."""

    def draw_images(self, state):
        return np.asarray(self.real.images)


@pytest.fixture(scope="module")
def evaluator():
    return evaluation.make_evaluator(RECIPE, SYSTEM, num=NUM, kind="thumbnails", progress=False)


@pytest.fixture(scope="module")
def state():
    return initial_state(SYSTEM)


def as_honest(evaluator):
    return Honest(**{field.name: getattr(evaluator, field.name) for field in dataclasses.fields(evaluator)})


def test_real_pictures_have_the_best_scores(evaluator):
    found = as_honest(evaluator)(None, training_images=evaluator.real.images)
    assert found["fid"]["value"] == pytest.approx(0.0, abs=1e-5)
    assert [found[name]["value"] for name in ("precision", "recall", "coverage")] == [1.0, 1.0, 1.0]
    assert found["authenticity"]["value"] == 0.0
    assert found["training_distance"]["value"] == pytest.approx(0.0, abs=1e-5)
    for head in ("hair", "eyes"):
        accuracy = found[f"{head}/measured_conditional_accuracy"]
        assert accuracy["value"] == accuracy["accuracy_on_real"] > 0.4
    assert found["hair/measured_conditional_accuracy"]["value"] > 0.95


@pytest.mark.slow
def test_an_untrained_generator_has_bad_ones_with_all_that_makes_them_comparable(evaluator, state):
    found = evaluator(state)
    assert json.loads(json.dumps(found)) == found
    assert found["fid"]["value"] > 1.0 and found["coverage"]["value"] < 0.2
    assert found["hair/measured_conditional_accuracy"]["value"] < 0.5
    fid = found["fid"]
    assert (fid["n"], fid["n_reference"], fid["split"], fid["seed"]) == (NUM, NUM, "test", 0)
    assert fid["resolution"] == [16, 16, 3] and fid["resize"] == "none: drawn at this size"
    assert fid["feature_network"]["name"] == "thumbnails-8x8" and len(fid["feature_network"]["digest"]) == 64
    assert evaluator(state) == found  # to the bit
    other = as_honest(dataclasses.replace(evaluator, seed=3))(None)
    assert other["fid"]["seed"] == 3 and other["kid"] != as_honest(evaluator)(None)["kid"]
    smooth = evaluator.path_length(state)
    assert smooth["value"] > 0 and smooth["n"] == evaluation.PATHS
    for name, score in {**found, "path_length": smooth}.items():
        assert {"n", "split", "resolution", "feature_network"} <= score.keys(), name


def test_the_generator_is_asked_for_what_the_real_pictures_have(evaluator):
    np.testing.assert_array_equal(evaluator.conditions, evaluator.real.conditions)
    drawn = [avatars.draw_example(index, seed=1, size=16) for index in range(3)]  # another seed than the run's own
    np.testing.assert_array_equal(evaluator.real.images[:3], [image for image, _ in drawn])


@pytest.mark.slow
def test_more_pictures_than_real_ones_take_their_conditions_in_turn():
    recipe = dataclasses.replace(RECIPE, num_examples=NUM)
    found = evaluation.make_evaluator(recipe, SYSTEM, num=2 * NUM, kind="thumbnails", split="train", progress=False)
    assert len(found.real) == NUM and len(found.z) == 2 * NUM
    np.testing.assert_array_equal(found.conditions, np.concatenate([found.real.conditions] * 2))


def test_of_some_pictures_each_keeps_its_own_condition():
    whole, some = references.load_pictures(RECIPE), references.reference_pictures(RECIPE, "train", 10, seed=3)
    for image, condition in zip(some.images, some.conditions, strict=True):
        (place,) = np.flatnonzero((whole.images == image).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(condition, whole.conditions[place])


def test_a_data_set_without_a_test_split_is_its_own_reference(tmp_path):
    write_dataset(tmp_path, shape=(16, 16, 3), count=30)
    flags = {"model": "dcgan_64", "dataset": "animals", "data_dir": str(tmp_path), "image_size": 16}
    recipe = resolve(flags, ("dcgan_64",))
    assert references.reference_split(recipe) == "train"
    train, test = references.teaching_pictures(recipe)
    assert (len(train), len(test)) == (27, 3)


def test_the_network_is_taught_by_the_runs_own_pictures_whatever_it_is_measured_against(tmp_path, monkeypatch):
    recipes = []
    for name, grey in (("own", 0), ("others", 100)):
        (tmp_path / name).mkdir()
        for number in range(130):
            Image.new("RGB", (16, 16), (number, grey, 0)).save(tmp_path / name / f"{number:03d}.png")
        flags = {"model": "dcgan_64", "data_dir": str(tmp_path / name), "image_size": 16}
        recipes.append(resolve(flags, ("dcgan_64",)))
    own, others = recipes
    taught = []

    def load(name, train, _test):
        taught.append(train.digest)
        return features.from_function(lambda images: images.reshape(len(images), -1)[:, :128], name=name, digest="d")

    monkeypatch.setattr(features, "load", load)
    for against in (own, others):
        found = evaluation.make_evaluator(against, SYSTEM, num=130, taught_by=own, progress=False)
        assert found.real.digest == references.load_pictures(against).digest
    assert taught == [references.teaching_pictures(own)[0].digest] * 2


def test_the_log_gets_a_few_bare_numbers(state):
    recipe = dataclasses.replace(RECIPE, evaluate_every=1, evaluate_num=NUM, evaluate_features="thumbnails")
    found = evaluation.during_training(recipe, SYSTEM)(state)
    assert {"fid", "kid", "coverage"} <= set(found) and "precision" not in found
    assert {"hair/measured_mode_coverage", "eyes/measured_conditional_accuracy"} < set(found)
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())


@pytest.mark.parametrize(("kind", "num", "named"), [("thumbnails", 191, "192"), ("trained", 127, "128")])
def test_fewer_pictures_than_features_are_refused(kind, num, named):
    with pytest.raises(UserError, match=f"num={num}: {named} features need"):
        evaluation.make_evaluator(RECIPE, SYSTEM, num=num, kind=kind)
    recipe = dataclasses.replace(RECIPE, evaluate_num=num, evaluate_features=kind)
    with pytest.raises(UserError, match=f"evaluate_num={num}"):
        evaluation.during_training(recipe, SYSTEM)


def test_weights_go_with_their_digest():
    with pytest.raises(UserError, match=r"feature_weights and feature_sha256: give both.*`sha256sum FILE`"):
        evaluate._weights(evaluate.Evaluate(feature_weights="inception.npz"))
    with pytest.raises(UserError, match=r"^feature_weights=absent\.npz: cannot be read"):
        evaluate._weights(evaluate.Evaluate(feature_weights="absent.npz", feature_sha256="0" * 64))
    with pytest.raises(UserError, match=r"cannot read the weights absent\.npz"):
        evaluation.make_evaluator(RECIPE, SYSTEM, num=NUM, weights=("absent.npz", "0" * 64))


def brightness(state, images, key, condition):
    assert len(condition) == len(images)  # further arrays that the system takes come by their names
    return {"brightness": Measure(float(images.mean()), 0.5, "of 255"), "units": Measure(3, None, "of 4")}


def with_outputs(**outputs):
    return dataclasses.replace(SYSTEM, outputs=dataclasses.replace(SYSTEM.outputs, **outputs))


def test_a_systems_own_measures_are_taken_of_pictures_that_it_has_not_seen():
    found = evaluation.make_measurer(RECIPE, with_outputs(measure=brightness), num=50)(None)
    real = references.reference_pictures(RECIPE, "test", 50, 0).images
    context = {"n": 50, "resolution": [16, 16, 3], "split": "test", "seed": 0}
    first = {"value": float(real.mean()), "standard_error": 0.5, "meaning": "of 255"}
    assert found["brightness"] == first | context and json.loads(json.dumps(found)) == found
    head, *lines = [line.split() for line in evaluate.table(found).splitlines()]
    assert head == ["score", "value", "better", "what", "it", "says"]
    assert lines == [
        ["brightness", f"{real.mean():.4g}", "±", "0.5", "of", "255"],
        ["units", "3", "of", "4"],
    ]
    with pytest.raises(UserError, match="cgan_anime has no measures of its own"):
        evaluation.make_measurer(RECIPE, SYSTEM, num=50)


@pytest.mark.slow
def test_the_log_gets_the_measures_of_a_system_that_draws_nothing(state):
    alone = with_outputs(latent=None, measure=brightness)
    assert evaluation.during_training(RECIPE, alone)(state).keys() == {"brightness", "units"}
    with pytest.raises(UserError, match=r"^evaluate_every: cgan_anime draws no samples .* no measures of its own"):
        evaluation.during_training(RECIPE, with_outputs(latent=None))


def test_a_table_has_a_line_a_score_and_says_what_it_means(evaluator):
    found = as_honest(evaluator)(None)
    head, *lines = evaluate.table(found).splitlines()
    assert head.split() == ["score", "value", "better", "what", "it", "says"]
    better = {line.split()[0]: "lower" in line.split() for line in lines if line.split()[0] in ("fid", "coverage")}
    assert better == {"fid": True, "coverage": False}
    run = TrainedRun(RECIPE, SYSTEM, 1500, None, (), "")
    above = evaluate.heading(run, found, same=False)
    assert above.startswith(f"{NUM:,} pictures of cgan_anime at step 1,500, against ") and "no near copies" not in above
    assert "others than those of its training" in above and "features: " in above
    assert evaluate.heading(run, {}, same=True).startswith("cgan_anime at step 1,500 of ")
    assert len(lines) == len([score for score in found.values() if not isinstance(score["value"], dict)])
    assert [line for line in lines if "hair/measured_mode_coverage" in line and line.endswith("classes that are drawn")]
    assert all(len(line) > 60 for line in lines)  # each has its meaning


def test_extrapolation_needs_six_times_as_many_pictures_as_features(evaluator):
    with pytest.raises(UserError, match="extrapolate: needs at least 1152"):
        evaluator(None, extrapolate=True)


def test_a_split_that_is_too_small_or_absent_is_refused():
    with pytest.raises(UserError, match="split=train: has 64 pictures"):
        evaluation.make_evaluator(RECIPE, SYSTEM, num=NUM, kind="thumbnails", split="train")
    with pytest.raises(UserError, match="no split dev"):
        evaluation.make_evaluator(RECIPE, SYSTEM, num=NUM, kind="thumbnails", split="dev")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("folder")
    for number in range(40):
        Image.new("RGB", (16, 16), (number * 6, 0, 0)).save(directory / f"{number:02d}.png")
    return resolve({"model": "dcgan_64", "data_dir": str(directory), "image_size": 16}, ("dcgan_64",))


def test_a_folder_is_its_own_reference_and_keeps_a_tenth_for_the_networks_test(folder):
    assert references.reference_split(folder) == "train"
    whole = references.load_pictures(folder)
    train, test = references.teaching_pictures(folder)
    np.testing.assert_array_equal(np.concatenate([train.images, test.images]), whole.images)
    assert len(test) == 4 and len({train.digest, test.digest, whole.digest}) == 3
    some = references.reference_pictures(folder, "train", 10, seed=3)
    assert len(some) == 10 and all((image == whole.images).all(axis=(1, 2, 3)).any() for image in some.images)
    other = references.reference_pictures(folder, "train", 10, seed=4)
    assert not np.array_equal(some.images, other.images)


def test_a_folders_tags_teach_the_network_of_every_model(folder, tmp_path):
    for number in range(40):
        Image.new("RGB", (16, 16), (number * 6, 0, 0)).save(tmp_path / f"{number:02d}.png")
    recipe = dataclasses.replace(folder, data_dir=str(tmp_path))
    assert references.teaching_pictures(recipe)[0].condition_names == ()
    lines = [f"{number},{'blue' if number % 2 else 'red'} hair green eyes" for number in range(40)]
    (tmp_path / "tags.csv").write_text("\n".join(lines))
    train, test = references.teaching_pictures(recipe)
    assert train.condition_names == tags.CONDITION_NAMES and len(train) + len(test) == 40
    assert references.load_pictures(recipe).condition_names == ()  # those that the model is trained on
    (tmp_path / "tags.csv").write_text("\n".join(lines[:10]))
    assert references.teaching_pictures(recipe)[0].condition_names == ()  # most have none


def test_pictures_seen_are_those_of_every_critic_step():
    recipe = resolve({"model": "wgan_anime", "critic_warmup": True, "batch_size": 32}, ("wgan_anime",))
    run = TrainedRun(
        recipe, recipe.family.build(recipe.settings, Examples.described((96, 96, 3), (), "")), 27, None, (), "0" * 64
    )
    described = evaluate._described(run, "1" * 64)
    assert described["pictures_seen"] == (25 * 100 + 2 * 5) * 32
    assert not described["trained_on_these_pictures"]


def test_other_pictures_than_those_of_the_run_are_no_training_pictures(folder):
    digest = references.load_pictures(folder).digest
    assert len(references.training_pictures(folder, digest)) == 40
    with pytest.raises(UserError, match="data_dir"):
        references.training_pictures(folder, "0" * 64)


def test_a_calibrated_table_says_what_real_and_spoilt_pictures_score():
    calibration = {"real": 1.5, "lightly_spoilt": 20.0, "heavily_spoilt": 400.0, "n": 200}
    found = {
        "fid": {"value": 12.0, "standard_error": 0.5, "calibration": calibration},
        "path_length": {"value": 3.0, "standard_error": None},
    }
    head, fid, length = evaluate.table(found).splitlines()
    assert head.split()[:5] == ["score", "value", "real", "spoilt", "ruined"]
    assert fid.split()[:7] == ["fid", "12", "±", "0.5", "1.5", "20", "400"]
    assert length.split()[:3] == ["path_length", "3", "lower"]
    assert head.index("what it says") == fid.index("distance") == length.index("how much")
