"""InfoGAN's networks, latents, losses and step: counts and values by hand, and the numbers of a PyTorch reference."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference.jax_play import flatten

from jaxgan import interop, models
from jaxgan.host.errors import UserError
from jaxgan.models import infogan as networks
from jaxgan.models.infogan import Belief, Codes, belief
from jaxgan.systems import information
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES
from jaxgan.training import parallel

CODES = Codes(3, (4, 2), 2)
SMALL = {"image_size": 8, "generator_width": 2, "discriminator_width": 2, "codes": CODES}


def rules(
    name="infogan_mnist", optimizer=optax.sgd, rates=(0.05, 0.02), weights=(1.0, 1.0), loss="nonsaturating", **sizes
):
    gan = networks.build(name, **{**SMALL, **sizes})
    loss = ADVERSARIAL_LOSSES[loss]
    return information.Rules(gan, optimizer(rates[0]), optimizer(rates[1]), *weights, loss=loss)


SMALL_RULES = rules()


@jax.jit
def descend(state, images, first, second, rates, weights):
    """A step of plain descent with given latents, learning rates (generator, discriminator) and weights."""
    return information.take_step(state, images, first, second, rules(rates=rates, weights=weights))


@functools.cache
def start():
    return information.init_state(jax.random.key(0), SMALL_RULES)


def inputs(given=SMALL_RULES, count=6):
    """Pictures in [−1, 1], and latents for both players."""
    images = np.tanh(np.random.default_rng(0).standard_normal((count, *given.gan.image_shape)))
    keys = jax.random.split(jax.random.key(5))
    return images.astype("float32"), *(information.draw_latents(key, count, given.gan.codes) for key in keys)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_are_counted_as_in_the_paper():
    gan = networks.build("infogan_mnist")
    assert gan.codes == Codes(62, (10,), 2) and gan.latent_dim == 74 and gan.codes.outputs == 14
    counts = [
        jax.eval_shape(functools.partial(models.init, network), jax.random.key(0))["params"]
        for network in (gan.generator, gan.discriminator)
    ]
    assert size(counts[0]) == 74 * 1024 + 3 * 1024 + 1024 * 6272 + 3 * 6272 + 16 * 128 * 64 + 3 * 64 + 16 * 64 + 1
    assert size(counts[0]) == 6_652_481
    trunk = {name: counts[1][name] for name in ("Conv_0", "Conv_1", "BatchNorm_0", "Dense_0", "BatchNorm_1")}
    assert size(trunk) == 16 * 64 + 64 + 16 * 64 * 128 + 3 * 128 + 6272 * 1024 + 3 * 1024 == 6_558_144
    assert size(counts[1]["Dense_1"]) == 1_025
    q = {name: counts[1][name] for name in ("Dense_2", "BatchNorm_2", "Dense_3")}
    assert size(q) == 1024 * 128 + 3 * 128 + 128 * 14 + 14 == 133_262
    assert size(counts[1]) == size(trunk) + 1_025 + size(q)


@pytest.mark.parametrize(("size", "heads"), [(16, 2), (24, 2), (32, 4), (48, 4), (96, 4)])
def test_faces_are_of_the_layers_of_a_dcgan(size, heads):
    gan = networks.build("infogan_faces", image_size=size, generator_width=2, discriminator_width=2, codes=CODES)
    shapes = jax.eval_shape(functools.partial(models.init, gan.discriminator), jax.random.key(0))["params"]
    body = {16: "dcgan_64", 24: "dcgan_anime_b"}.get(size, "dcgan_anime_a")
    plain = models.build(body, image_size=size, discriminator_width=2, generator_width=2).discriminator
    of_body = jax.eval_shape(functools.partial(models.init, plain), jax.random.key(0))["params"]
    for name, layer in of_body.items():
        assert jax.tree.map(jnp.shape, layer) == jax.tree.map(jnp.shape, shapes[name])
    assert set(shapes) - set(of_body) == {
        f"Conv_{len([n for n in of_body if 'Conv' in n])}",
        f"BatchNorm_{heads - 1}",
    } | {"Dense_0"}
    assert shapes["Dense_0"]["bias"].shape == (CODES.outputs,)


def test_sizes_that_do_not_fit_are_refused_in_words():
    with pytest.raises(UserError, match="image_size=30: infogan_mnist makes pictures of 4·n pixels"):
        networks.build("infogan_mnist", image_size=30)
    with pytest.raises(UserError, match="image_size=40: infogan_faces makes pictures of 16·n pixels"):
        networks.build("infogan_faces", image_size=40)
    with pytest.raises(UserError, match="model=infogan: there is no such InfoGAN; choose one of infogan_mnist"):
        networks.build("infogan")
    with pytest.raises(UserError, match="generator_width=0: must be from 1"):
        networks.build("infogan_mnist", generator_width=0)


def test_latents_are_noise_then_classes_then_continuous_codes():
    z = np.asarray(information.draw_latents(jax.random.key(0), 4000, CODES))
    assert z.shape == (4000, 3 + 4 + 2 + 2) and z.dtype == np.float32
    first, second = CODES.categorical_columns()
    assert (first, second, CODES.continuous_columns()) == (slice(3, 7), slice(7, 9), slice(9, 11))
    for place in (first, second):
        classes = z[:, place].shape[1]
        assert set(np.unique(z[:, place])) == {0.0, 1.0} and (z[:, place].sum(axis=1) == 1).all()
        np.testing.assert_allclose(z[:, place].mean(axis=0), 1 / classes, atol=0.04)
    uniform = np.concatenate([z[:, :3], z[:, 9:]], axis=1)
    np.testing.assert_allclose(uniform.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(uniform.std(axis=0), 1 / math.sqrt(3), atol=0.02)
    assert np.abs(uniform).max() <= 1.0
    correlations = np.corrcoef(np.concatenate([uniform, z[:, 3:4], z[:, 7:8]], axis=1).T) - np.eye(7)
    assert np.abs(correlations).max() < 0.08  # nothing is drawn twice


def test_q_reads_logits_then_a_mean_and_an_unused_number_for_each_continuous_code():
    read = belief(jnp.arange(20.0).reshape(2, 10), CODES)
    np.testing.assert_array_equal(read.logits[0], [[0, 1, 2, 3], [10, 11, 12, 13]])
    np.testing.assert_array_equal(read.logits[1], [[4, 5], [14, 15]])
    np.testing.assert_array_equal(read.means, [[6, 8], [16, 18]])
    assert belief(jnp.zeros((2, 10), jnp.bfloat16), CODES).means.dtype == jnp.float32


# One picture of class 1 of 4 and class 0 of 2, with codes ½ and −1; and one of class 3 and class 1, with codes 0 and 1.
LATENTS = jnp.array(
    [
        [0.9, 0.9, 0.9, 0, 1, 0, 0, 1, 0, 0.5, -1.0],
        [0.9, 0.9, 0.9, 0, 0, 0, 1, 0, 1, 0.0, 1.0],
    ]
)


def test_information_by_hand():
    zeros = Belief((jnp.zeros((2, 4)), jnp.zeros((2, 2))), jnp.zeros((2, 2)))
    # Q that knows nothing has a cross-entropy of log 4 + log 2, which is the entropy.
    assert float(information.categorical_information(zeros, LATENTS, CODES)) == pytest.approx(0.0, abs=1e-6)
    assert float(information.continuous_information(zeros, LATENTS, CODES)) == 0.0
    sure = Belief((200 * LATENTS[:, 3:7], 200 * LATENTS[:, 7:9]), LATENTS[:, 9:])
    assert float(information.categorical_information(sure, LATENTS, CODES)) == pytest.approx(math.log(8), rel=1e-6)
    # ½ c² of both codes, then the mean over both pictures.
    assert float(information.continuous_information(sure, LATENTS, CODES)) == pytest.approx((0.625 + 0.5) / 2)
    # Chances of ½ for the right class of four, and 1/6 for the others; ¾ for the right one of two.
    half = Belief(
        (jnp.log(1 / 6 + LATENTS[:, 3:7] / 3), jnp.log(0.25 + LATENTS[:, 7:9] / 2)),
        jnp.array([[0.5, 0.0], [1.0, 0.5]]),
    )
    expected = math.log(4) + math.log(0.5) + math.log(2) + math.log(0.75)
    assert float(information.categorical_information(half, LATENTS, CODES)) == pytest.approx(expected, rel=1e-6)
    expected = 0.5 * ((0.25 - 0) + (1 - 1) + (0 - 1) + (1 - 0.25)) / 2
    assert float(information.continuous_information(half, LATENTS, CODES)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("logit", [104.0, 1e4, -1e4])
def test_extreme_logits_stay_finite_and_keep_their_gradient(logit):
    def information_of(first):
        read = Belief((logit * LATENTS[:, 3:7] + first, jnp.zeros((2, 2))), jnp.zeros((2, 2)))
        return information.categorical_information(read, LATENTS, CODES)

    value, gradient = jax.value_and_grad(information_of)(jnp.zeros((2, 4)))
    wrong = -logit + math.log(3) if logit < 0 else 0.0
    assert float(value) == pytest.approx(math.log(4) - wrong, rel=1e-5)
    # The chance of each of the three others is a third where the right class is wrongly excluded.
    pull = (LATENTS[:, 3:7] - (1 - LATENTS[:, 3:7]) / 3) / 2
    np.testing.assert_allclose(gradient, pull if logit < 0 else np.zeros((2, 4)), atol=1e-6)


@pytest.mark.slow
def test_q_is_trained_by_the_discriminators_optimiser_alone():
    state = start()
    after, _ = descend(state, *inputs(), (0.1, 0.0), (1.0, 1.0))
    jax.tree.map(np.testing.assert_array_equal, after.discriminator.params, state.discriminator.params)
    after, _ = descend(state, *inputs(), (0.0, 0.1), (1.0, 1.0))
    jax.tree.map(np.testing.assert_array_equal, after.generator.params, state.generator.params)
    for name in ("Dense_2", "Dense_3", "Dense_1", "Conv_0"):  # Q's two layers, the head of D, the trunk
        before = state.discriminator.params[name]["kernel"]
        assert np.abs(after.discriminator.params[name]["kernel"] - before).max() > 0


@pytest.mark.slow
def test_both_losses_have_the_information_with_its_weights():
    """A step of plain descent moves by the gradient, which is linear in the weights."""
    state = start()
    for player, rates in (("generator", (1.0, 0.0)), ("discriminator", (0.0, 1.0))):
        moves = []
        for weights in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (3.0, 0.5)):
            after, metrics = descend(state, *inputs(), rates, weights)
            params = getattr(after, player).params, getattr(state, player).params
            moves.append(jax.flatten_util.ravel_pytree(jax.tree.map(np.subtract, *params))[0])
            # The losses that are logged are without the information.
            assert float(metrics["d_loss"]) == pytest.approx(2 * math.log(2), abs=0.1)
            if player == "generator":  # the discriminator stays as it is
                assert float(metrics["g_loss"]) == pytest.approx(math.log(2), abs=0.1)
        plain, categorical, continuous, both = moves
        assert np.abs(categorical - plain).max() > 1e-4 and np.abs(continuous - plain).max() > 1e-4
        expected = plain + 3 * (categorical - plain) + 0.5 * (continuous - plain)
        np.testing.assert_allclose(both, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_either_player_raises_the_information():
    state = start()

    def after(rates, weights):
        moved, _ = descend(state, *inputs(), rates, weights)
        return descend(moved, *inputs(), (0.0, 0.0), (0.0, 0.0))[1]

    for rates in ((0.01, 0.0), (0.0, 0.01)):
        plain = after(rates, (0.0, 0.0))
        for kind, weights in (("categorical_information", (3.0, 0.0)), ("continuous_information", (0.0, 3.0))):
            assert after(rates, weights)[kind] > plain[kind] + 1e-5


@pytest.mark.slow
def test_statistics_are_of_what_each_network_learns_from():
    state, gan = start(), SMALL_RULES.gan
    images, first, second = inputs()
    after, metrics = descend(state, images, first, second, (0.0, 0.0), (1.0, 1.0))

    @jax.jit
    def passes(generator, judge):
        _, of_real = gan.discriminator.apply(judge, images, train=True, mutable=["batch_stats"])
        fakes = [gan.generator.apply(generator, z, train=True, mutable=["batch_stats"]) for z in (first, second)]
        variables = {**judge, **of_real}
        _, of_both = gan.discriminator.apply(
            variables, fakes[0][0], train=True, read_codes=True, mutable=["batch_stats"]
        )
        return of_real["batch_stats"], of_both["batch_stats"], fakes[1][1]["batch_stats"]

    of_real, of_both, of_generator = passes(state.generator.variables, state.discriminator.variables)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, after.discriminator.batch_stats, of_both)
    jax.tree.map(close, after.generator.batch_stats, of_generator)
    # Q has not seen the real pictures, whose codes nobody knows.
    before = state.discriminator.batch_stats["BatchNorm_2"]
    jax.tree.map(np.testing.assert_array_equal, of_real["BatchNorm_2"], before)
    assert set(metrics) == {f"{kind}_information" for kind in ("categorical", "continuous")} | {
        "d_loss",
        "g_loss",
        "d_real",
        "d_fake",
    }


@pytest.mark.slow
def test_each_player_has_latents_of_its_own_in_every_step(monkeypatch):
    drawn = []
    monkeypatch.setattr(information, "take_step", lambda state, *arguments: drawn.append(arguments))
    images, _, _ = inputs()
    state = start()
    for step in (0, 1):
        information.train_step(state.replace(step=jnp.int32(step)), {"image": images[None]}, SMALL_RULES)
    latents = [z for arguments in drawn for z in arguments[1:3]]
    assert len({np.asarray(z).tobytes() for z in latents}) == 4
    keys = jax.random.split(jax.random.fold_in(state.key, 0))
    expected = [information.draw_latents(key, len(images), CODES) for key in keys]
    np.testing.assert_array_equal(latents[:2], expected)
    with pytest.raises(ValueError, match="one batch a step, got 2"):
        information.train_step(state, {"image": np.stack([images, images])}, SMALL_RULES)


@pytest.mark.slow
@pytest.mark.parametrize("remedies", [False, True])
def test_two_devices_give_the_run_of_one(two_devices, remedies):
    chosen = rules("infogan_faces", **COMPARED["infogan_faces, remedies"]) if remedies else SMALL_RULES
    step = functools.partial(information.train_step, rules=chosen)
    random = np.random.default_rng(0)
    batches = {"image": random.integers(0, 256, (3, 1, 8, *chosen.gan.image_shape)).astype(np.uint8)}
    runs = []
    for mode in parallel.MODES:
        run = parallel.compile_step(step, mode=mode, devices=two_devices[:1] if mode == "jit" else two_devices)
        state, log = run(run.place_state(information.init_state(jax.random.key(0), chosen)), batches, 3)
        state = parallel.local(state)
        assert ("spectral" in state.discriminator.extra) is remedies
        played = state.generator.variables, state.discriminator.variables
        runs.append(jax.tree.map(np.asarray, (played, log)))
    for other in runs[1:]:
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), other, runs[0])


# The same numbers as PyTorch.

NARROW = {"generator_width": 3, "discriminator_width": 3}
COMPARED = {
    "infogan_mnist": {"image_size": 12, "channels": 1, "negative_slope": 0.1, **NARROW},
    "infogan_faces": {"image_size": 16, "channels": 3, **NARROW},
    "infogan_faces, remedies": {
        "image_size": 16,
        "channels": 3,
        "spectral_norm": True,
        "upsampling": "nearest",
        "loss": "hinge",
        **NARROW,
    },
}
WEIGHTS = (0.7, 1.3)
RATES = (1e-3, 2e-4)


def made(name, gan):
    """The reference's networks with random weights, in float64."""
    from reference import torch_infogan, torch_play, torch_residual

    sizes = gan.latent_dim, gan.codes.outputs
    if name == "infogan_faces, remedies":
        pair = torch_infogan.faces16(*sizes, width=3, regularised=True)
        return [torch_residual.randomise(network, seed).train() for seed, network in enumerate(pair, 2)]
    if name == "infogan_faces":
        pair = torch_infogan.faces16(*sizes, width=3)
    else:
        height, _, channels = gan.image_shape
        network = gan.discriminator
        pair = torch_infogan.mnist(*sizes, network.width, height, channels, network.negative_slope)
    return [torch_play.randomise(network, seed, "float64") for seed, network in enumerate(pair, 2)]


def pictures(name, images):
    """NHWC in [−1, 1] to NCHW, of digits in [0, 1]."""
    from reference import torch_play

    return torch_play.picture((images + 1) / 2 if name == "infogan_mnist" else images)


def imported(gan, pair, values=lambda network: {}):
    """The variables of both players, with other arrays in the place of those that `values` names."""
    from reference import torch_infogan, torch_play, torch_residual

    generator, judge = (
        interop.torch.import_variables(
            module, torch_infogan.without_spectral_norm({**torch_play.state(network), **values(network)})
        )
        for module, network in zip((gan.generator, gan.discriminator), pair, strict=True)
    )
    vectors = enumerate(torch_residual.vectors(pair[1]))
    spectral = {f"SpectralConv_{index}": {"u": vector} for index, vector in vectors}
    return [generator, {**judge, "spectral": spectral} if spectral else judge]


def player_of(variables, opt_state=()):
    """A player with these variables."""
    extra = {name: value for name, value in variables.items() if name not in ("params", "batch_stats")}
    return information.Player(variables["params"], variables["batch_stats"], opt_state, extra)


def worst(found, expected, tolerance):
    """The arrays that differ by more than the tolerance, relative to their own size.

    Biases before a batch normalisation have a gradient of 0, whose rounding is compared with the largest of all.
    """
    found, expected = flatten(found), flatten(expected)
    assert found.keys() == expected.keys()
    largest = max(np.abs(values).max() for values in expected.values())
    errors = {
        path: np.abs(np.asarray(found[path]) - values).max() / max(np.abs(values).max(), 1e-4 * largest)
        for path, values in expected.items()
    }
    return {path: error for path, error in errors.items() if not error < tolerance}


def latents_of(gan, count, seed):
    return np.asarray(information.draw_latents(jax.random.key(seed), count, gan.codes), np.float64)


@pytest.mark.torch
@pytest.mark.parametrize("name", COMPARED)
def test_outputs_losses_and_every_gradient_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_infogan

    given = rules(name.split(",")[0], weights=WEIGHTS, **COMPARED[name])
    gan, codes = given.gan, (CODES.noise_dim, CODES.categorical, CODES.continuous)
    pair = made(name, gan)
    before = imported(gan, pair)
    real = np.tanh(np.random.default_rng(0).standard_normal((7, *gan.image_shape)))
    first, second = latents_of(gan, 7, 1), latents_of(gan, 7, 2)

    with torch_infogan.still(pair[0]), torch.no_grad():
        fakes = pair[0](torch.from_numpy(first))
    d_total, d_loss, _ = torch_infogan.discriminator_loss(
        pair[1], pictures(name, real), fakes, torch.from_numpy(first), codes, WEIGHTS
    )
    d_total.backward()
    of_judge = {key: weight.grad.clone() for key, weight in pair[1].named_parameters()}
    with torch_infogan.still(pair[1]):
        g_total, g_loss, g_terms = torch_infogan.generator_loss(*pair, torch.from_numpy(second), codes, WEIGHTS)
        g_total.backward()
    expected = imported(
        gan,
        pair,
        lambda network: of_judge if network is pair[1] else {k: w.grad for k, w in network.named_parameters()},
    )

    with jax.enable_x64(True):
        players = [player_of(variables) for variables in before]

        @jax.jit
        def play(generator, judge):
            fakes, _ = information.apply(gan.generator, generator.variables, first)
            of_d = jax.value_and_grad(information.discriminator_loss, has_aux=True)(
                judge.params, judge, real, fakes, first, given
            )
            moved = judge.with_collections(of_d[0][1][1])
            of_g = jax.value_and_grad(information.generator_loss, has_aux=True)(
                generator.params, generator, moved, second, given
            )
            return fakes, of_d, of_g

        made_here, ((d_here, (d_metrics, d_stats)), d_gradient), ((g_here, (g_metrics, g_stats)), g_gradient) = play(
            *players
        )
    drawn = fakes.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(made_here, 2 * drawn - 1 if name == "infogan_mnist" else drawn, atol=1e-12)
    for ours, theirs in (
        (d_here, d_total),
        (g_here, g_total),
        (d_metrics["d_loss"], d_loss),
        (g_metrics["g_loss"], g_loss),
        (g_metrics["categorical_information"], g_terms[0]),
        (g_metrics["continuous_information"], g_terms[1]),
    ):
        assert float(ours) == pytest.approx(theirs.item(), rel=1e-10)
    found = [{"params": g_gradient, **g_stats}, {"params": d_gradient, **d_stats}]
    for ours, theirs in zip(found, expected, strict=True):
        assert worst(ours["params"], theirs["params"], 1e-10) == {}
        for name in set(theirs) - {"params"}:
            assert worst(ours[name], theirs[name], 1e-10) == {}
    # The source adds 1e-8 within each logarithm, which changes nothing but where a player is sure.
    guarded = torch_infogan.generator_loss(*pair, torch.from_numpy(second), codes, WEIGHTS, 1e-8)[0]
    assert guarded.item() == pytest.approx(g_total.item(), abs=1e-5)


def steps_differ(name, sizes, steps, count):
    """What differs after some steps of Adam with the same latents on both sides."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_infogan

    given = rules(name.split(",")[0], functools.partial(optax.adam, b1=0.5), RATES, WEIGHTS, **sizes)
    gan = given.gan
    codes = (gan.codes.noise_dim, gan.codes.categorical, gan.codes.continuous)
    pair = made(name, gan)
    real = np.tanh(np.random.default_rng(0).standard_normal((steps, count, *gan.image_shape)))
    latents = [[latents_of(gan, count, 2 * step + player) for step in range(steps)] for player in (0, 1)]
    with jax.enable_x64(True):
        optimizers = given.generator_optimizer, given.discriminator_optimizer
        players = [
            player_of(variables, optimizer.init(variables["params"]))
            for variables, optimizer in zip(imported(gan, pair), optimizers, strict=True)
        ]
        state = information.GANState(jnp.zeros((), jnp.int32), jax.random.key(0), *players)
        step, found = jax.jit(functools.partial(information.take_step, rules=given)), []
        for images, first, second in zip(real, *latents, strict=True):
            state, log = step(state, images, first, second)
            names = "d_loss", "g_loss", "categorical_information", "continuous_information"
            found.append([float(log[name]) for name in names])
        trained = [jax.tree.map(np.asarray, player.variables) for player in (state.generator, state.discriminator)]
    expected = torch_infogan.train(
        *pair,
        [pictures(name, images) for images in real],
        *[[torch.from_numpy(one) for one in of_player] for of_player in latents],
        codes,
        WEIGHTS,
        RATES,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    assert int(state.step) == steps
    return [worst(ours, theirs, 1e-8) for ours, theirs in zip(trained, imported(gan, pair), strict=True)]


@pytest.mark.torch
@pytest.mark.parametrize("name", COMPARED)
def test_3_steps_of_both_players_are_those_of_pytorch(name):
    assert steps_differ(name, COMPARED[name], 3, 6) == [{}, {}]


@pytest.mark.torch
@pytest.mark.slow
def test_6_steps_at_full_width_are_those_of_pytorch():
    """Rounding grows from step to step of the game: after 25 steps with batches of 4 it was 1e-5."""
    wide = {"image_size": 28, "generator_width": 64, "discriminator_width": 64, "codes": Codes(62, (10,), 2)}
    assert steps_differ("infogan_mnist", wide, 6, 8) == [{}, {}]
