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
    "progan": {"image_size": 16, "initial_size": 16, "width": 4},
    "stylegan2_small": {"image_size": 16, "channel_max": 4, "latent_dim": 5, "path_every": 1, "penalty_every": 2},
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
    still = [path for path in learning if torch.equal(before[path], learning[path])]
    if model == "progan":  # which has grown past the layers from and to colours of smaller pictures
        assert len(still) == 2 * 2 * 2 and all("rgb" in name and int(name.split(".")[1]) < 2 for _, name in still)
    else:
        assert still == []
    assert all(parameter.requires_grad for parameter in learning.values()), "the generator's step gives them back"


def test_a_system_that_grows_is_timed_at_its_last_size_or_at_that_of_a_phase():
    given = {"model": "progan", "image_size": 16}
    assert workload.grown_flags(given) == {**given, "initial_size": 16}
    assert workload.grown_flags({**given, "initial_size": 8}) == {**given, "initial_size": 8}
    assert workload.grown_flags({"model": "pix2pix"}) == {"model": "pix2pix"}
    step = step_of("progan", initial_size=8)
    seen = []
    step.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2:]))
    step.step()
    assert set(seen) == {(8, 8)}


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
    with pytest.raises(UserError, match="spectral_norm"):
        step_of("infogan_faces", spectral_norm=True)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cyclegan", "ssgan_mnist"])
def test_the_library_s_side_trains(model):
    side = jax_side.JaxSide(recipe_of(model, steps_per_call=1))
    assert side.run(2) > 0 and int(side._state.step) == 2
    assert side.facts()["images_per_call"] == 4 and side.facts()["operations_per_call"] is None


def test_the_networks_of_progan_are_the_reference_s():
    from benchmarks.torch_networks import reference

    step, theirs = step_of("progan"), reference("torch_progan")
    generator, judge = step.generator, step.discriminator

    def layer(ours):
        kernel = ours.weight.permute(2, 3, 1, 0) if ours.weight.ndim == 4 else ours.weight.t()
        return {"kernel": kernel} if ours.bias is None else {"kernel": kernel, "bias": ours.bias}

    names = {"dense_4": layer(generator.dense), "bias_4": generator.bias, "conv_4": layer(generator.stages[0][0])}
    judged = {"dense_4": layer(judge.dense), "logit": layer(judge.logit), "conv_4": layer(judge.last)}
    for number, side in enumerate((8, 16), 1):
        for name, one in zip((f"conv_{side}_up", f"conv_{side}"), generator.stages[number], strict=True):
            names[name] = layer(one)
        for name, one in zip((f"conv_{side}", f"conv_{side}_down"), judge.stages[number - 1], strict=True):
            judged[name] = layer(one)
    for number, side in enumerate((4, 8, 16)):
        names[f"to_rgb_{side}"] = layer(generator.to_rgb[number])
        judged[f"from_rgb_{side}"] = layer(judge.from_rgb[number])
    # The reference flattens in the order of channels, height and width, as we do.
    with torch.no_grad():
        z = torch.randn(4, step.latent_dim)
        pictures = generator(z, 2)
        torch.testing.assert_close(pictures, theirs.generator(names, z, 0.0), rtol=1e-4, atol=1e-5)
        expected = theirs.discriminator(judged, pictures, 0.0, 4)
        torch.testing.assert_close(judge(pictures, 2), expected, rtol=1e-4, atol=1e-5)
        small = generator(z, 1)  # a level below, which the reference has at full size
        repeated = theirs.double(small)
        torch.testing.assert_close(repeated, theirs.generator(names, z, 1.0), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            judge(small, 1), theirs.discriminator(judged, repeated, 1.0, 4), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("form", torch_steps.FORMS["stylegan"])
def test_the_networks_of_stylegan2_are_the_reference_s(form, monkeypatch):
    from benchmarks.torch_networks import reference

    step, theirs = step_of("stylegan2_small", form), reference("torch_stylegan2")
    generator, judge = step.generator, step.discriminator
    for parameter in (*generator.parameters(), *judge.parameters()):
        parameter.data.add_(0.1 * torch.randn_like(parameter))  # no bias and no strength of noise is 0
    noise = [torch.randn(4, one.side, one.side) for one in generator.layers]
    drawn = iter([one[:, None] for one in noise])
    monkeypatch.setattr(torch, "randn", lambda *shape, device: next(drawn))

    def linear(ours):
        return {"kernel": ours.weight.t(), "bias": ours.bias}

    def modulated(ours):  # the larger picture's channels first
        return {"kernel": ours.weight.permute(2, 3, 1, 0), "ScaledDense_0": linear(ours.style)}

    def convolution(ours):
        kernel = {"kernel": ours.weight.permute(2, 3, 1, 0)}
        return kernel if ours.bias is None else {**kernel, "bias": ours.bias}

    weights = {
        "mapping": {f"ScaledDense_{number}": linear(one) for number, one in enumerate(generator.mapping)},
        "constant": generator.constant[0].permute(1, 2, 0),
    }
    for number, one in enumerate(generator.layers):
        rest = {"noise_strength": one.noise_strength, "bias": one.bias}
        weights[f"layers_{number}"] = {"ModulatedConv_0": modulated(one.convolution), **rest}
    for number, one in enumerate(generator.to_image):
        weights[f"to_image_{number}"] = {"ModulatedConv_0": modulated(one.convolution), "bias": one.bias}
    convolutions = [judge.first, *(c for block in judge.blocks for c in (block.first, block.second, block.past))]
    judged = {f"EqualizedConv_{number}": convolution(one) for number, one in enumerate((*convolutions, judge.last))}
    judged |= {"ScaledDense_0": linear(judge.dense), "ScaledDense_1": linear(judge.logit)}
    with torch.no_grad():
        w = generator.map(torch.linspace(-1, 1, 20).reshape(4, 5))
        torch.testing.assert_close(w, theirs.mapping(weights["mapping"], torch.linspace(-1, 1, 20).reshape(4, 5)))
        ws = w[:, None] + torch.linspace(0, 1, generator.styles)[:, None]
        pictures = generator(ws)
        torch.testing.assert_close(pictures, theirs.synthesis(weights, ws, noise), rtol=1e-3, atol=1e-4)
        expected = theirs.discriminator(judged, pictures, group=4)
        torch.testing.assert_close(judge(pictures), expected, rtol=1e-3, atol=1e-4)


def discriminator_of(**given):
    from benchmarks.torch_side import TorchSide, check

    widths = {"image_size": 32, "generator_width": 2, "discriminator_width": 2, "batch_size": 4}
    recipe = resolve({"model": "dcgan_anime_a", **widths, **given}, ("dcgan_anime_a",))
    check(recipe)
    return TorchSide(recipe, channels_last=True)


@pytest.mark.parametrize("penalty", ["gp", "r1", "r2", "dragan"])
def test_penalties_are_those_of_a_linear_discriminator(penalty):
    from benchmarks.torch_steps.penalties import penalty as computed

    slope = torch.arange(12.0).reshape(3, 2, 2)
    real, fake = torch.randn(2, 5, 3, 2, 2)
    found = computed(penalty, lambda x: (x * slope).sum((1, 2, 3)), real, fake, 10.0)
    length = slope.norm()
    expected = 10 * (length - 1) ** 2 if penalty in ("gp", "dragan") else 5 * length**2
    torch.testing.assert_close(found.detach(), expected)


@pytest.mark.parametrize(
    "given",
    [
        {"penalty": "r1"},
        {"penalty": "r1", "penalty_every": 2},
        {"loss": "wasserstein", "penalty": "gp"},
        {"spectral_norm": True},
        {"loss": "hinge"},
    ],
)
def test_settings_beyond_the_tutorials_train(given, monkeypatch):
    side = discriminator_of(**given)
    calls = []
    monkeypatch.setattr(side, "penalty", lambda *inputs: calls.append(1) or type(side).penalty(side, *inputs))
    before = {name: p.detach().clone() for name, p in side.discriminator.named_parameters()}
    assert side.run(2) > 0
    steps = 2 * given.get("penalty_every", 1)
    assert side.updates == steps and len(calls) == ("penalty" in given) * 2
    still = [name for name, p in side.discriminator.named_parameters() if torch.equal(before[name], p)]
    assert still == [] and all(p.requires_grad for p in side.discriminator.parameters())


def test_spectral_normalisation_has_the_parameters_of_the_library_s():
    side = discriminator_of(spectral_norm=True)
    recipe = side.recipe
    system = start.build_system(recipe, workload.random_pictures(recipe))
    ours = system.networks(jax.eval_shape(system.init, jax.random.key(0)))["discriminator"]
    count = sum(parameter.numel() for parameter in side.discriminator.parameters())
    assert count == sum(leaf.size for leaf in jax.tree.leaves(ours))
    kernels = [p.detach() for name, p in side.discriminator.named_parameters() if name.endswith("weight_orig")]
    assert len(kernels) == 5 and abs(float(kernels[3].std()) / 0.01 - 1) < 0.1, "the system's initial weights"


def test_rows_of_settings_beyond_the_tutorials():
    recipe = resolve({"model": "resnet_gan", "penalty": "r1"}, ("resnet_gan",))
    sides = train_step.peers(recipe, {"model": "resnet_gan"}, "torch")
    assert list(sides) == ["PyTorch eager, contiguous, float32", "PyTorch eager, channels_last, float32"]
    with pytest.raises(UserError, match="penalty=r1"):
        train_step.peers(recipe, {"model": "resnet_gan"}, "torch_compile")


@pytest.mark.parametrize("model", ["ssgan_mnist", "ssgan_conv"])
def test_the_networks_of_semi_supervised_gans_are_the_reference_s(model, monkeypatch):
    step = step_of(model)
    for parameter in (*step.generator.parameters(), *step.judge.parameters()):
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, rate: x / (1 - rate))  # nothing is dropped
    nothing = [torch.zeros(1)] * 6 if model == "ssgan_mnist" else [torch.full((1,), 65536)] * 3
    with torch.no_grad():
        z = step.latents()
        pictures, expected = step.parts.generate(z), step.generator(z)
        torch.testing.assert_close(pictures, expected.reshape(pictures.shape), rtol=1e-4, atol=1e-5)
        shown = pictures.flatten(1) if model == "ssgan_mnist" else pictures
        for found, wanted in zip(
            step.parts.judged(pictures, step.parts.weights()), step.judge(shown, nothing), strict=True
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
