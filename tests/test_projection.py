"""The noise whose picture comes nearest to a given one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import models, sampling
from jaxgan.sampling import projection

GAN = models.build("mlp_b", image_size=8, generator_width=32, discriminator_width=8, latent_dim=4)
VARIABLES = models.init(GAN.generator, jax.random.key(0))
VARIABLES = jax.tree.map(lambda leaf: 3.0 * leaf, VARIABLES)  # an untrained generator hardly heeds its noise
CANDIDATES = sampling.fixed_latents(jax.random.key(1), GAN.generator, 100)


def difference(one, other):
    return np.sqrt(np.mean(((one.astype(np.float64) - other) / 127.5) ** 2))


def picture_of(z):
    return sampling.generate(GAN.generator, VARIABLES, z[None])[0]


@pytest.fixture(scope="module")
def target():
    return picture_of(jnp.array([0.5, -1.0, 0.3, 0.8]))


@pytest.fixture(scope="module")
def found(target):
    return projection.project(GAN.generator, VARIABLES, target, CANDIDATES)


def test_a_generated_picture_is_found_again(found, target):
    candidates = sampling.generate(GAN.generator, VARIABLES, CANDIDATES)
    nearest = min(difference(candidate, target) for candidate in candidates)
    assert found.difference < 0.02 < nearest / 3
    assert found.difference == pytest.approx(difference(found.picture, target), abs=0.01)
    np.testing.assert_array_equal(found.picture, picture_of(jnp.asarray(found.z)))


def test_the_same_arguments_find_the_same_noise(found, target):
    told = []
    again = projection.project(GAN.generator, VARIABLES, target, CANDIDATES, report=told.append)
    np.testing.assert_array_equal(again.z, found.z)
    assert sum(told) == 300 and again.candidate == found.candidate


def test_a_descent_is_compiled_once(found, target):
    before = projection._descend._cache_size()
    projection.project(GAN.generator, VARIABLES, target, CANDIDATES, steps=300)
    assert projection._descend._cache_size() == before


@pytest.mark.parametrize("wrong", [{"starts": 0}, {"steps": 0}, {"z": CANDIDATES[:0]}])
def test_nothing_to_start_from_or_no_step_is_refused(target, wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        projection.project(GAN.generator, VARIABLES, target, **{"z": CANDIDATES, **wrong})


def test_it_is_never_worse_than_the_best_candidate(target):
    candidates = sampling.generate(GAN.generator, VARIABLES, CANDIDATES)
    nearest = [difference(candidate, target) for candidate in candidates]
    told = []
    wild = projection.project(
        GAN.generator, VARIABLES, target, CANDIDATES, starts=1, steps=3, learning_rate=100.0, report=told.append
    )
    assert told == [3]
    np.testing.assert_array_equal(wild.z, CANDIDATES[wild.candidate])  # every step led away
    assert wild.candidate == int(np.argmin(nearest))
    assert wild.difference == pytest.approx(min(nearest), abs=0.01)


@pytest.mark.slow
def test_each_candidate_keeps_its_condition():
    gan = models.build("cgan_mnist", image_size=8, generator_width=4, discriminator_width=2, latent_dim=4)
    variables = jax.tree.map(lambda leaf: 3.0 * leaf, models.init(gan.generator, jax.random.key(0)))
    z = sampling.fixed_latents(jax.random.key(1), gan.generator, 40)
    conditions = jnp.eye(10)[jnp.arange(40) % 10]
    target = sampling.generate(gan.generator, variables, z[7:8], conditions[7:8])[0]
    found = projection.project(gan.generator, variables, target, z, conditions, steps=10)
    assert found.candidate == 7
    assert found.difference < 0.01


def test_refuses_a_target_of_another_shape():
    with pytest.raises(ValueError, match="the generator makes"):
        projection.project(GAN.generator, VARIABLES, np.zeros((8, 8, 3), np.uint8), CANDIDATES)
