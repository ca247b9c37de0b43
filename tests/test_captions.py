"""Grids with captions: where the pictures stand, and that there is ink beside them."""

import numpy as np
import pytest

from jaxgan.host.captions import captioned_grid
from jaxgan.host.images import grid


def pictures(count, side=48, channels=3):
    """No pixel is white."""
    return np.random.default_rng(0).integers(0, 200, (count, side, side, channels), np.uint8)


def found(tiled, picture):
    """The top left corner at which a picture stands in a grid."""
    height, width = picture.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(tiled, picture.shape)[:, :, 0]
    places = np.argwhere((windows == picture).all(axis=(2, 3, 4)))
    assert len(places) == 1, (height, width, places)
    return tuple(places[0])


def test_without_captions_it_is_the_plain_grid():
    images = pictures(6)
    np.testing.assert_array_equal(captioned_grid(images, 3, together=2), grid(images, 3))


def test_captions_stand_beside_their_rows_and_above_their_columns():
    images = pictures(4, side=48)
    tiled = captioned_grid(images, 2, rows=("real", "made by the network"), heads=("a", "b"))
    corners = [found(tiled, picture) for picture in images]
    top, left = corners[0]
    assert corners == [(top, left), (top, left + 48), (top + 48, left), (top + 48, left + 48)]
    ink = (tiled < 128).all(axis=2)
    first, second = ink[top : top + 48, :left].sum(), ink[top + 48 :, :left].sum()
    assert 0 < first < second  # the second caption is longer
    assert ink[:top, left : left + 48].any() and ink[:top, left + 48 :].any() and not ink[:top, :left].any()


def test_rows_that_belong_together_stand_apart_from_the_next():
    images = pictures(4)
    tiled = captioned_grid(images, 1, together=2)
    assert [found(tiled, picture)[0] for picture in images] == [0, 48, 96 + 6, 144 + 6]
    assert (tiled[96:102] == 255).all()


def test_small_pictures_are_enlarged_and_grey_ones_stay_grey():
    images = pictures(2, side=20, channels=1)
    tiled = captioned_grid(images, 2, heads=("first", "second"))
    assert tiled.shape[2] == 1 and tiled.shape[1] == 2 * 60
    np.testing.assert_array_equal(tiled[-60:, :60], images[0].repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("count", [1, 5])
def test_the_rest_of_the_last_row_is_white(count):
    tiled = captioned_grid(pictures(count), 3)
    empty = tiled[-48:, 48 * (count % 3) :]
    assert (empty == 255).all()
