"""The command that tells the classes of a user's pictures."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments import classify
from experiments.run import given_pictures
from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError
from jaxgan.systems.outputs import ClassifyOutput, Outputs


def run(outputs):
    system = SimpleNamespace(outputs=outputs, image_shape=(8, 8, 3))
    return SimpleNamespace(system=system, recipe=SimpleNamespace(model="ssgan_mnist"), state=None)


def by_brightness(state, images):
    """The first class has the share of black in a picture."""
    light = images.mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - light, light], axis=1)


TELLS = Outputs(classify=ClassifyOutput(Head("class", ("dark", "light")), by_brightness))


def test_each_picture_has_a_line_with_its_class_and_how_sure_that_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(classify, "AT_ONCE", 2)
    for name, value in (("c/ä", 255), ("a", 0), ("b", 51)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 24), (value,) * 3).save(tmp_path / f"{name}.png")
    found = [json.loads(line) for line in classify.classified(run(TELLS), given_pictures.files_of(str(tmp_path)))]
    assert [one["file"] for one in found] == [str(tmp_path / f"{name}.png") for name in ("a", "b", "c/ä")]
    assert [(one["class"], one["confidence"]) for one in found] == [("dark", 1.0), ("dark", 0.8), ("light", 1.0)]
    told = capsys.readouterr().err.splitlines()  # once, not with every AT_ONCE pictures
    assert len(told) == 1
    assert told[0].startswith("--input: 3 of 3 pictures are not square (a.png, 20 by 24 pixels; b.png,"), told


def test_what_cannot_be_classified_is_refused_in_a_line(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    files = given_pictures.files_of(str(tmp_path))
    with pytest.raises(UserError, match=r"^input=.*broken.png: cannot be read as a picture"):
        list(classify.classified(run(TELLS), files))
    with pytest.raises(UserError, match=r"^workdir: ssgan_mnist does not classify pictures; name a run of"):
        list(classify.classified(run(dataclasses.replace(TELLS, classify=None)), files))
