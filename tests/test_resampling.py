"""Doubling and halving by hand, and their fusions with a convolution against the two operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import models, ops
from jaxgan.ops import resampling

pytestmark = pytest.mark.slow


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


def test_smooth_doubling_is_bilinear_interpolation_within_the_border():
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        x, kernel = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((3, 3, 3, 4))
        found = resampling.smoothly_upsampled_conv(x, kernel)
        expected = ops.conv(jax.image.resize(x, (2, 12, 10, 3), "bilinear"), kernel, padding=1)
    assert found.shape == (2, 12, 10, 4)
    np.testing.assert_allclose(found[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest", "bilinear"])
def test_the_face_networks_double_pictures_in_each_way(upsampling):
    sizes = (("dcgan_anime_a", 32, 4), ("dcgan_anime_b", 24, 1), ("dcgan_64", 16, 2), ("cgan_anime", 32, 4))
    for name, size, doublings in sizes:
        small = {"generator_width": 2, "discriminator_width": 2, "latent_dim": 4, "image_size": size}
        generator = models.build(name, upsampling=upsampling, **small).generator
        variables = jax.eval_shape(lambda key, generator=generator: models.init(generator, key), jax.random.key(0))
        sides = [leaf.shape[0] for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim == 4]
        assert sides.count(3) == (0 if upsampling == "transposed" else doublings), (name, sides)
        inputs = (jnp.zeros((2, 4)), *([jnp.zeros((2, generator.condition_dim))] if generator.condition_dim else []))
        images = jax.eval_shape(
            lambda variables, generator=generator, inputs=inputs: generator.apply(variables, *inputs, train=False),
            variables,
        )
        assert images.shape == (2, size, size, 3)


def test_even_features_leave_no_chequers_when_pictures_are_doubled_by_repetition():
    """Within the border, what was even stays even; a transposed convolution prints its kernel's phases on it."""
    rng = np.random.default_rng(2)
    x, kernel = jnp.ones((1, 6, 6, 2)), jnp.asarray(rng.standard_normal((3, 3, 2, 1)), jnp.float32)
    for operation in (resampling.upsampled_conv, resampling.smoothly_upsampled_conv):
        assert np.ptp(operation(x, kernel)[0, 2:-2, 2:-2]) < 1e-5
    four = jnp.asarray(rng.standard_normal((4, 4, 1, 2)), jnp.float32)
    assert np.ptp(ops.conv_transpose(x, four, stride=2, padding=1)[0, 2:-2, 2:-2]) > 0.1
