"""PyTorch's steps of the systems that are no tutorial's: their networks are as large as ours, and all of them learn."""

import importlib
import json

import jax
import pytest

from benchmarks import jax_side, torch_steps, train_step, workload
from experiments.run import start
from experiments.run.recipes import resolve
from jaxgan.host.errors import UserError
from jaxgan.training import input_pipeline

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch

NARROW = {
    "pix2pix": {"image_size": 64, "width": 2, "discriminator_width": 2},
    "cyclegan": {"image_size": 16, "width": 2, "discriminator_width": 2, "discriminator_layers": 1, "blocks": 1},
    "stargan": {"image_size": 16, "width": 2, "discriminator_width": 2, "blocks": 1, "critic_steps": 2},
    "infogan_mnist": {"generator_width": 2, "discriminator_width": 3},
    "infogan_faces": {"image_size": 32, "generator_width": 2, "discriminator_width": 3},
    "ssgan_mnist": {"generator_width": 5, "discriminator_width": 8},
    "ssgan_conv": {"image_size": 13, "generator_width": 2, "discriminator_width": 2},
    "vae_mlp": {"width": 6},
    "autoencoder": {"width": 6},
    "vae_conv": {"image_size": 32, "width": 2},
}
FORMS = [
    (model, form)
    for model in NARROW
    for form in torch_steps.FORMS.get(resolve({"model": model}, (model,)).family.command, (None,))
]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recipe_of(model, **more):
    return resolve({"model": model, "batch_size": 4, **NARROW[model], **more}, (model,))


def step_of(model, form=None, *, channels_last=False, **more):
    from benchmarks import torch_side

    flags = {"model": model, "batch_size": 4, **NARROW[model], **more}
    return torch_side.build({"flags": flags, "channels_last": channels_last, "form": form})


@pytest.mark.parametrize("model", NARROW)
def test_both_sides_have_the_same_networks_and_pictures(model):
    recipe, theirs = recipe_of(model), step_of(model)
    pictures = workload.random_pictures(recipe)
    system = start.build_system(recipe, pictures)
    state = jax.eval_shape(system.init, jax.random.key(0))
    ours = system.networks(state)
    assert theirs.networks.keys() <= ours.keys()
    for name, network in theirs.networks.items():
        trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        assert trained == sum(leaf.size for leaf in jax.tree.leaves(ours[name])), name
    images = jax_side.images_per_call(system.schedule, workload.cycle(recipe))
    assert theirs.facts()["images_per_call"] == images
    leading = (system.schedule.batches_per_step, system.schedule.batch_size)
    arrays = input_pipeline.select(system.sources(pictures), system.inputs)
    batch = jax.tree.map(lambda array: jax.ShapeDtypeStruct((*leading, *array.shape[1:]), array.dtype), arrays)
    after, _ = jax.eval_shape(system.step, state, batch[""] if batch.keys() == {""} else batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.parametrize(("model", "form"), FORMS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_network_learns(model, form, channels_last):
    step = step_of(model, form, channels_last=channels_last)
    if channels_last and model in torch_steps.FULLY_CONNECTED:
        pytest.skip("has no memory format")
    learning = {
        (part, name): parameter
        for part, network in step.networks.items()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }
    before = {path: parameter.detach().clone() for path, parameter in learning.items()}
    assert step.run(2) > 0
    assert all(torch.isfinite(parameter).all() for parameter in learning.values())
    assert [path for path in learning if torch.equal(before[path], learning[path])] == []
    assert all(parameter.requires_grad for parameter in learning.values()), "the generator's step gives them back"


def test_batches_are_in_the_memory_format():
    for channels_last in (False, True):
        step = step_of("pix2pix", channels_last=channels_last)
        base = importlib.import_module("benchmarks.torch_steps.base")
        layout = torch.channels_last if channels_last else torch.contiguous_format
        for enlarge in (0, 3):
            (pictures,) = base.jittered([step.pairs.batch()["image"]], enlarge=enlarge, flip=True)
            assert pictures.shape == (4, 3, 64, 64) and pictures.is_contiguous(memory_format=layout)
            assert -1 <= pictures.min() < -0.9 and 0.9 < pictures.max() <= 1


def test_the_two_of_a_pair_are_cut_and_mirrored_alike():
    from benchmarks.torch_steps.base import jittered

    torch.manual_seed(0)
    picture = torch.rand(8, 3, 8, 8)
    first, second = jittered([picture, -picture], enlarge=2, flip=True)
    torch.testing.assert_close(first, -second)
    (mirrored,) = jittered([picture], enlarge=0, flip=True)
    turned = [bool(torch.equal(a, b.flip(2))) for a, b in zip(mirrored, picture, strict=True)]
    assert 0 < sum(turned) < 8
    assert all(torch.equal(a, b) for a, b, turn in zip(mirrored, picture, turned, strict=True) if not turn)


def test_what_only_passes_on_has_no_gradients():
    from benchmarks.torch_steps.base import fixed

    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    with fixed(second):
        second(first(torch.ones(1, 2))).sum().backward()
    assert first.weight.grad is not None and second.weight.grad is None
    assert all(parameter.requires_grad for parameter in second.parameters())


def test_rows_of_a_system_that_is_no_tutorial_s():
    recipe = recipe_of("pix2pix")
    sides = train_step.peers(recipe, {"model": "pix2pix"}, "torch")
    assert list(sides) == ["PyTorch eager, contiguous, float32", "PyTorch eager, channels_last, float32"]
    assert all(json.dumps(description) for description in sides.values())
    with pytest.raises(UserError, match="peer=torch_compile"):
        train_step.peers(recipe, {"model": "pix2pix"}, "torch_compile")
    with pytest.raises(UserError, match="precision=bfloat16"):
        train_step.peers(recipe_of("pix2pix", precision="bfloat16"), {"model": "pix2pix"}, "torch")
    with pytest.raises(UserError, match="generator"):
        step_of("cyclegan", generator="unet", blocks=None)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cyclegan", "ssgan_mnist"])
def test_the_library_s_side_trains(model):
    side = jax_side.JaxSide(recipe_of(model, steps_per_call=1))
    assert side.run(2) > 0 and int(side._state.step) == 2
    assert side.facts()["images_per_call"] == 4 and side.facts()["operations_per_call"] is None
