"""The training step of CycleGAN: state, rules, the step, and translation in both directions.

Everything here is a pure function of arrays and an explicit key. Crops, flips and the pools' decisions depend on the
key, the step and an example's place in the global batch, so a run does not depend on how many devices carry it.

Reference:
  Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017. Where the paper,
  its Lua program and the authors' PyTorch program differ, the step is that of the last.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan.models.network import Network
from jaxgan.models.patchgan import PatchGAN
from jaxgan.ops import pixels
from jaxgan.ops.jitter import jitter
from jaxgan.systems import image_pool
from jaxgan.systems.batches import check_batch, check_sources, only_batch
from jaxgan.systems.image_pool import Draws, ImagePool
from jaxgan.systems.patch_losses import discriminator_loss, generator_loss, mean_difference, mean_score
from jaxgan.systems.players import Player, apply, mean_over_devices, new_player, update

Batch = Mapping[str, Mapping[str, jax.Array]]
Metrics = dict[str, jax.Array]

DOMAINS = ("a", "b")


class UnpairedState(struct.PyTreeNode):
    """Everything that a run must keep to go on exactly as if it had never stopped.

    Attributes:
      step: steps taken, int32.
      key: the key of the whole run; never used directly, only folded with the step.
      a_to_b: the generator of pictures of domain B from those of A, and its optimiser.
      b_to_a: the generator of the other direction.
      discriminator_a: the discriminator of pictures of domain A and its optimiser.
      discriminator_b: the discriminator of pictures of domain B.
      pool_a: former pictures of `b_to_a`, which `discriminator_a` is shown; None without a pool.
      pool_b: former pictures of `a_to_b`.
    """

    step: jax.Array
    key: jax.Array
    a_to_b: Player
    b_to_a: Player
    discriminator_a: Player
    discriminator_b: Player
    pool_a: ImagePool | None
    pool_b: ImagePool | None


@dataclasses.dataclass(frozen=True)
class Rules:
    """What two pairs of networks are trained by.

    Attributes:
      generator: of both directions: maps pictures to pictures; without batch normalisation and without dropout.
      discriminator: of both domains: maps pictures to a map of logits; without batch normalisation.
      generator_optimizer: an optax transformation. Each generator has one of its own, which is the source's common one
        as long as it treats every parameter by itself, as Adam does.
      discriminator_optimizer: likewise.
      loss: "lsgan", squared distance of the logits from 0 and 1 without a half, or "bce", binary cross-entropy.
      cycle_weight_a: of the mean absolute difference of pictures of A from what is left of them after there and back.
      cycle_weight_b: the same of B.
      identity_weight: in shares of the cycle weight of a domain, of the mean absolute difference of its pictures from
        what the generator into that domain makes of them; 0: not looked at.
      pool_size: former pictures that a discriminator may be shown instead of new ones; 0: none.
      enlarge: pixels by which pictures are enlarged before a random part is cut out.
      flip: whether pictures are mirrored with probability ½.
    """

    generator: Network
    discriminator: PatchGAN
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    loss: Literal["lsgan", "bce"] = "lsgan"
    cycle_weight_a: float = 10.0
    cycle_weight_b: float = 10.0
    identity_weight: float = 0.5
    pool_size: int = 50
    enlarge: int = 0
    flip: bool = False


class StepKeys(NamedTuple):
    """The keys of a step, each for a single purpose."""

    jitter_a: jax.Array
    jitter_b: jax.Array
    pool_a: jax.Array
    pool_b: jax.Array


def step_keys(state: UnpairedState) -> StepKeys:
    """Derives the keys of the next step."""
    return StepKeys(*jax.random.split(jax.random.fold_in(state.key, state.step), len(StepKeys._fields)))


def init_state(key: jax.Array, rules: Rules) -> UnpairedState:
    """Returns the state before the first step."""
    *network_keys, run_key = jax.random.split(key, 5)
    networks: list[Any] = 2 * [(rules.generator, rules.generator_optimizer)]
    networks += 2 * [(rules.discriminator, rules.discriminator_optimizer)]
    a_to_b, b_to_a, judge_a, judge_b = (
        new_player(one, *network) for one, network in zip(network_keys, networks, strict=True)
    )
    shape = rules.generator.image_shape
    pool_a, pool_b = (ImagePool.empty(rules.pool_size, shape) if rules.pool_size else None for _ in DOMAINS)
    return UnpairedState(jnp.zeros((), jnp.int32), run_key, a_to_b, b_to_a, judge_a, judge_b, pool_a, pool_b)


def train_step(
    state: UnpairedState, batch: Batch, rules: Rules, axis_name: str | None = None
) -> tuple[UnpairedState, Metrics]:
    """Takes a step of both generators, then one of both discriminators on pictures of before that step.

    Args:
      state: the state before the step; the same on every device.
      batch: {"a": {"image": …}, "b": {"image": …}}, each (1, N, H, W, C) or (N, H, W, C), uint8 or floating-point in
        [−1, 1]. N is this device's share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars of the whole global batch, all from before the step. Of each domain
      D: "g_loss_D", the adversarial loss of the generator into it; "cycle_D", the mean absolute difference of its
      pictures, in [−1, 1], from what is left of them after there and back; "identity_D", from what the generator into
      it makes of them, without its weight, if there is one; "d_loss_D", half of the sum of its discriminator's losses;
      "d_real_D" and "d_fake_D", the mean scores of real pictures and of those that the pool has shown.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one batch.
    """
    keys = step_keys(state)
    real_a, real_b = (
        jitter(key, (picture,), enlarge=rules.enlarge, flip=rules.flip, axis_name=axis_name)[0]
        for key, picture in zip((keys.jitter_a, keys.jitter_b), _pictures(batch, rules), strict=True)
    )
    gradients, fakes, metrics = _generators(state, real_a, real_b, rules)
    a_to_b, b_to_a = (
        update(player, gradient, rules.generator_optimizer, axis_name)
        for player, gradient in zip((state.a_to_b, state.b_to_a), gradients, strict=True)
    )
    pool_a, shown_a = _shown(state.pool_a, keys.pool_a, fakes[0], axis_name)
    pool_b, shown_b = _shown(state.pool_b, keys.pool_b, fakes[1], axis_name)
    judges = state.discriminator_a, state.discriminator_b
    gradients, judged = _discriminators(judges, (real_a, real_b), (shown_a, shown_b), rules)
    judge_a, judge_b = (
        update(player, gradient, rules.discriminator_optimizer, axis_name)
        for player, gradient in zip(judges, gradients, strict=True)
    )
    after = UnpairedState(state.step + 1, state.key, a_to_b, b_to_a, judge_a, judge_b, pool_a, pool_b)
    return after, mean_over_devices({**metrics, **judged}, axis_name)


def _pictures(batch: Batch, rules: Rules) -> list[jax.Array]:
    """Returns the pictures of both domains, (N, H, W, C) in [−1, 1]."""
    check_sources(batch, DOMAINS)
    for domain in DOMAINS:
        check_batch(batch[domain], rules.generator.image_shape)
    return [pixels.normalize(only_batch(batch[domain]["image"], "CycleGAN")) for domain in DOMAINS]


def _generators(
    state: UnpairedState, real_a: jax.Array, real_b: jax.Array, rules: Rules
) -> tuple[list[Any], jax.Array, Metrics]:
    """Returns the gradients of both generators, their pictures of A and of B, and metrics, all on this device."""
    judges = state.discriminator_a.params, state.discriminator_b.params

    def loss(params: tuple[Any, Any]) -> tuple[jax.Array, tuple[Any, Metrics]]:
        a_to_b, b_to_a = params
        given = real_b, real_a
        if rules.identity_weight:  # what is of the target domain already goes through in the same pass
            given = jnp.concatenate([real_b, real_a]), jnp.concatenate([real_a, real_b])
        made = _both(rules.generator, (b_to_a, a_to_b), given)  # of A, and of B
        fakes, same = made[:, : len(real_a)], made[:, len(real_a) :]
        cycled = _both(rules.generator, (b_to_a, a_to_b), (fakes[1], fakes[0]))
        logits = _both(rules.discriminator, judges, tuple(fakes))
        total = jnp.zeros(())
        metrics: Metrics = {}
        weights = rules.cycle_weight_a, rules.cycle_weight_b
        for number, (name, real, weight) in enumerate(zip(DOMAINS, (real_a, real_b), weights, strict=True)):
            adversarial = generator_loss(rules.loss, logits[number])
            cycle = mean_difference(cycled[number], real)
            metrics |= {f"g_loss_{name}": adversarial, f"cycle_{name}": cycle}
            total += adversarial + weight * cycle
            if rules.identity_weight:
                metrics[f"identity_{name}"] = mean_difference(same[number], real)
                total += rules.identity_weight * weight * metrics[f"identity_{name}"]
        return total, (fakes, metrics)

    gradients, (fakes, metrics) = jax.grad(loss, has_aux=True)((state.a_to_b.params, state.b_to_a.params))
    return list(gradients), fakes, metrics


def _discriminators(
    judges: tuple[Player, Player], reals: tuple[jax.Array, ...], fakes: tuple[jax.Array, ...], rules: Rules
) -> tuple[list[Any], Metrics]:
    """Returns the gradients of both discriminators and metrics, all on this device."""

    def loss(params: tuple[Any, Any]) -> tuple[jax.Array, Metrics]:
        both = tuple(jnp.concatenate(parts) for parts in zip(reals, fakes, strict=True))
        logits = _both(rules.discriminator, params, both)
        total = jnp.zeros(())
        metrics: Metrics = {}
        for number, name in enumerate(DOMAINS):
            of_real, of_fake = jnp.split(logits[number], 2)
            d_loss = discriminator_loss(rules.loss, real=of_real, fake=of_fake)
            scores = mean_score(rules.loss, of_real), mean_score(rules.loss, of_fake)
            metrics |= {f"d_loss_{name}": d_loss, f"d_real_{name}": scores[0], f"d_fake_{name}": scores[1]}
            total += d_loss
        return total, metrics

    gradients, metrics = jax.grad(loss, has_aux=True)((judges[0].params, judges[1].params))
    return list(gradients), metrics


def _both(network: Network, params: tuple[Any, Any], pictures: tuple[jax.Array, ...]) -> jax.Array:
    """Applies a network with two sets of parameters to pictures of each, (N, H, W, C); returns (2, N, …)."""
    return jnp.stack([_apply(network, *each) for each in zip(params, pictures, strict=True)])


def _apply(network: Network, params: Any, x: jax.Array) -> jax.Array:
    output, _ = apply(network, {"params": params, "batch_stats": {}}, x)
    return output


def _shown(
    pool: ImagePool | None, key: jax.Array, fakes: jax.Array, axis_name: str | None
) -> tuple[ImagePool | None, jax.Array]:
    """Exchanges this device's pictures with the pool, which sees those of all devices in their order."""
    if pool is None:
        return None, fakes
    everyone = fakes if axis_name is None else jax.lax.all_gather(fakes, axis_name, tiled=True)
    pool, shown = image_pool.exchange(pool, pool_draws(key, len(everyone), pool), everyone)
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * len(fakes)
    return pool, jax.lax.dynamic_slice_in_dim(shown, first, len(fakes))


def pool_draws(key: jax.Array, count: int, pool: ImagePool) -> Draws:
    """Returns what chance decides for a pool and the `count` pictures of the global batch, by its key of the step."""
    return image_pool.draw(key, count, len(pool.images))


def translate(generator: Network, params: Any, images: jax.Array) -> jax.Array:
    """Translates pictures (N, H, W, C), uint8 or in [−1, 1], to [−1, 1]; each is normalised by its own statistics."""
    return _apply(generator, params, pixels.normalize(images))
