"""StyleGAN2 against PyTorch in float64: blocks, both networks, second-order gradients, and whole steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.jax_play import flatten

from jaxgan import models, penalties
from jaxgan.models import styles
from jaxgan.models.stylegan2 import stylegan2
from jaxgan.systems import style_training
from jaxgan.systems import stylegan2 as system_of
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.players import Player
from jaxgan.systems.style_draws import Draws, StepDraws
from jaxgan.systems.style_training import Rules

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

SIDE, BATCH = 8, 4
SIZES = {"latent_dim": 6, "channel_base": 40, "channel_max": 5, "mapping_layers": 2}


def randomised(tree, seed):
    """What was initialised, and a little noise on it, in float64: no layer is without effect."""
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64) + 0.2 * random.standard_normal(leaf.shape), tree)


@functools.cache
def networks(**changes):
    """Our two modules and their variables in float64."""
    gan = stylegan2(image_size=SIDE, channels=3, **(SIZES | changes))
    found = []
    for seed, network in enumerate((gan.generator, gan.discriminator)):
        variables = models.init(network, jax.random.key(seed))
        found.append({**randomised(variables, seed), "params": randomised(variables["params"], seed + 5)})
    return gan, found


def to_torch(tree, gradient=True):
    return jax.tree.map(lambda leaf: torch.from_numpy(np.array(leaf)).requires_grad_(gradient), tree)


def picture(array):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(array).transpose(0, 3, 1, 2)))


def seen(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def wrong(ours, theirs, bound=1e-10):
    """What differs by more than a bound, of the largest number of an array or a thousandth of the largest of all."""
    ours, theirs = flatten(ours), flatten(theirs)
    theirs = {path: np.asarray(leaf.detach() if hasattr(leaf, "detach") else leaf) for path, leaf in theirs.items()}
    assert ours.keys() == theirs.keys() and ours
    least = 1e-3 * max(np.abs(leaf).max() for leaf in theirs.values())
    sizes = {path: max(np.abs(leaf).max(), least, 1e-300) for path, leaf in theirs.items()}
    return {path: found for path in theirs
            if not (found := np.abs(np.asarray(ours[path]) - theirs[path]).max() / sizes[path]) < bound}  # fmt: skip


def near(ours, theirs, bound=1e-10):
    theirs = np.asarray(theirs.detach() if hasattr(theirs, "detach") else theirs)
    return np.abs(np.asarray(ours) - theirs).max() <= bound * np.abs(theirs).max()


def gradients(loss, weights):
    """The gradients of a loss in PyTorch, in the tree of the weights."""
    from reference import torch_stylegan2

    found = torch.autograd.grad(loss, torch_stylegan2.leaves(weights), allow_unused=True)
    found = iter([torch.zeros_like(leaf) if one is None else one for one, leaf in
                  zip(found, torch_stylegan2.leaves(weights), strict=True)])  # fmt: skip

    def filled(tree):
        return {name: filled(value) if isinstance(value, dict) else next(found) for name, value in tree.items()}

    return filled(weights)


def drawn(generator, count, cutoff, seed):
    random = np.random.default_rng(seed)
    sides = generator.noise_sides
    return Draws(
        random.standard_normal((count, generator.latent_dim)),
        random.standard_normal((count, generator.latent_dim)),
        np.int32(cutoff),
        tuple(random.standard_normal((count, side, side)) for side in sides),
    )


def theirs_of(draws):
    return {
        "z": torch.from_numpy(draws.z),
        "other": torch.from_numpy(draws.other),
        "cutoff": draws.cutoff,
        "noise": [torch.from_numpy(values) for values in draws.noise],
    }


def pictures(seed=0, count=BATCH):
    return np.tanh(np.random.default_rng(seed).standard_normal((count, SIDE, SIDE, 3)))


@pytest.mark.parametrize(
    ("doubling", "demodulate", "side"), [(False, True, 3), (True, True, 3), (False, False, 1)]
)  # fmt: skip
def test_modulated_convolutions_are_those_with_a_kernel_of_each_example(doubling, demodulate, side):
    from reference import torch_stylegan2

    random = np.random.default_rng(0)
    x, w = random.standard_normal((3, 4, 4, 5)), random.standard_normal((3, 6))
    layer = styles.ModulatedConv(7, side, doubling, demodulate)
    weights = to_torch(randomised(layer.init(jax.random.key(0), x, w)["params"], 1))
    expected = torch_stylegan2.modulated(weights, picture(x), torch.from_numpy(w), demodulate, doubling)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf.detach().numpy()), weights)
        found, gradient = jax.value_and_grad(lambda p: jnp.sum(jnp.sin(layer.apply({"params": p}, x, w))))(params)
        assert near(layer.apply({"params": params}, x, w), seen(expected))
    assert not wrong(gradient, gradients(torch.sin(expected).sum(), weights))
    assert near(found, torch.sin(expected).sum())


@pytest.mark.parametrize("changes", [{}, {"condition_dim": 3}], ids=["plain", "conditional"])
def test_the_generator_is_the_reference(changes):
    from reference import torch_stylegan2

    gan, (variables, _) = networks(**changes)
    # Mixed between a layer and the picture that is made of it, of the first size and of the second.
    draws = drawn(gan.generator, BATCH, 3 if changes else 1, 3)
    condition = np.eye(3)[[0, 1, 2, 0]] if changes else None
    weights = to_torch(variables["params"])
    given = None if condition is None else torch.from_numpy(condition)
    ws, w = torch_stylegan2.styles(weights, theirs_of(draws), given)
    expected = torch_stylegan2.synthesis(weights, ws, theirs_of(draws)["noise"])
    player = Player(variables["params"], {}, (), {name: variables[name] for name in ("noise", "latents")})
    rules = Rules(gan, None, None)
    with jax.enable_x64(True):
        synthesize = functools.partial(style_training.synthesize, draws=draws, rules=rules)

        def loss(params):
            return jnp.sum(jnp.sin(synthesize(params, player, condition)[0]))

        found, styles_found = jax.jit(synthesize)(variables["params"], player, condition)
        gradient = jax.jit(jax.grad(loss))(variables["params"])
    assert near(found, seen(expected)) and near(styles_found, w)
    assert not wrong(gradient, gradients(torch.sin(expected).sum(), weights))


@pytest.mark.parametrize(
    "changes", [{}, {"condition_dim": 3}, {"residual": False}, {"minibatch_std": 2}],
    ids=["plain", "conditional", "without_residuals", "groups_of_2"],
)  # fmt: skip
def test_the_discriminator_and_r1_are_the_reference(changes):
    from reference import torch_stylegan2

    gan, (_, variables) = networks(**changes)
    images = pictures()
    condition = np.eye(3)[[0, 1, 2, 0]] if "condition_dim" in changes else None
    given = None if condition is None else torch.from_numpy(condition)
    weights = to_torch(variables["params"])
    options = {"group": gan.discriminator.minibatch_std, "residual": gan.discriminator.residual}
    expected = torch_stylegan2.discriminator(weights, picture(images), given, **options)
    penalty = torch_stylegan2.r1(weights, picture(images), given, **options)
    with jax.enable_x64(True):

        def judge(params, pictures):
            inputs = (pictures,) if condition is None else (pictures, condition)
            return gan.discriminator.apply({**variables, "params": params}, *inputs, train=True)

        def r1(params):
            return penalties.r1(functools.partial(judge, params), jnp.asarray(images), gamma=1.0)

        found = jax.jit(judge)(variables["params"], images)
        value, gradient = jax.jit(jax.value_and_grad(r1))(variables["params"])
    assert near(found, expected) and near(value, penalty)
    assert not wrong(gradient, gradients(penalty, weights))


def test_the_path_length_and_its_gradient_are_the_reference():
    from reference import torch_stylegan2

    gan, (variables, _) = networks()
    draws = drawn(gan.generator, 2, 1, 3)
    directions = np.random.default_rng(4).standard_normal((2, SIDE, SIDE, 3))
    weights = to_torch(variables["params"])
    penalty, w, average = torch_stylegan2.penalty_of_paths(
        weights, theirs_of(draws), picture(directions), torch.tensor(0.7, dtype=torch.float64)
    )
    player = Player(variables["params"], {}, (), {name: variables[name] for name in ("noise", "latents")})
    rules = Rules(gan, None, None, path_weight=2.0, path_every=4)
    with jax.enable_x64(True):

        def loss(params):
            return style_training.path_penalty(
                params, player, jnp.asarray(0.7), None, draws, jnp.asarray(directions), rules
            )

        (found, (styles_found, moved)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
    assert near(found, 8 * penalty) and near(moved, average) and near(styles_found, w)
    assert not wrong(gradient, gradients(8 * penalty, weights))


def test_three_steps_are_the_reference():
    """Both lazy updates in the first and the third step, none in the second; mixing in some passes, a ramp."""
    from reference import torch_stylegan2

    settings = system_of.StyleGAN2Settings(
        model="stylegan2_small", image_size=SIDE, **SIZES, minibatch_std=2, batch_size=BATCH, gamma=3.0, path_every=2,
        penalty_every=2, average_kimg=0.01, average_ramp=0.5, beta1=0.3, learning_rate=0.01,
    )  # fmt: skip
    settings.check()
    rules = system_of.build_rules(settings, 3)
    _, (of_generator, of_discriminator) = networks()
    run = torch_stylegan2.Run(
        to_torch(of_generator["params"]), to_torch(of_discriminator["params"]), rate=0.01, betas=(0.3, 0.99),
        every=(2, 2), weights=(2.0, 3.0), half_life=10.0, ramp=0.5, group=2,
    )  # fmt: skip
    with jax.enable_x64(True):
        extra = {"noise": of_generator["noise"], "latents": {"average": jnp.zeros(SIZES["latent_dim"])}}
        params = jax.tree.map(jnp.asarray, of_generator["params"])
        generator = Player(params, {}, rules.generator_optimizer.init(params), extra)
        params = jax.tree.map(jnp.asarray, of_discriminator["params"])
        discriminator = Player(params, {}, rules.discriminator_optimizer.init(params))
        length = {"path_length": jnp.zeros(())}
        state = GANState(
            jnp.zeros((), jnp.int32), jax.random.key(0), generator, discriminator, generator.variables, length
        )
        step = jax.jit(functools.partial(style_training.take_step, rules=rules))
        for number, cutoffs in enumerate([(4, 2, 1), (1, 4, 4), (3, 1, 2)]):
            draws = [drawn(rules.gan.generator, size, cutoff, 10 * number + place)
                     for place, (cutoff, size) in enumerate(zip(cutoffs, (BATCH, 2, BATCH), strict=True))]  # fmt: skip
            directions = np.random.default_rng(number).standard_normal((2, SIDE, SIDE, 3))
            images = pictures(number)
            given = StepDraws(draws[0], draws[1], directions, draws[2], jax.random.key(0))
            state, metrics = step(state, images, None, given)
            places = zip(("generator", "path", "discriminator"), draws, strict=True)
            theirs = {name: theirs_of(one) for name, one in places}
            run.step(picture(images), {**theirs, "directions": picture(directions)})
            assert (float(metrics["d_penalty"]) > 0) == (float(metrics["path_penalty"]) > 0) == (number != 1)
    assert not wrong(state.generator.params, run.generator, 1e-8)
    assert not wrong(state.discriminator.params, run.judge, 1e-8)
    assert near(state.extra["path_length"], run.path_length, 1e-8)
    assert near(state.generator.extra["latents"]["average"], run.average_style, 1e-8)
    average = iter(run.average)

    def filled(tree):
        return {name: filled(value) if isinstance(value, dict) else next(average) for name, value in tree.items()}

    assert not wrong(state.average["params"], filled(run.generator), 1e-8)
    lag = flatten(jax.tree.map(lambda a, b: np.abs(a - b).max(), state.average["params"], state.generator.params))
    assert max(lag.values()) > 1e-4
