"""Penalties of the discriminator's gradient: values by hand, no NaN where it vanishes, one share an example."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import cases

from experiments.run.recipes import default_recipe
from jaxgan import data, models, penalties, systems
from jaxgan.host.errors import UserError
from jaxgan.ops import noise
from jaxgan.systems import adversarial_penalties
from jaxgan.systems.gan import build_gan, build_rules

pytestmark = pytest.mark.slow

SHAPE = (6, 4, 4, 3)
KEY = jax.random.key(5)
REAL, FAKE = (jax.random.normal(jax.random.key(seed), SHAPE) for seed in (0, 1))
W = jax.random.normal(jax.random.key(2), SHAPE[1:])
ALL = ("gp", "r1", "r2", "dragan")


def every(judge, real=REAL, fake=FAKE, key=KEY, axis_name=None, weight=10.0):
    """Each penalty by name, as the training step calls it."""
    return {name: adversarial_penalties.build(name, weight)(judge, real, fake, key, axis_name) for name in ALL}


def linear(x):
    return jnp.sum(W * x, axis=(1, 2, 3))


def bowl(x):
    """D(x) = ½ ‖x‖², whose gradient is x."""
    return 0.5 * jnp.sum(x**2, axis=(1, 2, 3))


def squared(x):
    return np.sum(np.square(np.asarray(x, np.float64)), axis=(1, 2, 3))


def shares(key=KEY):
    keys = noise.example_keys(key, SHAPE[0])
    return np.array([jax.random.uniform(one, (1, 1, 1)) for one in keys])


def test_of_a_linear_discriminator_every_slope_is_the_length_of_its_weights():
    found, length = every(linear, weight=3.0), float(np.sqrt(squared(W[None])[0]))
    for name in ("gp", "dragan"):
        np.testing.assert_allclose(found[name], 3.0 * (length - 1) ** 2, rtol=1e-5)
    for name in ("r1", "r2"):  # with the ½
        np.testing.assert_allclose(found[name], 0.5 * 3.0 * length**2, rtol=1e-5)


def test_r1_is_taken_at_real_and_r2_at_generated_pictures():
    found = every(bowl, weight=2.0)
    np.testing.assert_allclose(found["r1"], squared(REAL).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["r2"], squared(FAKE).mean(), rtol=1e-5)


def test_the_gradient_penalty_is_taken_between_both_with_one_share_an_example():
    share = shares()
    assert share.shape == (6, 1, 1, 1) and len(np.unique(share)) == 6
    points = np.asarray(REAL) + share * (np.asarray(FAKE) - np.asarray(REAL))
    by_hand = 10.0 * np.mean((np.sqrt(squared(points)) - 1) ** 2)
    np.testing.assert_allclose(penalties.gradient_penalty(bowl, REAL, FAKE, KEY), by_hand, rtol=1e-5)


def test_dragan_is_taken_near_real_pictures():
    share_key, noise_key = jax.random.split(KEY)
    uniform = np.array([jax.random.uniform(key, SHAPE[1:]) for key in noise.example_keys(noise_key, SHAPE[0])])
    points = np.asarray(REAL) + shares(share_key) * 0.5 * np.std(REAL) * uniform
    by_hand = 10.0 * np.mean((np.sqrt(squared(points)) - 1) ** 2)
    np.testing.assert_allclose(penalties.dragan(bowl, REAL, KEY), by_hand, rtol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_where_the_gradient_vanishes_neither_the_penalty_nor_its_own_gradient_is_nan(name):
    def penalty(scale):
        return every(lambda x: scale * bowl(x), jnp.zeros(SHAPE), jnp.zeros(SHAPE))[name]

    value, gradient = jax.value_and_grad(penalty)(1.0)
    assert float(value) == (10.0 if name in ("gp", "dragan") else 0.0) and float(gradient) == 0.0


@pytest.mark.parametrize("name", ALL)
def test_halves_of_the_batch_have_the_penalty_of_the_whole(name):
    def half(real, fake):
        return every(bowl, real, fake, axis_name="half")[name]

    halves = jax.vmap(half, axis_name="half")(REAL.reshape(2, 3, 4, 4, 3), FAKE.reshape(2, 3, 4, 4, 3))
    np.testing.assert_allclose(jnp.mean(halves), every(bowl)[name], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_penalties_are_in_float32_where_the_networks_compute_in_bfloat16(name):
    gan = models.build("dcgan_anime_a", **SMALL, dtype=jnp.bfloat16)
    variables = cases.random_variables(gan.discriminator, scale=0.1)

    def penalty(variables, dtype):
        network = gan.discriminator.clone(dtype=dtype)
        return every(lambda x: network.apply(variables, x, train=False), *PICTURES)[name]

    long, short = (jax.jit(penalty, static_argnums=1)(variables, dtype) for dtype in (None, jnp.bfloat16))
    assert short.dtype == jnp.float32 and float(long) != float(short)
    np.testing.assert_allclose(short, long, rtol=0.05)


SMALL = {"image_size": 32, "generator_width": 16, "discriminator_width": 16, "latent_dim": 4}
PICTURES = [jnp.tanh(jax.random.normal(jax.random.key(seed), (3, 32, 32, 3))) for seed in (3, 4)]


@pytest.mark.torch
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_values_and_second_derivatives_are_pytorchs(train):
    """Of `dcgan_anime_a` with its batch normalisation, so wide that convolutions are Winograd's; float64."""
    pytest.importorskip("torch", reason="the reference needs PyTorch")
    from reference import jax_play, torch_networks, torch_penalties, torch_play

    from jaxgan import interop

    gan = models.build("dcgan_anime_a", **SMALL)
    _, discriminator = torch_networks.build("dcgan_anime_a", **SMALL)
    torch_play.randomise(discriminator, 3, "float64").train(train)
    variables = interop.torch.import_variables(gan.discriminator, torch_play.state(discriminator))
    real, fake = (np.asarray(images, np.float64) for images in PICTURES)
    with jax.enable_x64(True):
        share_key, noise_key = jax.random.split(KEY)
        draw = {
            "gp": np.array(penalties.uniform_shares(KEY, jnp.asarray(real))),
            "dragan": np.array(penalties.uniform_shares(share_key, jnp.asarray(real))),
            "uniform": np.array([jax.random.uniform(key, real.shape[1:]) for key in noise.example_keys(noise_key, 3)]),
        }
        assert draw["uniform"].dtype == np.float64

        def penalty(params, name):
            def judge(x):
                given = {**variables, "params": params}
                return gan.discriminator.apply(given, x, train=train, mutable=["batch_stats"])[0]

            return every(judge, jnp.asarray(real), jnp.asarray(fake))[name]

        for name in ALL:
            value, gradient = jax.jit(jax.value_and_grad(penalty), static_argnums=1)(variables["params"], name)
            expected, theirs = torch_penalties.value_and_gradients(name, discriminator, real, fake, draw)
            assert cases.error(value, expected) < 1e-10, name
            moved = {**torch_play.state(discriminator), **theirs}
            reference = interop.torch.import_variables(gan.discriminator, moved)["params"]
            ours = jax_play.flatten(gradient)
            greatest = max(np.abs(values).max() for values in jax_play.flatten(reference).values())
            for path, values in jax_play.flatten(reference).items():
                difference = np.abs(np.asarray(ours[path]) - values).max()
                # A bias that changes no slope has a gradient of rounding alone.
                assert difference <= 1e-10 * max(np.abs(values).max(), 1e-6 * greatest), (name, path)


@pytest.mark.parametrize("name", ALL)
def test_a_penalty_is_a_setting(name):
    recipe = dataclasses.replace(default_recipe("wgan_anime"), penalty=name)
    rules = build_rules(recipe, build_gan(recipe, 3, 0))
    assert rules.clip is None  # it takes the place of clipping
    np.testing.assert_allclose(rules.discriminator_penalty(bowl, REAL, FAKE, KEY, None), every(bowl)[name])
    lighter = dataclasses.replace(recipe, penalty_weight=5.0)
    [half] = [build_rules(lighter, build_gan(lighter, 3, 0)).discriminator_penalty(bowl, REAL, FAKE, KEY, None)]
    np.testing.assert_allclose(half, every(bowl)[name] / 2)


def test_without_a_penalty_nothing_changes():
    recipe = default_recipe("wgan_anime")
    rules = build_rules(recipe, build_gan(recipe, 3, 0))
    assert (rules.discriminator_penalty, rules.penalty_every, rules.clip) == (None, 1, 0.01)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_with_a_lazy_penalty_five_updates_go_as_far_as_four(optimizer):
    """Along a gradient that stays the same: k steps and the penalty's own are k + 1 updates."""
    gradient, went = {"w": jnp.array([0.3, -2.0])}, {}
    for every, updates in ((1, 400), (4, 500)):
        recipe = dataclasses.replace(default_recipe("mlp_b"), optimizer=optimizer, penalty="r1", penalty_every=every)
        rule = build_rules(recipe, build_gan(recipe, 1, 0)).discriminator_optimizer

        def step(carry, _, rule=rule):
            update, state = rule.update(gradient, carry[1])
            return (carry[0] + update["w"], state), None

        (went[every], _), _ = jax.lax.scan(step, (jnp.zeros(2), rule.init(gradient)), None, length=updates)
    np.testing.assert_allclose(went[4], went[1], rtol=2e-3)


def test_a_lazy_penalty_scales_adam_as_stylegan2_does():
    recipe = dataclasses.replace(default_recipe("mlp_b"), penalty="r1", penalty_every=16)
    rule = build_rules(recipe, build_gan(recipe, 1, 0)).discriminator_optimizer
    rate, share = recipe.discriminator_learning_rate, 16 / 17
    by_hand = optax.adam(rate * share, b1=recipe.beta1**share, b2=recipe.beta2**share)
    states = [one.init({"w": jnp.zeros(2)}) for one in (rule, by_hand)]
    for gradient in ([1.0, -2.0], [0.5, 3.0]):
        moved = [one.update({"w": jnp.array(gradient)}, states[i]) for i, one in enumerate((rule, by_hand))]
        states = [state for _, state in moved]
        np.testing.assert_array_equal(moved[0][0]["w"], moved[1][0]["w"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"penalty_weight": 1.0}, "penalty_weight: says how a penalty is taken; give penalty too"),
        ({"penalty_every": 4}, "penalty_every: says how a penalty is taken; give penalty too"),
        ({"penalty": "gp", "penalty_weight": 0.0}, "penalty_weight=0.0: must be above 0"),
        ({"penalty": "gp", "penalty_every": 0}, "penalty_every=0: must be above 0"),
    ],
)
def test_what_means_nothing_is_refused(given, said):
    with pytest.raises(UserError, match=said):
        dataclasses.replace(default_recipe("mlp_b"), **given).check()


def test_a_penalty_of_a_system_is_declared_and_returned():
    images = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 1), np.uint8)
    sizes = {"generator_width": 2, "discriminator_width": 2, "latent_dim": 4, "batch_size": 4}
    system = systems.build("mlp_b", data.from_arrays(images), penalty="gp", **sizes)
    state = system.init(jax.random.key(0))
    _, metrics = jax.jit(system.step)(state, {"image": images[None]})
    assert set(metrics) == set(system.report.metrics) == {"d_loss", "g_loss", "d_real", "d_fake", "d_penalty"}
