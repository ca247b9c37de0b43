"""Measures of codes, on values by hand and on strokes that are drawn here."""

import math

import numpy as np
import pytest

from jaxgan.systems import code_measures


def test_classes_are_matched_with_labels_one_to_one():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    assert code_measures.matched_accuracy((labels + 1) % 3, labels) == 1.0  # other names for the same classes
    # Class 2 holds most of label 0 and of label 2, and may have one of them alone: 3 of 0, 2 of 1.
    found = np.array([2, 2, 2, 0, 0, 2, 2, 0])
    assert code_measures.matched_accuracy(found, labels) == 5 / 8
    assert code_measures.matched_accuracy(np.zeros(8, int), labels) == 3 / 8
    # More classes than labels, and fewer.
    assert code_measures.matched_accuracy(np.arange(8), labels) == 3 / 8
    assert code_measures.matched_accuracy(np.minimum(labels, 1), labels) == 6 / 8
    for wrong in (labels[:3], np.zeros(0, int)):
        with pytest.raises(ValueError, match="as many of each are needed"):
            code_measures.matched_accuracy(wrong, labels[: len(labels) * len(wrong)])


def test_information_of_a_uniform_code_by_hand():
    codes = np.array([-0.5, 0.5, 0.25, -0.25])
    believed = codes + np.array([0.1, -0.1, 0.1, -0.1])
    expected = math.log(2) - 0.5 * math.log(2 * math.pi * math.e * 0.01)
    assert code_measures.information_of_uniform_code(codes, believed) == pytest.approx(expected)
    assert code_measures.information_of_uniform_code(codes, believed + 3.0) == 0.0
    assert code_measures.information_of_uniform_code(codes[:1], codes[:1]) == 0.0
    # Of a code and uniform noise of the same width, log 2 − ½ log(2πe/3): 0.18 nats below 0, so nothing.
    random = np.random.default_rng(0)
    assert code_measures.information_of_uniform_code(random.uniform(-1, 1, 1000), np.zeros(1000)) == 0.0


def stroke(degrees, width, side=41):
    """A straight stroke through the middle, leaning to the right by so many degrees, (side, side) in [0, 1]."""
    rows, columns = np.mgrid[:side, :side] - side // 2
    distance = np.abs(columns + rows * math.tan(math.radians(degrees))) * math.cos(math.radians(degrees))
    return np.clip(width / 2 + 0.5 - distance, 0, 1) * (np.abs(rows) <= 14)


@pytest.mark.parametrize("degrees", [-30, -10, 0, 10, 30])
def test_slant_is_the_angle_of_a_stroke(degrees):
    found = code_measures.slants(np.stack([stroke(degrees, 3), 255 * stroke(degrees, 5)]))
    np.testing.assert_allclose(found, degrees, atol=1.0)
    moved = np.roll(stroke(degrees, 3), (4, -3), axis=(0, 1))
    np.testing.assert_allclose(code_measures.slants(moved[None]), found[0], atol=1e-9)


def test_thickness_is_the_width_of_a_stroke():
    bar = np.zeros((1, 41, 41))
    bar[:, 5:37, 20:23] = 1.0  # 3 × 32: twice 96 over an outline of 70, less what its corners save
    assert code_measures.thicknesses(bar)[0] == pytest.approx(192 / 70, abs=0.05)
    for degrees in (0, 30):
        widths = code_measures.thicknesses(np.stack([stroke(degrees, width) for width in (2, 4, 6)]))
        np.testing.assert_allclose(widths, [2, 4, 6], rtol=0.25)
        assert (np.diff(widths) > 1).all()


def test_a_blank_picture_has_neither():
    blank = np.zeros((2, 8, 8))
    assert not code_measures.slants(blank).any() and not code_measures.thicknesses(blank).any()
    point = np.eye(8)[None] * (np.arange(8) == 3)
    assert code_measures.slants(point)[0] == 0.0


def test_correlation_within_classes_leaves_out_what_classes_differ_in():
    random = np.random.default_rng(0)
    classes = random.integers(0, 4, 2000)
    code = random.uniform(-1, 1, 2000)
    leaning = 100.0 * classes + 5.0 * code
    assert code_measures.correlation_within(code, leaning, classes)[0] == pytest.approx(1.0)
    assert code_measures.correlation_within(code, -leaning, classes) == (pytest.approx(-1.0), pytest.approx(0.0))
    value, error = code_measures.correlation_within(code, random.uniform(-1, 1, 2000), classes)
    assert abs(value) < 4 * error and error == pytest.approx(1 / math.sqrt(1999), rel=0.01)
    assert code_measures.correlation_within(code, np.ones(2000), classes)[0] == 0.0
    # Without classes it is Pearson's.
    other = code + random.normal(size=2000)
    expected = np.corrcoef(code, other)[0, 1]
    assert code_measures.correlation_within(code, other, np.zeros(2000, int))[0] == pytest.approx(expected)
