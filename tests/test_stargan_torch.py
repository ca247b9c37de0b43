"""StarGAN against PyTorch in float64: outputs, losses, every gradient, and whole steps with what is drawn given."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop, penalties
from jaxgan.models.stargan import stargan
from jaxgan.systems import conditional_translation
from jaxgan.systems.conditional_translation import ConditionalState, Rules
from jaxgan.systems.players import Player

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

SIDE, BATCH, CRITIC, LABELS = 16, 3, 2, 5
KINDS = (3, 2)
ADAM = optax.adam(1e-3, b1=0.5, b2=0.999)


def networks(side=SIDE, width=2, blocks=1, layers=3, labels=LABELS, mask=False):
    """Our two networks, and PyTorch's with random weights in float64, by name."""
    from reference import torch_play, torch_stargan

    theirs = {
        "generator": torch_stargan.Generator(3, labels, width, blocks, mask),
        "discriminator": torch_stargan.Discriminator(side, 3, labels, width, layers),
    }
    theirs = {name: torch_play.randomise(one, seed, "float64") for seed, (name, one) in enumerate(theirs.items(), 1)}
    ours = stargan(
        image_size=side,
        labels=labels,
        width=width,
        blocks=blocks,
        mask=mask,
        discriminator_width=width,
        layers=layers,
    )
    return dict(zip(theirs, ours, strict=True)), theirs


def params_of(module, network, values=None):
    """Our parameters from those of PyTorch's network, or from other values by its names; without its statistics."""
    state = {name: weight.detach() for name, weight in network.named_parameters()} | (values or {})
    return interop.torch.import_variables(module, {name: value.numpy() for name, value in state.items()})["params"]


def to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(array).transpose(0, 3, 1, 2)))


def back(tensor):
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def pictures(*leading, side=SIDE):
    return np.tanh(np.random.default_rng(0).standard_normal((*leading, side, side, 3)))


def one_of_each(count):
    """Conditions with a class of each kind."""
    random = np.random.default_rng(1)
    return np.concatenate([np.eye(size)[random.integers(0, size, count)] for size in KINDS], axis=1)


def error(ours, reference):
    reference = np.asarray(reference)
    return float(np.abs(np.asarray(ours) - reference).max() / max(np.abs(reference).max(), 1e-300))


def wrong(ours, theirs, bound):
    """What differs by more than a bound, of the largest number of an array, by the path of the array."""
    ours, theirs = flatten(ours), flatten(theirs)
    assert ours.keys() == theirs.keys() and ours
    return {path: found for path in theirs if not (found := error(ours[path], theirs[path])) < bound}


@pytest.mark.parametrize(("side", "layers"), [(64, 6), (32, 4)])
def test_outputs_and_gradients_are_those_of_pytorch(side, layers):
    """Both heads of the discriminator, of 1×1 and of 2×2 patches; the labels' gradient too."""
    ours, theirs = networks(side, 2, 2, layers)
    images, labels = pictures(2, side=side), one_of_each(2)
    random = np.random.default_rng(2)
    x, y = to_torch(images).requires_grad_(), torch.from_numpy(labels).requires_grad_()
    made = theirs["generator"](x, y)
    source, classes = theirs["discriminator"](made)
    by = [random.standard_normal(part.shape) for part in (back(made), source[:, 0], classes)]
    total = (made * to_torch(by[0])).sum() + (source[:, 0] * torch.from_numpy(by[1])).sum()
    (total + (classes * torch.from_numpy(by[2])).sum()).backward()

    def judged(params, x, y):
        images = ours["generator"].apply({"params": params["generator"]}, x, y, train=True)
        judged = ours["discriminator"].apply({"params": params["discriminator"]}, images, train=True)
        parts = (images, *judged)
        return sum(jnp.sum(part * weight) for part, weight in zip(parts, by, strict=True)), parts

    with jax.enable_x64(True):
        params = {name: params_of(ours[name], theirs[name]) for name in ours}
        gradients, parts = jax.jit(jax.grad(judged, argnums=(0, 1, 2), has_aux=True))(params, images, labels)
    for mine, other in zip(parts, (back(made), source[:, 0].detach(), classes.detach()), strict=True):
        assert error(mine, other) < 1e-10
    assert error(gradients[1], back(x.grad)) < 1e-10 and error(gradients[2], y.grad) < 1e-10
    for name, network in theirs.items():
        values = {path: weight.grad for path, weight in network.named_parameters()}
        assert wrong(gradients[0][name], params_of(ours[name], network, values), 1e-10) == {}


def adam_of(player):
    return next(part for part in jax.tree.leaves(player.opt_state, is_leaf=lambda part: hasattr(part, "mu")))


@functools.cache
def compiled(rules):
    return jax.jit(functools.partial(conditional_translation.train_step, rules=rules))


def drawn(state, index, real):
    """The order of the targets, and PyTorch's shares of the real pictures, as our step draws them."""
    keys = conditional_translation.step_keys(state, index)
    order = conditional_translation.permuted(keys.targets, jnp.arange(len(real))[:, None])[:, 0]
    share = 1 - np.asarray(penalties.uniform_shares(keys.penalty, jnp.asarray(real)))
    return np.asarray(order), share


def compare_steps(count, kinds, identity=0.0, mask=False):
    """Takes steps in both, and compares metrics, first gradients, weights and moments of Adam."""
    from reference import torch_stargan

    ours, theirs = networks(mask=mask)
    rules = Rules(*ours.values(), ADAM, ADAM, LABELS, tuple(range(LABELS)), kinds, CRITIC, class_weight=2.0)
    rules = dataclasses.replace(rules, identity_weight=identity)
    weights = rules.penalty_weight, rules.class_weight, rules.reconstruction_weight, rules.identity_weight
    optimizers = [torch.optim.Adam(one.parameters(), lr=1e-3, betas=(0.5, 0.999)) for one in theirs.values()]
    reals, conditions = pictures(count, CRITIC, BATCH), one_of_each(count * CRITIC * BATCH)
    conditions = conditions.reshape(count, CRITIC, BATCH, LABELS)
    moved = []
    with jax.enable_x64(True):
        params = [params_of(ours[name], network) for name, network in theirs.items()]
        players = [Player(one, {}, ADAM.init(one)) for one in params]
        state = ConditionalState(jnp.zeros((), "int32"), jax.random.key(5), *players)
        for number, (real, condition) in enumerate(zip(reals, conditions, strict=True)):
            draws = [drawn(state, index, real[index]) for index in range(CRITIC)]
            moved += [list(order) != list(range(BATCH)) for order, _ in draws]
            batches = [
                (to_torch(x), torch.from_numpy(y), torch.from_numpy(order.copy()), to_torch(share))
                for x, y, (order, share) in zip(real, condition, draws, strict=True)
            ]
            state, metrics = compiled(rules)(state, {"image": real, "condition": condition})
            expected, gradients = torch_stargan.step(
                *theirs.values(), optimizers, batches, kinds=kinds, weights=weights
            )
            assert metrics.keys() == expected.keys()
            bound = 1e-10 if number == 0 else 1e-8
            assert {name: value for name, value in expected.items() if not error(metrics[name], value) < bound} == {}
            if number == 0:  # the first moment of the generator is its gradient, but for a factor
                moment = jax.tree.map(lambda leaf: np.asarray(leaf) / 0.5, adam_of(state.generator).mu)
                reference = params_of(ours["generator"], theirs["generator"], gradients["generator"])
                assert wrong(moment, reference, 1e-10) == {}
    assert any(moved) and int(state.step) == count
    for (name, network), optimizer in zip(theirs.items(), optimizers, strict=True):
        player = getattr(state, name)
        assert wrong(player.params, params_of(ours[name], network), 1e-8) == {}
        for mine, other in (("mu", "exp_avg"), ("nu", "exp_avg_sq")):
            values = {path: optimizer.state[weight][other] for path, weight in network.named_parameters()}
            assert wrong(getattr(adam_of(player), mine), params_of(ours[name], network, values), 1e-8) == {}


def test_three_steps_are_those_of_pytorch():
    """Two iterations of the discriminator each; the penalty is differentiated twice."""
    compare_steps(3, KINDS)


def test_a_step_of_labels_by_themselves_with_a_mask_and_the_loss_of_identity_is_that_of_pytorch():
    compare_steps(1, (), identity=3.0, mask=True)


def test_the_discriminators_gradient_with_its_penalty_is_that_of_pytorch():
    """Of one loss at a time, so that none hides behind another."""
    from reference import torch_stargan

    ours, theirs = networks()
    real, fake = np.split(pictures(2 * BATCH), 2)
    share = np.random.default_rng(3).uniform(size=(BATCH, 1, 1, 1))
    value = torch_stargan.penalty(theirs["discriminator"], to_torch(real), to_torch(fake), to_torch(share))
    value.backward()
    module = ours["discriminator"]

    def loss(params):
        return penalties.gradient_penalty(
            lambda x: module.apply({"params": params}, x, train=True).source, real, fake, jax.random.key(0), weight=1.0
        )

    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(penalties, "uniform_shares", lambda key, images, axis_name: 1 - jnp.asarray(share))
        found, gradient = jax.jit(jax.value_and_grad(loss))(params_of(module, theirs["discriminator"]))
    assert error(found, value.item()) < 1e-10
    values = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in theirs["discriminator"].named_parameters()
    }
    assert wrong(gradient, params_of(module, theirs["discriminator"], values), 1e-10) == {}
