"""Styles whose picture comes nearest to a given one, in w and in w+."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import models
from jaxgan.models.stylegan2 import stylegan2
from jaxgan.ops import pixels
from jaxgan.sampling import style_projection

GENERATOR = stylegan2(image_size=8, latent_dim=4, channel_base=64, channel_max=8, mapping_layers=1).generator
STEPS = 100


@pytest.fixture(scope="module")
def variables():
    return jax.jit(lambda key: models.init(GENERATOR, key))(jax.random.key(0))


@pytest.fixture(scope="module")
def styles(variables):
    return GENERATOR.apply(variables, jax.random.normal(jax.random.key(1), (200, 4)), method="map")


def drawn(variables, ws):
    every = jnp.broadcast_to(ws, (GENERATOR.styles, 4))[None]
    return np.asarray(pixels.quantize(GENERATOR.apply(variables, every, method="synthesize"))[0])


def difference(one, other):
    return np.sqrt(np.mean(((one.astype(np.float64) - other) / 127.5) ** 2))


def project(variables, styles, target, space="w", **options):
    return style_projection.project(
        GENERATOR, variables, target, styles, jax.random.key(2), space=space, steps=STEPS, **options
    )


@pytest.fixture(scope="module")
def target(variables, styles):
    return drawn(variables, styles[7])


@pytest.fixture(scope="module")
def found(variables, styles, target):
    return project(variables, styles, target)


@pytest.mark.slow
def test_a_picture_of_a_known_style_is_found_again(variables, styles, target, found):
    before = difference(drawn(variables, jnp.mean(styles, axis=0)), target)
    assert found.difference < 0.1 * before
    assert found.difference == pytest.approx(difference(found.picture, target), abs=0.01)
    assert found.ws.shape == (GENERATOR.styles, 4) and len(np.unique(found.ws, axis=0)) == 1
    np.testing.assert_array_equal(found.picture, drawn(variables, found.ws))


@pytest.mark.slow
def test_with_a_style_for_each_layer_it_comes_nearer(variables, styles):
    mixed = drawn(variables, styles[: GENERATOR.styles])  # no single style draws this one
    told = []
    one = project(variables, styles, mixed)
    each = project(variables, styles, mixed, "w+", report=told.append)
    assert each.difference < 0.5 * one.difference and len(np.unique(each.ws, axis=0)) == GENERATOR.styles
    assert sum(told) == style_projection.steps_of("w+", STEPS) == 2 * STEPS


@pytest.mark.slow
def test_the_same_arguments_find_the_same_styles_and_another_key_others(variables, styles, target, found):
    np.testing.assert_array_equal(project(variables, styles, target).ws, found.ws)
    other = style_projection.project(GENERATOR, variables, target, styles, jax.random.key(3), steps=STEPS)
    assert not np.array_equal(other.ws, found.ws)


@pytest.mark.slow
def test_features_are_compared_where_they_are_given(variables, styles):
    random = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)  # no style draws it
    plain = project(variables, styles, random)

    def brightness(images):
        return jnp.mean(images, axis=(1, 2, 3))[:, None]

    compared = project(variables, styles, random, features=brightness, feature_weight=10.0)

    def mistake(picture):
        return abs(picture.mean() - random.mean())

    assert mistake(compared.picture) < mistake(plain.picture) and compared.difference > plain.difference


def test_noise_dies_out_and_the_rate_rises_and_falls():
    np.testing.assert_allclose(style_projection.noise_at(jnp.array([0.0, 0.375, 0.75, 1.0])), [1, 0.25, 0, 0])
    shares = jnp.array([0.0, 0.025, 0.05, 0.75, 0.875, 1.0])
    np.testing.assert_allclose(style_projection.rate_at(shares), [0, 0.5, 1, 1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("wrong", [{"space": "z"}, {"steps": 0}, {"target": np.zeros((4, 4, 3), np.uint8)}])
def test_what_cannot_be_projected_is_refused(wrong):
    given = {"target": np.zeros((8, 8, 3), np.uint8), "space": "w", "steps": 1, **wrong}
    with pytest.raises(ValueError, match=r"space|steps|shape"):
        style_projection.project(GENERATOR, None, given.pop("target"), np.ones((2, 4)), jax.random.key(2), **given)
