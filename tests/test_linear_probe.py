"""The linear probe on features made by hand."""

import numpy as np
import pytest

from jaxgan.systems.linear_probe import probe_accuracy


def made(seed, count=400, classes=4):
    """Labels, and features of which three tell the class by a linear rule and one does not vary."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    centres = np.random.default_rng(0).standard_normal((classes, 3)) * 5
    features = np.concatenate([centres[labels] + 0.1 * random.standard_normal((count, 3)), np.ones((count, 1))], axis=1)
    return features, labels


def test_classes_that_a_line_parts_are_told_and_noise_tells_nothing():
    (features, labels), (others, classes) = made(1), made(2)
    assert probe_accuracy(features, labels, others, classes) > 0.97
    random = np.random.default_rng(3)
    noise = random.standard_normal((400, 5)), random.standard_normal((400, 5))
    assert probe_accuracy(noise[0], labels, noise[1], classes) == pytest.approx(0.25, abs=0.08)
    # Another scale and origin of each feature change nothing.
    moved = [part * [1.0, 100.0, 0.01, 3.0] + [5.0, -3.0, 0.0, 1.0] for part in (features, others)]
    assert probe_accuracy(moved[0], labels, moved[1], classes) == probe_accuracy(features, labels, others, classes)


def test_by_hand():
    """Features ±1 of two classes: the weight is 1 / (1 + ridge) · ½, so 0 parts them, and 0.5 is of the second."""
    features, labels = np.array([[-1.0], [1.0], [-1.0], [1.0]]), np.array([0, 1, 0, 1])
    asked = np.array([[-0.5], [0.5], [2.0], [-2.0]])
    assert probe_accuracy(features, labels, asked, np.array([0, 1, 1, 0])) == 1.0
    assert probe_accuracy(features, labels, asked, np.array([0, 1, 0, 1])) == 0.5
    # Three quarters are of class 0: with a heavy ridge the shares decide, and all are taken for it.
    skewed = np.array([0, 1, 0, 0])
    assert probe_accuracy(features, skewed, asked, np.zeros(4, int), ridge=1e6) == 1.0


def test_without_examples_there_is_no_answer():
    with pytest.raises(ValueError, match="0 examples to fit to"):
        probe_accuracy(np.zeros((0, 2)), np.zeros(0, int), np.zeros((1, 2)), np.zeros(1, int))
