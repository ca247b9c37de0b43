"""The semi-supervised GAN's networks, losses and step: counts and values by hand, and the numbers of PyTorch."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models import semi_supervised as networks
from jaxgan.models.semi_supervised import real_logits
from jaxgan.models.weight_norm import FIXED, WeightNormDense
from jaxgan.systems import semi_supervised_step as training
from jaxgan.systems.players import Player

SMALL = {"image_size": 4, "classes": 3, "latent_dim": 5, "generator_width": 6, "discriminator_width": 32}
COUNT = 7


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_are_counted_as_in_the_source():
    gan = networks.ssgan_mnist()
    shapes = [
        jax.eval_shape(functools.partial(models.init, network), jax.random.key(0))
        for network in (gan.generator, gan.discriminator)
    ]
    # Two layers without scales and biases of their own, two shifts; the last has a scale and a bias a pixel.
    assert size(shapes[0]["params"]) == 100 * 500 + 500 * 500 + 2 * 500 + 500 * 784 + 2 * 784 == 694_568
    hidden = 785 * 1000 + 1001 * 500 + 501 * 250 + 2 * 251 * 250
    assert size(shapes[1]["params"]) == hidden + 251 * 10 + 10 == 1_538_770
    assert size(shapes[1][FIXED]) == 1000 + 500 + 3 * 250  # not trained, but for that of the last layer
    assert gan.discriminator.noise_dim == 784 + 1000 + 500 + 3 * 250
    assert gan.discriminator.noise_stds == (0.3, 0.5, 0.5, 0.5, 0.5, 0.5)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="generator_width=0: must be from 1"):
        networks.ssgan_mnist(generator_width=0)


def test_weights_have_the_length_of_their_scale():
    layer = WeightNormDense(2, train_scale=True)
    params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 2.0]]), "scale": jnp.array([10.0, 1.0]), "bias": jnp.ones(2)}
    np.testing.assert_allclose(layer.apply({"params": params}, jnp.array([[1.0, 2.0]])), [[23.0, 3.0]], rtol=1e-6)


@pytest.mark.slow
def test_calibrated_units_have_mean_0_and_deviation_1():
    gan = networks.ssgan_mnist(**SMALL)
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 1), np.uint8)
    key = jax.random.key(0)
    plain = start().discriminator
    player = jax.jit(lambda: training.init_state(key, rules_of(), images))().discriminator
    assert jax.tree.all(
        jax.tree.map(
            np.array_equal, player.params["WeightNormDense_0"]["kernel"], plain.params["WeightNormDense_0"]["kernel"]
        )
    )
    x = (jnp.asarray(images.reshape(50, -1)) / 255.0).astype(jnp.float32)
    # The first layer by hand: inputs in [0, 1], with the noise of the calibration.
    noise = training.noise.latents(jax.random.split(key, 4)[3], 50, gan.discriminator.noise_dim)
    layer, scale = player.params["WeightNormDense_0"], player.extra[FIXED]["WeightNormDense_0"]["scale"]
    directions = layer["kernel"] / np.linalg.norm(layer["kernel"], axis=0)
    units = (x + 0.3 * noise[:, :16]) @ (directions * scale) + layer["bias"]
    np.testing.assert_allclose(units.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(units.std(axis=0), 1.0, rtol=1e-5)
    judged = gan.discriminator.apply(
        player.variables, training.pixels.normalize(images), noise, train=True, classify=True
    )
    np.testing.assert_allclose(judged.logits.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(judged.logits.std(axis=0), 1.0, rtol=1e-4)


def test_noise_is_for_training_alone():
    gan = networks.ssgan_mnist(**SMALL)
    variables = models.init(gan.discriminator, jax.random.key(0))
    x, noise = jnp.zeros((2, 4, 4, 1)), jnp.ones((2, gan.discriminator.noise_dim))
    quiet, ignored, noisy = (
        gan.discriminator.apply(variables, x, drawn, train=train)
        for drawn, train in ((None, True), (noise, False), (noise, True))
    )
    np.testing.assert_array_equal(quiet, ignored)
    assert np.abs(noisy - quiet).min() > 1e-3


# Two pictures and two classes: Z = e^log3 + e^0 = 4, and Z = 1 + 1 = 2.
LOGITS = jnp.array([[math.log(3.0), 0.0], [0.0, 0.0]])


def test_losses_by_hand():
    np.testing.assert_allclose(real_logits(LOGITS), np.log([4.0, 2.0]), rtol=1e-6)
    # The right classes have the chances ¾ and ½.
    labels = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert float(training.labelled_loss(LOGITS, labels)) == pytest.approx(expected, rel=1e-6)
    # D is 4/5 and 2/3 of real pictures, 1/2 and 2/3 of generated ones.
    generated = jnp.array([[math.log(0.25), math.log(0.75)], [0.0, 0.0]])
    expected = -0.25 * (math.log(4 / 5) + math.log(2 / 3) + math.log(1 - 1 / 2) + math.log(1 - 2 / 3))
    assert float(training.unlabelled_loss(LOGITS, generated)) == pytest.approx(expected, rel=1e-6)
    assert float(training.minimax_loss(generated)) == pytest.approx(0.5 * math.log(1 / 2 * 1 / 3), rel=1e-6)
    # Mean features are (2, 0, 1) and (1, 2, 1).
    real, made = jnp.array([[1.0, 0.0, 1.0], [3.0, 0.0, 1.0]]), jnp.array([[1.0, 4.0, 2.0], [1.0, 0.0, 0.0]])
    assert float(training.feature_matching_loss(real, made)) == pytest.approx((1 + 4 + 0) / 3)
    assert float(training.feature_matching_loss(real, made, absolute=True)) == pytest.approx((1 + 2 + 0) / 3)
    pulled = jax.grad(lambda r, m: training.feature_matching_loss(r, m), argnums=(0, 1))(real, made)
    np.testing.assert_array_equal(pulled[0], 0.0)  # real pictures teach nothing back
    np.testing.assert_allclose(pulled[1], np.tile([2 * -1 / 3 / 2, 2 * 2 / 3 / 2, 0], (2, 1)), rtol=1e-6)


@pytest.mark.parametrize("logit", [100.0, 1e4, -1e4])
def test_extreme_logits_stay_finite_and_keep_their_gradient(logit):
    """Z overflows above 88. With two equal logits log Z is the logit + log 2."""
    same = jnp.full((1, 2), logit)
    value, (real, generated) = jax.value_and_grad(training.unlabelled_loss, argnums=(0, 1))(same, same)
    assert float(value) == pytest.approx(0.5 * (max(0.0, logit) + max(0.0, -logit)), rel=0.01)
    np.testing.assert_allclose(real, np.full((1, 2), 0.0 if logit > 0 else -0.25), atol=1e-6)
    np.testing.assert_allclose(generated, np.full((1, 2), 0.25 if logit > 0 else 0.0), atol=1e-6)
    pair = jnp.array([[logit, 0.0]])
    value, gradient = jax.value_and_grad(training.labelled_loss)(pair, jnp.array([[0.0, 1.0]]))
    assert float(value) == pytest.approx(max(0.0, logit), rel=1e-6)
    np.testing.assert_allclose(gradient, [[1.0, -1.0]] if logit > 0 else [[0.0, 0.0]], atol=1e-6)
    assert np.isfinite(training.minimax_loss(pair))


def rules_of(**changes):
    adam = functools.partial(optax.adam, b1=0.5, eps=0.0, eps_root=1e-8)
    return training.Rules(networks.ssgan_mnist(**SMALL), adam(3e-3), adam(1e-3), **changes)


@functools.cache
def start():
    return jax.jit(functools.partial(training.init_state, rules=rules_of()))(jax.random.key(0))


def inputs(dtype="float32", seed=0):
    """Labelled pictures, their one-hot labels, unlabelled pictures, and draws of a step."""
    random = np.random.default_rng(seed)
    labelled, unlabelled = np.tanh(random.standard_normal((2, COUNT, 4, 4, 1)))
    labels = np.eye(3)[random.integers(0, 3, COUNT)]
    gan = rules_of().gan
    latents = random.uniform(size=(2, COUNT, gan.latent_dim))
    noises = random.standard_normal((5, COUNT, gan.discriminator.noise_dim))
    draws = training.Draws(*(values.astype(dtype) for values in (*latents, *noises)))
    return labelled.astype(dtype), labels.astype(dtype), unlabelled.astype(dtype), draws


@pytest.mark.slow
def test_labels_alone_leave_the_generator_as_it_is():
    state, rules = start(), rules_of(unsupervised=False)
    labelled, labels, unlabelled, draws = inputs()
    step = jax.jit(functools.partial(training.take_step, rules=rules))
    after, metrics = step(state, labelled, labels, unlabelled, draws)
    jax.tree.map(np.testing.assert_array_equal, after.generator, state.generator)
    other, _ = step(state, labelled, labels, -unlabelled, draws)
    jax.tree.map(np.testing.assert_array_equal, after.discriminator, other.discriminator)
    assert set(metrics) == {"labelled_loss", "labelled_accuracy"}
    moved = jax.tree.map(
        lambda one, two: np.abs(one - two).max(), after.discriminator.params, state.discriminator.params
    )
    assert max(jax.tree.leaves(moved)) > 0


def test_each_pass_has_draws_of_its_own_in_every_step(monkeypatch):
    taken = []
    monkeypatch.setattr(training, "take_step", lambda *arguments: taken.append(arguments))
    labelled, labels, unlabelled, _ = inputs()
    batch = {
        "labelled": {"image": labelled[None], "condition": labels[None]},
        "unlabelled": {"image": unlabelled[None]},
    }
    for step in (0, 1):
        training.train_step(start().replace(step=jnp.int32(step)), batch, rules_of())
    draws = [array for arguments in taken for array in arguments[4]]
    assert len({np.asarray(array).tobytes() for array in draws}) == 2 * 7
    z = np.asarray(draws[0])
    assert z.min() >= 0 and z.max() < 1 and draws[2].shape == (COUNT, rules_of().gan.discriminator.noise_dim)
    np.testing.assert_array_equal(taken[0][2], labels)
    with pytest.raises(UserError, match="the networks take a condition"):
        training.train_step(start(), {**batch, "labelled": {"image": labelled[None]}}, rules_of())


# The same numbers as PyTorch.

KINDS = [
    pytest.param("feature_matching"),
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("absolute_feature_matching", "minimax")),
]


def reference():
    """The networks of the reference with random weights, in float64, and their variables here."""
    import torch
    from reference import torch_ssgan

    gan = rules_of().gan
    pair = torch_ssgan.Generator(5, 6, 16), torch_ssgan.Discriminator(16, gan.discriminator.widths, 3)
    random = np.random.default_rng(4)
    for network in pair:
        network.double()
        for name, parameter in network.named_parameters():
            values = random.standard_normal(parameter.shape) * 0.5
            parameter.data = torch.from_numpy(1 + 0.3 * values if "scale" in name else values)
    return pair, translated(pair)


def translated(pair, value=lambda parameter: parameter.detach()):
    """The variables of both networks here of another quantity of each parameter there, such as its gradient."""
    generator, judge = pair

    def array(parameter):
        found = value(parameter)
        return np.asarray(found).copy() if found is not None else None  # a copy: the optimiser there writes in place

    def layer(module, *, scale):
        found = {"kernel": array(module.kernel), "bias": array(module.bias)}
        return {**found, "scale": array(module.scale)} if scale else found

    generated = {f"Dense_{i}": {"kernel": array(dense.weight).T} for i, dense in enumerate(generator.dense)}
    generated |= {f"BatchNorm_{i}": {"bias": array(shift)} for i, shift in enumerate(generator.shifts)}
    generated["WeightNormDense_0"] = layer(generator.last, scale=True)
    last = len(judge.layers) - 1
    judged = {f"WeightNormDense_{i}": layer(module, scale=i == last) for i, module in enumerate(judge.layers)}
    return generated, judged


def players(pair, rules):
    """The players of a state with the reference's weights, float64."""
    generated, judged = translated(pair)
    statistics = {f"BatchNorm_{i}": {"mean": np.zeros(6), "var": np.ones(6)} for i in range(2)}
    fixed = {
        f"WeightNormDense_{i}": {"scale": np.asarray(layer.scale.detach())}
        for i, layer in enumerate(pair[1].layers[:-1])
    }
    optimizers = rules.generator_optimizer, rules.discriminator_optimizer
    return (
        Player(generated, statistics, optimizers[0].init(generated)),
        Player(judged, {}, optimizers[1].init(judged), {FIXED: fixed}),
    )


def splits(noise):
    """An array of noise a layer."""
    import torch

    sizes = (16, *rules_of().gan.discriminator.widths)
    return torch.split(torch.from_numpy(noise), sizes, dim=1)


def flat(pictures):
    """Pictures as the reference takes them: pixels in [0, 1], (N, H·W·C)."""
    import torch

    return torch.from_numpy((pictures.reshape(len(pictures), -1) + 1) / 2)


def torch_step(pair, given, weight, kind, optimizers=None, *, read=flat, cut=splits):
    """Takes a step there: the loss of each player, the parts of D's, the gradients, the statistics of G.

    `read` makes pictures, and `cut` the noise of a pass, what the networks there take.
    """
    import torch
    from reference import torch_ssgan

    labelled, labels, unlabelled, draws = given
    labelled, unlabelled = read(labelled), read(unlabelled)
    generator, judge = pair
    with torch.no_grad():
        fakes = generator(torch.from_numpy(draws.discriminator_latents))
    noises = [cut(noise) for noise in draws[2:]]
    total, *parts = torch_ssgan.discriminator_loss(
        judge, labelled, torch.from_numpy(labels.argmax(1)), unlabelled, fakes, noises[:3], weight
    )
    of_judge = [p for p in judge.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, of_judge)
    if optimizers is not None:
        optimizers[1].step(gradients)
    made = generator(torch.from_numpy(draws.generator_latents))
    g_loss = torch_ssgan.generator_loss(judge, unlabelled, made, noises[3:], kind)
    of_generator = list(generator.parameters())
    moved = torch.autograd.grad(g_loss, of_generator)
    if optimizers is not None:
        optimizers[0].step(moved)
    known = {id(p): g for p, g in zip([*of_judge, *of_generator], [*gradients, *moved], strict=True)}
    return total, parts, g_loss, known, generator.statistics


def near(found, expected, tolerance):
    """Asserts equal trees to a tolerance of the largest number of each leaf."""

    def same(one, other):
        other = np.asarray(other)
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(np.abs(other).max(), 1e-4))

    jax.tree.map(same, found, expected)


@pytest.mark.torch
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_every_gradient_are_those_of_pytorch(kind):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    rules = rules_of(generator_loss=kind, unsupervised_weight=0.7)
    pair, _ = reference()
    given = inputs("float64")
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
            return of_d, of_g

        ((d_loss, metrics), d_gradient), ((g_loss, _), g_gradient) = play(generator, judge)
    total, parts, expected, known, _ = torch_step(pair, given, 0.7, kind)
    found = (d_loss, metrics["labelled_loss"], metrics["unlabelled_loss"], g_loss)
    for ours, theirs in zip(found, (total, *parts, expected), strict=True):
        assert float(ours) == pytest.approx(theirs.item(), rel=1e-10)
    expected = translated(pair, lambda p: known.get(id(p)))
    near((g_gradient, d_gradient), expected, 1e-10)
    assert min(np.abs(leaf).max() for leaf in jax.tree.leaves(expected)) > 1e-6  # no layer is dead


@pytest.mark.torch
def test_3_steps_of_both_players_are_those_of_pytorch():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_ssgan

    rules = rules_of(unsupervised_weight=0.7, average_decay=0.5)
    pair, (_, judged) = reference()
    optimizers = [
        torch_ssgan.Adam(network.parameters(), rate) for network, rate in zip(pair, (3e-3, 1e-3), strict=True)
    ]
    with jax.enable_x64(True):
        state = training.SemiSupervisedState(jnp.int32(0), jax.random.key(0), *players(pair, rules), judged)
        step, average = jax.jit(functools.partial(training.take_step, rules=rules)), judged
        moving = [(np.zeros(6), np.ones(6)), (np.zeros(6), np.ones(6))]
        for number in range(3):
            given = inputs("float64", seed=number)
            state, metrics = step(state, *given)
            _, parts, g_loss, _, statistics = torch_step(pair, given, 0.7, "feature_matching", optimizers)
            expected = (*parts, g_loss)
            found = [float(metrics[name]) for name in ("labelled_loss", "unlabelled_loss", "g_loss")]
            np.testing.assert_allclose(found, [value.item() for value in expected], rtol=1e-8)
            moving = [
                tuple(0.9 * before + 0.1 * now.numpy() for before, now in zip(*both, strict=True))
                for both in zip(moving, statistics, strict=True)
            ]
            decay = (1 + number) / (10 + number)
            average = jax.tree.map(lambda a, p, d=decay: d * a + (1 - d) * p, average, translated(pair)[1])
        state = jax.tree.map(np.asarray, dataclasses.replace(state, key=0))
    near((state.generator.params, state.discriminator.params), translated(pair), 1e-8)
    for place in range(2):
        kept = [
            {id(p): m for p, m in zip(optimizer.parameters, optimizer.moments[place], strict=True)}
            for optimizer in optimizers
        ]
        moments = [player.opt_state[0][1 + place] for player in (state.generator, state.discriminator)]
        near(tuple(moments), translated(pair, lambda p, known={**kept[0], **kept[1]}: known.get(id(p))), 1e-8)
    near(state.classifier, average, 1e-6)  # the decay is computed in float32
    for place, (mean, variance) in enumerate(moving):
        near(state.generator.batch_stats[f"BatchNorm_{place}"], {"mean": mean, "var": variance}, 1e-8)
