"""`experiments.evaluate`, `--evaluate_every` and what `experiments.sample` shows, as a user runs them."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from test_commands import TINY, arrays_of, logged, run

from experiments import evaluate
from experiments.run import exhibits
from experiments.run.recipes import resolve
from experiments.run.references import load_pictures
from experiments.run.restore import TrainedRun
from jaxgan import systems
from jaxgan.data import avatars
from jaxgan.host.errors import UserError

SCORED = ["--evaluate_every=10", "--evaluate_num=200", "--evaluate_features=thumbnails"]
QUICK = ["--num=200", "--features=thumbnails"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A run whose log has scores at steps 10 and 20."""
    workdir = tmp_path_factory.mktemp("scored") / "run"
    done = run("dcgan", *TINY, *SCORED, "--steps=20", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


def test_evaluate_prints_json_with_the_numbers_of_the_log(scored):
    done = run("evaluate", f"--workdir={scored}", *QUICK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["run"]["step"] == 20 and found["run"]["pictures_seen"] == 160 and found["run"]["model"] == "dcgan_64"
    for name, score in found["scores"].items():
        assert {"value", "n", "resolution"} <= set(score), name
    for name in ("fid", "kid", "precision", "recall", "coverage"):
        assert {"standard_error", "n_reference", "split", "resize", "seed", "feature_network"} < set(
            found["scores"][name]
        )
    lines = logged(scored)
    assert [line["step"] for line in lines] == list(range(2, 21, 2))
    assert [line["step"] for line in lines if "fid" in line] == [10, 20]
    for name, value in lines[-1].items():
        if name in found["scores"]:
            assert value == pytest.approx(found["scores"][name]["value"], rel=1e-6), name


@pytest.mark.slow
def test_a_folder_is_its_own_reference_until_another_is_named(tmp_path):
    for name, seed in (("mine", 0), ("others", 1), ("grey", 2)):
        (tmp_path / name).mkdir()
        for index in range(200 if seed < 2 else 1):
            picture = Image.fromarray(avatars.draw(seed, index, 16).image)
            (picture.convert("L") if name == "grey" else picture).save(tmp_path / name / f"{index}.png")
    workdir, mine = tmp_path / "run", f"--data_dir={tmp_path / 'mine'}"
    tiny = [flag for flag in TINY if "dataset" not in flag]
    assert run("dcgan", *tiny, mine, "--steps=2", f"--workdir={workdir}").returncode == 0
    found = {}
    for name in ("mine", "others"):
        done = run("evaluate", f"--workdir={workdir}", f"--data_dir={tmp_path / name}", *QUICK)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
    assert [found[name]["run"]["trained_on_these_pictures"] for name in found] == [True, False]
    assert ["authenticity" in found[name]["scores"] for name in found] == [True, False]
    assert found["mine"]["scores"]["fid"]["value"] != found["others"]["scores"]["fid"]["value"]
    done = run("evaluate", f"--workdir={workdir}", f"--data_dir={tmp_path / 'grey'}", *QUICK)
    assert done.returncode == 2 and done.stdout == ""
    assert "its pictures are 16×16×1, those of the run 16×16×3" in done.stderr.splitlines()[-1]


@pytest.fixture
def of_a_folder(tmp_path, monkeypatch):
    """A run on the folder "faces" of one directory; another has a folder of that name, with other pictures."""
    for place, seed in (("here", 0), ("there", 1)):
        (tmp_path / place / "faces").mkdir(parents=True)
        for index in range(4):
            Image.fromarray(avatars.draw(seed, index, 16).image).save(tmp_path / place / "faces" / f"{index}.png")
    monkeypatch.chdir(tmp_path / "here")
    recipe = resolve({"model": "dcgan_64", "image_size": 16, "data_dir": "faces", "workdir": "run"}, systems.names())
    pictures = load_pictures(recipe)
    return TrainedRun(recipe, recipe.family.build(recipe.settings, pictures), 5, None, (), pictures.digest)


def test_pictures_of_the_same_name_elsewhere_are_refused(of_a_folder, monkeypatch, tmp_path):
    asked = evaluate.Evaluate()
    assert evaluate._pictures(asked, of_a_folder)[2]
    monkeypatch.chdir(tmp_path / "there")
    expected = r"workdir=run: its run was trained on other pictures than those that are now in \S+there/faces; name"
    with pytest.raises(UserError, match=expected):
        evaluate._pictures(asked, of_a_folder)
    reconstructing = dataclasses.replace(of_a_folder.system.outputs, reconstruct=lambda state, images: images)
    run = dataclasses.replace(of_a_folder, system=dataclasses.replace(of_a_folder.system, outputs=reconstructing))
    with pytest.raises(UserError, match=expected):
        exhibits.reconstructions(run, 2, 0)


def test_others_pictures_are_measured_against_but_teach_nothing(of_a_folder, monkeypatch, tmp_path):
    there = str(tmp_path / "there" / "faces")
    recipe, pictures, digest = evaluate._pictures(evaluate.Evaluate(data_dir=there), of_a_folder)
    assert recipe.data_dir == there and digest == pictures.digest != of_a_folder.pictures_digest
    monkeypatch.chdir(tmp_path / "there")
    with pytest.raises(UserError, match="its run was trained on other pictures"):
        evaluate._pictures(evaluate.Evaluate(data_dir=there), of_a_folder)
    found = evaluate._pictures(evaluate.Evaluate(data_dir=there, features="thumbnails"), of_a_folder)
    assert found[2] == digest


def test_fewer_pictures_than_features_are_refused_in_a_line(scored):
    done = run("evaluate", f"--workdir={scored}", "--num=100")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.strip() == "error: --num=100: 128 features need at least 128 pictures"


@pytest.mark.slow
def test_a_projection_shows_the_target_and_the_nearest(scored, tmp_path):
    Image.fromarray(np.full((20, 30, 3), 128, np.uint8)).save(tmp_path / "grey.png")
    done = run("sample", f"--workdir={scored}", f"--project={tmp_path / 'grey.png'}", f"--out={tmp_path / 'pair.npz'}")
    assert done.returncode == 0, done.stderr
    pair = arrays_of(tmp_path / "pair.npz")["images"]
    assert pair.shape == (2, 16, 16, 3) and (pair[0] == 128).all()
    assert "root mean square difference" in done.stdout
    assert "--project: the picture is not square (grey.png, 30 by 20 pixels): its middle square" in done.stderr


@pytest.mark.slow
def test_digits_of_mnist_are_measured(real_data, tmp_path):
    flags = ["--flagfile=mnist.flags", f"--data_dir={real_data / 'tfds'}", f"--workdir={tmp_path / 'run'}"]
    done = run("gan", *flags, "--steps=400", "--evaluate_every=200", "--evaluate_features=thumbnails")
    assert done.returncode == 0, done.stderr
    fids = [line["fid"] for line in logged(tmp_path / "run") if "fid" in line]
    assert len(fids) == 2 and fids[1] < fids[0]
    done = run("evaluate", f"--workdir={tmp_path / 'run'}", "--num=2000", "--features=thumbnails")
    assert done.returncode == 0, done.stderr
    fid = json.loads(done.stdout)["scores"]["fid"]
    assert fid["split"] == "test" and fid["value"] == pytest.approx(fids[1], rel=1e-5)


@pytest.mark.long
def test_digits_by_the_trained_network(real_data, tmp_path):
    flags = ["--flagfile=mnist.flags", f"--data_dir={real_data / 'tfds'}", f"--workdir={tmp_path / 'run'}"]
    assert run("gan", *flags, "--steps=3000").returncode == 0
    done = run("evaluate", f"--workdir={tmp_path / 'run'}", timeout=900)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["scores"]
    assert scores["fid"]["feature_network"]["accuracy"]["class"] > 0.99
    assert list(scores["class_shares"]["value"]) == list("0123456789")
