"""The autoencoders: PyTorch's numbers, hand-computed ones, extreme log odds, and the same run on any devices."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop, losses, models
from jaxgan.host.errors import UserError
from jaxgan.models import inference
from jaxgan.models import vae as networks
from jaxgan.systems import variational
from jaxgan.systems.checks import Window

SMALL = {
    "autoencoder": {"image_size": 8, "width": 16, "latent_dim": 4},
    "vae_mlp": {"image_size": 8, "width": 16, "latent_dim": 4},
    "vae_conv": {"image_size": 8, "width": 4, "latent_dim": 4, "channels": 1},
}
COMPARED = {"autoencoder": {}, "vae_mlp": {}, "vae_conv": {"image_size": 28, "width": 4, "latent_dim": 5}}


def rules(name="vae_mlp", sizes=None, **changes):
    autoencoder = networks.build(name, **(SMALL[name] if sizes is None else sizes))
    return variational.Rules(autoencoder, changes.pop("optimizer", optax.adam(1e-3)), **changes)


@functools.lru_cache
def program(given):
    """The compiled step."""
    return jax.jit(functools.partial(variational.train_step, rules=given))


@functools.lru_cache
def start(name):
    """A small system and its first state."""
    given = rules(name)
    return given, variational.init_state(jax.random.key(0), given)


def bound(given):
    """The compiled lower bound of each picture."""
    return jax.jit(functools.partial(variational.elbo, given))


def images(count, shape, seed=0):
    """Grey noise, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def test_sizes_are_those_of_the_source():
    vae_mlp = networks.build("vae_mlp")
    variables = [models.init(network, jax.random.key(0)) for network in (vae_mlp.encoder, vae_mlp.decoder)]
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 652_824
    assert set(networks.names()) == set(SMALL) and all(networks.names().values())


@pytest.mark.parametrize(
    ("name", "size", "smallest"),
    [("vae_conv", 8, 2), ("vae_conv", 28, 7), ("vae_conv", 64, 4), ("vae_conv", 96, 6), ("vae_conv", 36, 9)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_convolutional_networks_fit_every_multiple_of_4(name, size, smallest, channels):
    autoencoder = networks.build(name, image_size=size, channels=channels, width=2, latent_dim=3)
    assert autoencoder.image_shape == (size, size, channels) and size >> len(autoencoder.encoder.widths) == smallest
    shapes = jax.eval_shape(
        lambda key: (
            autoencoder.encoder.init_with_output(key, jnp.zeros((2, size, size, channels)), train=False)[0],
            autoencoder.decoder.init_with_output(key, jnp.zeros((2, 3)), train=False)[0],
        ),
        jax.random.key(0),
    )
    assert [leaf.shape for leaf in jax.tree.leaves(shapes)] == [(2, 3), (2, 3), (2, size, size, channels)]


def test_sizes_that_do_not_fit_are_refused_in_words():
    with pytest.raises(UserError, match=r"image_size=30: vae_conv makes pictures of 4·n pixels"):
        networks.build("vae_conv", image_size=30)
    with pytest.raises(UserError, match="model=vae: there is no such autoencoder; choose one of autoencoder"):
        networks.build("vae")
    with pytest.raises(UserError, match="latent_dim=0: must be from 1"):
        networks.build("vae_mlp", latent_dim=0)
    with pytest.raises(TypeError):
        networks.build("vae_mlp", depth=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_decoder_is_a_generator(name):
    given, state = start(name)
    z = np.random.default_rng(0).standard_normal((70, 4)).astype("float32")
    pictures = inference.generate(given.autoencoder.decoder, state.decoder_variables, z)
    assert pictures.shape == (70, *given.autoencoder.image_shape) and pictures.dtype == np.uint8
    drawn = inference.draw(given.autoencoder.decoder, state.decoder_variables, z)
    logits = given.autoencoder.decoder.apply(state.decoder_variables, z, train=False, method="logits")
    np.testing.assert_allclose(drawn, 2 / (1 + np.exp(-np.asarray(logits))) - 1, atol=1e-6)


def test_kl_divergence_by_hand():
    # ½·(μ² + σ² − 1 − log σ²): 0 for the prior; ½·9; ½·(4 − 1 − log 4).
    mean = jnp.array([[0.0, 3.0], [0.0, 0.0]])
    log_variance = jnp.array([[0.0, 0.0], [math.log(4.0), 0.0]])
    expected = (4.5 + 0.5 * (3.0 - math.log(4.0))) / 2
    np.testing.assert_allclose(losses.gaussian_kl_divergence(mean, log_variance), expected, rtol=1e-6)
    assert float(losses.gaussian_kl_divergence(jnp.zeros((2, 3)), jnp.zeros((2, 3)))) == 0.0


def test_reconstruction_losses_by_hand():
    # log odds 0 cost log 2 whatever the pixel; log 3 is a probability of 3/4.
    logits = jnp.array([[0.0, math.log(3.0)], [math.log(3.0), 0.0]])
    targets = jnp.array([[1.0, 1.0], [0.0, 0.5]])
    expected = (math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)) / 2
    np.testing.assert_allclose(losses.bernoulli_reconstruction_loss(logits, targets), expected, rtol=1e-6)
    # Distances 0, ½, 1 and 0 in units of ½: squares 0, 1, 4, 0.
    means, targets = jnp.array([[0.0, 0.5], [1.0, 0.0]]), jnp.array([[0.0, 0.0], [0.0, 0.0]])
    expected = 0.5 * (1 + 4) / 2 + 2 * (math.log(0.5) + 0.5 * math.log(2 * math.pi))
    np.testing.assert_allclose(losses.gaussian_reconstruction_loss(means, targets, std=0.5), expected, rtol=1e-6)


TERMS = [losses.bernoulli_reconstruction_loss, losses.gaussian_reconstruction_loss, losses.gaussian_kl_divergence]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.__name__)
def test_terms_refuse_other_shapes_and_sum_half_precision_in_float32(term):
    for first, second in (((4, 2), (4, 1)), ((4,), (4,)), ((0, 2), (0, 2)), ((4, 2, 1), (4, 2))):
        with pytest.raises(ValueError, match=r"one shape \(N, …\)"):
            term(jnp.zeros(first), jnp.zeros(second))
    values = jnp.full((2, 4096), 0.37, jnp.bfloat16)
    value = term(values, 0.5 * values)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, term(values.astype(jnp.float32), 0.5 * values.astype(jnp.float32)), rtol=1e-6)


@pytest.mark.parametrize("logit", [104.0, -104.0, 1e4, -1e4])
def test_extreme_log_odds_stay_exact_and_keep_their_gradient(logit):
    logits, targets = jnp.full((1, 2), logit), jnp.array([[1.0, 0.0]])
    loss, gradient = jax.value_and_grad(losses.bernoulli_reconstruction_loss)(logits, targets)
    assert float(loss) == abs(logit)  # one pixel is right for nothing, the other is wrong
    np.testing.assert_array_equal(gradient, [[-1.0, 0.0]] if logit < 0 else [[0.0, 1.0]])


@pytest.mark.parametrize("logit", [104.0, 1e4, -1e4])
@pytest.mark.parametrize(
    "name", [name if name == "vae_mlp" else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]
)
def test_a_step_at_extreme_log_odds_is_finite(name, logit):
    given, state = start(name)
    params = jax.tree.map(lambda leaf: leaf, state.autoencoder.params)
    last = params["decoder"]["ConvTranspose_1" if name == "vae_conv" else "Dense_1"]
    last["bias"] = jnp.full_like(last["bias"], logit)
    state = state.replace(autoencoder=state.autoencoder.replace(params=params))
    state, metrics = program(given)(state, {"image": images(4, given.autoencoder.image_shape)})
    for leaf in jax.tree.leaves((state.autoencoder, metrics)):
        assert np.isfinite(leaf).all()
    assert float(metrics["loss"]) > 10 * abs(logit)  # of 64 pixels


def test_a_batch_may_have_one_round_and_no_more():
    (given, state), batch = start("vae_mlp"), images(4, (8, 8, 1))
    plain, _ = program(given)(state, {"image": batch})
    stacked, _ = program(given)(state, {"image": batch[None]})
    jax.tree.map(np.testing.assert_array_equal, plain.autoencoder, stacked.autoencoder)
    with pytest.raises(ValueError, match="one batch a step, got 2"):
        program(given)(state, {"image": np.stack([batch, batch])})


def test_metrics_are_the_terms_of_the_bound():
    batch = {"image": images(4, (8, 8, 1))}
    (_, state), given = start("vae_mlp"), rules("vae_mlp", kl_weight=3.0, kl_warmup=4)
    for weight in (0.75, 1.5, 2.25, 3.0, 3.0):
        state, metrics = program(given)(state, batch)
        loss = metrics["reconstruction"] + weight * metrics["kl"]
        np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    plain, state = start("autoencoder")
    _, metrics = program(plain)(state, batch)
    assert set(metrics) == {"loss", "reconstruction"} and not plain.variational


def test_binarised_pictures_are_black_or_white_by_the_brightness_of_each_pixel():
    grey = jnp.broadcast_to(jnp.array([-1.0, -0.5, 0.5, 1.0])[:, None, None, None], (4, 40, 40, 1))
    drawn = variational.binarized(jax.random.key(0), grey)
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    np.testing.assert_allclose(jnp.mean(drawn, (1, 2, 3)), [-1.0, -0.5, 0.5, 1.0], atol=0.08)
    same = variational.binarized(jax.random.key(0), jnp.zeros((2, 8, 8, 1)))
    assert (same[0] != same[1]).any()


@pytest.mark.parametrize(
    "changes",
    [{"likelihood": "poisson"}, {"likelihood": "gaussian", "binarize": True}, {"pixel_std": 0}, {"kl_weight": -1}],
)
def test_rules_that_contradict_themselves_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes)) if len(changes) == 1 else "binarize"):
        rules(**changes)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_bound_is_below_the_likelihood_of_a_decoder_that_uses_no_latent(likelihood):
    """With empty codes the bound is exact: KL is 0, and every code gives the same likelihood."""
    given = rules("vae_mlp", likelihood=likelihood, pixel_std=0.5)
    params = jax.tree.map(jnp.zeros_like, start("vae_mlp")[1].autoencoder.params)
    pictures = images(6, (8, 8, 1))
    found = bound(given)(params, pictures, jax.random.key(1))
    # Black or white, at log odds 0, costs log 2 a pixel; the Gaussian's mean is 0.
    normal = 0.5 * (pictures / 127.5 - 1) ** 2 / 0.25 + math.log(0.5) + 0.5 * math.log(2 * math.pi)
    expected = np.full(6, 64 * math.log(2)) if likelihood == "bernoulli" else normal.sum((1, 2, 3))
    np.testing.assert_allclose(found, -expected, rtol=1e-5)


@pytest.mark.slow
def test_the_bound_is_of_black_and_white_pictures_and_has_a_weight_of_one():
    given, params = rules("vae_mlp", kl_weight=7.0), start("vae_mlp")[1].autoencoder.params
    grey, key = jnp.asarray(images(5, (8, 8, 1))), jax.random.key(1)
    found = bound(given)(params, grey, key)
    # The mean over pictures is what a step of a system that draws pixels would see with the same noise.
    latent_key, pixel_key = jax.random.split(key)
    drawn = variational.binarized(pixel_key, grey.astype(jnp.float32) / 127.5 - 1)
    epsilon = np.stack([jax.random.normal(jax.random.fold_in(latent_key, index), (4,)) for index in range(5)])
    _, metrics = variational.negative_elbo(params, drawn, epsilon, given)
    assert found.shape == (5,)
    np.testing.assert_allclose(-found.mean(), metrics["reconstruction"] + metrics["kl"], rtol=1e-5)
    with pytest.raises(ValueError, match="not variational"):
        variational.elbo(rules("autoencoder"), params, grey, key)


def test_reconstruction_errors_by_hand():
    """A decoder of zeros gives 0, the middle grey; white and black are 1 away, and 0.6 is 0.6 away."""
    given, state = start("autoencoder")
    params = jax.tree.map(jnp.zeros_like, state.autoencoder.params)
    pictures = jnp.stack([jnp.full((8, 8, 1), value) for value in (1.0, -1.0, 0.6)])
    found = variational.reconstruction_errors(given.autoencoder, params, pictures)
    np.testing.assert_allclose(found, [1.0, 1.0, 0.6], rtol=1e-6)


def test_active_units_are_those_whose_means_vary():
    means = np.random.default_rng(0).standard_normal((1000, 4)) * [1.0, 0.2, 0.05, 0.0] + 3.0
    assert int(variational.active_units(means)) == 2  # variances 1, 0.04, 0.0025 and 0


def test_the_check_sees_empty_codes():
    check = variational.PosteriorCollapse()
    empty, full = {"loss": 200.0, "kl": 0.02}, {"loss": 100.0, "kl": 25.0}
    verdict = check.look(Window(1020, 20, empty), 0.0)
    assert verdict.bad and verdict.certain and "KL = 0.02 nats" in verdict.seen and verdict.memory == 0.0
    assert not check.look(Window(1020, 20, full), 0.0).bad
    early = check.look(Window(980, 20, empty), 0.0)
    assert early.bad and not early.certain
    assert not variational.PosteriorCollapse(kl_weight=0.0).look(Window(1020, 20, empty), 0.0).bad


# The same numbers as PyTorch.


def torch_autoencoder(name):
    from reference import torch_play, torch_vae

    variational = name == "vae_mlp"
    made = torch_vae.convolutional() if name == "vae_conv" else torch_vae.fully_connected(variational)
    return [torch_play.randomise(network, seed, "float64") for seed, network in enumerate(made, 2)]


def import_params(autoencoder, made, values=lambda network: network.state_dict()):
    pairs = zip(("encoder", "decoder"), (autoencoder.encoder, autoencoder.decoder), made, strict=True)
    arrays = {
        side: (module, {key: tensor.detach().numpy() for key, tensor in values(network).items()})
        for side, module, network in pairs
    }
    return {side: interop.torch.import_variables(*pair)["params"] for side, pair in arrays.items()}


def unit_pictures(batch):
    """NHWC in [−1, 1] to NCHW in [0, 1]."""
    torch = pytest.importorskip("torch")
    return torch.from_numpy(np.ascontiguousarray(((batch + 1) / 2).transpose(0, 3, 1, 2)))


def error(ours, reference):
    return float(np.abs(np.asarray(ours) - np.asarray(reference)).max() / np.abs(np.asarray(reference)).max())


@pytest.mark.torch
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("name", COMPARED)
def test_outputs_loss_and_every_gradient_are_those_of_pytorch(name, likelihood):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_vae

    given = rules(name, COMPARED[name], likelihood=likelihood)
    made, random = torch_autoencoder(name), np.random.default_rng(0)
    batch = np.tanh(random.standard_normal((6, *given.autoencoder.image_shape)))
    epsilon = random.standard_normal((6, given.autoencoder.latent_dim))
    pictures, noise = unit_pictures(batch), torch.from_numpy(epsilon)
    logits, reconstruction, kl = torch_vae.terms(*made, pictures, noise, likelihood)
    (reconstruction if kl is None else reconstruction + 0.7 * kl).backward()
    mean, log_variance = made[0](pictures)
    params = import_params(given.autoencoder, made)
    gradients = import_params(
        given.autoencoder, made, lambda network: {key: weight.grad for key, weight in network.named_parameters()}
    )
    with jax.enable_x64(True):
        objective = jax.value_and_grad(variational.negative_elbo, has_aux=True)
        (_, metrics), ours = jax.jit(lambda params: objective(params, batch, epsilon, given, 0.7))(params)
        posterior = variational.encode(given.autoencoder, params, batch)
        z = mean.detach() if kl is None else mean.detach() + torch.exp(log_variance.detach() / 2) * noise
        decoded = given.autoencoder.decoder.apply({"params": params["decoder"]}, z.numpy(), train=False)
    expected = {"reconstruction": reconstruction, "loss": reconstruction}
    if kl is not None:
        expected |= {"kl": kl, "loss": reconstruction + 0.7 * kl}
        assert error(posterior.log_variance, log_variance.detach().numpy()) < 1e-10
    assert error(posterior.mean, mean.detach().numpy()) < 1e-10
    assert error(decoded, (2 * torch.sigmoid(logits) - 1).detach().permute(0, 2, 3, 1).numpy()) < 1e-10
    assert metrics.keys() == expected.keys()
    for metric, value in expected.items():
        assert error(metrics[metric], value.item()) < 1e-10
    ours, gradients = flatten(ours), flatten(gradients)
    assert ours.keys() == gradients.keys() and len(ours) == sum(len(list(network.parameters())) for network in made)
    errors = {path: error(ours[path], value) for path, value in gradients.items()}
    assert {path: found for path, found in errors.items() if not found < 1e-10} == {}


@pytest.mark.torch
@pytest.mark.parametrize("name", COMPARED)
def test_25_steps_of_adam_are_those_of_pytorch(name):
    """The noise is drawn here once more, one example at a time."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_vae

    given = rules(name, COMPARED[name], kl_weight=0.5)
    made, dim = torch_autoencoder(name), given.autoencoder.latent_dim
    batches = np.random.default_rng(0).integers(0, 129, (25, 8, *given.autoencoder.image_shape)) / 64 - 1
    with jax.enable_x64(True):
        params = import_params(given.autoencoder, made)
        player = variational.Player(params, {}, given.optimizer.init(params))
        state = dataclasses.replace(variational.init_state(jax.random.key(3), given), autoencoder=player)
        noises = []
        for step in range(25):
            key, _ = jax.random.split(jax.random.fold_in(state.key, step))
            normal = [jax.random.normal(jax.random.fold_in(key, index), (dim,), jnp.float32) for index in range(8)]
            noises.append(torch.from_numpy(np.stack(normal).astype("float64")))
        found = []
        for batch in batches:
            state, metrics = program(given)(state, {"image": batch[None]})
            found.append(float(metrics["loss"]))
        trained = jax.tree.map(np.asarray, state.autoencoder.params)
    expected = torch_vae.train(*made, [unit_pictures(batch) for batch in batches], noises, kl_weight=0.5)
    assert expected[-1] < expected[0] and int(state.step) == 25
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    reference = flatten(import_params(given.autoencoder, made))
    errors = {path: error(values, reference[path]) for path, values in flatten(trained).items()}
    assert {path: worst for path, worst in errors.items() if not worst < 1e-8} == {}
