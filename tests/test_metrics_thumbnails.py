import numpy as np
import pytest

from jaxgan.metrics.thumbnails import cell_means, thumbnails


def test_cells_of_whole_pixels_by_hand():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 24, 3)).astype(np.float32)
    expected = images.reshape(2, 8, 2, 8, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(cell_means(images), expected, atol=1e-6)


def test_a_pixel_across_a_border_counts_by_its_area():
    images = np.zeros((1, 12, 8, 1), np.float32)
    images[0, 1] = 1.0  # rows are 1½ pixels high: half of pixel 1 lies in cell 0, half in cell 1
    means = np.asarray(cell_means(images))[0, :, 0, 0]
    np.testing.assert_allclose(means, [1 / 3, 1 / 3, 0, 0, 0, 0, 0, 0], atol=1e-6)


def test_features_of_bytes_and_of_numbers_agree_and_sizes_compare():
    network = thumbnails()
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    embedding = network.apply(images)
    assert embedding.features.shape == (5, 64) and embedding.logits is None and network.heads == ()
    np.testing.assert_allclose(
        network.apply(((images - 127.5) / 127.5).astype(np.float32)).features, embedding.features, atol=1e-6
    )
    twice = images.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(network.apply(twice).features, embedding.features, atol=1e-6)
    np.testing.assert_allclose(
        embedding.features.mean(axis=1), (images.mean(axis=(1, 2, 3)) - 127.5) / 127.5, atol=1e-6
    )


def test_they_are_the_same_everywhere_and_for_ever():
    assert thumbnails().name == "thumbnails-8x8"
    assert thumbnails().digest == "7047cd0177aba5e65354ee9bebde818c7d086de44cfdd98e5b543348bf99c04e"


def test_refuses_pictures_smaller_than_the_grid():
    with pytest.raises(ValueError, match="7x8"):
        cell_means(np.zeros((1, 7, 8, 1), np.uint8))
