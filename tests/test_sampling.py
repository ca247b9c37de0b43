"""Pictures out of a generator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import models, sampling
from jaxgan.models import inference
from jaxgan.ops import noise, pixels

GAN = models.build("dcgan_64", image_size=8, generator_width=4, discriminator_width=4, latent_dim=6)
G = models.init(GAN.generator, jax.random.key(0))
D = models.init(GAN.discriminator, jax.random.key(1))
Z = sampling.fixed_latents(jax.random.key(2), GAN.generator, sampling.CHUNK + 7)


def test_pictures_are_those_of_the_generator_in_evaluation_mode_however_many_there_are():
    images = sampling.generate(GAN.generator, G, Z)
    expected = pixels.quantize(GAN.generator.apply(G, Z, train=False))
    assert images.dtype == np.uint8
    assert images.shape == (sampling.CHUNK + 7, 8, 8, 3)
    assert np.abs(images.astype(int) - np.asarray(expected)).max() <= 1  # other rounding in another program


def test_the_best_are_those_that_the_discriminator_scores_highest():
    images = sampling.generate(GAN.generator, G, Z)
    scores = sampling.scores(GAN.discriminator, D, images)
    expected = GAN.discriminator.apply(D, pixels.normalize(jnp.asarray(images)), train=False)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    chosen = sampling.best(scores, 5)
    assert sorted(scores)[-5:] == sorted(scores[chosen])
    assert (np.diff(scores[chosen]) <= 0).all()


def test_latents_have_the_models_own_spread():
    wide = models.build("cgan_anime")
    z = np.asarray(sampling.fixed_latents(jax.random.key(0), wide.generator, 2000))
    np.testing.assert_allclose(z.std(), np.exp(-1 / np.pi), rtol=0.01)
    moved = np.asarray(sampling.fixed_latents(jax.random.key(0), wide.generator, 2000, mean=2.0, std=0.5))
    np.testing.assert_allclose(moved, 2 + 0.5 * z, rtol=1e-5, atol=1e-6)


def test_conditions_reach_the_generator():
    gan = models.build("cgan_mnist", image_size=8, generator_width=2, discriminator_width=2, latent_dim=4)
    variables = models.init(gan.generator, jax.random.key(0))
    z = sampling.fixed_latents(jax.random.key(1), gan.generator, 3)
    first, second = (
        sampling.generate(gan.generator, variables, z, jnp.eye(10)[jnp.full(3, digit)]) for digit in (0, 7)
    )
    assert not np.array_equal(first, second)


def test_inputs_and_conditions_come_in_equal_numbers():
    gan = models.build("cgan_mnist", image_size=8, generator_width=2, discriminator_width=2, latent_dim=4)
    variables = models.init(gan.generator, jax.random.key(0))
    z = sampling.fixed_latents(jax.random.key(1), gan.generator, sampling.CHUNK + 1)
    with pytest.raises(ValueError, match="inputs, and conditions"):
        sampling.generate(gan.generator, variables, z, jnp.zeros((sampling.CHUNK, 10)))
    with pytest.raises(ValueError, match="0 inputs"):
        sampling.generate(GAN.generator, G, Z[:0])
    with pytest.raises(ValueError, match="truncation must be above 0"):
        sampling.fixed_latents(jax.random.key(0), GAN.generator, 3, truncation=-1.0)


def test_truncated_noise_has_no_tails_and_depends_on_its_place_alone():
    z = np.asarray(sampling.fixed_latents(jax.random.key(0), GAN.generator, 3000, truncation=1.0))
    assert np.abs(z).max() <= 1.0 and np.abs(z).max() > 0.99
    # The standard deviation of a normal distribution cut off at 1 is sqrt(1 - 2 φ(1) / (2 Φ(1) - 1)).
    np.testing.assert_allclose(z.std(), 0.5396, rtol=0.02)
    few = sampling.fixed_latents(jax.random.key(0), GAN.generator, 3, truncation=1.0)
    np.testing.assert_array_equal(few, z[:3])
    wide = np.asarray(
        sampling.fixed_latents(jax.random.key(0), models.build("cgan_anime").generator, 500, truncation=0.5)
    )
    assert np.abs(wide).max() <= 0.5 * np.exp(-1 / np.pi)


def test_drawn_pictures_are_those_before_the_rounding():
    drawn = sampling.draw(GAN.generator, G, Z)
    assert drawn.dtype == jnp.float32 and drawn.shape == (sampling.CHUNK + 7, 8, 8, 3)
    assert np.abs(np.asarray(pixels.quantize(drawn)).astype(int) - sampling.generate(GAN.generator, G, Z)).max() <= 1
    assert len(np.unique(np.asarray(drawn))) > 256


@pytest.mark.parametrize(("side", "most"), [(64, 64), (256, 64), (512, 16), (1024, 4), (4096, 1)])
def test_fewer_large_pictures_are_computed_at_once(side, most):
    assert inference.chunk_of(models.build("mlp_b", image_size=side).generator) == most


@pytest.mark.parametrize("name", ["mlp_b", "cgan_anime"])
def test_fixed_latents_are_to_the_bit_those_of_a_training_step_outside_of_its_program(name):
    generator = models.build(name).generator
    for seed in range(3):
        key = jax.random.key(seed)
        drawn = noise.latents(key, 33, generator.latent_dim, std=generator.latent_std)
        np.testing.assert_array_equal(inference.fixed_latents(key, generator, 33), drawn)
        np.testing.assert_array_equal(inference.fixed_latents(key, generator, 33, mean=0.3, std=0.7), 0.3 + 0.7 * drawn)
