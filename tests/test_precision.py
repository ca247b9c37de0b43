"""bfloat16 computes what float32 does, to its own rounding, and lives through training."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, losses, models
from jaxgan.systems import adversarial
from jaxgan.training import parallel

BATCH = 128
PLAYERS = ("discriminator", "generator")
pytestmark = pytest.mark.slow


def rules(dtype, generator_optimizer, discriminator_optimizer):
    gan = models.build(
        "dcgan_anime_a", image_size=32, generator_width=8, discriminator_width=8, latent_dim=16, dtype=dtype
    )
    return adversarial.Rules(
        gan=gan,
        discriminator_loss=losses.minimax_discriminator_loss,
        generator_loss=losses.nonsaturating_generator_loss,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
    )


def play(steps, dtype=None, rate=1e-3):
    """The state after so many steps on the avatars, and the metrics of each."""
    adam = optax.adam(rate, b1=0.5)
    played = rules(dtype, adam, adam)
    program = parallel.compile_step(functools.partial(adversarial.train_step, rules=played), mode="jit")
    state = program.place_state(jax.jit(functools.partial(adversarial.init_state, rules=played))(jax.random.key(0)))
    images = np.asarray(data.load("avatars", image_size=32, num_examples=256).images)
    draws = np.random.default_rng(0).integers(0, len(images), (steps, 1, 64)).astype(np.int32)
    return program(state, draws, steps, program.place_data({"image": images}))


@pytest.fixture(scope="module")
def begun():
    """Networks that have begun to learn: at first their gradients are hardly more than noise."""
    return play(20)[0]


def pictures():
    return np.asarray(data.load("avatars", image_size=32, num_examples=256).images[:BATCH])


def share_missed(exact, rounded):
    """How far each parameter's gradient is from that of float32, as a share of its length."""
    pairs = zip(exact, rounded, strict=True)
    return np.array([np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in pairs])


@pytest.fixture(scope="module")
def missed(begun):
    """What bfloat16 misses, by player."""

    def gradient(player, dtype):
        still, descent = optax.sgd(0.0), optax.sgd(1.0)  # A step of plain descent at rate 1 is the gradient itself.
        optimizers = {"generator": still, "discriminator": still, player: descent}
        played = rules(dtype, optimizers["generator"], optimizers["discriminator"])
        before = begun.replace(
            **{
                name: dataclasses.replace(side, opt_state=optimizers[name].init(side.params))
                for name, side in (("generator", begun.generator), ("discriminator", begun.discriminator))
            }
        )
        after, metrics = jax.jit(functools.partial(adversarial.train_step, rules=played))(before, {"image": pictures()})
        kept = jax.tree.leaves((after.generator, after.discriminator, metrics))
        assert {leaf.dtype for leaf in kept} == {jnp.dtype("float32")}
        old, new = getattr(before, player).params, getattr(after, player).params
        return [np.asarray(a - b) for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)]

    return {name: share_missed(gradient(name, None), gradient(name, jnp.bfloat16)) for name in PLAYERS}


# How far float32 is missed falls with the batch. On the way of the generator's gradient lie the jumps of both networks:
# a unit that rounding puts on the other side of a ReLU moves it by more than rounding does.
@pytest.mark.parametrize("player, tolerance", [("discriminator", 0.03), ("generator", 0.05)])
def test_the_gradient_of_every_parameter_is_that_of_float32(missed, player, tolerance):
    assert missed[player].max() <= tolerance
    assert missed[player].max() > 1e-3, "nothing was computed in bfloat16"


@pytest.mark.torch
@pytest.mark.parametrize("player", PLAYERS)
def test_pytorch_comes_no_closer(begun, missed, player):
    """Of the same networks: under autocast, and where nothing but what is multiplied is rounded, the least there is."""
    pytest.importorskip("torch", reason="the reference needs PyTorch")
    from reference import torch_precision

    gan = rules(None, None, None).gan
    autocast, least = (
        share_missed(*torch_precision.gradients(gan, begun, pictures(), player, way=way))
        for way in ("autocast", "products")
    )
    # Two ways of rounding put other units on the wrong side: each parameter may be worse in either, all together not.
    assert np.sqrt(np.mean(missed[player] ** 2)) <= 1.25 * np.sqrt(np.mean(autocast**2))
    assert missed[player].max() <= 2 * least.max()
    assert least.max() > 1e-3, "nothing was rounded"


def test_three_hundred_steps_stay_finite():
    state, metrics = play(300, jnp.bfloat16, rate=2e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.generator, state.discriminator, metrics)))
    assert float(metrics["d_loss"][-1]) < float(metrics["d_loss"][0])
