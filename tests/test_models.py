"""Shapes and parameter counts of every network against numbers worked out by hand, and sizes that cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import models
from jaxgan.host.errors import UserError


def conv(kernel, inputs, outputs):
    return kernel * kernel * inputs * outputs


def dense(inputs, outputs):
    return inputs * outputs + outputs


def up(inputs, outputs, classes=0):
    """A block of a residual generator: two normalisations, two convolutions of kernel 3 and one of 1, with biases."""
    norms = (2 * classes or 2) * (inputs + outputs)
    return norms + conv(3, inputs, outputs) + conv(3, outputs, outputs) + conv(1, inputs, outputs) + 3 * outputs


def down(inputs, outputs, first=False, shortcut=True):
    """A block of a residual discriminator: two convolutions of kernel 3, and one of 1 where the shape changes."""
    hidden = outputs if first else inputs
    residual = conv(3, inputs, hidden) + hidden + conv(3, hidden, outputs) + outputs
    return residual + shortcut * (conv(1, inputs, outputs) + outputs)


FACES_48 = (
    dense(128, 6 * 6 * 512) + up(512, 256) + up(256, 128) + up(128, 64) + 2 * 64 + conv(3, 64, 3) + 3,
    down(3, 64, first=True) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 1024) + dense(1024, 1),
)
CLASSES = 2 * (10 - 1) * (512 + 2 * 256 + 2 * 128 + 64)  # a scale and a shift for each of ten classes instead of one

# Worked out from the layer tables: weights of each layer, and 2 numbers a channel for batch normalisation.
BY_HAND = {
    "mlp_a": (
        dense(100, 256) + dense(256, 512) + dense(512, 784),
        dense(784, 512) + dense(512, 256) + dense(256, 1),
        (28, 28, 1),
    ),
    "mlp_b": (
        dense(64, 256) + dense(256, 256) + dense(256, 784),
        dense(784, 256) + dense(256, 256) + dense(256, 1),
        (28, 28, 1),
    ),
    "mlp_keras": (
        dense(30, 100) + dense(100, 150) + dense(150, 784),
        dense(784, 150) + dense(150, 100) + dense(100, 1),
        (28, 28, 1),
    ),
    "dcgan_mnist_a": (
        dense(100, 12544)
        + 2 * 12544
        + (conv(3, 256, 128) + 128 + 2 * 128)
        + (conv(4, 128, 64) + 64 + 2 * 64)
        + (conv(4, 64, 1) + 1),
        (conv(3, 1, 64) + 64) + (conv(3, 64, 128) + 128) + 2 * 128 + dense(6 * 6 * 128, 1),
        (28, 28, 1),
    ),
    "dcgan_mnist_keras": (
        dense(100, 6272) + 2 * 128 + (conv(5, 128, 64) + 64) + (conv(5, 64, 1) + 1),
        (conv(5, 1, 64) + 64) + (conv(5, 64, 128) + 128) + dense(6272, 1),
        (28, 28, 1),
    ),
    "dcgan_anime_a": (4_600_704, 2_770_176, (96, 96, 3)),
    "dcgan_anime_b": (
        conv(4, 100, 512) + conv(4, 512, 256) + conv(4, 256, 128) + conv(4, 128, 64) + conv(5, 64, 3) + 2 * 960,
        conv(5, 3, 64) + conv(4, 64, 128) + conv(4, 128, 256) + conv(4, 256, 512) + conv(4, 512, 1) + 2 * 896,
        (96, 96, 3),
    ),
    "dcgan_64": (
        conv(4, 100, 1024) + conv(4, 1024, 512) + conv(4, 512, 256) + conv(4, 256, 128) + conv(4, 128, 3) + 2 * 1920,
        conv(4, 3, 128) + conv(4, 128, 256) + conv(4, 256, 512) + conv(4, 512, 1024) + conv(4, 1024, 1) + 2 * 1792,
        (64, 64, 3),
    ),
    "wgan_anime": (
        conv(3, 100, 1024)
        + conv(4, 1024, 512)
        + conv(4, 512, 256)
        + conv(4, 256, 128)
        + conv(4, 128, 64)
        + conv(4, 64, 3)
        + 2 * 960,
        conv(4, 3, 64)
        + conv(4, 64, 128)
        + conv(4, 128, 256)
        + conv(4, 256, 512)
        + conv(4, 512, 1024)
        + conv(3, 1024, 1)
        + 2 * 1920,
        (96, 96, 3),
    ),
    "cgan_anime": (
        dense(85, 6144)
        + 2 * 6144
        + conv(4, 384, 256)
        + conv(4, 256, 128)
        + conv(4, 128, 64)
        + conv(4, 64, 3)
        + 2 * 448,
        conv(4, 3, 64) + conv(4, 64, 128) + conv(4, 128, 256) + conv(4, 256, 384) + conv(1, 407, 384) + dense(6144, 1),
        (64, 64, 3),
    ),
    "cgan_mnist": (
        dense(100, 6272)
        + 2 * 6272
        + dense(10, 6272)
        + 2 * 6272
        + (conv(3, 256, 128) + 128 + 2 * 128)
        + (conv(4, 128, 64) + 64 + 2 * 64)
        + (conv(4, 64, 1) + 1),
        dense(10, 784) + (conv(3, 2, 64) + 64) + (conv(3, 64, 128) + 128) + 2 * 128 + dense(6 * 6 * 128, 1),
        (28, 28, 1),
    ),
    "sngan_32": (
        dense(128, 4 * 4 * 256) + 3 * up(256, 256) + 2 * 256 + conv(3, 256, 3) + 3,
        down(3, 128, first=True) + down(128, 128) + 2 * down(128, 128, shortcut=False) + dense(128, 1),
        (32, 32, 3),
    ),
    "resnet_gan": (*FACES_48, (48, 48, 3)),
    "projection_gan": (FACES_48[0] + CLASSES, FACES_48[1] + 10 * 1024, (48, 48, 3)),
    # As the paper's table counts them.
    "sndcgan": (3_812_355, 2_935_873, (32, 32, 3)),
}


def abstract(gan):
    """Shapes of the variables, of a batch of pictures, and of its logits; nothing is computed."""
    g, d = (
        jax.eval_shape(lambda key, network=network: models.init(network, key), jax.random.key(0))
        for network in (gan.generator, gan.discriminator)
    )
    y = (jnp.zeros((2, gan.condition_dim)),) if gan.condition_dim else ()
    z = jnp.zeros((2, gan.latent_dim))
    x = jax.eval_shape(lambda v: gan.generator.apply(v, z, *y, train=True, mutable=["batch_stats"])[0], g)
    logits = jax.eval_shape(lambda v: gan.discriminator.apply(v, jnp.zeros(x.shape), *y, train=False), d)
    return g, d, x, logits


@pytest.mark.parametrize("name", BY_HAND)
def test_shapes_and_parameter_counts(name):
    gan = models.build(name)
    g, d, x, logits = abstract(gan)
    generator_count, discriminator_count, image_shape = BY_HAND[name]
    assert sum(leaf.size for leaf in jax.tree.leaves(g["params"])) == generator_count
    assert sum(leaf.size for leaf in jax.tree.leaves(d["params"])) == discriminator_count
    assert gan.image_shape == image_shape
    assert x.shape == (2, *image_shape)
    assert logits.shape == (2,)


def test_every_id_is_covered_and_described():
    assert set(models.names()) == set(BY_HAND)
    assert all(len(line) > 20 for line in models.names().values())


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("dcgan_anime_a", {"image_size": 48, "channels": 1, "generator_width": 8, "discriminator_width": 4}),
        ("dcgan_anime_a", {"image_size": 64, "latent_dim": 7}),
        ("dcgan_anime_b", {"image_size": 24}),
        ("dcgan_64", {"image_size": 32, "channels": 1}),
        ("dcgan_64", {"image_size": 128, "generator_width": 2, "discriminator_width": 2}),
        ("wgan_anime", {"image_size": 32, "generator_width": 2, "discriminator_width": 2}),
        ("cgan_anime", {"image_size": 48, "condition_dim": 5}),
        ("cgan_mnist", {"image_size": 12, "channels": 3}),
        ("dcgan_mnist_a", {"image_size": 32}),
        ("dcgan_mnist_keras", {"image_size": 16, "channels": 3}),
        ("mlp_a", {"image_size": 5, "channels": 2}),
    ],
)
def test_other_sizes(name, overrides):
    gan = models.build(name, **overrides)
    size, channels = overrides.get("image_size"), overrides.get("channels", gan.image_shape[2])
    assert gan.image_shape == (size, size, channels)
    _, _, x, logits = abstract(gan)
    assert x.shape == (2, *gan.image_shape)
    assert logits.shape == (2,)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("dcgan_anime_a", 50),
        ("dcgan_anime_a", 16),
        ("dcgan_anime_b", 64),
        ("dcgan_anime_b", 12),
        ("dcgan_64", 96),
        ("dcgan_64", 4),
        ("wgan_anime", 48),
        ("cgan_anime", 60),
        ("cgan_mnist", 30),
        ("dcgan_mnist_a", 27),
        ("dcgan_mnist_keras", 4),
        ("sngan_32", 36),
        ("resnet_gan", 72),
        ("projection_gan", 5),
        ("sndcgan", 8),
    ],
)
def test_impossible_sizes_name_the_flag(name, size):
    with pytest.raises(UserError, match=f"image_size={size}: {name} makes pictures of"):
        models.build(name, image_size=size)


@pytest.mark.parametrize("name", ["dcgan_64", "dcgan_anime_b"])
def test_pictures_of_another_size_are_not_taken_for_more_examples(name):
    discriminator = models.build(name, discriminator_width=2).discriminator
    size = 2 * discriminator.image_shape[0]
    with pytest.raises(TypeError, match="reshape"):
        jax.eval_shape(lambda x: discriminator.init(jax.random.key(0), x, train=False), jnp.zeros((2, size, size, 3)))


def test_a_condition_belongs_to_each_picture():
    discriminator = models.build("cgan_anime", image_size=16, discriminator_width=2).discriminator
    for count in (1, 8):
        with pytest.raises(ValueError, match=f"4 pictures and {count} conditions"):
            discriminator.init(jax.random.key(0), jnp.zeros((4, 16, 16, 3)), jnp.zeros((count, 23)), train=False)


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="dcgan_anime_a"):
        models.build("dcgan")
    with pytest.raises(TypeError, match="no widht"):
        models.build("mlp_a", widht=3)
    with pytest.raises(UserError, match="latent_dim=0"):
        models.build("mlp_a", latent_dim=0)


def test_initial_weights_have_the_source_scale():
    gan = models.build("dcgan_anime_a")
    params = models.init(gan.generator, jax.random.key(0))["params"]
    kernel = np.asarray(params["ConvTranspose_1"]["kernel"])
    scale = np.asarray(params["BatchNorm_0"]["scale"])
    assert abs(kernel.mean()) < 1e-4
    np.testing.assert_allclose(kernel.std(), 0.01, rtol=0.01)
    np.testing.assert_allclose(scale.mean(), 1.0, atol=2e-3)  # N(1, σ), not N(0, σ)
    np.testing.assert_allclose(scale.std(), 0.01, rtol=0.1)
    np.testing.assert_array_equal(params["BatchNorm_0"]["bias"], 0)

    torch_default = models.init(models.build("mlp_b").generator, jax.random.key(0))["params"]["Dense_1"]
    for weights in torch_default.values():  # U(±1/√256), for weights and biases
        assert 0.0600 < np.abs(weights).max() <= 1 / 16
    np.testing.assert_allclose(np.asarray(torch_default["kernel"]).std(), 1 / 16 / np.sqrt(3), rtol=0.02)


@pytest.mark.parametrize("initial_std", [None, 0.03])
def test_where_the_source_names_no_initial_weights_they_are_pytorchs_unless_told(initial_std):
    gan = models.build("dcgan_anime_b", generator_width=8, discriminator_width=8, initial_std=initial_std)
    for network in (gan.generator, gan.discriminator):
        params = models.init(network, jax.random.key(0))["params"]
        for kernel in (np.asarray(layer["kernel"]) for layer in params.values() if "kernel" in layer):
            # (height, width, larger picture's channels, smaller one's): PyTorch's fan-in is all but the last, in both.
            std = initial_std or np.sqrt(kernel.shape[-1] / kernel.size / 3)
            np.testing.assert_allclose(kernel.std(), std, rtol=0.1)
        scales = np.concatenate([layer["scale"] for layer in params.values() if "scale" in layer])
        np.testing.assert_allclose(scales.std(), initial_std or 0, rtol=0.25)


@pytest.mark.slow
def test_a_picture_does_not_depend_on_its_companions_in_evaluation():
    gan = models.build("dcgan_64", image_size=8, generator_width=4, discriminator_width=4, latent_dim=6)
    variables = models.init(gan.generator, jax.random.key(0))
    z = jax.random.normal(jax.random.key(1), (9, 6))
    together = gan.generator.apply(variables, z, train=False)
    alone = gan.generator.apply(variables, z[4:5], train=False)
    np.testing.assert_allclose(together[4:5], alone, atol=1e-6)
    judge = models.init(gan.discriminator, jax.random.key(2))
    together = gan.discriminator.apply(judge, together, train=False)
    np.testing.assert_allclose(together[4:5], gan.discriminator.apply(judge, alone, train=False), atol=1e-6)


@pytest.mark.parametrize("name", ["mlp_a", "mlp_b", "mlp_keras"])
@pytest.mark.slow
def test_dropout_in_fully_connected_discriminators_is_for_training_alone(name):
    gan = models.build(name, image_size=8, discriminator_width=16, dropout_rate=0.5)
    plain = models.build(name, image_size=8, discriminator_width=16)
    variables = models.init(gan.discriminator, jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    expected = plain.discriminator.apply(variables, x, train=True)
    np.testing.assert_array_equal(gan.discriminator.apply(variables, x, train=False), expected)
    masks = [gan.discriminator.apply(variables, x, train=True, rngs={"dropout": jax.random.key(s)}) for s in (0, 1)]
    assert (masks[0] != masks[1]).all() and (masks[0] != expected).all()


def test_bfloat16_computes_in_it_and_keeps_parameters_in_float32():
    gan = models.build("dcgan_64", image_size=8, generator_width=4, discriminator_width=4, dtype=jnp.bfloat16)
    variables = models.init(gan.generator, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    images, updates = gan.generator.apply(variables, jnp.ones((4, 100)), train=True, mutable=["batch_stats"])
    assert images.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(updates)} == {jnp.dtype("float32")}
