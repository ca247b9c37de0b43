"""bfloat16 computes what float32 does, to its own rounding, and lives through training."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, game, losses, models, parallel

BATCH = 128
pytestmark = pytest.mark.slow


def rules(dtype, generator_optimizer, discriminator_optimizer):
    gan = models.build("dcgan_64", image_size=32, generator_width=8, discriminator_width=8, latent_dim=16, dtype=dtype)
    return game.Rules(
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
    program = parallel.compile_step(functools.partial(game.train_step, rules=played), mode="jit")
    state = program.place_state(jax.jit(functools.partial(game.init_state, rules=played))(jax.random.key(0)))
    images = np.asarray(data.load("avatars", image_size=32, num_examples=256).images)
    draws = np.random.default_rng(0).integers(0, len(images), (steps, 1, 64)).astype(np.int32)
    return program(state, draws, steps, program.place_data({"image": images}))


@pytest.fixture(scope="module")
def begun():
    """Networks that have begun to learn: at first their gradients are hardly more than noise."""
    return play(20)[0]


# How far float32 is missed falls with the batch. On the way of the generator's gradient lie the jumps of both networks:
# a unit that rounding puts on the other side of a ReLU moves it by more than rounding does.
@pytest.mark.parametrize("player, tolerance", [("discriminator", 0.03), ("generator", 0.12)])
def test_the_gradient_of_every_parameter_is_that_of_float32(begun, player, tolerance):
    images = np.asarray(data.load("avatars", image_size=32, num_examples=256).images[:BATCH])
    still, descent = optax.sgd(0.0), optax.sgd(1.0)  # A step of plain descent at rate 1 is the gradient itself.
    optimizers = {"generator": still, "discriminator": still, player: descent}

    def gradient(dtype):
        played = rules(dtype, optimizers["generator"], optimizers["discriminator"])
        before = begun.replace(
            **{
                name: dataclasses.replace(side, opt_state=optimizers[name].init(side.params))
                for name, side in (("generator", begun.generator), ("discriminator", begun.discriminator))
            }
        )
        after, metrics = jax.jit(functools.partial(game.train_step, rules=played))(before, {"image": images})
        kept = jax.tree.leaves((after.generator, after.discriminator, metrics))
        assert {leaf.dtype for leaf in kept} == {jnp.dtype("float32")}
        old, new = getattr(before, player).params, getattr(after, player).params
        return jax.tree.map(lambda a, b: np.asarray(a - b), old, new)

    errors = jax.tree.map(
        lambda a, b: float(np.linalg.norm(b - a) / np.linalg.norm(a)), gradient(None), gradient(jnp.bfloat16)
    )
    assert max(jax.tree.leaves(errors)) <= tolerance, errors
    assert max(jax.tree.leaves(errors)) > 1e-3, "nothing was computed in bfloat16"


def test_three_hundred_steps_stay_finite():
    state, metrics = play(300, jnp.bfloat16, rate=2e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.generator, state.discriminator, metrics)))
    assert float(metrics["d_loss"][-1]) < float(metrics["d_loss"][0])
