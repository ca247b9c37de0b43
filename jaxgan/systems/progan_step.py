"""The training step of ProGAN: the rules, what happens to real pictures, the losses and the step.

Everything here is a pure function of arrays and an explicit key; the phase is static, since each has pictures of its
own size. Real pictures arrive at full size. Random numbers depend on the key, the step and an example's place in the
global batch, so a run does not depend on the number of devices.

Reference:
  Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, and the authors'
  code.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan import losses, models, penalties
from jaxgan.models.progan import mix
from jaxgan.ops import noise, pixels, resampling
from jaxgan.ops.augment import Augmentation
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.batches import check_batch, only_batch
from jaxgan.systems.growth import Stage
from jaxgan.systems.players import Player, apply, mean_over_devices, new_player, update

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
BETAS = {"b1": 0.0, "b2": 0.99}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a ProGAN is trained by.

    Attributes:
      gan: the networks.
      stages: the schedule, a stage for each phase.
      penalty_weight: of the gradient penalty.
      drift_weight: of the mean square of the real pictures' logits, which keeps them near 0.
      average_decay: of the moving average of the generator.
      augment: (key, images, axis_name) -> images, applied to real pictures, or None.
    """

    gan: models.GAN
    stages: tuple[Stage, ...]
    penalty_weight: float = 10.0
    drift_weight: float = 0.001
    average_decay: float = 0.999
    augment: Augmentation | None = None


class StepKeys(NamedTuple):
    """The keys of one training step, each for a single purpose."""

    discriminator_latents: jax.Array
    generator_latents: jax.Array
    penalty: jax.Array
    augment: jax.Array


def step_keys(state: GANState) -> StepKeys:
    """Derives the keys of the next step."""
    return StepKeys(*jax.random.split(jax.random.fold_in(state.key, state.step), 4))


def optimizer(stage: Stage) -> optax.GradientTransformation:
    """Builds the optimiser of either network in a stage; its state has one structure in all of them."""
    return optax.adam(stage.learning_rate, **BETAS, eps=1e-8)


def init_state(key: jax.Array, rules: Rules) -> GANState:
    """Returns the state before the first step: all blocks of both networks, whatever the size of the first phase."""
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    adam = optimizer(rules.stages[0])
    generator = new_player(generator_key, rules.gan.generator, adam)
    discriminator = new_player(discriminator_key, rules.gan.discriminator, adam)
    average = jax.tree.map(jnp.copy, generator.variables)
    return GANState(jnp.zeros((), jnp.int32), run_key, generator, discriminator, average)


def train_step(
    state: GANState, batch: Batch, rules: Rules, *, phase: int = 0, axis_name: str | None = None
) -> tuple[GANState, Metrics]:
    """Takes one step of the discriminator, moves the average, and takes one step of the generator.

    The average moves towards the generator as the discriminator's step has seen it, before its own step: as in the
    authors' program it lags by one.

    Args:
      state: the state before the step; the same on every device.
      batch: "image" with shape (1, N, H, W, C) or (N, H, W, C), of full size, uint8 or floating-point in [−1, 1]. N is
        this device's share.
      rules: what to train by.
      phase: the number of the stage, static.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars over the global batch: "d_loss" and "g_loss" without penalties, the
      mean logits "d_real" and "d_fake" of the discriminator before its update, "d_penalty", the "size" of the pictures
      and the share "alpha" of the newest layers.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one batch.
    """
    check_batch(batch, rules.gan.image_shape)
    keys, stage = step_keys(state), rules.stages[phase]
    gan, alpha = rules.gan.on(axis_name), stage.alpha(state.step)
    images = pixels.normalize(only_batch(batch["image"], "a ProGAN"))
    if rules.augment is not None:
        images = rules.augment(keys.augment, images, axis_name)
    real = reduced(images, stage, alpha)
    latents = [
        noise.latents(key, len(images), gan.latent_dim, axis_name=axis_name).astype(real.dtype)
        for key in (keys.discriminator_latents, keys.generator_latents)
    ]
    adam, is_reset = optimizer(stage), stage.is_reset(state.step)

    def generate(params: Any, z: jax.Array) -> jax.Array:
        return apply(gan.generator, {"params": params, "batch_stats": {}}, z, level=stage.level, alpha=alpha)[0]

    def judge(params: Any, pictures: jax.Array) -> jax.Array:
        variables = {"params": params, "batch_stats": {}}
        logits, _ = apply(gan.discriminator, variables, pictures, level=stage.level, alpha=alpha)
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def discriminator_loss(params: Any) -> tuple[jax.Array, Metrics]:
        real_logits, fake_logits = judge(params, real), judge(params, fakes)
        loss = losses.wasserstein_discriminator_loss(real_logits, fake_logits)
        # In the authors' program pictures are repeated to full size, and the gradient is with respect to those. A
        # picture of a side smaller by k has 1/k of the length of its repetition, so it is made k times as large.
        k = rules.gan.image_shape[0] // stage.size
        penalty = penalties.gradient_penalty(
            lambda pictures: judge(params, pictures / k),
            k * real,
            k * fakes,
            keys.penalty,
            axis_name,
            weight=rules.penalty_weight,
        )
        drift = rules.drift_weight * jnp.mean(jnp.square(real_logits))
        opinions = {"d_real": jnp.mean(real_logits), "d_fake": jnp.mean(fake_logits)}
        return loss + penalty + drift, {"d_loss": loss, "d_penalty": penalty, **opinions}

    def generator_loss(params: Any) -> jax.Array:
        return losses.wasserstein_generator_loss(judge(discriminator.params, generate(params, latents[1])))

    fakes = generate(state.generator.params, latents[0])
    gradient, metrics = jax.grad(discriminator_loss, has_aux=True)(state.discriminator.params)
    discriminator = update(forgetful(state.discriminator, adam, is_reset), gradient, adam, axis_name)

    average = optax.incremental_update(state.generator.variables, state.average, 1.0 - rules.average_decay)

    g_loss, gradient = jax.value_and_grad(generator_loss)(state.generator.params)
    generator = update(forgetful(state.generator, adam, is_reset), gradient, adam, axis_name)

    metrics = mean_over_devices({**metrics, "g_loss": g_loss}, axis_name)
    metrics |= {"size": jnp.float32(stage.size), "alpha": alpha.astype(jnp.float32)}
    return GANState(state.step + 1, state.key, generator, discriminator, average), metrics


def reduced(images: jax.Array, stage: Stage, alpha: jax.Array) -> jax.Array:
    """Reduces real pictures of full size to those of a stage.

    Args:
      images: (N, H, W, C).
      stage: whose side divides theirs.
      alpha: the share of the new layers.

    Returns:
      (N, s, s, C), means over squares. While a stage fades in, pictures fade too, from those of half the side. The
      authors round smaller pictures to whole levels of brightness, which these are not.
    """
    count, height, _, channels = images.shape
    k = height // stage.size
    small = images.reshape(count, stage.size, k, stage.size, k, channels).mean((2, 4))
    if stage.fade == 0:
        return small
    return mix(resampling.upsample(resampling.average_pool(small)), small, alpha)


def forgetful(player: Player, optimizer: optax.GradientTransformation, is_reset: jax.Array) -> Player:
    """Returns the player with a new state of its optimiser if that is due, a boolean scalar."""
    fresh = jax.lax.cond(is_reset, lambda: optimizer.init(player.params), lambda: player.opt_state)
    return player.replace(opt_state=fresh)
