"""Directions of attributes in styles, where the truth is known, and what is shown along them."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.run import directions
from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError
from jaxgan.metrics.features import Embedding, FeatureNetwork
from jaxgan.sampling.directions import find_direction

D = 6
WIDE = np.diag([3.0, 1.0, 1.0, 0.5, 0.5, 0.2]) + 0.3  # what a mapping makes of latents: some ways are longer
TRUTH = np.array([0.1, 1.0, -0.5, 0.5, 0.0, 0.7])
TRUTH /= np.linalg.norm(TRUTH)


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


class Linear:
    """A generator that is linear: the first pixel of a picture is a style's part along TRUTH, the others are noise."""

    def single_styles(self, state, z, condition=None):
        return jnp.asarray(z @ WIDE)

    def for_layers(self, state, w):
        return w[:, None]

    def images_of_styles(self, state, ws):
        pixels = np.clip(np.asarray(ws)[:, 0] @ TRUTH * 20.0 + 128.0, 0, 255).astype(np.uint8)
        return np.tile(pixels[:, None, None, None], (1, 2, 2, 1))

    def images(self, state, z, condition=None):
        return self.images_of_styles(state, self.single_styles(state, z)[:, None])


def classify(images):
    bright = images[:, 0, 0, 0].astype(np.float32) - 128.0
    rare = np.full_like(bright, -1e9)
    return Embedding(bright[:, None], np.stack([np.zeros_like(bright), bright, rare], axis=1))


RUN = types.SimpleNamespace(latent=Linear(), state=None)
KINDS = (Head("class", ("dark", "bright", "never drawn")),)
NETWORK = FeatureNetwork("by hand", "", classify, KINDS)


def latents(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, D))


def test_a_known_direction_is_found_and_told_from_the_longest_way():
    styles = latents(2000) @ WIDE
    has = styles @ TRUTH > 0.4
    found = find_direction(styles, has)
    means = styles[has].mean(axis=0) - styles[~has].mean(axis=0)
    assert cosine(found.vector, TRUTH) > 0.99 > 0.9 > cosine(means, TRUTH)
    assert np.linalg.norm(found.vector) == pytest.approx(np.std(styles @ TRUTH), rel=0.05)
    assert found.separation > 2


def test_what_styles_do_not_decide_has_no_separation():
    found = find_direction(latents(4000), np.random.default_rng(1).random(4000) < 0.3)
    assert abs(found.separation) < 0.2


def test_too_few_of_a_kind_give_no_direction():
    has = np.arange(100) < 10  # five in each half
    assert find_direction(latents(100), has) is None and find_direction(latents(100), ~has) is None
    assert find_direction(np.ones((100, D)), np.arange(100) < 50) is None
    with pytest.raises(ValueError, match="labels"):
        find_direction(latents(100), has[:50])


def test_directions_of_a_linear_generator_are_the_true_ones():
    found = directions.find(RUN, latents(2000), None, NETWORK)
    assert {named.name for named in found} == {"dark", "bright"}
    vectors = {named.name: named.direction.vector for named in found}
    assert cosine(vectors["bright"], TRUTH) > 0.95 and cosine(vectors["dark"], -TRUTH) > 0.95
    separations = [named.direction.separation for named in found]
    assert separations == sorted(separations, reverse=True)


def test_a_row_goes_along_its_direction_with_the_face_itself_in_the_middle():
    z = latents(2000)
    found = directions.find(RUN, z, None, NETWORK)
    shown = directions.show(RUN, z, None, found, 4 * 7)
    brightness = shown.images[:, 0, 0, 0].reshape(2, 2, 7).astype(int)  # two faces, two directions each
    assert shown.columns == 7 and shown.together == 2 and shown.rows == tuple(named.name for named in found)
    order = [shown.rows.index(name) for name in ("bright", "dark")]
    assert (np.diff(brightness[0, order[0]]) >= 0).all() and (np.diff(brightness[0, order[1]]) <= 0).all()
    assert np.ptp(brightness[0, 0]) > 60
    np.testing.assert_array_equal(brightness[:, 0, 3], RUN.latent.images(None, z[:2])[:, 0, 0, 0])
    assert len(directions.show(RUN, z, None, found, 1).images) == 7


def test_pictures_without_classes_and_classes_that_are_not_drawn_are_refused():
    with pytest.raises(UserError, match="directions: the run's pictures have no classes and no tags"):
        directions.find(RUN, latents(100), None, FeatureNetwork("turned", "", classify))
    never = FeatureNetwork(
        "by hand",
        "",
        lambda images: Embedding(images[:, 0, 0], np.eye(2)[np.zeros(len(images), int)]),
        (Head("class", ("one", "other")),),
    )
    with pytest.raises(UserError, match="directions: the run draws no two classes often enough"):
        directions.find(RUN, latents(100), None, never)
