"""Structural similarity beside TensorFlow's, and sharpness beside values by hand."""

import numpy as np
import pytest

from jaxgan.metrics import sharpness, structural_similarity
from jaxgan.metrics.similarity import brightness


def pictures(seed, count=3, shape=(16, 21, 1)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def test_structural_similarity_is_that_of_tensorflow():
    tensorflow = pytest.importorskip("tensorflow")
    first, other = pictures(0).astype(float), pictures(1)
    for share in (0.0, 0.3, 1.0):
        second = np.rint((1 - share) * first + share * other).astype(np.uint8)
        theirs = tensorflow.image.ssim(first.astype(np.uint8), second, max_val=255).numpy()
        np.testing.assert_allclose(structural_similarity(first.astype(np.uint8), second), theirs, atol=2e-5)  # float32


def test_structural_similarity_of_equal_and_of_inverted_pictures():
    first = pictures(0)
    np.testing.assert_allclose(structural_similarity(first, first), 1.0)
    assert (structural_similarity(first, 255 - first) < -0.9).all()


def test_only_the_brightness_of_colours_counts():
    first = pictures(0, shape=(12, 12, 3))
    grey = np.rint(brightness(first))[..., None].astype(np.uint8)
    assert (structural_similarity(first, np.repeat(grey, 3, axis=3)) > 0.999).all()
    assert brightness(np.uint8([[[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]])).ravel() == pytest.approx(
        [76.245, 149.685, 29.07]
    )


@pytest.mark.parametrize("shape", [(16, 22, 1), (16, 10, 1)])
def test_pictures_that_cannot_be_compared_are_refused(shape):
    second = pictures(1, shape=shape)
    with pytest.raises(ValueError, match="11×11"):
        structural_similarity(pictures(0) if shape[1] > 11 else second, second)


def test_sharpness_of_a_dot_and_of_a_slope():
    slope = np.broadcast_to(np.arange(0, 50, 10, dtype=np.uint8)[:, None, None], (5, 5, 1))
    dot = np.zeros((5, 5, 1), np.uint8)
    dot[2, 2] = 9  # the Laplacian is −36 there, and 9 at its four neighbours
    np.testing.assert_allclose(sharpness(np.stack([slope, dot])), [0.0, 72 / 9])
