"""The filter [1, 3, 3, 1] by hand, its borders, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.ops import filtering


def picture(values):
    return jnp.asarray(values, jnp.float32)[None, :, :, None]


def impulse(side, row, column):
    return jnp.zeros((1, side, side, 1)).at[0, row, column, 0].set(64.0)


def test_a_doubled_point_is_spread_by_the_filter_and_keeps_its_brightness():
    """The point (1, 1) lies at (2, 2) to (3, 3) of the doubled picture, and one pixel around them."""
    doubled = np.asarray(filtering.upsample(impulse(4, 1, 1)))[0, :, :, 0]
    expected = np.zeros((8, 8))
    expected[1:5, 1:5] = 4 * np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    np.testing.assert_array_equal(doubled, expected)


def test_flat_pictures_stay_flat_away_from_the_border():
    flat = jnp.ones((1, 8, 8, 2))
    for filtered in (filtering.upsample(flat), filtering.downsample(flat), filtering.blur(flat, (2, 1))):
        np.testing.assert_allclose(filtered[:, 2:-2, 2:-2], 1.0)


def test_a_halved_picture_is_the_filter_around_each_second_pixel():
    halved = filtering.downsample(picture(np.arange(16).reshape(4, 4)))
    rows = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 8
    np.testing.assert_allclose(halved[0, :, :, 0], rows @ np.arange(16).reshape(4, 4) @ rows.T, rtol=1e-6)


def test_a_point_is_blurred_to_where_the_padding_says():
    blurred = np.asarray(filtering.blur(impulse(5, 2, 2), (1, 1)))[0, :, :, 0]
    expected = np.outer([1, 3, 3, 1], [1, 3, 3, 1])  # tap k of pixel i falls on i + 1 − k
    np.testing.assert_array_equal(blurred, expected)
    assert filtering.blur(impulse(5, 2, 2), (2, 2)).shape == (1, 6, 6, 1)


@pytest.mark.parametrize(
    "function", [lambda x: filtering.blur(x, (2, 2)), lambda x: filtering.blur(x, (1, 1)), filtering.upsample,
                 filtering.downsample], ids=["blur_2", "blur_1", "upsample", "downsample"]
)  # fmt: skip
def test_gradients_are_those_of_the_plain_sums(function):
    """⟨y, f(x)⟩ = ⟨fᵀ(y), x⟩ for any y, and the gradient of the gradient is f again."""
    random = np.random.default_rng(0)
    x = jnp.asarray(random.standard_normal((2, 4, 6, 3)))
    out, pull = jax.vjp(function, x)
    y = jnp.asarray(random.standard_normal(out.shape))
    (back,) = pull(y)
    np.testing.assert_allclose(jnp.sum(back * x), jnp.sum(out * y), rtol=1e-4)
    (again,) = jax.vjp(lambda y: jax.vjp(function, x)[1](y)[0], y)[1](x)
    np.testing.assert_allclose(again, out, atol=1e-6)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="5×4 cannot be halved"):
        filtering.downsample(jnp.zeros((1, 5, 4, 1)))
    with pytest.raises(ValueError, match="padded by 0 to 3"):
        filtering.blur(jnp.zeros((1, 4, 4, 1)), (4, 0))
