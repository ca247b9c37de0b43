"""Systems that no registry knows, small and useless: they prove that the house has room for their kind."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import struct

from jaxgan import data
from jaxgan.models import Network
from jaxgan.models.inference import apply as infer
from jaxgan.models.layers import Conv
from jaxgan.ops import noise, pixels
from jaxgan.systems.outputs import Outputs
from jaxgan.systems.players import Player, apply, mean_over_devices, new_player, update
from jaxgan.systems.schedule import BatchSchedule, Phase
from jaxgan.systems.system import Panel, Preview, Report, System

SIZE = 8
SHAPE = (SIZE, SIZE, 3)
ADAM = optax.adam(1e-3, b1=0.5)


class Translator(Network):
    """Maps images to images."""

    image_shape: tuple[int, int, int] = SHAPE

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.relu(Conv(4, kernel_size=3, stride=1, padding=1)(x))
        return jnp.tanh(Conv(3, kernel_size=3, stride=1, padding=1)(x))


class Critic(Network):
    """Maps images to a map of logits, one a patch."""

    image_shape: tuple[int, int, int] = SHAPE

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = nn.relu(Conv(4, kernel_size=4, stride=2, padding=1)(x))
        return Conv(1, kernel_size=3, stride=1, padding=1)(x)[..., 0]


class Pool(struct.PyTreeNode):
    """The history of generated pictures: float32 (capacity, H, W, C), and how many of them are filled."""

    images: jax.Array
    filled: jax.Array

    @classmethod
    def empty(cls, capacity: int) -> "Pool":
        return cls(jnp.zeros((capacity, *SHAPE)), jnp.zeros((), jnp.int32))

    def exchange(self, key: jax.Array, fakes: jax.Array, axis_name: str | None) -> tuple["Pool", jax.Array]:
        """Puts pictures in, one after the other; returns those that come out, this device's share of them.

        All devices exchange the same global batch, so that the pool stays the same on each of them.
        """
        everyone = fakes if axis_name is None else jax.lax.all_gather(fakes, axis_name, tiled=True)

        def one(pool: Pool, inputs: tuple[jax.Array, jax.Array]) -> tuple[Pool, jax.Array]:
            key, fake = inputs
            coin_key, place_key = jax.random.split(key)
            capacity = pool.images.shape[0]
            room = pool.filled < capacity
            swap = room | jax.random.bernoulli(coin_key)
            place = jnp.where(room, pool.filled, jax.random.randint(place_key, (), 0, capacity))
            out = jnp.where(room | ~swap, fake, pool.images[place])
            images = jnp.where(swap, pool.images.at[place].set(fake), pool.images)
            return Pool(images, jnp.minimum(pool.filled + 1, capacity)), out

        pool, out = jax.lax.scan(one, self, (jax.random.split(key, len(everyone)), everyone))
        first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * len(fakes)
        return pool, jax.lax.dynamic_slice_in_dim(out, first, len(fakes))


class TwoDomains(struct.PyTreeNode):
    """The state of a CycleGAN: two generators, two discriminators, two pools."""

    step: jax.Array
    key: jax.Array
    a_to_b: Player
    b_to_a: Player
    critic_a: Player
    critic_b: Player
    pool_a: Pool
    pool_b: Pool


def init_two_domains(key: jax.Array) -> TwoDomains:
    keys = jax.random.split(key, 5)
    players = [
        new_player(k, network, ADAM) for k, network in zip(keys, (Translator(),) * 2 + (Critic(),) * 2, strict=False)
    ]
    return TwoDomains(jnp.zeros((), jnp.int32), keys[4], *players, Pool.empty(50), Pool.empty(50))


def two_domains_step(state: TwoDomains, batch: Any, axis_name: str | None = None) -> tuple[TwoDomains, Any]:
    a, b = (pixels.normalize(batch[name]["image"][0]) for name in ("a", "b"))
    key_a, key_b = jax.random.split(jax.random.fold_in(state.key, state.step))

    def run(network: Network, params: Any, x: jax.Array) -> jax.Array:
        return apply(network, {"params": params, "batch_stats": {}}, x)[0]

    def generator_loss(params: tuple[Any, Any]) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        fake_b, fake_a = run(Translator(), params[0], a), run(Translator(), params[1], b)
        back_a, back_b = run(Translator(), params[1], fake_b), run(Translator(), params[0], fake_a)
        cycle = jnp.mean(jnp.abs(back_a - a)) + jnp.mean(jnp.abs(back_b - b))
        fooled = [
            jnp.mean((run(Critic(), critic.params, fake) - 1) ** 2)
            for critic, fake in ((state.critic_b, fake_b), (state.critic_a, fake_a))
        ]
        return sum(fooled) + 10.0 * cycle, (fake_a, fake_b, cycle)

    params = (state.a_to_b.params, state.b_to_a.params)
    (g_loss, (fake_a, fake_b, cycle)), gradients = jax.value_and_grad(generator_loss, has_aux=True)(params)
    pool_a, shown_a = state.pool_a.exchange(key_a, fake_a, axis_name)
    pool_b, shown_b = state.pool_b.exchange(key_b, fake_b, axis_name)

    def critic_loss(params: Any, real: jax.Array, fake: jax.Array) -> jax.Array:
        judged = [run(Critic(), params, x) for x in (real, fake)]
        return 0.5 * (jnp.mean((judged[0] - 1) ** 2) + jnp.mean(judged[1] ** 2))

    loss_a, gradient_a = jax.value_and_grad(critic_loss)(state.critic_a.params, a, shown_a)
    loss_b, gradient_b = jax.value_and_grad(critic_loss)(state.critic_b.params, b, shown_b)
    state = state.replace(
        step=state.step + 1,
        a_to_b=update(state.a_to_b, gradients[0], ADAM, axis_name),
        b_to_a=update(state.b_to_a, gradients[1], ADAM, axis_name),
        critic_a=update(state.critic_a, gradient_a, ADAM, axis_name),
        critic_b=update(state.critic_b, gradient_b, ADAM, axis_name),
        pool_a=pool_a,
        pool_b=pool_b,
    )
    metrics = {"g_loss": g_loss, "cycle": cycle, "d_loss_a": loss_a, "d_loss_b": loss_b}
    return state, mean_over_devices(metrics, axis_name)


def translate(player: str, state: TwoDomains, images: np.ndarray) -> np.ndarray:
    variables = getattr(state, player).variables
    return np.asarray(pixels.quantize(infer(Translator(), variables, pixels.normalize(jnp.asarray(images)), None)))


def two_domains() -> tuple[System, dict[str, data.Examples]]:
    """A CycleGAN's state and inputs, and two unpaired sets of different lengths."""
    random = np.random.default_rng(2)
    sets = {
        name: data.from_arrays(random.integers(0, 256, (count, *SHAPE), np.uint8))
        for name, count in (("a", 11), ("b", 7))
    }
    shown = np.asarray(sets["a"].images[:4])

    def preview(state: TwoDomains) -> np.ndarray:
        there = translate("a_to_b", state, shown)
        return np.stack([shown, there, translate("b_to_a", state, there)], axis=1).reshape(-1, *SHAPE)

    system = System(
        name="two_domains",
        init=init_two_domains,
        step=two_domains_step,
        schedule=BatchSchedule(4),
        image_shape=SHAPE,
        preview=Preview(preview, columns=3),
        report=Report(
            panels=(
                Panel("generators' loss", {"g_loss": "both", "cycle": "cycle"}),
                Panel("discriminators' loss", {"d_loss_a": "A", "d_loss_b": "B"}),
            ),
            bar=("g_loss", "cycle"),
            diverse_preview=False,
        ),
        networks=lambda state: {"a_to_b": state.a_to_b.params, "critic_b": state.critic_b.params},
        outputs=Outputs(
            translate={
                "a_to_b": functools.partial(translate, "a_to_b"),
                "b_to_a": functools.partial(translate, "b_to_a"),
            }
        ),
        inputs={"a": ("image",), "b": ("image",)},
    )
    return system, sets


class Growing(struct.PyTreeNode):
    """The state of a network that grows: all of its blocks are there from the start."""

    step: jax.Array
    key: jax.Array
    player: Player


def init_growing(key: jax.Array) -> Growing:
    network_key, key = jax.random.split(key)
    return Growing(jnp.zeros((), jnp.int32), key, new_player(network_key, Translator(), ADAM))


def growing_step(state: Growing, batch: Any, *, phase: int, axis_name: str | None = None) -> tuple[Growing, Any]:
    """Denoises pictures, in the first phase at half of their size."""
    images = pixels.normalize(batch["image"][0])
    images = images[:, ::2, ::2] if phase == 0 else images
    keys = noise.example_keys(jax.random.fold_in(state.key, state.step), len(images), axis_name)
    noisy = images + 0.1 * jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)

    def loss(params: Any) -> jax.Array:
        return jnp.mean((apply(Translator(), {"params": params, "batch_stats": {}}, noisy)[0] - images) ** 2)

    value, gradient = jax.value_and_grad(loss)(state.player.params)
    state = state.replace(step=state.step + 1, player=update(state.player, gradient, ADAM, axis_name))
    return state, mean_over_devices({"loss": value, "phase": jnp.float32(phase)}, axis_name)


def growing() -> tuple[System, data.Examples]:
    """A network in two phases, of different pictures and different batches."""
    examples = data.from_arrays(np.random.default_rng(3).integers(0, 256, (13, *SHAPE), np.uint8))
    shown = jnp.asarray(examples.images[:4])

    def preview(state: Growing) -> np.ndarray:
        drawn = infer(Translator(), state.player.variables, pixels.normalize(shown), None)
        return np.asarray(pixels.quantize(drawn))

    system = System(
        name="growing",
        init=init_growing,
        step=growing_step,
        schedule=BatchSchedule(6, later_phases=(Phase(2, 4),)),
        image_shape=SHAPE,
        preview=Preview(preview, columns=4, rows=("denoised",)),
        report=Report(panels=(Panel("loss", {"loss": "loss"}), Panel("phase", {"phase": "phase"})), bar=("loss",)),
        networks=lambda state: {"network": state.player.params},
    )
    return system, examples
