"""ProGAN against PyTorch in float64: outputs and gradients at each level that fades in, and steps through two fades."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.jax_play import flatten

from jaxgan import penalties
from jaxgan.models.progan import progan
from jaxgan.ops import noise
from jaxgan.systems import progan as progan_system
from jaxgan.systems import progan_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

FULL, GROUP = 16, 2
SIZES = {"width": 5, "channel_base": 64, "latent_dim": 3}
STABLE, FADE = 6, 8
STEPS = 9
BATCHES, RATES = {4: 4, 8: 4, 16: 2}, {4: 1e-3, 8: 1e-3, 16: 2e-3}


def to_torch(tree):
    """Parameters in float64, with gradients."""
    if isinstance(tree, dict):
        return {name: to_torch(value) for name, value in tree.items()}
    return torch.from_numpy(np.array(tree, np.float64)).requires_grad_()


def picture(images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(images, np.float64), -1, 1)))


def error(ours, reference):
    ours, reference = np.asarray(ours), np.asarray(reference)
    return float(np.abs(ours - reference).max() / max(np.abs(reference).max(), 1e-30))


def wrong(ours, theirs, bound):
    """What differs by more than a bound, of the largest number of an array, by the path of the array."""
    ours, theirs = flatten(ours), flatten(jax.tree.map(lambda leaf: leaf.detach().numpy(), theirs))
    assert ours.keys() == theirs.keys() and ours
    return {path: found for path in theirs if not (found := error(ours[path], theirs[path])) < bound}


def params_of(network, seed):
    """Random parameters in float64, biases too."""
    inputs = [jnp.zeros((2, *shape)) for shape in network.input_shapes]
    shapes = jax.eval_shape(lambda key: network.init(key, *inputs, train=False), jax.random.key(0))["params"]
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: random.standard_normal(leaf.shape) * (0.2 if len(leaf.shape) == 1 else 1), shapes)


@functools.cache
def networks():
    gan = progan(image_size=FULL, group_size=GROUP, **SIZES)
    return gan, params_of(gan.generator, 1), params_of(gan.discriminator, 2)


@pytest.mark.parametrize("level", [1, 2])
def test_outputs_and_the_gradient_of_the_penalty_while_a_level_fades_in(level):
    from reference import torch_progan

    gan, generator, discriminator = networks()
    alpha, random = 0.3, np.random.default_rng(level)
    lod = 2 - level + (1 - alpha)
    side = 4 << level
    z, real = random.standard_normal((4, 3)), np.tanh(random.standard_normal((4, side, side, 3)))
    square = np.ones((1, FULL // side, FULL // side, 1))

    @jax.jit
    def ours(generator, discriminator, z, real):
        fake = gan.generator.apply({"params": generator}, z, train=True, level=level, alpha=alpha)

        def judge(params, shown):
            return gan.discriminator.apply({"params": params}, shown, train=True, level=level, alpha=alpha)

        def penalised(params):
            k = FULL // side
            points = functools.partial(judge, params)
            return penalties.gradient_penalty(lambda shown: points(shown / k), k * real, k * fake, jax.random.key(7))

        value, gradient = jax.value_and_grad(penalised)(discriminator)
        shares = penalties.uniform_shares(jax.random.key(7), real)
        grown = {"params": generator, "growth": {"stage": level - 1 + alpha}}
        whole = gan.generator.apply(grown, z, train=False)
        judged = gan.discriminator.apply({**grown, "params": discriminator}, jnp.kron(real, square), train=False)
        return fake, judge(discriminator, real), judge(discriminator, fake), value, gradient, shares, whole, judged

    with jax.enable_x64(True):
        fake, real_logits, fake_logits, value, gradient, shares, whole, judged = ours(generator, discriminator, z, real)
    theirs = to_torch(generator), to_torch(discriminator)
    expected = torch_progan.generator(theirs[0], torch.from_numpy(z), lod)
    assert error(np.kron(fake, square), expected.detach().permute(0, 2, 3, 1)) < 1e-10
    assert error(whole, expected.detach().permute(0, 2, 3, 1)) < 1e-10
    judge = functools.partial(torch_progan.discriminator, theirs[1], lod=lod, group_size=GROUP)
    assert error(real_logits, judge(picture(np.kron(real, square))).detach()) < 1e-10
    assert error(judged, real_logits) < 1e-10
    assert error(fake_logits, judge(expected).detach()) < 1e-10
    penalty = torch_progan.penalty(
        theirs[1], picture(np.kron(real, square)), expected.detach(), torch.from_numpy(np.array(shares)), lod, GROUP
    )
    assert error(value, penalty.item()) < 1e-10
    params, structure = jax.tree.flatten(theirs[1])
    slopes = torch.autograd.grad(penalty, params, allow_unused=True, materialize_grads=True)
    assert wrong(gradient, jax.tree.unflatten(structure, slopes), 1e-10) == {}


def test_steps_through_two_fades_are_those_of_pytorch():
    """4×4, a fade, 8×8, a fade, 16×16: metrics, weights, moments and the average, and where moments are forgotten."""
    from reference import torch_progan

    gan, generator, discriminator = networks()
    settings = progan_system.ProGANSettings(
        model="progan",
        image_size=FULL,
        batch_size=4,
        batch_sizes="16:2",
        learning_rates="16:0.002",
        stable_kimg=STABLE / 1000,
        fade_kimg=FADE / 1000,
    )
    rules = progan_step.Rules(gan, settings.stages(FULL))
    schedule = progan_system.growth.batch_schedule(rules.stages)
    theirs = torch_progan.Training(
        to_torch(generator),
        to_torch(discriminator),
        jax.tree.map(lambda leaf: leaf.detach(), to_torch(generator)),
        full=FULL,
        group_size=GROUP,
        batches=BATCHES,
        rates=RATES,
        kimg=(STABLE, FADE),
    )
    steps = [
        jax.jit(functools.partial(progan_step.train_step, rules=rules, phase=phase))
        for phase, _ in enumerate(rules.stages)
    ]
    random, seen = np.random.default_rng(3), []
    with jax.enable_x64(True):
        state = progan_step.init_state(jax.random.key(5), rules)
        players = []
        for player, params in ((state.generator, generator), (state.discriminator, discriminator)):
            params = jax.tree.map(jnp.asarray, params)
            players.append(player.replace(params=params, opt_state=progan_step.optimizer(rules.stages[0]).init(params)))
        average = {**state.average, "params": jax.tree.map(jnp.array, players[0].params)}
        state = state.replace(generator=players[0], discriminator=players[1], average=average)
        for number in range(STEPS):
            batches = schedule.at(number)
            images = np.tanh(random.standard_normal((batches.size, FULL, FULL, 3)))
            keys = progan_step.step_keys(state)
            latents = [
                torch.from_numpy(np.array(noise.latents(key, batches.size, 3), np.float64))
                for key in (keys.discriminator_latents, keys.generator_latents)
            ]
            shares = torch.from_numpy(np.array(penalties.uniform_shares(keys.penalty, jnp.asarray(images))))
            state, metrics = steps[batches.phase](state, {"image": images})
            expected = theirs.step(picture(images), latents, shares)
            assert {name: value for name, value in expected.items() if not error(metrics[name], value) < 1e-8} == {}
            assert wrong(state.generator.params, theirs.generator, 1e-8) == {}
            assert wrong(state.discriminator.params, theirs.discriminator, 1e-8) == {}
            assert wrong(state.average["params"], theirs.average, 1e-8) == {}
            for player, params, adam in zip(
                (state.generator, state.discriminator),
                (theirs.generator, theirs.discriminator),
                theirs.adam,
                strict=True,
            ):
                for ours, name in (("mu", "exp_avg"), ("nu", "exp_avg_sq")):
                    kept = jax.tree.map(lambda weight, name=name, adam=adam: adam.state[weight][name], params)
                    assert wrong(getattr(player.opt_state[0], ours), kept, 1e-8) == {}
                assert int(player.opt_state[0].count) == adam.state[torch_progan.leaves(params)[0]]["step"]
            seen.append((expected["size"], expected["alpha"], int(state.generator.opt_state[0].count)))
    assert int(state.step) == STEPS
    assert seen == [
        (4, 1.0, 1),
        (4, 1.0, 2),
        (8, 0.25, 1),
        (8, 0.75, 2),
        (8, 1.0, 1),
        (8, 1.0, 2),
        (16, 0.5, 1),
        (16, 0.75, 2),
        (16, 1.0, 1),
    ]
