"""pix2pix against PyTorch: outputs, losses, every gradient, and whole steps with the masks of dropout given."""

import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop
from jaxgan.models.layers import Dropout
from jaxgan.models.patchgan import patchgan
from jaxgan.models.unet import unet
from jaxgan.systems import paired_translation
from jaxgan.systems.paired_translation import PairedState, Rules
from jaxgan.systems.players import Player

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch

NETWORKS = ("generator", "discriminator")
SIDE = 64  # the smallest with dropout
ADAM = {"b1": 0.5, "b2": 0.999}


def pair_of_networks(side=SIDE, width=1, norm="batch", layers=3):
    """Ours, and PyTorch's with random weights in float64."""
    from reference import torch_pix2pix, torch_play

    ours = (
        unet(image_size=side, width=width, norm=norm),
        patchgan(image_size=side, width=width, norm=norm, layers=layers),
    )
    theirs = (
        torch_pix2pix.UNet(side, width=width, norm=norm),
        torch_pix2pix.patchgan(width=width, norm=norm, layers=layers),
    )
    return ours, [torch_play.randomise(network, seed, "float64") for seed, network in enumerate(theirs, 2)]


def variables_of(module, network, values=None):
    """The variables of one of our networks from the state dict of PyTorch's, or from other values by its names."""
    state = network.state_dict() | ({} if values is None else values)
    return interop.torch.import_variables(module, {name: value.numpy() for name, value in state.items()})


def state_of(rules, theirs):
    """The state before the first step, with PyTorch's weights."""
    modules = rules.generator, rules.discriminator
    optimizers = rules.generator_optimizer, rules.discriminator_optimizer
    players = []
    for module, network, optimizer in zip(modules, theirs, optimizers, strict=True):
        variables = variables_of(module, network)
        players.append(Player(variables["params"], variables["batch_stats"], optimizer.init(variables["params"])))
    return PairedState(jax.numpy.zeros((), "int32"), jax.random.key(5), *players)


def pictures(count, batch, side=SIDE):
    random = np.random.default_rng(0)
    return np.tanh(random.standard_normal((count, 2, batch, side, side, 3)))


@functools.cache
def forward(generator):
    """A compiled pass in training mode that keeps what comes out of each dropout."""
    return jax.jit(
        functools.partial(
            generator.apply,
            train=True,
            mutable=["batch_stats", "intermediates"],
            capture_intermediates=lambda module, _: isinstance(module, Dropout),
        )
    )


def masks_of(rules, state, inputs):
    """The masks that the next step will draw, in PyTorch's layout; the pictures are not jittered."""
    rngs = {"dropout": paired_translation.step_keys(state).dropout}
    _, seen = forward(rules.generator)(state.generator.variables, inputs, rngs=rngs)
    found = seen.get("intermediates", {})
    kept = [np.asarray(found[f"Dropout_{index}"]["__call__"][0] != 0) for index in range(len(found))]
    assert len(kept) == max(rules.generator.stages - 5, 0) and all(0.2 < mask.mean() < 0.8 for mask in kept)
    return [to_torch(mask.astype("float64")) for mask in kept]


def to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(array).transpose(0, 3, 1, 2)))


def error(ours, reference):
    return float(np.abs(np.asarray(ours) - reference).max() / max(np.abs(reference).max(), 1e-300))


def wrong(ours, theirs, bound):
    """What differs by more than a bound, of the largest number of an array, by the path of the array."""
    ours, theirs = flatten(ours), flatten(theirs)
    assert ours.keys() == theirs.keys() and ours
    return {path: found for path in theirs if not (found := error(ours[path], np.asarray(theirs[path]))) < bound}


def adam_of(player):
    return next(part for part in jax.tree.leaves(player.opt_state, is_leaf=lambda part: hasattr(part, "mu")))


@functools.cache
def compiled(rules):
    return jax.jit(functools.partial(paired_translation.train_step, rules=rules))


def compare_steps(rules, theirs, count, batch, side=SIDE):
    """Takes steps in both, and compares metrics, first gradients, weights, statistics and the moments of Adam."""
    from reference import torch_pix2pix

    adam = [torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in theirs]
    modules = dict(zip(NETWORKS, (rules.generator, rules.discriminator), strict=True))
    with jax.enable_x64(True):
        state = state_of(rules, theirs)
        for number, (inputs, images) in enumerate(pictures(count, batch, side)):
            masks = masks_of(rules, state, inputs)
            state, metrics = compiled(rules)(state, {"input": inputs[None], "image": images[None]})
            expected, gradients = torch_pix2pix.step(
                *theirs, adam, to_torch(inputs), to_torch(images), masks, loss=rules.loss
            )
            bound = 1e-10 if number == 0 else 1e-8
            assert {name: value for name, value in expected.items() if not error(metrics[name], value) < bound} == {}
            for name, network in zip(NETWORKS, theirs, strict=True):
                if number == 0:  # the first moment is the gradient, but for a factor
                    moment = jax.tree.map(lambda leaf: np.asarray(leaf) / 0.5, adam_of(getattr(state, name)).mu)
                    reference = variables_of(modules[name], network, gradients[name])["params"]
                    assert wrong(moment, reference, 1e-10) == {}
    for name, network, optimizer in zip(NETWORKS, theirs, adam, strict=True):
        player, names = getattr(state, name), [name for name, _ in network.named_parameters()]
        reference = variables_of(modules[name], network)
        assert wrong(player.params, reference["params"], 1e-8) == {}
        if reference["batch_stats"]:
            assert wrong(player.batch_stats, reference["batch_stats"], 1e-8) == {}
        kept = list(optimizer.state.values())
        for ours, theirs_name in (("mu", "exp_avg"), ("nu", "exp_avg_sq")):
            values = dict(zip(names, (entry[theirs_name] for entry in kept), strict=True))
            reference = variables_of(modules[name], network, values)["params"]
            assert wrong(getattr(adam_of(player), ours), reference, 1e-8) == {}
    assert int(state.step) == count


def adam_rules(ours, loss="bce"):
    adam = optax.adam(2e-4, **ADAM)
    return Rules(*ours, adam, adam, loss=loss)


def test_three_small_steps_are_those_of_pytorch():
    """The first of them to 1e-10: metrics and every gradient of both networks. These pictures are without dropout."""
    ours, theirs = pair_of_networks(side=8, layers=1)
    compare_steps(adam_rules(ours), theirs, 3, batch=2, side=8)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["bce", "lsgan"])
def test_three_steps_with_dropout_are_those_of_pytorch(loss):
    ours, theirs = pair_of_networks(width=2)
    compare_steps(adam_rules(ours, loss), theirs, 3, batch=2)


@pytest.mark.slow
def test_a_step_with_the_discriminator_of_pixels_is_that_of_pytorch():
    ours, theirs = pair_of_networks(side=16, layers=0)
    compare_steps(adam_rules(ours), theirs, 1, batch=2, side=16)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("train", [True, False])
def test_outputs_are_those_of_pytorch(norm, train):
    """At the smallest size with dropout."""
    ours, theirs = pair_of_networks(norm=norm)
    inputs, images = pictures(1, 2)[0]
    rules = adam_rules(ours)
    with jax.enable_x64(True):
        state = state_of(rules, theirs)
        masks = masks_of(rules, state, inputs) if train else None
        if train:
            rngs = {"dropout": paired_translation.step_keys(state).dropout}
            made, _ = forward(ours[0])(state.generator.variables, inputs, rngs=rngs)
        else:
            made = jax.jit(functools.partial(ours[0].apply, train=False))(state.generator.variables, inputs)
        judge = jax.jit(functools.partial(ours[1].apply, train=train, mutable=["batch_stats"]))
        judged, _ = judge(state.discriminator.variables, inputs, images)
    for network in theirs:
        network.train(train)
    with torch.no_grad():
        expected = theirs[0](to_torch(inputs), masks).permute(0, 2, 3, 1).numpy()
        logits = theirs[1](torch.cat([to_torch(inputs), to_torch(images)], 1))[:, 0].numpy()
    assert error(made, expected) < 1e-10 and error(judged, logits) < 1e-10


@pytest.mark.slow
def test_a_step_with_instance_normalisation_is_that_of_pytorch():
    """By plain gradient descent: a bias before the normalisation has a gradient of rounding alone; Adam scales it."""
    from reference import torch_pix2pix

    ours, theirs = pair_of_networks(norm="instance")
    rules = dataclasses.replace(
        adam_rules(ours), generator_optimizer=optax.sgd(0.1), discriminator_optimizer=optax.sgd(0.1)
    )
    sgd = [torch.optim.SGD(network.parameters(), lr=0.1) for network in theirs]
    inputs, images = pictures(1, 2)[0]
    with jax.enable_x64(True):
        state = state_of(rules, theirs)
        masks = masks_of(rules, state, inputs)
        state, metrics = compiled(rules)(state, {"input": inputs, "image": images})
    expected, _ = torch_pix2pix.step(*theirs, sgd, to_torch(inputs), to_torch(images), masks)
    assert {name: value for name, value in expected.items() if not error(metrics[name], value) < 1e-10} == {}
    for name, module, network in zip(NETWORKS, ours, theirs, strict=True):
        assert wrong(getattr(state, name).params, variables_of(module, network)["params"], 1e-10) == {}


@pytest.mark.slow
def test_a_step_of_the_full_networks_is_that_of_pytorch():
    """256 pixels, width 64, a batch of one: the paper's."""
    ours, theirs = pair_of_networks(side=256, width=64)
    compare_steps(adam_rules(ours), theirs, 1, batch=1, side=256)
