"""Colours read off faces that the library draws: known labels, known answers."""

import json

import numpy as np
import pytest

from jaxgan.data import avatars
from jaxgan.metrics import measured_colours

COUNT = 40


@pytest.fixture(scope="module")
def drawn():
    examples = [avatars.draw_example(index, seed=7, size=48) for index in range(COUNT)]
    images, conditions = (np.stack(column) for column in zip(*examples, strict=True))
    return images, conditions


def measure(images, conditions, drawn):
    return measured_colours(images, conditions=conditions, real=drawn[0], real_conditions=drawn[1])


def test_faces_that_obey_are_right_and_the_others_wrong(drawn):
    images, conditions = drawn
    scores = measure(images, conditions, drawn)
    assert json.loads(json.dumps(scores)) == scores
    for head in ("hair", "eyes"):
        assert scores[f"{head}/measured_conditional_accuracy"]["value"] >= 0.95
        assert scores[f"{head}/measured_class_shares"]["accuracy_on_real"] >= 0.95
    other = np.roll(conditions, 1, axis=0)
    wrong = measure(images, other, drawn)["hair/measured_conditional_accuracy"]["value"]
    by_chance = np.mean((other[:, :12] * conditions[:, :12]).sum(axis=1))
    assert wrong == pytest.approx(by_chance, abs=0.03)


def test_shares_are_those_of_the_labels(drawn):
    images, conditions = drawn
    scores = measure(images, None, drawn)
    assert not [name for name in scores if "accuracy" in name]
    shares = scores["hair/measured_class_shares"]["value"]
    assert list(shares) == [f"{colour} hair" for colour in avatars.HAIR_COLOURS]
    np.testing.assert_allclose(list(shares.values()), conditions[:, :12].mean(axis=0), atol=0.03)


def test_one_face_again_and_again_is_one_mode(drawn):
    same = np.repeat(drawn[0][:1], 30, axis=0)
    scores = measure(same, None, drawn)
    assert scores["hair/measured_mode_coverage"]["value"] == pytest.approx(1 / 12)
    assert scores["eyes/measured_mode_coverage"]["value"] == pytest.approx(1 / 11)
    assert scores["hair/measured_mode_coverage"]["n"] == 30
