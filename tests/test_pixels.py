"""Pixels to numbers and back, exactly."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.ops import pixels


def test_normalize_on_exact_pixels():
    values = pixels.normalize(jnp.array([0, 127, 128, 255], jnp.uint8))
    # (0 − 127.5)/127.5 = −1; ∓0.5/127.5 = ∓1/255; 1.
    np.testing.assert_array_equal(values, np.array([-1.0, -1 / 255, 1 / 255, 1.0], np.float32))
    assert values.dtype == jnp.float32


def test_every_byte_comes_back():
    every = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_array_equal(pixels.quantize(pixels.normalize(every)), every)


def test_quantize_rounds_to_the_nearest_and_never_wraps():
    np.testing.assert_array_equal(pixels.quantize(jnp.array([-1.2, -1.0, 0.004, 1.0, 1.2])), [0, 0, 128, 255, 255])


def test_what_is_normalised_already_is_left_alone():
    images = jnp.array([-1.0, 0.25])
    assert pixels.normalize(images) is images


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        pixels.normalize(jnp.array([1, 2], jnp.int32))
