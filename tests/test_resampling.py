"""Doubling and halving by hand, and their fusions with a convolution against the two operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import ops
from jaxgan.ops import resampling


def picture(values):
    return jnp.asarray(values, jnp.float32)[None, :, :, None]


def test_doubling_and_halving_by_hand():
    x = picture([[1, 2], [3, 8]])
    doubled = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 8, 8], [3, 3, 8, 8]]
    np.testing.assert_array_equal(resampling.upsample(x)[0, :, :, 0], doubled)
    np.testing.assert_array_equal(resampling.average_pool(x)[0, :, :, 0], [[3.5]])
    np.testing.assert_array_equal(resampling.max_pool(x)[0, :, :, 0], [[8]])
    for pool in (resampling.average_pool, resampling.max_pool):
        with pytest.raises(ValueError, match="3×2"):
            pool(jnp.zeros((1, 3, 2, 1)))


def test_fused_operations_by_hand():
    """A kernel that looks one pixel to the right tells left from right."""
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 2].set(1.0)
    x = picture([[1, 2], [3, 8]])
    expected = [[1, 2, 2, 0], [1, 2, 2, 0], [3, 8, 8, 0], [3, 8, 8, 0]]
    np.testing.assert_array_equal(resampling.upsampled_conv(x, kernel)[0, :, :, 0], expected)
    np.testing.assert_array_equal(resampling.pooled_conv(x, kernel)[0, :, :, 0], [[2.5]])
    np.testing.assert_array_equal(resampling.narrow_conv(x, kernel)[0, :, :, 0], [[2, 0], [8, 0]])


PAIRS = {
    "upsampled_conv": lambda x, kernel, pad: ops.conv(resampling.upsample(x), kernel, padding=pad),
    "pooled_conv": lambda x, kernel, pad: resampling.average_pool(ops.conv(x, kernel, padding=pad)),
    "narrow_conv": lambda x, kernel, pad: ops.conv(x, kernel, padding=pad),
}


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("name", PAIRS)
def test_fused_operations_are_the_two_and_so_are_their_gradients(name, size):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 6, 4, 3)), rng.standard_normal((size, size, 3, 5))
    with jax.enable_x64(True):
        found, expected = (
            jax.value_and_grad(lambda x, kernel, apply=apply: jnp.sum(jnp.sin(apply(x, kernel))), (0, 1))(x, kernel)
            for apply in (getattr(resampling, name), lambda x, kernel: PAIRS[name](x, kernel, size // 2))
        )
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max())
