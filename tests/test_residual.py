"""Residual and convolutional networks with spectral normalisation: PyTorch's numbers, sizes, conditions, options."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop, losses, models
from jaxgan.host.errors import UserError
from jaxgan.interop import definition
from jaxgan.ops import noise
from jaxgan.systems import adversarial

pytestmark = pytest.mark.slow

NARROW = {
    "sngan_32": {"image_size": 16, "generator_width": 3, "discriminator_width": 2, "latent_dim": 5},
    "resnet_gan": {"image_size": 12, "generator_width": 2, "discriminator_width": 2, "latent_dim": 5},
    "projection_gan": {
        "image_size": 12,
        "generator_width": 2,
        "discriminator_width": 2,
        "latent_dim": 5,
        "condition_dim": 3,
    },
    "sndcgan": {"image_size": 16, "generator_width": 2, "discriminator_width": 2, "latent_dim": 5},
}


def initial(name, **changes):
    gan = models.build(name, **{**NARROW[name], **changes})
    return gan, [models.init(net, jax.random.key(seed)) for seed, net in enumerate((gan.generator, gan.discriminator))]


@pytest.mark.parametrize(
    ("size", "start", "end"), [(24, 6, 3), (28, 7, 7), (32, 4, 4), (48, 6, 3), (64, 4, 4), (96, 6, 3), (128, 4, 4)]
)
def test_blocks_follow_from_the_size(size, start, end):
    gan = models.build("resnet_gan", image_size=size, generator_width=2, discriminator_width=2)
    generator, discriminator = gan.generator, gan.discriminator
    assert size >> len(generator.widths) == start and size >> len(discriminator.widths) == end
    assert generator.widths[-1] == 2 and discriminator.widths[0] == 2
    assert generator.first_width == min(2 * generator.widths[0], 32)
    assert discriminator.plain_widths == (min(2 * discriminator.widths[-1], 32),)


def test_widths_at_the_sizes_of_the_paper_are_the_papers():
    of_48, of_128 = models.build("resnet_gan"), models.build("resnet_gan", image_size=128)
    assert (of_48.generator.first_width, *of_48.generator.widths) == (512, 256, 128, 64)
    assert (*of_48.discriminator.widths, *of_48.discriminator.plain_widths) == (64, 128, 256, 512, 1024)
    assert (of_128.generator.first_width, *of_128.generator.widths) == (1024, 1024, 512, 256, 128, 64)
    assert (*of_128.discriminator.widths, *of_128.discriminator.plain_widths) == (64, 128, 256, 512, 1024, 1024)


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("resnet_gan", {"attention_size": 48}, r"attention_size=48: .* have \[24, 12\] pixels"),
        ("sngan_32", {"attention_size": 4}, r"attention_size=4: .* have \[16, 8\] pixels"),
        ("projection_gan", {"image_size": 36}, "image_size=36: projection_gan makes pictures of s·2"),
    ],
)
def test_what_cannot_be_is_refused_in_words(name, overrides, said):
    with pytest.raises(UserError, match=said):
        models.build(name, **overrides)


def test_pictures_and_conditions_must_fit():
    gan, (_, d) = initial("projection_gan")
    for x, y in (((4, 24, 24, 3), (4, 3)), ((4, 12, 12, 3), (1, 3))):
        with pytest.raises(ValueError, match="pictures"):
            gan.discriminator.apply(d, jnp.zeros(x), jnp.zeros(y), train=False)


@pytest.mark.slow
def test_options_change_the_discriminator_and_attention_both():
    gan, (g, d) = initial("resnet_gan", image_size=24, minibatch_std=2, attention_size=12)
    assert "SelfAttention_0" in g["params"] and "SelfAttention_0" in d["spectral"]
    last = [value for path, value in flatten(d["params"]).items() if value.shape == (3, 3, 9, 9)]
    assert last  # 8 channels and the standard deviation, into the block that follows
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (4, 24, 24, 3)), jnp.float32)
    assert gan.discriminator.apply(d, images, train=False).shape == (4,)
    plain, (_, without) = initial("resnet_gan", spectral_norm=False)
    assert "spectral" not in without and plain.discriminator.spectral_norm is False


@pytest.mark.parametrize("name", ["dcgan_64", "dcgan_anime_a", "dcgan_anime_b"])
def test_spectral_normalisation_of_face_networks_is_off_unless_asked_for(name):
    sizes = {"image_size": {"dcgan_64": 16, "dcgan_anime_a": 32, "dcgan_anime_b": 24}[name], "discriminator_width": 2}
    plain, asked = (models.build(name, **sizes, spectral_norm=on).discriminator for on in (False, True))
    assert plain == models.build(name, **sizes).discriminator
    with_it, without = (models.init(net, jax.random.key(0)) for net in (asked, plain))
    assert "spectral" not in without and without["batch_stats"]
    assert len(with_it["spectral"]) == len(without["batch_stats"]) + 2 and not with_it["batch_stats"]


@pytest.mark.slow
def test_a_condition_decides_the_picture_and_the_logit():
    gan, (g, d) = initial("projection_gan")
    rng = np.random.default_rng(0)
    shaken = jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape).astype("float32"), g["params"])
    z, (first, second) = jnp.ones((2, 5)), jnp.eye(3)[:2, None].repeat(2, 1)
    images = [gan.generator.apply({**g, "params": shaken}, z, y, train=False) for y in (first, second)]
    assert float(jnp.abs(images[0] - images[1]).max()) > 1e-3
    np.testing.assert_allclose(images[0][0], images[0][1], atol=1e-6)
    logits = [gan.discriminator.apply(d, images[0], y, train=False) for y in (first, second)]
    assert (logits[0] != logits[1]).all()


def rules(gan, **changes):
    adam = optax.adam(2e-4, b1=0.0, b2=0.9)
    return adversarial.Rules(
        gan=gan,
        discriminator_loss=losses.hinge_discriminator_loss,
        generator_loss=losses.hinge_generator_loss,
        generator_optimizer=adam,
        discriminator_optimizer=adam,
        **{"critic_steps": 2, "new_batch_each_critic_step": True, **changes},
    )


@pytest.mark.slow
def test_vectors_move_with_every_pass_of_a_step_but_that_of_a_penalty():
    """Two critic steps of two passes and the generator's one: five iterations, where the weights stand still."""
    gan, _ = initial("sndcgan")
    still = {"generator_optimizer": optax.set_to_zero(), "discriminator_optimizer": optax.set_to_zero()}

    def penalty(judge, real, fake, key, axis_name):
        return jnp.mean(judge(real)) ** 2

    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (2, 4, *gan.image_shape), np.uint8)}
    moved = []
    for hook in (None, penalty):
        given = adversarial.Rules(
            gan=gan,
            discriminator_loss=losses.hinge_discriminator_loss,
            generator_loss=losses.hinge_generator_loss,
            critic_steps=2,
            new_batch_each_critic_step=True,
            discriminator_penalty=hook,
            **still,
        )
        state = adversarial.init_state(jax.random.key(0), given)
        after, _ = jax.jit(functools.partial(adversarial.train_step, rules=given))(state, batch)
        moved.append(after.discriminator.extra["spectral"])
    for layer in ("SpectralConv_3", "SpectralDense_0"):
        kernel = np.asarray(state.discriminator.params[layer]["kernel"])
        matrix = kernel.reshape(-1, kernel.shape[-1]).T
        u = np.asarray(state.discriminator.extra["spectral"][layer]["u"], np.float64)
        for _ in range(5):
            u = matrix @ (matrix.T @ u)
            u /= np.linalg.norm(u)
        for found in moved:
            np.testing.assert_allclose(found[layer]["u"], u, atol=1e-5)


# The same numbers as PyTorch.


def torch_pair(name):
    from reference import torch_residual as reference

    made = {
        "sngan_32": lambda: (
            reference.Generator(5, 2, 3, (3, 3, 3)),
            reference.Discriminator((2, 2), (2, 2)),
        ),
        "resnet_gan": lambda: (reference.Generator(5, 6, 4, (2,)), reference.Discriminator((2, 4), (8,))),
        "projection_gan": lambda: (
            reference.Generator(5, 6, 4, (2,), classes=3),
            reference.Discriminator((2, 4), (8,), classes=3),
        ),
        "auxiliary_gan": lambda: (
            reference.Generator(5, 6, 4, (2,), classes=3),
            reference.Discriminator((2, 4), (8,), classes=3, auxiliary=True),
        ),
        "sndcgan": lambda: reference.convolutional(2, 5, 2),
    }[name]()
    return [reference.randomise(network, seed).train() for seed, network in enumerate(made, 2)]


def variables_of(module, network):
    """Our variables with the numbers of a network in PyTorch."""
    from reference import torch_residual as reference

    variables = interop.torch.import_variables(module, reference.arrays(network))
    vectors = reference.vectors(network)
    if not vectors:
        return variables
    return {**variables, "spectral": as_collection(module, vectors)}


def as_collection(module, vectors):
    tree = {}
    layers = [layer[0].path[1:-1] for layer in definition.layers(module) if layer[0].name == "kernel"]
    for path, u in zip(layers, vectors, strict=True):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node["u"] = u
    return tree


def inputs(gan, seed=0, count=4):
    rng = np.random.default_rng(seed)
    condition = [np.eye(gan.condition_dim)[rng.integers(0, gan.condition_dim, count)]] if gan.condition_dim else []
    if condition:
        condition[0][0] = 1.0  # several at once
    return (
        np.tanh(rng.standard_normal((count, *gan.image_shape))),
        rng.standard_normal((count, gan.latent_dim)),
        condition,
    )


def as_picture(x):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def worst(ours, reference):
    """The greatest difference, relative to the array's greatest number or a thousandth of the greatest of all."""
    ours, reference = flatten(ours), flatten(reference)
    assert ours.keys() == reference.keys() and ours
    ours, reference = ({path: np.asarray(x) for path, x in tree.items()} for tree in (ours, reference))
    floor = 1e-3 * max(np.abs(x).max() for x in reference.values())
    return max(np.abs(ours[path] - x).max() / max(np.abs(x).max(), floor) for path, x in reference.items())


def all_but(*quick, long=()):
    marks = dict.fromkeys(NARROW, pytest.mark.slow) | dict.fromkeys(long, pytest.mark.long) | dict.fromkeys(quick, ())
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


@pytest.mark.torch
@pytest.mark.parametrize("name", all_but("projection_gan", "sndcgan"))
def test_outputs_and_every_gradient_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_residual as reference

    gan = models.build(name, **NARROW[name])
    generator, discriminator = torch_pair(name)
    image, z, condition = inputs(gan)
    given = [torch.from_numpy(y) for y in condition]
    variables = [variables_of(gan.generator, generator), variables_of(gan.discriminator, discriminator)]

    fake = generator(torch.from_numpy(z), *given)
    cosines = np.cos(np.arange(fake.numel())).reshape(fake.shape)
    (fake * torch.from_numpy(cosines)).sum().backward()
    logits = discriminator(as_picture(image), *given)
    (logits * torch.arange(1.0, 5.0).double()).sum().backward()

    def play(params, variables, network, x, weights):
        output, updates = network.apply(
            {**variables, "params": params}, x, *condition, train=True, mutable=["batch_stats", "spectral"]
        )
        return jnp.sum(output * weights), (output, updates)

    cosines = cosines.transpose(0, 2, 3, 1)
    with jax.enable_x64(True):
        for network, x, weights, expected, reference_network, before in (
            (gan.generator, z, cosines, fake.detach().numpy().transpose(0, 2, 3, 1), generator, variables[0]),
            (gan.discriminator, image, np.arange(1.0, 5.0), logits.detach().numpy(), discriminator, variables[1]),
        ):
            differentiate = jax.jit(jax.value_and_grad(play, has_aux=True), static_argnums=2)
            (_, (output, updates)), gradient = differentiate(before["params"], before, network, x, weights)
            np.testing.assert_allclose(output, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
            of_torch = reference.arrays(reference_network, gradient=True)
            assert worst(gradient, interop.torch.import_variables(network, of_torch)["params"]) < 1e-10
            after = variables_of(network, reference_network)
            moved = {key: value for key, value in after.items() if key != "params" and value}
            assert worst({key: updates[key] for key in moved}, moved) < 1e-10


@pytest.mark.torch
def test_face_networks_with_spectral_normalisation_are_those_of_pytorch():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_residual as reference

    network = models.build("dcgan_64", image_size=16, discriminator_width=4, spectral_norm=True).discriminator
    made = reference.randomise(reference.faces(4, 16), 3).train()
    variables, image = variables_of(network, made), inputs(models.build("dcgan_64", image_size=16))[0]
    expected = made(as_picture(image)).detach().numpy()
    with jax.enable_x64(True):
        found, updates = network.apply(variables, image, train=True, mutable=["spectral"])
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert worst(updates["spectral"], as_collection(network, reference.vectors(made))) < 1e-10


@pytest.mark.torch
def test_the_conditional_face_network_with_spectral_normalisation_is_that_of_pytorch():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_residual as reference

    gan = models.build("cgan_anime", image_size=32, discriminator_width=4, condition_dim=3, spectral_norm=True)
    made = reference.randomise(reference.ConditionalFaces(4, 32, 3), 3).train()
    variables, (image, _, (condition,)) = variables_of(gan.discriminator, made), inputs(gan)
    expected = made(as_picture(image), as_picture(condition[:, None, None])[:, :, 0, 0]).detach().numpy()
    with jax.enable_x64(True):
        found, updates = gan.discriminator.apply(variables, image, condition, train=True, mutable=["spectral"])
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert worst(updates["spectral"], as_collection(gan.discriminator, reference.vectors(made))) < 1e-10


@pytest.mark.torch
@pytest.mark.parametrize("name", all_but("projection_gan", "auxiliary_gan", long=("resnet_gan", "sngan_32")))
def test_three_steps_are_those_of_pytorch(name):
    """Weights, running statistics, vectors and losses; the noise is drawn here once more."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_residual as reference

    made = torch_pair(name)
    if name == "auxiliary_gan":
        gan = models.build("projection_gan", auxiliary_classifier=True, **NARROW["projection_gan"])
        given = rules(gan, class_weight=0.7, class_kinds=(gan.condition_dim,))
    else:
        gan = models.build(name, **NARROW[name])
        given = rules(gan)
    rng = np.random.default_rng(5)
    batches = rng.integers(0, 129, (3, 2, 4, *gan.image_shape)) / 64 - 1
    conditions = np.eye(gan.condition_dim)[rng.integers(0, 3, (3, 2, 4))] if gan.condition_dim else None

    def drawn(key):
        return torch.from_numpy(np.asarray(noise.latents(key, 4, gan.latent_dim), np.float64))

    with jax.enable_x64(True):
        state = adversarial.init_state(jax.random.key(3), given)
        players = []
        for network, reference_network, optimizer in (
            (gan.generator, made[0], given.generator_optimizer),
            (gan.discriminator, made[1], given.discriminator_optimizer),
        ):
            variables = variables_of(network, reference_network)
            extra = {"spectral": variables["spectral"]} if "spectral" in variables else {}
            params = variables["params"]
            players.append(adversarial.Player(params, variables["batch_stats"], optimizer.init(params), extra))
        state = state.replace(generator=players[0], discriminator=players[1])
        step = jax.jit(functools.partial(adversarial.train_step, rules=given))
        steps, found = [], []
        for index in range(3):
            keys = adversarial.step_keys(state)
            labels = [] if conditions is None else [torch.from_numpy(conditions[index])]
            critic = []
            for turn in range(2):
                _, key = jax.random.split(jax.random.fold_in(keys.critic, turn))
                critic.append((as_picture(batches[index, turn]), drawn(key), *[y[turn] for y in labels]))
            steps.append((critic, (drawn(keys.noise), *[y[-1] for y in labels])))
            batch = {"image": batches[index]} | ({} if conditions is None else {"condition": conditions[index]})
            state, metrics = step(state, batch)
            found.append((float(metrics["d_loss"]), float(metrics["g_loss"])))
    np.testing.assert_allclose(found, reference.train(*made, steps, class_weight=given.class_weight), rtol=1e-8)
    for player, network, reference_network in zip(
        (state.generator, state.discriminator), (gan.generator, gan.discriminator), made, strict=True
    ):
        after = variables_of(network, reference_network)
        assert (
            worst(
                {key: value for key, value in player.variables.items() if value},
                {key: value for key, value in after.items() if value},
            )
            < 1e-8
        )
