"""The convolutional semi-supervised GAN: counts and values by hand, its start from data, and the numbers of PyTorch."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_semi_supervised import near, size, torch_step

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models.semi_supervised_conv import ssgan_conv
from jaxgan.models.weight_norm import FIXED, WeightNormConv, WeightNormConvTranspose, WeightNormDense
from jaxgan.systems import semi_supervised_step as training
from jaxgan.systems.players import Player

SIDES = (2, 4, 7, 14)  # of pictures of 14 pixels after 3, 2, 1 and 0 halvings; one of them is odd
SMALL = {"image_size": 14, "classes": 3, "latent_dim": 5, "generator_width": 2, "discriminator_width": 4}
COUNT = 5
CONVS = 9  # of the discriminator


def shapes_of(gan):
    return [
        jax.eval_shape(functools.partial(models.init, network), jax.random.key(0))
        for network in (gan.generator, gan.discriminator)
    ]


def test_parameters_are_counted_as_in_the_source():
    gan = ssgan_conv()
    generator, judge = shapes_of(gan)
    # Normalised layers have a shift and no scale of their own; the last has a scale and a bias a channel.
    doubled = 25 * 512 * 256 + 256 + 25 * 256 * 128 + 128
    assert size(generator["params"]) == 100 * 8192 + 8192 + doubled + 25 * 128 * 3 + 2 * 3 == 4_933_382
    narrow = 9 * 3 * 96 + 2 * 9 * 96 * 96 + 3 * 96
    wide = 9 * 96 * 192 + 3 * 9 * 192 * 192 + 2 * 192 * 192 + 6 * 192
    assert size(judge["params"]) == narrow + wide + 192 * 10 + 2 * 10 == 1_406_804
    assert size(judge[FIXED]) == 3 * 96 + 6 * 192  # not trained, but for that of the last layer
    assert gan.discriminator.noise_dim == 32 * 32 * 3 + 16 * 16 * 96 + 8 * 8 * 192


@pytest.mark.parametrize(("side", "channels"), [(9, 1), (28, 1), (33, 3)])
def test_pictures_of_any_size_are_made_and_judged(side, channels):
    gan = ssgan_conv(image_size=side, channels=channels, generator_width=2, discriminator_width=2, classes=4)
    generator, judge = shapes_of(gan)
    z, key = jnp.zeros((3, 100)), jax.random.key(0)
    made = jax.eval_shape(lambda v: gan.generator.apply(v, z, train=False), generator)
    assert made.shape == (3, side, side, channels) == (3, *gan.image_shape)

    def judged(variables, images):
        noise = gan.discriminator.draw_noise(key, 3)
        return gan.discriminator.apply(variables, images, noise, train=True, classify=True)

    logits, features = jax.eval_shape(judged, judge, made)
    assert logits.shape == (3, 4) and features.shape == (3, 4)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"^image_size=8: ssgan_conv takes pictures from 9 pixels on"):
        ssgan_conv(image_size=8)
    with pytest.raises(UserError, match=r"^discriminator_width=0: must be from 1"):
        ssgan_conv(discriminator_width=0)


def test_kernels_have_the_length_of_their_scale():
    # Two units of one tap each way: (3, 4) has the length 5, (0, 2) the length 2.
    directions = np.array([[3.0, 0.0], [4.0, 2.0]])  # (in, out)
    scale, x = np.array([10.0, 1.0]), np.array([1.0, 2.0]).reshape(1, 1, 1, 2)
    given = {"scale": scale, "bias": np.array([0.0, 1.0])}
    for layer, kernel in (
        (WeightNormDense(2, train_scale=True), directions),
        (WeightNormConv(2, train_scale=True, kernel_size=1), directions[None, None]),
        (WeightNormConvTranspose(2, train_scale=True, kernel_size=1), directions.T[None, None]),
    ):
        found = layer.apply({"params": {**given, "kernel": kernel}}, x)
        np.testing.assert_allclose(found.reshape(-1), [22.0, 3.0], rtol=1e-6)


def test_what_is_dropped_is_decided_by_16_bits_and_the_rest_grows():
    gan = ssgan_conv(**SMALL)
    x = jnp.full((1, 14, 14, 3), 4.0)
    bits = np.full((1, gan.discriminator.noise_dim), 2**16 - 1, np.uint16)
    first = round(0.2 * 2**16)
    bits[0, :2] = first - 1, first
    dropped = gan.discriminator._dropped(x, bits, 0).reshape(-1)
    np.testing.assert_allclose(dropped[:3], [0.0, 5.0, 5.0])
    bits[0, 14 * 14 * 3 : 14 * 14 * 3 + 2] = 2**15 - 1, 2**15
    dropped = gan.discriminator._dropped(jnp.ones((1, 7, 7, 4)), bits, 1).reshape(-1)
    np.testing.assert_allclose(dropped[:3], [0.0, 2.0, 2.0])
    drawn = np.asarray(gan.discriminator.draw_noise(jax.random.key(0), 40))
    assert drawn.shape == (40, gan.discriminator.noise_dim) and drawn.dtype == np.uint16
    assert (drawn < first).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.slow
def test_nothing_is_dropped_outside_of_training():
    gan = ssgan_conv(**SMALL)
    variables = models.init(gan.discriminator, jax.random.key(0))
    x, bits = jnp.ones((2, 14, 14, 3)), gan.discriminator.draw_noise(jax.random.key(1), 2)
    quiet, ignored, noisy = (
        gan.discriminator.apply(variables, x, drawn, train=train)
        for drawn, train in ((None, True), (bits, False), (bits, True))
    )
    np.testing.assert_array_equal(quiet, ignored)
    assert np.abs(noisy - quiet).min() > 1e-5


def rules_of(**changes):
    adam = functools.partial(optax.adam, b1=0.5, eps=0.0, eps_root=1e-8)
    return training.Rules(ssgan_conv(**SMALL), adam(3e-3), adam(1e-3), **changes)


@pytest.mark.slow
def test_units_start_with_mean_0_and_the_deviation_of_the_source():
    gan = rules_of().gan
    images = np.random.default_rng(0).integers(0, 256, (30, 14, 14, 3), np.uint8)
    key = jax.random.key(0)
    state = jax.jit(lambda: training.init_state(key, rules_of(), images))()
    noise_key = jax.random.split(key, 4)[3]
    bits = gan.discriminator.draw_noise(noise_key, 30)

    def units(network, variables, *inputs):
        _, found = network.apply(
            variables, *inputs, train=True, capture_intermediates=True, mutable=["intermediates", "batch_stats"]
        )
        return found["intermediates"]

    seen = units(gan.discriminator, state.discriminator.variables, training.pixels.normalize(images), bits)
    for place in range(CONVS):
        values = np.asarray(seen[f"WeightNormConv_{place}"]["__call__"][0])
        np.testing.assert_allclose(values.mean((0, 1, 2)), 0.0, atol=1e-4)
        np.testing.assert_allclose(values.std((0, 1, 2)), 1.0, rtol=1e-3)
    logits = np.asarray(seen["WeightNormDense_0"]["__call__"][0])
    np.testing.assert_allclose(logits.std(0), 0.1, rtol=1e-3)
    latents = training.draw_latents(jax.random.fold_in(noise_key, 2**32 - 1), training.FIRST_LATENTS, 5)
    last = units(gan.generator, state.generator.variables, latents)["WeightNormConvTranspose_0"]["__call__"][0]
    np.testing.assert_allclose(np.asarray(last).mean((0, 1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(np.asarray(last).std((0, 1, 2)), 0.1, rtol=1e-3)
    assert not np.any(state.generator.batch_stats["BatchNorm_0"]["mean"])  # of these latents nothing else stays


# The same numbers as PyTorch.


def inputs(seed=0):
    """Labelled pictures, their one-hot labels, unlabelled pictures, and draws of a step, float64."""
    random = np.random.default_rng(seed)
    labelled, unlabelled = np.tanh(random.standard_normal((2, COUNT, 14, 14, 3)))
    gan = rules_of().gan
    noises = random.integers(0, 2**16, (5, COUNT, gan.discriminator.noise_dim)).astype(np.uint16)
    draws = training.Draws(*random.uniform(size=(2, COUNT, gan.latent_dim)), *noises)
    return labelled, np.eye(3)[random.integers(0, 3, COUNT)], unlabelled, draws


def reference():
    """The networks of the reference with random weights, in float64."""
    import torch
    from reference import torch_ssgan_conv

    pair = torch_ssgan_conv.Generator(5, 2, 3, SIDES), torch_ssgan_conv.Discriminator(3, 4, 3)
    random = np.random.default_rng(4)
    for network in pair:
        network.double()
        for name, parameter in network.named_parameters():
            values = random.standard_normal(parameter.shape) * 0.5
            parameter.data = torch.from_numpy(1 + 0.3 * values if "scale" in name else values)
    return pair


def translated(pair, value=lambda parameter: parameter.detach()):
    """The variables of both networks here of another quantity of each parameter there, such as its gradient."""
    generator, judge = pair

    def array(parameter):
        found = value(parameter)
        if found is None:
            return None
        found = np.asarray(found).copy()  # a copy: the optimiser there writes in place
        return found.transpose(2, 3, 1, 0) if found.ndim == 4 else found

    def layer(module, *, scale=False):
        found = {"kernel": array(module.kernel), "bias": array(module.bias)}
        return {**found, "scale": array(module.scale)} if scale else found

    generated = {f"BatchNorm_{i}": {"bias": array(shift)} for i, shift in enumerate(generator.shifts)}
    generated["Dense_0"] = {"kernel": array(generator.dense.weight).T}
    generated |= {f"ConvTranspose_{i}": {"kernel": array(conv.weight)} for i, conv in enumerate(generator.convs)}
    generated["WeightNormConvTranspose_0"] = layer(generator.last, scale=True)
    judged = {f"WeightNormConv_{i}": layer(conv) for i, conv in enumerate(judge.convs)}
    judged["WeightNormDense_0"] = layer(judge.last, scale=True)
    return generated, judged


def players(pair, rules):
    """The players of a state with the reference's weights, float64."""
    generated, judged = translated(pair)
    statistics = {
        name: {"mean": np.zeros_like(values["bias"]), "var": np.ones_like(values["bias"])}
        for name, values in generated.items()
        if name.startswith("BatchNorm")
    }
    fixed = {f"WeightNormConv_{i}": {"scale": np.asarray(conv.scale.detach())} for i, conv in enumerate(pair[1].convs)}
    optimizers = rules.generator_optimizer, rules.discriminator_optimizer
    return (
        Player(generated, statistics, optimizers[0].init(generated)),
        Player(judged, {}, optimizers[1].init(judged), {FIXED: fixed}),
    )


def channels_first(pictures):
    """Pictures as PyTorch takes them."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def cut(bits):
    """An array of random bits a dropout, shaped as what it drops from."""
    found, first = [], 0
    for height, width, channels in ((14, 14, 3), (7, 7, 4), (4, 4, 8)):
        part = bits[:, first : first + height * width * channels].reshape(-1, height, width, channels)
        found.append(channels_first(part.astype(np.int64)))
        first += height * width * channels
    assert first == bits.shape[1]
    return found


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["absolute_feature_matching", "feature_matching", "minimax"])
def test_losses_and_every_gradient_are_those_of_pytorch(kind):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    rules = rules_of(generator_loss=kind, unsupervised_weight=0.7)
    pair = reference()
    given = inputs()
    labelled, labels, unlabelled, draws = given
    with jax.enable_x64(True):
        generator, judge = players(pair, rules)

        @jax.jit
        def play(generator, judge):
            fakes, _ = training.apply(rules.gan.generator, generator.variables, draws.discriminator_latents)
            of_d = jax.value_and_grad(training.discriminator_loss, has_aux=True)(
                judge.params, judge, labelled, labels, unlabelled, fakes, draws, rules
            )
            of_g = jax.value_and_grad(training.generator_loss, has_aux=True)(
                generator.params, generator, judge, unlabelled, draws, rules
            )
            return fakes, of_d, of_g

        fakes, ((d_loss, metrics), d_gradient), ((g_loss, _), g_gradient) = play(generator, judge)
    total, parts, expected, known, _ = torch_step(pair, given, 0.7, kind, read=channels_first, cut=cut)
    found = (d_loss, metrics["labelled_loss"], metrics["unlabelled_loss"], g_loss)
    for ours, theirs in zip(found, (total, *parts, expected), strict=True):
        assert float(ours) == pytest.approx(theirs.item(), rel=1e-10)
    import torch

    with torch.no_grad():
        made = pair[0](torch.from_numpy(draws.discriminator_latents)).numpy()
    near(fakes, made.transpose(0, 2, 3, 1), 1e-10)
    expected = translated(pair, lambda p: known.get(id(p)))
    near((g_gradient, d_gradient), expected, 1e-10)
    assert min(np.abs(leaf).max() for leaf in jax.tree.leaves(expected)) > 1e-6  # no layer is dead


@pytest.mark.torch
@pytest.mark.slow
def test_3_steps_of_both_players_are_those_of_pytorch():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_ssgan

    rules = rules_of(unsupervised_weight=0.7, average_decay=0.5, generator_loss="absolute_feature_matching")
    pair = reference()
    judged = translated(pair)[1]
    optimizers = [
        torch_ssgan.Adam(network.parameters(), rate) for network, rate in zip(pair, (3e-3, 1e-3), strict=True)
    ]
    with jax.enable_x64(True):
        state = training.SemiSupervisedState(jnp.int32(0), jax.random.key(0), *players(pair, rules), judged)
        step, average = jax.jit(functools.partial(training.take_step, rules=rules)), judged
        moving = [(np.zeros(n), np.ones(n)) for n in (4 * 2 * 2 * 2, 4, 2)]
        for number in range(3):
            given = inputs(seed=number)
            state, metrics = step(state, *given)
            _, parts, g_loss, _, statistics = torch_step(
                pair, given, 0.7, "absolute_feature_matching", optimizers, read=channels_first, cut=cut
            )
            found = [float(metrics[name]) for name in ("labelled_loss", "unlabelled_loss", "g_loss")]
            np.testing.assert_allclose(found, [value.item() for value in (*parts, g_loss)], rtol=1e-8)
            moving = [
                tuple(0.9 * before + 0.1 * now.numpy() for before, now in zip(*both, strict=True))
                for both in zip(moving, statistics, strict=True)
            ]
            decay = (1 + number) / (10 + number)
            average = jax.tree.map(lambda a, p, d=decay: d * a + (1 - d) * p, average, translated(pair)[1])
        state = jax.tree.map(np.asarray, dataclasses.replace(state, key=0))
    near((state.generator.params, state.discriminator.params), translated(pair), 1e-8)
    near(state.classifier, average, 1e-6)  # the decay is computed in float32
    for place, (mean, variance) in enumerate(moving):
        near(state.generator.batch_stats[f"BatchNorm_{place}"], {"mean": mean, "var": variance}, 1e-8)
