import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import models, sampling
from jaxgan.metrics import generator_path_length, path_length
from jaxgan.ops.latent_paths import spherical_interpolation


def test_path_length_of_a_linear_network_in_closed_form():
    # On the arc between orthogonal vectors of length r the speed is r·π/2; in many dimensions random normal vectors
    # are nearly that with r² = d, so a network that scales by s has length s²·d·π²/4.
    dimension, scale = 512, 3.0
    length = path_length(lambda z: scale * z, jax.random.key(0), latent_dim=dimension, samples=400, step=1e-2)
    assert length.value == pytest.approx(scale**2 * dimension * np.pi**2 / 4, rel=0.02)


def test_path_length_limits_and_scaling():
    key = jax.random.key(1)
    assert path_length(lambda z: jnp.ones((len(z), 3)), key, latent_dim=4, samples=20).value == 0.0
    smooth = path_length(lambda z: z, key, latent_dim=8, samples=50)
    rough = path_length(lambda z: jnp.sin(20 * z), key, latent_dim=8, samples=50)
    twice = path_length(lambda z: 2 * z, key, latent_dim=8, samples=50)
    assert rough.value > 50 * smooth.value
    assert twice.value == pytest.approx(4 * smooth.value, rel=1e-3)


@pytest.mark.slow
def test_path_length_agrees_with_the_derivative():
    # The limit of small steps is E |d features / d fraction|², which automatic differentiation gives.
    def network(z):
        return jnp.tanh(z @ jnp.linspace(-1.0, 1.0, 24).reshape(4, 6))

    def squared_speed(start, end, fraction):
        _, speed = jax.jvp(
            lambda t: network(spherical_interpolation(start, end, t)), (fraction,), (jnp.ones_like(fraction),)
        )
        return jnp.sum(speed**2, axis=-1)

    key = jax.random.key(2)
    start_key, end_key, fraction_key = jax.random.split(jax.random.fold_in(key, 0), 3)
    step = 1e-3
    start, end = jax.random.normal(start_key, (100, 4)), jax.random.normal(end_key, (100, 4))
    fraction = jax.random.uniform(fraction_key, (100,), maxval=1 - step)
    expected = squared_speed(start, end, fraction + step / 2).mean()
    assert path_length(network, key, latent_dim=4, samples=100).value == pytest.approx(float(expected), rel=2e-3)


def test_last_batch_may_be_smaller():
    sizes = []

    def embed(z):
        sizes.append(len(z))
        return z

    path_length(embed, jax.random.key(0), latent_dim=2, samples=25, batch_size=10)
    assert sizes == [10, 10, 10, 10, 5, 5]


def test_a_generators_path_has_the_models_noise_and_one_condition_an_arc():
    gan = models.build("cgan_mnist", image_size=8, generator_width=2, discriminator_width=2, latent_dim=4)
    variables = models.init(gan.generator, jax.random.key(0))
    conditions = np.eye(10, dtype=np.uint8)[[3, 1, 4]]
    gan = dataclasses.replace(gan, generator=gan.generator.clone(latent_std=0.5))

    def embed(z):
        pictures = sampling.draw(
            gan.generator, variables, 0.5 * z, jnp.asarray(conditions[np.arange(len(z)) % 3], jnp.float32)
        )
        return pictures[:, :4]

    key = jax.random.key(1)
    found = generator_path_length(gan.generator, variables, lambda x: x[:, :4], key, conditions=conditions, samples=20)
    assert found.value > 0
    assert found == path_length(embed, key, latent_dim=4, samples=20)
