"""pix2pix: its networks' sizes, its step, the crops of pairs, and what its settings mean."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, models, systems
from jaxgan.host.errors import UserError
from jaxgan.models.instance_norm import InstanceNorm
from jaxgan.models.layers import Dropout
from jaxgan.models.patchgan import patchgan
from jaxgan.models.unet import unet
from jaxgan.ops.jitter import jitter
from jaxgan.systems import paired_translation, pix2pix
from jaxgan.systems.paired_translation import Rules
from jaxgan.systems.pix2pix import Pix2pixSettings
from jaxgan.training import parallel
from jaxgan.training.fitting import initial_state

pytestmark = pytest.mark.usefixtures("compile_once")

SMALL = {"width": 2, "discriminator_width": 2, "discriminator_layers": 1, "batch_size": 4}


def pairs(count=20, side=8, channels=3):
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)
    return data.from_arrays(images, inputs=255 - images)


@functools.cache
def small(**settings):
    """A small system, and its first state."""
    system = systems.build("pix2pix", pairs(), **{**SMALL, **settings})
    return system, initial_state(system)


def count(network):
    shapes = jax.eval_shape(functools.partial(models.init, network), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))


SIZES = [
    (unet(), 54_413_955),
    (patchgan(), 2_768_705),
    (patchgan(layers=0), 9_024),
    (patchgan(layers=0, pictures=1, norm="instance"), 8_705),
    (unet(norm="instance"), 54_409_603),
    (unet(image_size=128), 41_828_995),
    (patchgan(pictures=1, norm="instance"), 2_764_737),
    (patchgan(layers=1), 139_585),
    (patchgan(layers=2), 666_433),
    (patchgan(layers=4), 6_964_033),
    (patchgan(layers=5), 11_159_361),
]
QUICKLY = 4  # tracing takes a second each


@pytest.mark.parametrize(
    ("network", "parameters"),
    [*SIZES[:QUICKLY], *(pytest.param(*size, marks=pytest.mark.slow) for size in SIZES[QUICKLY:])],
)
def test_the_numbers_of_parameters_are_the_sources(network, parameters):
    assert count(network) == parameters


@pytest.mark.parametrize(
    ("layers", "sides"),
    [(3, {64: 6, 128: 14, 256: 30}), (1, {64: 30, 256: 126}), (4, {64: 2, 128: 6}), (5, {128: 2}), (0, {64: 64})],
)
def test_the_maps_of_logits_have_the_sources_sizes(layers, sides):
    for size, side in sides.items():
        network, picture = patchgan(image_size=size, layers=layers, width=1), jnp.zeros((2, size, size, 3))
        made, _ = jax.eval_shape(
            functools.partial(network.init_with_output, train=False), jax.random.key(0), picture, picture
        )
        assert made.shape == (2, side, side)


@pytest.mark.parametrize(
    ("size", "layers_of_dropout"), [(4, 0), (32, 0), (64, 1), pytest.param(256, 3, marks=pytest.mark.slow)]
)
def test_a_unet_keeps_the_size_and_has_the_sources_dropout(size, layers_of_dropout):
    network, seen = unet(image_size=size, width=1), []

    def made(key):
        options = {"capture_intermediates": lambda module, _: isinstance(module, Dropout)}
        variables = network.init(key, jnp.zeros((1, size, size, 3)), train=False)
        picture, state = network.apply(
            variables,
            jnp.zeros((2, size, size, 3)),
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats", "intermediates"],
            **options,
        )
        seen.extend(jax.tree.leaves(state.get("intermediates", {})))
        return picture

    assert jax.eval_shape(made, jax.random.key(0)).shape == (2, size, size, 3)
    assert sorted(leaf.shape[1] for leaf in seen) == [4 * 2**stage for stage in range(layers_of_dropout)]


def test_initial_weights_are_the_sources():
    variables = models.init(unet(image_size=8, width=32), jax.random.key(0))
    params = variables["params"]
    kernels = np.concatenate([np.ravel(layer["kernel"]) for layer in params.values() if "kernel" in layer])
    scales = np.concatenate([layer["scale"] for layer in params.values() if "scale" in layer])
    assert abs(kernels.std() - 0.02) < 2e-4 and abs(kernels.mean()) < 2e-4
    assert abs(scales.std() - 0.02) < 4e-3 and abs(scales.mean() - 1) < 4e-3
    assert all((np.asarray(layer["bias"]) == 0).all() for layer in params.values() if "bias" in layer)


def test_instance_normalisation_by_hand_also_where_a_channel_varies_little():
    random = np.random.default_rng(0)
    x = (random.standard_normal((2, 5, 4, 3)) * 0.01 + 10.0).astype("float32")
    wide = x.astype("float64")
    expected = (wide - wide.mean((1, 2), keepdims=True)) / np.sqrt(wide.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(InstanceNorm().apply({}, x), expected, atol=1e-3)
    variables = {"params": {"scale": jnp.array([1.0, 2.0, 3.0]), "bias": jnp.array([0.0, 1.0, 0.0])}}
    found = InstanceNorm(affine=True).apply(variables, x)
    np.testing.assert_allclose(found, expected * [1, 2, 3] + [0, 1, 0], atol=4e-3)
    with pytest.raises(UserError, match="a picture of one pixel has no variance"):
        InstanceNorm().apply({}, x[:, :1, :1])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"width": 0}, "width=0"),
        ({"discriminator_layers": -1}, "discriminator_layers=-1"),
        (
            {"discriminator_layers": 3},
            "discriminator_layers=3: leaves nothing of pictures of 8 pixels; choose at most 1",
        ),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ({"l1_weight": -1.0}, "l1_weight=-1.0"),
        ({"learning_rate": math.inf}, "learning_rate=inf"),
        ({"jitter": -1}, "jitter=-1"),
        ({"decay_after": 10}, "decay_steps: give decay_after and decay_steps"),
        ({"initial_std": 0.0}, "initial_std=0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, named):
    with pytest.raises(UserError, match=f"^{named}"):
        systems.build("pix2pix", pairs(), **{**SMALL, **settings})


def test_sizes_that_are_no_power_of_two_are_refused():
    with pytest.raises(UserError, match=r"^image_size=12: a U-Net halves pictures down to one pixel"):
        systems.build("pix2pix", pairs(side=12), **SMALL)


def test_settings_become_rules():
    chosen = Pix2pixSettings(model="pix2pix", image_size=64, norm="instance", loss="lsgan", l1_weight=10.0, width=3)
    rules = pix2pix.build_rules(chosen, channels=1)
    assert rules.generator.image_shape == (64, 64, 1) and rules.discriminator.image_shape == (64, 64, 1)
    assert (rules.generator.width, rules.discriminator.width, rules.discriminator.layers) == (3, 64, 3)
    assert rules.generator.norm == rules.discriminator.norm == "instance"
    assert (rules.loss, rules.l1_weight, rules.flip) == ("lsgan", 10.0, True)
    assert rules.enlarge == 8 and pix2pix.build_rules(Pix2pixSettings(model="pix2pix"), 3).enlarge == 30
    assert pix2pix.build_rules(Pix2pixSettings(model="pix2pix", jitter=0), 3).enlarge == 0
    bfloat16 = pix2pix.build_rules(dataclasses.replace(chosen, precision="bfloat16"), 3)
    assert bfloat16.generator.dtype == bfloat16.discriminator.dtype == jnp.bfloat16


def test_the_learning_rate_falls_in_a_straight_line_where_asked_for():
    settings = Pix2pixSettings(model="pix2pix", learning_rate=0.5, decay_after=2, decay_steps=2)
    optimizer = pix2pix.build_rules(settings, 3).generator_optimizer
    state, found = optimizer.init(jnp.ones(())), []
    for _ in range(6):
        change, state = optimizer.update(jnp.ones(()), state)
        found.append(round(-float(change), 4))
    assert found == [0.5, 0.5, 0.5, 0.25, 0.0, 0.0]


def test_losses_by_hand():
    rules = pix2pix.build_rules(Pix2pixSettings(model="pix2pix"), 3)
    logits = jnp.array([[[0.0, math.log(3)]], [[0.0, math.log(3)]]])
    real, fake = (math.log(2) + math.log(4 / 3)) / 2, (math.log(2) + math.log(4)) / 2
    found = paired_translation.discriminator_objective(rules, real=logits, fake=logits)
    np.testing.assert_allclose(found, (real + fake) / 2, rtol=1e-6)
    pictures, images = jnp.full((2, 4, 4, 3), 0.25), jnp.full((2, 4, 4, 3), -0.25)
    adversarial, l1 = paired_translation.generator_objectives(rules, logits, pictures, images)
    np.testing.assert_allclose([adversarial, l1], [real, 0.5], rtol=1e-6)
    lsgan = dataclasses.replace(rules, loss="lsgan")
    judged = jnp.array([[[1.0, 3.0]]])
    adversarial, _ = paired_translation.generator_objectives(lsgan, judged, pictures, images)
    assert float(adversarial) == 2.0  # the mean of 0 and 4
    assert float(paired_translation.discriminator_objective(lsgan, real=judged, fake=judged)) == 0.5 * (2 + 5)


# Crops of pairs.


@pytest.mark.parametrize("enlarge", [0, 3])
def test_both_pictures_of_a_pair_have_one_crop_and_one_flip(enlarge):
    picture = jax.random.uniform(jax.random.key(1), (16, 8, 8, 3))
    cut = jax.jit(functools.partial(jitter, enlarge=enlarge, flip=True))
    one, other = cut(jax.random.key(0), (picture, 1 - picture))
    np.testing.assert_allclose(one, 1 - other, atol=1e-6)
    mirrored = {bool(np.allclose(a, b)) for a, b in zip(one, picture[:, :, ::-1], strict=True)}
    assert enlarge or mirrored == {True, False}
    again, _ = cut(jax.random.key(2), (picture, 1 - picture))
    assert not np.allclose(again, one)


def test_crops_begin_at_every_offset_and_keep_what_they_show():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (200, 8, 8, 1))
    (cut,) = jax.jit(functools.partial(jitter, enlarge=2))(jax.random.key(0), (ramp,))
    larger = np.asarray(jax.image.resize(ramp[:1], (1, 10, 10, 1), "linear"))[0, :, 0, 0]
    starts = {int(np.argmin(np.abs(larger[:3] - value))) for value in np.asarray(cut[:, 0, 0, 0])}
    assert starts == {0, 1, 2}
    assert {tuple(np.round(part[:, 0, 0], 4)) for part in np.asarray(cut)} == {
        tuple(np.round(larger[start : start + 8], 4)) for start in (0, 1, 2)
    }


def test_without_jitter_pictures_stay_as_they_are():
    picture = jnp.ones((2, 4, 4, 3))
    assert jitter(jax.random.key(0), (picture,))[0] is picture


# The system.


@pytest.mark.slow
def test_the_preview_is_of_pairs_that_are_not_trained_on():
    system, state = small()
    shown = system.preview.images(state).reshape(2, 3, 8, 8, 8, 3)
    assert system.preview.rows == ("input", "output", "truth") * 2
    np.testing.assert_array_equal(shown[:, 0], 255 - shown[:, 2])
    np.testing.assert_array_equal(shown[:, 2].reshape(16, 8, 8, 3), pairs().images[:16])
    others = {name: array[::-1][:3] for name, array in pairs().arrays.items()}
    system = systems.build("pix2pix", dataclasses.replace(pairs(), held_out=others), **SMALL)
    again = system.preview.images(state).reshape(2, 3, 8, 8, 8, 3)
    np.testing.assert_array_equal(again[0, 2, :6], pairs().images[[19, 18, 17, 19, 18, 17]])


@pytest.mark.slow
def test_a_translation_does_not_depend_on_the_pictures_beside_it():
    (system, state), inputs = small(), pairs().arrays["input"]
    translate = system.outputs.translate["input_to_image"]
    together = translate(state, inputs[:3])
    np.testing.assert_array_equal(together, np.concatenate([translate(state, one[None]) for one in inputs[:3]]))
    assert (together[0] != together[1]).any()


def test_evaluation_mode_takes_the_running_statistics():
    (_, state), inputs = small(), pairs().arrays["input"][:3]
    usual, evaluated = (
        systems.build("pix2pix", pairs(), eval_mode=mode, **SMALL).outputs.translate["input_to_image"]
        for mode in (False, True)
    )
    moved = jax.tree.map(lambda leaf: leaf + 0.5, state.generator.batch_stats)
    other = state.replace(generator=state.generator.replace(batch_stats=moved))
    np.testing.assert_array_equal(usual(state, inputs), usual(other, inputs))
    assert (evaluated(state, inputs) != evaluated(other, inputs)).any()


@pytest.mark.slow
def test_dropout_is_the_noise_of_a_translation():
    network = unet(image_size=64, width=1)
    variables = models.init(network, jax.random.key(0))
    loud = jax.tree.map(lambda leaf: 20 * leaf, variables["params"])
    picture = jax.random.uniform(jax.random.key(1), (1, 64, 64, 3))
    translate = jax.jit(
        lambda inputs, key: paired_translation.translate(network, variables | {"params": loud}, inputs, key)
    )
    two = translate(jnp.repeat(picture, 2, 0), jax.random.key(2))
    assert not np.allclose(two[0], two[1])  # each by its place
    np.testing.assert_array_equal(two, translate(jnp.repeat(picture, 2, 0), jax.random.key(2)))


def test_measures_by_hand():
    truth = np.full((2, 4, 4, 3), 100, np.uint8)
    output = truth.copy()
    output[0, :2] += 51  # a half of the picture is wrong by 0.4
    found = pix2pix.measure(lambda state, input, key: output, None, truth, jax.random.key(0), input=truth)
    np.testing.assert_allclose(found["l1"].value, 0.1, rtol=1e-6)
    np.testing.assert_allclose(found["rmse"].value, 0.5 * 0.4 * math.sqrt(0.5), rtol=1e-6)
    np.testing.assert_allclose(found["l1"].standard_error, 0.1, rtol=1e-6)


def test_a_step_takes_one_batch():
    system, state = small()
    batch = {name: np.zeros((2, 4, 8, 8, 3), np.uint8) for name in ("image", "input")}
    with pytest.raises(ValueError, match="one batch a step, got 2"):
        system.step(state, batch)


def test_a_set_without_inputs_is_refused():
    with pytest.raises(UserError, match=r"^inputs: must be uint8 \(20, 8, 8, 3\) as the images"):
        data.from_arrays(pairs().images, inputs=pairs().images[:3])
    alone = data.from_arrays(pairs().images)
    assert alone.digest != pairs().digest and "input" not in alone.arrays


@pytest.mark.slow
def test_two_devices_give_the_run_of_one_with_dropout_and_jitter(two_devices):
    sgd = optax.sgd(1e-3)
    networks = unet(image_size=64, width=1), patchgan(image_size=64, width=1, layers=1)
    step = functools.partial(paired_translation.train_step, rules=Rules(*networks, sgd, sgd, enlarge=5, flip=True))
    random = np.random.default_rng(0)
    batches = {name: random.integers(0, 256, (2, 1, 4, 64, 64, 3), np.uint8) for name in ("input", "image")}
    runs = []
    for mode in ("jit", "shard_map"):
        run = parallel.compile_step(step, mode=mode, devices=two_devices[:1] if mode == "jit" else two_devices)
        start = paired_translation.init_state(jax.random.key(0), step.keywords["rules"])
        state, log = run(run.place_state(start), batches, 2)
        runs.append(jax.tree.map(np.asarray, (parallel.local(state.generator.params), log)))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), *runs)
