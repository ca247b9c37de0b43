"""CycleGAN against PyTorch in float64: outputs, losses, every gradient, and whole steps with the pools' draws given."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop
from jaxgan.models.patchgan import patchgan
from jaxgan.models.resnet_translation import ResNetTranslator
from jaxgan.models.unet import unet
from jaxgan.systems import unpaired_translation
from jaxgan.systems.image_pool import ImagePool
from jaxgan.systems.players import Player
from jaxgan.systems.unpaired_translation import Rules, UnpairedState

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

NETWORKS = ("a_to_b", "b_to_a", "discriminator_a", "discriminator_b")
SIDE, BATCH, POOL = 8, 2, 2
ADAM = optax.adam(2e-4, b1=0.5, b2=0.999)


def resnets(shape=(SIDE, SIDE, 3), width=2, blocks=1, norm="instance"):
    """Our residual translator, and PyTorch's with random weights in float64."""
    from reference import torch_cyclegan, torch_play

    theirs = torch_cyclegan.resnet(shape[-1], width, blocks, norm)
    return ResNetTranslator(image_shape=shape, width=width, blocks=blocks, norm=norm), torch_play.randomise(
        theirs, 1, "float64"
    )


def four(generator="resnet", width=2, layers=1):
    """Our two modules, and PyTorch's four networks with random weights in float64, by name."""
    from reference import torch_cyclegan, torch_pix2pix, torch_play

    ours = ResNetTranslator(image_shape=(SIDE, SIDE, 3), width=width, blocks=1)
    make = functools.partial(torch_cyclegan.resnet, 3, width, 1)
    if generator == "unet":
        ours = unet(image_size=SIDE, width=width, norm="instance", dropout_rate=0.0)
        make = functools.partial(torch_pix2pix.UNet, SIDE, 3, width, "instance")
    judge = functools.partial(torch_pix2pix.patchgan, 3, width, layers, "instance")
    theirs = {name: torch_play.randomise(judge() if "d" in name else make(), seed, "float64")
              for seed, name in enumerate(NETWORKS, 2)}  # fmt: skip
    return (ours, patchgan(image_size=SIDE, pictures=1, width=width, norm="instance", layers=layers)), theirs


def params_of(module, network, values=None):
    """The parameters of one of our networks from those of PyTorch's, or from other values by its names."""
    state = network.state_dict() | ({} if values is None else values)
    return interop.torch.import_variables(module, {name: value.numpy() for name, value in state.items()})["params"]


def module_of(rules, name):
    return rules.discriminator if name.startswith("discriminator") else rules.generator


def state_of(rules, theirs):
    """The state before the first step, with PyTorch's weights."""
    players = []
    for name, network in theirs.items():
        params = params_of(module_of(rules, name), network)
        optimizer = rules.discriminator_optimizer if "discriminator" in name else rules.generator_optimizer
        players.append(Player(params, {}, optimizer.init(params)))
    pools = [ImagePool.empty(rules.pool_size, rules.generator.image_shape) for _ in "ab"]
    return UnpairedState(jnp.zeros((), "int32"), jax.random.key(5), *players, *pools)


def to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(array).transpose(0, 3, 1, 2)))


def pictures(count):
    random = np.random.default_rng(0)
    return np.tanh(random.standard_normal((count, 2, BATCH, SIDE, SIDE, 3)))


def error(ours, reference):
    reference = np.asarray(reference)
    return float(np.abs(np.asarray(ours) - reference).max() / max(np.abs(reference).max(), 1e-300))


def wrong(ours, theirs, bound):
    """What differs by more than a bound, of the largest number of an array, by the path of the array.

    A bias before an instance normalisation has a gradient of rounding alone. So that it is not divided by itself, no
    array counts as smaller than a thousandth of the largest.
    """
    ours, theirs = flatten(ours), {path: np.asarray(leaf) for path, leaf in flatten(theirs).items()}
    assert ours.keys() == theirs.keys() and ours
    least = 1e-3 * max(np.abs(leaf).max() for leaf in theirs.values())
    differences = {path: np.abs(np.asarray(ours[path]) - leaf).max() for path, leaf in theirs.items()}
    sizes = {path: max(np.abs(leaf).max(), least) for path, leaf in theirs.items()}
    return {path: found for path in theirs if not (found := differences[path] / sizes[path]) < bound}


def biases_without_gradient(gradient):
    """The paths of the biases before an instance normalisation, which takes them away again."""
    sizes = {path: np.abs(leaf).max() for path, leaf in flatten(gradient).items()}
    return {path for path, size in sizes.items() if "bias" in path and size < 1e-10 * max(sizes.values())}


def adam_of(player):
    return next(part for part in jax.tree.leaves(player.opt_state, is_leaf=lambda part: hasattr(part, "mu")))


@functools.cache
def compiled(rules):
    return jax.jit(functools.partial(unpaired_translation.train_step, rules=rules))


def compare_steps(ours, theirs, count, **options):
    """Takes steps in both, and compares metrics, first gradients, weights, moments of Adam, and the pools."""
    from reference import torch_cyclegan

    rules = Rules(*ours, ADAM, ADAM, pool_size=POOL, **options)
    step = compiled(rules)
    parts = [[*theirs.values()][:2], [*theirs.values()][2:]]
    optimizers = [
        torch.optim.Adam([weight for network in part for weight in network.parameters()], lr=2e-4, betas=(0.5, 0.999))
        for part in parts
    ]
    pools, decided, inert = [torch_cyclegan.Pool(POOL) for _ in "ab"], [], {}
    with jax.enable_x64(True):
        state = state_of(rules, theirs)
        for number, (real_a, real_b) in enumerate(pictures(count)):
            keys = unpaired_translation.step_keys(state)
            draws = [unpaired_translation.pool_draws(key, BATCH, state.pool_a) for key in (keys.pool_a, keys.pool_b)]
            draws = [(np.asarray(drawn.swap), np.asarray(drawn.place)) for drawn in draws]
            decided += [bool(swap) for swaps, _ in draws for swap in swaps] if number else []
            state, metrics = step(state, {"a": {"image": real_a[None]}, "b": {"image": real_b[None]}})
            expected, gradients = torch_cyclegan.step(
                theirs,
                optimizers,
                pools,
                to_torch(real_a),
                to_torch(real_b),
                draws,
                loss=rules.loss,
                cycle=(rules.cycle_weight_a, rules.cycle_weight_b),
                identity=rules.identity_weight,
            )
            assert metrics.keys() == expected.keys()
            bound = 1e-10 if number == 0 else 1e-8
            assert {name: value for name, value in expected.items() if not error(metrics[name], value) < bound} == {}
            for name, network in theirs.items():
                if number == 0:  # the first moment is the gradient, but for a factor
                    moment = jax.tree.map(lambda leaf: np.asarray(leaf) / 0.5, adam_of(getattr(state, name)).mu)
                    reference = params_of(module_of(rules, name), network, gradients[name])
                    assert wrong(moment, reference, 1e-10) == {}
                    inert[name] = biases_without_gradient(reference)
    assert count == 1 or {True, False} == set(decided)
    of_weight = optimizers[0].state | optimizers[1].state
    for name, network in theirs.items():
        player, module = getattr(state, name), module_of(rules, name)
        drifted = wrong(player.params, params_of(module, network), 1e-8)
        # Adam divides what rounding leaves of an inert bias by its own size.
        assert drifted.keys() <= inert[name] and all(found < 1e-6 for found in drifted.values())
        for mine, other in (("mu", "exp_avg"), ("nu", "exp_avg_sq")):
            values = {path: of_weight[weight][other] for path, weight in network.named_parameters()}
            assert wrong(getattr(adam_of(player), mine), params_of(module, network, values), 1e-8) == {}
    for pool, other in zip((state.pool_a, state.pool_b), pools, strict=True):
        assert int(pool.filled) == len(other.pictures) == POOL
        kept = torch.stack(other.pictures).permute(0, 2, 3, 1).numpy()
        assert error(pool.images, kept) < 1e-8
    assert int(state.step) == count


def test_three_steps_are_those_of_pytorch():
    """The first of them to 1e-10: metrics and every gradient of the four networks."""
    compare_steps(*four(), 3, cycle_weight_b=7.0)


def test_a_step_with_cross_entropy_and_without_identity_is_that_of_pytorch():
    compare_steps(*four("unet"), 1, loss="bce", identity_weight=0.0)


@pytest.mark.parametrize(("shape", "norm", "train"), [((12, 20, 3), "instance", True), ((8, 12, 1), "batch", False)])
def test_outputs_and_gradients_of_rectangles_are_those_of_pytorch(shape, norm, train):
    ours, theirs = resnets(shape, blocks=2, norm=norm)
    theirs.train(train)
    inputs, weights = np.random.default_rng(3).standard_normal((2, 2, *shape))
    x = to_torch(inputs).requires_grad_()
    made = theirs(x)
    (made * to_torch(weights)).sum().backward()
    variables = interop.torch.import_variables(ours, {k: v.numpy() for k, v in theirs.state_dict().items()})
    with jax.enable_x64(True):

        def total(params, x):
            pictures = ours.apply({**variables, "params": params}, x, train=train)
            return jnp.sum(pictures * weights), pictures

        both = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
        (gradient, to_input), pictures = both(variables["params"], inputs)
    assert error(pictures, made.detach().permute(0, 2, 3, 1).numpy()) < 1e-10
    assert error(to_input, x.grad.permute(0, 2, 3, 1).numpy()) < 1e-10
    values = {name: weight.grad for name, weight in theirs.named_parameters()}
    assert wrong(gradient, params_of(ours, theirs, values), 1e-10) == {}


def test_the_full_network_is_that_of_pytorch():
    """Nine blocks of the full width, on a rectangle that is smaller than the source's pictures."""
    ours, theirs = resnets((32, 48, 3), 64, 9)
    inputs = np.tanh(np.random.default_rng(3).standard_normal((1, 32, 48, 3)))
    with jax.enable_x64(True):
        made = jax.jit(functools.partial(ours.apply, train=True))({"params": params_of(ours, theirs)}, inputs)
    with torch.no_grad():
        assert error(made, theirs(to_torch(inputs)).permute(0, 2, 3, 1).numpy()) < 1e-10
