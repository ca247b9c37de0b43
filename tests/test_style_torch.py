"""Style transfer against PyTorch in float64: losses, the gradient of a picture, the network, and whole steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop
from jaxgan.models import feature_maps, vgg
from jaxgan.models.feature_maps import FeatureMaps
from jaxgan.models.style_transformer import StyleTransformer
from jaxgan.sampling.stylisation import image_loss
from jaxgan.systems import feed_forward_style
from jaxgan.systems.feed_forward_style import Rules, StyleState
from jaxgan.systems.players import Player
from jaxgan.systems.style_losses import Objective

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

CONTENT, STYLE = ("relu2_2",), ("relu1_1", "conv2_1", "relu3_1")
WEIGHTS = (2.0, 30.0, 0.5)
SMALL_WEIGHTS = (2e-4, 3e-3, 5e-5)  # of steps: rounding of gradients of 0 is then far below Adam's epsilon
SIDE = 8


def to_torch(array):
    return torch.from_numpy(np.ascontiguousarray(np.asarray(array).transpose(0, 3, 1, 2)))


def pictures(*counts, side=SIDE):
    random = np.random.default_rng(0)
    return [np.tanh(random.standard_normal((count, side, side, 3))) for count in counts]


def error(ours, reference):
    reference = np.asarray(reference)
    return float(np.abs(np.asarray(ours) - reference).max() / max(np.abs(reference).max(), 1e-300))


def features(width=4, pool="max", depth=16, torchvision=False):
    """PyTorch's VGG with random weights in float64, and ours with the same."""
    from reference import torch_play, torch_style

    theirs = torch_play.randomise(torch_style.vgg(depth, width, pool), 3, "float64")
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    names = vgg.layer_names(depth)
    params = {
        name: {"kernel": state[f"{place}.weight"].transpose(2, 3, 1, 0), "bias": state[f"{place}.bias"]}
        for place, name in enumerate(names)
        if name.startswith("conv")
    }
    module = functools.partial(vgg.VGG, depth=depth, pool=pool, width=width)

    def apply(variables, x, layers):
        return module(taps=layers).apply(variables, vgg.as_torchvision_sees(x) if torchvision else x)

    ours = FeatureMaps("VGG", apply, lambda: {"params": params}, names, CONTENT, STYLE)
    return ours, theirs


def objective(relative=True, weights=WEIGHTS):
    return Objective(CONTENT, STYLE, *weights, relative=relative)


def of_a_picture(ours, objective):
    """Our loss of a picture and its gradient."""
    image, content, style = pictures(1, 1, 1)
    with jax.enable_x64(True):
        variables = ours.variables()
        targets = (
            objective.content_of(ours, variables, jnp.asarray(content)),
            objective.style_of(ours, variables, jnp.asarray(style)),
        )
        loss = functools.partial(image_loss, features=ours, objective=objective, variables=variables, targets=targets)
        (_, terms), gradient = jax.jit(jax.value_and_grad(lambda image: loss(image), has_aux=True))(jnp.asarray(image))
        return {name: float(term) for name, term in terms.items()}, np.asarray(gradient)


def reference_of_a_picture(theirs, *, relative=True, imagenet=False):
    """PyTorch's."""
    from reference import torch_style

    image, content, style = map(to_torch, pictures(1, 1, 1))
    image.requires_grad_()
    seen = torch_style.as_imagenet if imagenet else lambda x: x
    network = torch.nn.Sequential(*theirs)
    total, terms = torch_style.losses(
        image, content, style, _Seen(network, seen), CONTENT, STYLE, WEIGHTS, relative=relative
    )
    total.backward()
    return {"loss": total.item(), **{name: term.item() for name, term in terms.items()}}, image.grad.permute(0, 2, 3, 1)


class _Seen:
    """The layers of a network, whose first is preceded by a normalisation of its input."""

    def __init__(self, network, seen):
        self.layers = [lambda x: network[0](seen(x)), *network[1:]]

    def __iter__(self):
        return iter(self.layers)


@functools.cache
def distance(change="", relative=True, pool="max", imagenet=False):
    """The largest error of the losses and of the gradient, with a fault put in ours."""
    ours, theirs = features(pool=pool, torchvision=imagenet)
    if change == "pool":
        ours, _ = features(pool="average" if pool == "max" else "max")
    found = of_a_picture(ours, objective(relative))
    expected = reference_of_a_picture(theirs, relative=relative, imagenet=imagenet)
    return max(*(error(found[0][name], expected[0][name]) for name in expected[0]), error(found[1], expected[1]))


@pytest.mark.parametrize("given", [{}, {"pool": "average", "relative": False}, {"imagenet": True}], ids=str)
def test_the_loss_of_a_picture_and_its_gradient_are_pytorchs(given):
    assert distance(**given) <= 1e-10


def test_faults_are_seen(monkeypatch):
    distance.cache_clear()
    assert distance("pool") > 1e-3
    with monkeypatch.context() as patch:
        patch.setattr(vgg, "MEAN", (0.5, 0.5, 0.5))
        assert distance(imagenet=True) > 1e-3
    with monkeypatch.context() as patch:
        from jaxgan.systems import style_losses

        plain = style_losses.gram_matrix
        patch.setattr(style_losses, "gram_matrix", lambda maps: plain(maps) * maps[0].size)
        assert distance(relative=False) > 1e-3
    distance.cache_clear()
    ours, theirs = features()
    found = of_a_picture(ours, Objective(CONTENT, ("relu1_1", "relu2_1", "relu3_1"), *WEIGHTS))
    assert error(found[0]["style"], reference_of_a_picture(theirs)[0]["style"]) > 1e-3  # conv2_1 is before its ReLU


def test_the_arrays_of_a_file_are_the_layers_of_torchvision(tmp_path):
    from reference import torch_style

    theirs = torch_style.vgg(16)
    path = tmp_path / "vgg16.npz"
    np.savez(path, **{f"features.{name}": value.numpy() for name, value in theirs.state_dict().items()})
    ours = feature_maps.build("vgg16", (SIDE, SIDE, 3), pool="max", weights=path)
    (image,) = pictures(1)
    taps = ("conv1_1", "relu2_2", "relu3_3")
    expected = torch_style.maps(theirs, torch_style.as_imagenet(to_torch(image).float()), set(taps))
    found = ours.apply(ours.variables(), jnp.asarray(image, jnp.float32), taps)
    for name in taps:
        assert error(found[name].transpose(0, 3, 1, 2), expected[name].detach().numpy()) < 1e-5


def networks(width=2, blocks=1):
    """Our transformer, and PyTorch's with random weights in float64."""
    from reference import torch_play, torch_style

    theirs = torch_play.randomise(torch_style.transformer(3, width, blocks), 1, "float64")
    return StyleTransformer(image_shape=(SIDE, SIDE, 3), width=width, blocks=blocks), theirs


def params_of(module, network, values=None):
    state = network.state_dict() | ({} if values is None else values)
    return interop.torch.import_variables(module, {name: value.numpy() for name, value in state.items()})["params"]


def wrong(ours, theirs, bound):
    """What differs by more than a bound, of the largest number of an array, by the path of the array."""
    ours, theirs = flatten(ours), flatten(theirs)
    assert ours.keys() == theirs.keys() and ours
    return {path: found for path in theirs if not (found := error(ours[path], theirs[path])) < bound}


def test_three_steps_are_pytorchs():
    """Outputs, metrics and all gradients to 1e-10, weights and the moments of Adam after three steps to 1e-8."""
    from reference import torch_style

    (module, theirs), (ours, judge) = networks(), features()
    adam = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    *batches, style = pictures(2, 2, 2, 1)
    optimizer = optax.adam(1e-3)
    rules = Rules(module, optimizer, ours, lambda: style, objective(weights=SMALL_WEIGHTS))
    with jax.enable_x64(True):
        params = params_of(module, theirs)
        state = StyleState(jnp.zeros((), "int32"), jax.random.key(5), Player(params, {}, optimizer.init(params)))
        step = jax.jit(functools.partial(feed_forward_style.train_step, rules=rules))
        for number, images in enumerate(batches):
            made = theirs(to_torch(images))
            if number == 0:
                painted = feed_forward_style.paint(module, state.transformer.params, jnp.asarray(images))
                assert error(painted.transpose(0, 3, 1, 2), made.detach().numpy()) <= 1e-10
            total, terms = torch_style.losses(
                made, to_torch(images), to_torch(style), judge, CONTENT, STYLE, SMALL_WEIGHTS
            )
            adam.zero_grad()
            total.backward()
            gradients = {name: weight.grad.clone() for name, weight in theirs.named_parameters()}
            adam.step()
            state, metrics = step(state, {"image": jnp.asarray(images)})
            expected = {"loss": total, **terms}
            assert all(error(metrics[name], expected[name].item()) <= 1e-10 for name in expected)
            if number == 0:  # Adam's first moment is a tenth of the gradient
                mean = jax.tree.map(lambda moment: 10 * moment, state.transformer.opt_state[0].mu)
                lively = _without_inert(mean)
                assert not wrong(lively, _without_inert(params_of(module, theirs, gradients)), 1e-10)
        assert not wrong(_without_inert(state.transformer.params), _without_inert(params_of(module, theirs)), 1e-8)
        moments = {name: adam.state[weight]["exp_avg_sq"] for name, weight in theirs.named_parameters()}
        assert not wrong(
            _without_inert(state.transformer.opt_state[0].nu), _without_inert(params_of(module, theirs, moments)), 1e-8
        )


def _without_inert(params):
    """Leaves out what an instance normalisation removes, whose gradients are rounding alone.

    That is the biases of convolutions before one, and the shifts of a block's end, which lead to others.
    """
    kept = {name: dict(layer) for name, layer in params.items()}
    last = max((name for name in params if name.startswith("Conv")), key=lambda name: int(name.partition("_")[2]))
    for name in kept:
        if (name.startswith("Conv") and name != last) or name == "InstanceNorm_4":  # of the only block
            del kept[name]["bias"]
    return kept
