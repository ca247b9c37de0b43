import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.ops.latent_paths import between, linear_interpolation, spherical_interpolation, walk


def test_lerp_by_hand():
    start, end = np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([[0.0, 2.0], [8.0, 4.0]])
    np.testing.assert_allclose(linear_interpolation(start, end, np.array([0.25, 0.5])), [[1.5, 0.5], [4.0, 4.0]])


def test_slerp_ends_middle_and_length():
    start, end = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    np.testing.assert_allclose(spherical_interpolation(start, end, 0.0), start, atol=1e-6)
    np.testing.assert_allclose(spherical_interpolation(start, end, 1.0), end, atol=1e-6)
    np.testing.assert_allclose(spherical_interpolation(start, end, 0.5), [2**0.5, 2**0.5], atol=1e-6)
    third = spherical_interpolation(start, end, 1 / 3)
    np.testing.assert_allclose(third, [2 * np.cos(np.pi / 6), 2 * np.sin(np.pi / 6)], atol=1e-6)


def test_slerp_between_parallel_vectors_is_straight_and_batches():
    starts = np.array([[1.0, 1.0], [1.0, 0.0]])
    ends = np.array([[3.0, 3.0], [0.0, 1.0]])
    middles = spherical_interpolation(starts, ends, np.array([0.5, 0.5]))
    np.testing.assert_allclose(middles, [[2.0, 2.0], [0.5**0.5, 0.5**0.5]], atol=1e-6)


def test_slerp_from_or_to_the_origin_is_straight():
    ends = np.array([[0.0, 0.0], [0.0, 0.0], [2.0, 4.0], [1e-30, 0.0]], np.float32)
    others = np.array([[0.0, 0.0], [2.0, 4.0], [0.0, 0.0], [0.0, 1e-30]], np.float32)
    middles = spherical_interpolation(ends, others, np.full(4, 0.5, np.float32))
    np.testing.assert_allclose(middles, [[0.0, 0.0], [1.0, 2.0], [1.0, 2.0], [0.0, 0.0]], atol=1e-20)


def test_ways_have_their_ends_and_even_steps():
    start, end = np.array([[1.0, 0.0], [0.0, 3.0]]), np.array([[0.0, 1.0], [3.0, 0.0]])
    line, arc = between(start, end, 5, straight=True), between(start, end, 5)
    assert line.shape == arc.shape == (2, 5, 2)
    for way in (line, arc):
        np.testing.assert_allclose(way[:, 0], start, atol=1e-6)
        np.testing.assert_allclose(way[:, -1], end, atol=1e-6)
    np.testing.assert_allclose(line[0, 1], [0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=-1), [[1.0] * 5, [3.0] * 5], atol=1e-5)
    np.testing.assert_allclose(arc[0, 1], [np.cos(np.pi / 8), np.sin(np.pi / 8)], atol=1e-6)
    with pytest.raises(ValueError, match="two ends"):
        between(start, end, 1)


def test_ways_keep_their_type_where_numbers_may_be_long():
    with jax.enable_x64(True):
        for dtype in (jnp.float32, jnp.float64):
            ends = jnp.ones((2, 3), dtype), -jnp.ones((2, 3), dtype)
            assert between(*ends, 4, straight=True).dtype == dtype


def test_a_walk_is_closed_and_even():
    stations = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    points = walk(stations, 12)
    angles = 2 * np.pi * np.arange(12) / 12  # a circle in twelve equal steps; the step after the last is the first
    np.testing.assert_allclose(points, np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=1e-6)


def test_a_walk_passes_its_stations_however_the_frames_divide():
    stations = jax.random.normal(jax.random.key(0), (3, 8))
    points = walk(stations, 7)
    assert points.shape == (7, 8) and np.isfinite(points).all()
    np.testing.assert_allclose(points[0], stations[0], atol=1e-6)
    np.testing.assert_allclose(points[1], spherical_interpolation(stations[0], stations[1], 3 / 7), atol=1e-5)
    np.testing.assert_allclose(points[6], spherical_interpolation(stations[2], stations[0], 4 / 7), atol=1e-5)
    with pytest.raises(ValueError, match="two stations"):
        walk(stations[:1], 7)
