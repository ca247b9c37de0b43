"""Guided backpropagation by hand, the units of a discriminator and what excites them, and how they are shown."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import run as run_command
from flax import linen as nn
from PIL import Image
from small_run import small_run
from test_exhibits import FACES, PLAIN, with_outputs

from experiments import sample
from experiments.run import discriminator_features
from experiments.run.references import reference_pictures
from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models import layers
from jaxgan.models.network import Network
from jaxgan.ops import pixels
from jaxgan.sampling.discriminator_features import (
    excitements,
    find_layer,
    responses,
    shades,
    strongest,
)
from jaxgan.sampling.discriminator_features import layers as layers_of
from jaxgan.sampling.guided_backpropagation import guided

# Of x = (1, 2) these make (3, −1, 2), of which the second is not active; the third has a negative weight in the sum.
INNER = jnp.array([[1.0, 1.0, 2.0], [1.0, -1.0, 0.0]])
OUTER = jnp.array([2.0, 5.0, -3.0])


@pytest.mark.parametrize(
    ("nonlinearity", "ordinary"),
    [
        (nn.relu, (-4, 2)),
        (lambda x: jnp.maximum(x, 0), (-4, 2)),
        (lambda x: jnp.where(x > 0, x, 0), (-4, 2)),
        (layers.leaky_relu, (-3, 1)),
        (lambda x: nn.leaky_relu(x, 0.2), (-3, 1)),
    ],
    ids=["relu", "maximum", "where", "leaky_relu", "flax_leaky_relu"],
)
def test_a_gradient_goes_back_where_it_and_the_input_are_positive(nonlinearity, ordinary):
    def loss(x):
        return (nonlinearity(x @ INNER) @ OUTER)[0]

    x = jnp.array([[1.0, 2.0]])
    np.testing.assert_allclose(jax.grad(loss)(x), [ordinary], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(guided(loss))(x), [(2, 2)], rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(guided(loss)))(x), [(2, 2)], rtol=1e-6)
    np.testing.assert_allclose(guided(loss)(x), loss(x), rtol=1e-6)


def test_each_of_several_layers_is_guided():
    def loss(x):
        hidden = nn.relu(x @ INNER)  # (3, 0, 2)
        second = hidden @ jnp.array([[1.0, 0.0], [0.0, 0.0], [-1.0, 1.0]])  # (1, 2)
        return (nn.relu(second) @ jnp.array([1.0, -1.0]))[0]

    # What comes back to the second layer is (1, −1), and so (1, 0); to the first (1, 0, −1), and so (1, 0, 0).
    x = jnp.array([[1.0, 2.0]])
    np.testing.assert_allclose(jax.grad(loss)(x), [(-3, 1)], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(guided(loss))(x), [(1, 1)], rtol=1e-6)


def test_what_is_no_relu_keeps_its_gradient():
    def loss(x):
        smaller = jnp.where(x > 0, -x, 3 * x) - jnp.where(x > 1, x, 0)  # the second compares with something else
        variance = -jnp.maximum(jnp.square(x).mean(axis=(0, 1)), 0)
        return (jnp.tanh(x) - nn.softplus(x) + smaller - jnp.maximum(x, 1)).sum() + variance

    x = jnp.array([[-2.0, 0.5, 3.0]])
    np.testing.assert_array_equal(jax.grad(guided(loss))(x), jax.grad(loss)(x))


class Tiny(Network):
    """Two convolutions of single pixels: red − green and 3·blue, then their difference and their sum."""

    image_shape: tuple[int, int, int] = (2, 2, 3)

    @nn.compact
    def __call__(self, x, *, train):
        del train
        x = layers.leaky_relu(layers.Conv(2, use_bias=False, kernel_size=1)(x))
        x = layers.leaky_relu(layers.Conv(2, use_bias=False, kernel_size=1)(x))
        return layers.Conv(1, kernel_size=2)(x).reshape(len(x))


TINY = Tiny()
WEIGHTS = {
    "params": {
        "Conv_0": {"kernel": jnp.array([[[[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0]]]])},
        "Conv_1": {"kernel": jnp.array([[[[1.0, 1.0], [-1.0, 1.0]]]])},
        "Conv_2": {"kernel": jnp.zeros((2, 2, 2, 1)), "bias": jnp.zeros(1)},
    }
}
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
IMAGES = np.array([[[RED, WHITE], [WHITE, WHITE]], [[WHITE, WHITE], [WHITE, BLUE]], [[WHITE] * 2] * 2], np.uint8)


def test_a_response_is_the_largest_value_of_a_map():
    # Of red: 1 − (−1) = 2 and 3·(−1). Of white and blue: 0 and 3.
    np.testing.assert_allclose(responses(TINY, WEIGHTS, "Conv_0", IMAGES), [[2, 3], [0, 3], [0, 3]])
    # Of red: 2 and −0.6 (leaky), 2.6 and 1.4; of white: −3 and 3.
    np.testing.assert_allclose(responses(TINY, WEIGHTS, "Conv_1", IMAGES), [[2.6, 3], [-3, 3], [-3, 3]], rtol=1e-6)


def test_guided_backpropagation_tells_what_excites_a_unit():
    found = excitements(TINY, WEIGHTS, "Conv_0", np.array([0]), IMAGES[:1])
    np.testing.assert_array_equal(found[0, 0, 0], [1, -1, 0])  # no ReLU comes before this layer
    assert (found[0].reshape(4, 3)[1:] == 0).all()
    found = excitements(TINY, WEIGHTS, "Conv_1", np.array([0, 1]), IMAGES[[0, 0]])
    # The first unit, at the red pixel: red − green is active and wanted; blue is neither, and ordinarily −0.6.
    np.testing.assert_array_equal(found[0, 0, 0], [1, -1, 0])
    # The second, at the first of three white pixels: of red − green nothing is there, blue is.
    np.testing.assert_array_equal(found[1, 0, 1], [0, 0, 3])
    assert found[1].sum() == 3


def test_a_picture_has_the_unit_that_is_asked_for_it_beyond_a_chunk():
    units = np.arange(130) % 2
    found = excitements(TINY, WEIGHTS, "Conv_0", units, IMAGES[np.zeros(130, int)])
    assert (found.sum(axis=(1, 2, 3)) == 3 * units).all()


def test_the_strongest_units_and_their_pictures_come_first():
    found = np.array([[1.0, 9, 5, 0], [2, 0, 5, 1], [3, 0, 4, 1], [0, 0, 5, 0]])
    units, pictures = strongest(found, 3, 2)
    assert units.tolist() == [2, 1, 0]  # means of the two largest: 2.5, 4.5, 5 and 1
    assert pictures.tolist() == [[0, 1], [0, 1], [2, 1]]
    units, pictures = strongest(found, 9, 9)
    assert units.tolist() == [2, 1, 0, 3] and pictures.shape == (4, 4)


def test_shades_are_grey_where_nothing_is():
    gradients = np.zeros((2, 2, 2, 1), np.float32)
    gradients[1] = np.array([[[1], [-1]], [[0.5], [0]]])
    drawn = shades(gradients)
    assert (drawn[0] == 128).all()
    np.testing.assert_allclose(drawn[1, :, :, 0].astype(int), [[255, 0], [191, 128]], atol=1)


@pytest.mark.parametrize(
    ("model", "sizes", "last", "count"),
    [
        ("dcgan_anime_a", {"image_size": 48}, ("Conv_3", (3, 3, 16)), 7),  # four convolutions, three normalisations
        ("dcgan_64", {"image_size": 16}, ("Conv_1", (4, 4, 4)), 3),
        ("dcgan_mnist_a", {}, ("Conv_1", (6, 6, 4)), None),
        ("dcgan_mnist_keras", {}, ("Conv_1", (7, 7, 4)), None),
    ],
)
def test_the_last_convolution_with_a_map_is_looked_at(model, sizes, last, count):
    network = models.build(model, discriminator_width=2, **sizes).discriminator
    variables = jax.eval_shape(
        lambda key: network.init(key, jnp.zeros((1, *network.image_shape)), train=False), jax.random.key(0)
    )
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables)
    found = find_layer(network, variables, None)
    assert (found.name, found.shape) == last
    listed = [layer.name for layer in layers_of(network, variables)]
    assert listed[0] == "Conv_0" and last[0] in listed and (count is None or len(listed) == count)
    assert find_layer(network, variables, "Conv_0").name == "Conv_0"
    with pytest.raises(UserError, match=r"^layer=Dense_7: the discriminator has Conv_0, .*Conv_1"):
        find_layer(network, variables, "Dense_7")


def test_a_discriminator_without_convolutions_says_so():
    network = models.build("mlp_b", discriminator_width=2).discriminator
    variables = network.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False)
    with pytest.raises(UserError, match=r"^show=features: this discriminator has no convolutions"):
        find_layer(network, variables, None)


def trained(run):
    """The run with networks as they are initialised."""
    return dataclasses.replace(run, state=jax.jit(run.system.init)(jax.random.key(2)))


def test_units_are_shown_above_their_guided_backpropagation(monkeypatch):
    monkeypatch.setattr(discriminator_features, "LOOKED_AT", 12)
    run = trained(PLAIN)
    exhibit = sample._exhibit(run, sample.Sample(show="features", num=40, seed=3))
    assert exhibit.columns == 8 and exhibit.together == 2 and exhibit.images.shape == (32, 16, 16, 3)
    network, variables = run.system.outputs.score.network, run.system.outputs.score.variables(run.state)
    real = reference_pictures(run.recipe, "test", 12, 3).images
    maps = np.stack(
        [
            network.apply(variables, pixels.normalize(image[None]), train=False, capture_intermediates=True)[1][
                "intermediates"
            ]["Conv_1"]["__call__"][0].max(axis=(0, 1, 2))
            for image in real
        ]
    )
    units, chosen = strongest(maps, 2, 8)
    names = [f"Conv_1, unit {unit}" for unit in units]
    assert exhibit.rows == (names[0], "guided", names[1], "guided")
    rows = exhibit.images.reshape(4, 8, 16, 16, 3)
    np.testing.assert_array_equal(rows[[0, 2]], real[chosen])
    assert len(np.unique(rows[1])) > 20 and not np.array_equal(rows[1], rows[3])


def test_a_conditional_discriminator_is_told_the_pictures_conditions(monkeypatch):
    monkeypatch.setattr(discriminator_features, "LOOKED_AT", 6)
    run, told = trained(FACES), []
    real = reference_pictures(run.recipe, "test", 6, 0)

    def spied(network, variables, layer, images, condition):
        told.append(condition)
        return responses(network, variables, layer, images, condition)

    monkeypatch.setattr(discriminator_features, "responses", spied)
    exhibit = sample._exhibit(run, sample.Sample(show="features", num=1))
    assert exhibit.columns == 6 and exhibit.images.shape == (12, 16, 16, 3)  # fewer pictures than a row has
    np.testing.assert_array_equal(told[0], real.conditions)


def test_where_the_pictures_are_not_at_hand_the_run_draws_some(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(discriminator_features, "LOOKED_AT", 8)
    recipe = dataclasses.replace(PLAIN.recipe, dataset="folder", data_dir=str(tmp_path / "gone"))
    run = dataclasses.replace(trained(PLAIN), recipe=recipe)
    exhibit = sample._exhibit(run, sample.Sample(show="features", num=1, seed=4))
    drawn = run.latent.images(run.state, run.latent.latents(jax.random.key(4), 8))
    shown = {picture.tobytes() for picture in exhibit.images[:8]}
    assert shown == {picture.tobytes() for picture in drawn}
    said = capsys.readouterr().err
    assert "--data_dir=" in said and "Pictures that the run draws are looked at instead." in said
    with pytest.raises(UserError, match="data_dir="):
        discriminator_features.features(with_outputs(run, latent=None), 1, 4)


def test_a_run_without_a_discriminator_has_no_features():
    alone = with_outputs(PLAIN, score=None)
    with pytest.raises(UserError, match=r"^show=features: this run of dcgan_64 has samples, interpolation"):
        sample.check_show(alone, "features")
    sample.check_show(PLAIN, "features")
    with pytest.raises(UserError, match="has no discriminator"):
        discriminator_features.features(alone, 1, 0)


def test_flags_that_mean_nothing_for_features_are_refused():
    with pytest.raises(UserError, match=r"^layer=Conv_1: is that of show=features"):
        sample.check(sample.Sample(layer="Conv_1"))
    with pytest.raises(UserError, match=r"^condition: show=features draws its own"):
        sample._exhibit(FACES, sample.Sample(show="features", condition="blue hair"))


@pytest.mark.slow
def test_the_command_writes_a_grid_and_refuses_a_layer_in_a_line(tmp_path):
    workdir = small_run(tmp_path / "run", model="dcgan_64", names="none")
    flags = (f"--workdir={workdir}", "--show=features", f"--out={tmp_path / 'features.png'}")
    done = run_command("sample", *flags, "--num=16", "--layer=Conv_0")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "features.png") as grid:
        assert grid.height == 2 * 48 and grid.width > 8 * 48
    refused = run_command("sample", *flags, "--layer=conv5")
    assert refused.returncode == 2 and "error: --layer=conv5: the discriminator has Conv_0" in refused.stderr
