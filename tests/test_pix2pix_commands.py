"""pix2pix through the commands: its data sets, translations of a user's pictures, and its scores."""

import dataclasses
import functools

import numpy as np
import pytest
from PIL import Image

from experiments import sample
from experiments.run import evaluation, references, translation
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import systems
from jaxgan.data import avatars
from jaxgan.host.errors import UserError
from jaxgan.systems import pix2pix

SMALL = {
    "model": "pix2pix",
    "image_size": 16,
    "num_examples": 6,
    "width": 2,
    "discriminator_width": 2,
    "discriminator_layers": 1,
}


@functools.cache
def run():
    recipe = resolve(SMALL, systems.names())
    pictures = references.load_pictures(recipe)
    system = recipe.family.build(recipe.settings, pictures)
    names = pictures.condition_names
    return TrainedRun(recipe, system, 0, None, names, pictures.digest)  # no test needs its weights


def answered(run, answer):
    """The run with another translation."""
    outputs = dataclasses.replace(run.system.outputs, translate={"input_to_image": answer})
    return dataclasses.replace(run, system=dataclasses.replace(run.system, outputs=outputs))


def test_the_data_set_follows_from_the_model_and_the_folder():
    assert resolve({"model": "pix2pix"}, systems.names()).dataset == "avatars_pairs"
    assert resolve({"model": "pix2pix", "data_dir": "x"}, systems.names()).dataset == "folder_pairs"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (
            {"model": "pix2pix", "dataset": "avatars"},
            "dataset=avatars: pix2pix takes pairs; choose avatars_pairs, fol",
        ),
        ({"model": "mlp_b", "dataset": "avatars_pairs"}, "dataset=avatars_pairs: mlp_b takes no pairs; choose a set"),
        ({"model": "pix2pix", "dataset": "folder_pairs"}, "dataset=folder_pairs: name the folder with data_dir"),
        ({"model": "mlp_b", "pair_input": "parts"}, "pair_input: mlp_b has no such setting"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(given, named):
    with pytest.raises(UserError, match=f"^{named}"):
        resolve(given, systems.names())


def test_a_users_pictures_are_translated_one_or_a_folder(tmp_path, capsys):
    for name, value in (("b", 30), ("a", 200)):
        Image.new("RGB", (20, 24), (value, 0, 0)).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    inverted = answered(run(), lambda state, pictures: 255 - pictures)
    both = translation.translated(inverted, str(tmp_path), pairs=True)
    assert both.rows == ("input", "output") and both.columns == 2
    np.testing.assert_array_equal(both.images[:, 0, 0, 0], [200, 30, 55, 225])
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and told[0].startswith("--input: 2 of 2 pictures are not square (a.png, 20 by 24 pixels;"), (
        told
    )
    alone = translation.translated(inverted, str(tmp_path / "b.png"), direction="input_to_image", pairs=False)
    assert alone.images.shape == (1, 16, 16, 3) and (alone.images[..., 0] == 225).all()


def test_what_cannot_be_translated_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    cases = {"broken.png": "broken.png: cannot be read as a picture", "empty": "empty: has no pictures"}
    for name, named in (cases | {"nowhere": "nowhere: is not there"}).items():
        with pytest.raises(UserError, match=f"^input=.*{named}"):
            translation.translated(run(), str(tmp_path / name), pairs=True)
    with pytest.raises(UserError, match=r"^direction=back: pix2pix translates input_to_image$"):
        translation.translated(run(), str(tmp_path), direction="back", pairs=True)
    lacking = answered(run(), None)
    outputs = dataclasses.replace(lacking.system.outputs, translate={})
    lacking = dataclasses.replace(lacking, system=dataclasses.replace(lacking.system, outputs=outputs))
    with pytest.raises(UserError, match="does not translate pictures"):
        translation.translated(lacking, str(tmp_path), pairs=True)
    for asked, named in (
        (sample.Sample(input="x", show="interpolation"), "input: shows translations"),
        (sample.Sample(input="x", project="y"), "input: shows translations"),
        (sample.Sample(direction="x"), "direction: is that of a translation"),
        (sample.Sample(input="x", best_of=100), "best_of: chooses among plain samples"),
    ):
        with pytest.raises(UserError, match=f"^{named}"):
            sample.check(asked)


def test_pairs_that_the_run_has_not_seen_are_shown_with_the_truth():
    assert sample.shows(run()) == ("translations",)
    shown = translation.translations(answered(run(), lambda state, pictures: pictures), 9, seed=0)
    assert shown.rows == ("input", "output", "truth") and shown.columns == 3
    rows = shown.images.reshape(3, 3, 16, 16, 3)
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[2], [avatars.draw(1, index, 16).image for index in range(3)])


def test_scores_of_the_truth_itself_are_perfect_and_of_another_picture_not():
    truth = references.reference_pictures(run().recipe, "test", 40, 0)
    by_input = {pixels.tobytes(): image for pixels, image in zip(truth.arrays["input"], truth.images, strict=True)}

    def right(state, pictures, key=None):
        return np.stack([by_input[pixels.tobytes()] for pixels in pictures])

    def scores(answer, **options):
        other = answered(run(), answer)
        measure = functools.partial(pix2pix.measure, answer)
        outputs = dataclasses.replace(other.system.outputs, measure=measure)
        system = dataclasses.replace(other.system, outputs=outputs)
        return evaluation.make_measurer(other.recipe, system, num=40, **options)(None)

    perfect, shifted = scores(right), scores(lambda *given: np.roll(right(*given), 1, axis=0))
    assert perfect["l1"]["value"] == perfect["rmse"]["value"] == 0 < shifted["l1"]["value"]
    hair = "hair/measured_conditional_accuracy"
    assert perfect[hair]["value"] == perfect[hair]["accuracy_on_real"] > 0.9 and shifted[hair]["value"] < 0.4
    training = references.load_pictures(run().recipe).images.astype(float)
    nearest = [np.sqrt(np.square(training - image).mean((1, 2, 3))).min() / 127.5 for image in truth.images]
    np.testing.assert_allclose(perfect["nearest_training_rmse"]["value"], np.mean(nearest), rtol=1e-6)
    fewer = scores(right, trained_on=dataclasses.replace(run().recipe, num_examples=2))
    assert fewer["nearest_training_rmse"]["value"] > perfect["nearest_training_rmse"]["value"]
    assert perfect["structural_similarity"]["value"] == pytest.approx(1.0)
    assert shifted["structural_similarity"]["value"] < 0.9
    assert perfect["sharpness"]["value"] == pytest.approx(1.0)
    assert perfect["l1"]["n"] == 40 and perfect["l1"]["split"] == "test"
