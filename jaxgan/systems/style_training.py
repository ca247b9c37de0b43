"""The training step of StyleGAN2, from top to bottom: draws, styles, losses, two lazy regularisers, the averages.

A step is, in this order: the generator on its loss; every few steps the generator on its path length; the
discriminator on its loss; every few steps the discriminator on R1; the moving average of the generator. Each pass has
latents, mixed styles and noise of its own. Whatever is random belongs to an example's place in the global batch, so a
run does not depend on how many devices carry it, if each has an even number of pictures: the path length takes half of
a device's, rounded down, one at least.

Reference:
  Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, section 3 and appendix B; the order and
  the averages are those of the authors' code of StyleGAN2-ADA.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgan import losses, penalties
from jaxgan.models import GAN
from jaxgan.ops import adaptive_augmentation, pixels
from jaxgan.ops import augment as augmentation
from jaxgan.ops.augment import Augmentation
from jaxgan.systems.ada import AdaptiveAugmentation, ADAState, adjusted
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.batches import check_batch, only_batch
from jaxgan.systems.players import Player, mean_over_devices, new_player, update
from jaxgan.systems.style_draws import PATH_SHARE, Draws, StepDraws, draw_step

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]

STYLE_DECAY = 0.995
"""Decay of the average style, a training pass of the generator."""

PATH_DECAY = 0.99
"""Decay of the average path length, a penalty."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a StyleGAN2 is trained by.

    Attributes:
      gan: the networks.
      generator_optimizer: an optax transformation, for `path_every` + 1 updates in as many steps as `path_every`.
      discriminator_optimizer: an optax transformation, for `penalty_every` + 1 updates in `penalty_every` steps.
      gamma: weight of R1, which is halved.
      penalty_every: steps between two updates on R1, each so many times as strong.
      path_weight: weight of the path length; 0 for none.
      path_every: steps between two updates on the path length, each so many times as strong.
      mixing: probability that a batch has the styles of two latents.
      average_images: pictures after which an old generator counts half in the moving average.
      average_ramp: that number is at most this share of the pictures seen so far; None: it is the same from the start.
      augment: augmentation of the real pictures, or None.
      augment_both: augmentation of all pictures that the discriminator sees, or None.
      ada: how the probability of an adaptive augmentation of all pictures is adjusted, or None.
    """

    gan: GAN
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    gamma: float = 10.0
    penalty_every: int = 16
    path_weight: float = 2.0
    path_every: int = 4
    mixing: float = 0.9
    average_images: float = 10_000.0
    average_ramp: float | None = None
    augment: Augmentation | None = None
    augment_both: Augmentation | None = None
    ada: AdaptiveAugmentation | None = None


def init_state(key: jax.Array, rules: Rules) -> GANState:
    """Returns the state before the first step."""
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    generator = new_player(generator_key, rules.gan.generator, rules.generator_optimizer)
    discriminator = new_player(discriminator_key, rules.gan.discriminator, rules.discriminator_optimizer)
    average = jax.tree.map(jnp.copy, generator.variables)
    extra: dict[str, Any] = {} if not rules.path_weight else {"path_length": jnp.zeros((), jnp.float32)}
    if rules.ada is not None:
        extra["ada"] = ADAState.start()
    return GANState(jnp.zeros((), jnp.int32), run_key, generator, discriminator, average, extra)


def train_step(state: GANState, batch: Batch, rules: Rules, axis_name: str | None = None) -> tuple[GANState, Metrics]:
    """Takes one step of both networks.

    Args:
      state: the state before the step; the same on every device.
      batch: "image" with shape (1, N, H, W, C) or (N, H, W, C), uint8 or floating-point in [−1, 1]; for conditional
        networks also "condition", (1, N, condition_dim). N is this device's share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars over the global batch: "d_loss", "g_loss", and the mean
      probabilities "d_real" and "d_fake" before the discriminator's update; "d_penalty", R1 times its interval, and
      "path_penalty" likewise, which are 0 in steps without; the average "path_length"; and "ada_p".

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one batch.
    """
    check_batch(batch, rules.gan.image_shape, rules.gan.condition_dim)
    images = only_batch(batch["image"], "a StyleGAN2")
    condition = None
    if rules.gan.condition_dim:
        condition = batch["condition"].reshape(len(images), -1).astype(jnp.float32)
    key = jax.random.fold_in(state.key, state.step)
    draws = draw_step(key, len(images), rules.gan.generator, rules.mixing, axis_name)
    return take_step(state, pixels.normalize(images), condition, draws, rules, axis_name)


def take_step(
    state: GANState,
    images: jax.Array,
    condition: jax.Array | None,
    draws: StepDraws,
    rules: Rules,
    axis_name: str | None = None,
) -> tuple[GANState, Metrics]:
    """Takes one step on images (N, H, W, C) and conditions (N, condition_dim), with given draws. See `train_step`."""
    rules = dataclasses.replace(rules, gan=rules.gan.on(axis_name))
    extra = dict(state.extra)
    show = augmentations(state, draws.augment, rules, axis_name)

    (g_loss, w), gradient = jax.value_and_grad(generator_loss, has_aux=True)(
        state.generator.params, state.generator, state.discriminator, condition, draws.generator, show[0], rules
    )
    generator = update(state.generator, gradient, rules.generator_optimizer, axis_name)
    generator = with_average_style(generator, w, axis_name)
    metrics = {"g_loss": g_loss}
    if rules.path_weight:
        generator, extra["path_length"], metrics["path_penalty"] = lazily(
            state.step % rules.path_every == 0,
            lambda player, length: path_update(player, length, condition, draws, rules, axis_name),
            generator,
            extra["path_length"],
        )
        metrics["path_length"] = extra["path_length"]

    fakes, w = synthesize(generator.params, generator, condition, draws.discriminator, rules)
    generator = with_average_style(generator, w, axis_name)
    gradient, (of_loss, sign) = jax.grad(discriminator_loss, has_aux=True)(
        state.discriminator.params, state.discriminator, images, fakes, condition, show, rules
    )
    discriminator = update(state.discriminator, gradient, rules.discriminator_optimizer, axis_name)
    discriminator, metrics["d_penalty"] = lazily(
        state.step % rules.penalty_every == 0,
        lambda player: penalty_update(player, images, condition, show[3], rules, axis_name),
        discriminator,
    )

    pictures = len(images) * (1 if axis_name is None else jax.lax.axis_size(axis_name))
    average = averaged(state.average, generator.variables, state.step, pictures, rules)
    metrics = mean_over_devices({**metrics, **of_loss}, axis_name)
    if rules.ada is not None:
        metrics["ada_p"] = extra["ada"].probability
        extra["ada"] = adjusted(extra["ada"], rules.ada, mean_over_devices(sign, axis_name), pictures, state.step)
    return GANState(state.step + 1, state.key, generator, discriminator, average, extra), metrics


def augmentations(state: GANState, key: jax.Array, rules: Rules, axis_name: str | None) -> tuple[Any, ...]:
    """Returns what pictures pass before the discriminator sees them, (N, H, W, C) -> the same.

    They are four functions: for the generator's pictures in its own step, for the generator's and for the real ones in
    the discriminator's step, and for the real ones of R1. The last two also mirror, where asked to.
    """
    parts = [] if rules.augment_both is None else [rules.augment_both]
    if rules.ada is not None:
        probability = state.extra["ada"].probability
        parts.append(functools.partial(adaptive_augmentation.augment, probability=probability))
    both = augmentation.chain(parts)
    real = augmentation.chain([part for part in (rules.augment, both) if part is not None])

    def bound(change: Augmentation | None, number: int) -> Any:
        if change is None:
            return lambda pictures: pictures
        return lambda pictures: change(jax.random.fold_in(key, number), pictures, axis_name)

    return bound(both, 0), bound(both, 1), bound(real, 2), bound(real, 3)


def lazily(its_turn: jax.Array, act: Any, player: Player, *others: jax.Array) -> tuple[Any, ...]:
    """Returns what `act` returns for a player and other values, or, if it is not its turn, these and a metric of 0."""
    return jax.lax.cond(
        its_turn, act, lambda player, *others: (player, *others, jnp.zeros((), jnp.float32)), player, *others
    )


def synthesize(
    params: Any, player: Player, condition: jax.Array | None, draws: Draws, rules: Rules
) -> tuple[jax.Array, jax.Array]:
    """Draws pictures (N, H, W, C) in training mode; also returns the styles (N, latent_dim) of the first latents."""
    ws, w = mixed_styles(params, player, condition, draws, rules)
    variables = {**player.variables, "params": params}
    images: Any = rules.gan.generator.apply(variables, ws, draws.noise, method="synthesize")
    return images, w


def mixed_styles(
    params: Any, player: Player, condition: jax.Array | None, draws: Draws, rules: Rules
) -> tuple[jax.Array, jax.Array]:
    """Returns the styles of each layer, (N, styles, latent_dim), from `cutoff` on those of the other latents.

    The second result are the styles of the first latents, (N, latent_dim), of which an average is kept.
    """
    generator: Any = rules.gan.generator
    variables = {**player.variables, "params": params}
    w: jax.Array = generator.apply(variables, draws.z, condition, method="map")
    if not rules.mixing:
        return jnp.repeat(w[:, None], generator.styles, axis=1), w
    other: jax.Array = generator.apply(variables, draws.other, condition, method="map")
    behind = jnp.arange(generator.styles) >= draws.cutoff
    return jnp.where(behind[None, :, None], other[:, None], w[:, None]), w


def judge(params: Any, player: Player, images: jax.Array, condition: jax.Array | None, rules: Rules) -> jax.Array:
    """Returns the discriminator's logits (N,) of pictures."""
    inputs = (images,) if condition is None else (images, condition)
    logits: Any = rules.gan.discriminator.apply({**player.variables, "params": params}, *inputs, train=True)
    return logits


def generator_loss(
    params: Any,
    player: Player,
    discriminator: Player,
    condition: jax.Array | None,
    draws: Draws,
    show: Any,
    rules: Rules,
) -> tuple[jax.Array, jax.Array]:
    """Computes the generator's loss −mean log D(G(z)), and the styles of its latents."""
    fakes, w = synthesize(params, player, condition, draws, rules)
    logits = judge(discriminator.params, discriminator, show(fakes), condition, rules)
    return losses.nonsaturating_generator_loss(logits), w


def path_update(
    player: Player,
    average: jax.Array,
    condition: jax.Array | None,
    draws: StepDraws,
    rules: Rules,
    axis_name: str | None,
) -> tuple[Player, jax.Array, jax.Array]:
    """Takes a step of the generator on its path length alone; returns it, the average length and the penalty."""
    fewer = None if condition is None else condition[::PATH_SHARE][: len(draws.path.z)]
    (penalty, (w, average)), gradient = jax.value_and_grad(path_penalty, has_aux=True)(
        player.params, player, average, fewer, draws.path, draws.directions, rules, axis_name
    )
    player = update(player, gradient, rules.generator_optimizer, axis_name)
    return with_average_style(player, w, axis_name), average, penalty.astype(jnp.float32)


def path_penalty(
    params: Any,
    player: Player,
    average: jax.Array,
    condition: jax.Array | None,
    draws: Draws,
    directions: jax.Array,
    rules: Rules,
    axis_name: str | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Computes the penalty of paths, weight · interval · mean (length − average length)².

    A length is that of the gradient of Σ picture · direction with respect to the styles, √(mean over the layers of its
    square). The average has been moved towards the lengths already, and gradients flow through it, as in the source.

    Args:
      params: of the generator.
      player: whose other variables it has.
      average: the average length before.
      condition: (N, condition_dim), or None.
      draws: of the pictures.
      directions: (N, H, W, C) of N(0, 1); they are divided by √(H · W).
      rules: for the networks and the weight.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The penalty; the styles of the latents, and the average length after.
    """
    ws, w = mixed_styles(params, player, condition, draws, rules)
    height, width = directions.shape[1:3]
    variables = {**player.variables, "params": params}

    def along(ws: jax.Array) -> jax.Array:
        images: Any = rules.gan.generator.apply(variables, ws, draws.noise, method="synthesize")
        return jnp.sum(images * directions / math.sqrt(height * width))

    slopes = jax.grad(along)(ws)
    lengths = jnp.sqrt(jnp.mean(jnp.sum(jnp.square(slopes), axis=2), axis=1))
    moved = average + (1 - PATH_DECAY) * (mean_over_devices(jnp.mean(lengths), axis_name) - average)
    penalty = rules.path_weight * rules.path_every * jnp.mean(jnp.square(lengths - moved))
    return penalty, (w, moved.astype(average.dtype))


def discriminator_loss(
    params: Any,
    player: Player,
    images: jax.Array,
    fakes: jax.Array,
    condition: jax.Array | None,
    show: Any,
    rules: Rules,
) -> tuple[jax.Array, tuple[Metrics, jax.Array]]:
    """Computes the discriminator's loss −mean log D(x) − mean log(1 − D(G(z))), its metrics, and the mean sign of D(x).

    Generated and real pictures pass one after the other, so that a group of a minibatch is of one kind.
    """
    fake_logits = judge(params, player, show[1](fakes), condition, rules)
    real_logits = judge(params, player, show[2](images), condition, rules)
    loss = losses.minimax_discriminator_loss(real_logits, fake_logits)
    chances = [jnp.mean(jax.nn.sigmoid(logits.astype(jnp.float32))) for logits in (real_logits, fake_logits)]
    sign = jnp.mean(jnp.sign(real_logits.astype(jnp.float32)))
    return loss, ({"d_loss": loss, "d_real": chances[0], "d_fake": chances[1]}, sign)


def penalty_update(
    player: Player,
    images: jax.Array,
    condition: jax.Array | None,
    show: Any,
    rules: Rules,
    axis_name: str | None,
) -> tuple[Player, jax.Array]:
    """Takes a step of the discriminator on R1 alone, with respect to the pictures before augmentation."""

    def penalty(params: Any) -> jax.Array:
        def logits(pictures: jax.Array) -> jax.Array:
            return judge(params, player, show(pictures), condition, rules)

        return rules.penalty_every * penalties.r1(logits, images, gamma=rules.gamma)

    value, gradient = jax.value_and_grad(penalty)(player.params)
    return update(player, gradient, rules.discriminator_optimizer, axis_name), value.astype(jnp.float32)


def with_average_style(player: Player, w: jax.Array, axis_name: str | None) -> Player:
    """Moves the generator's average style towards the mean of styles (N, latent_dim)."""
    mean = mean_over_devices(jnp.mean(w, axis=0), axis_name)
    (before,) = jax.tree.leaves(player.extra["latents"])
    after = mean + STYLE_DECAY * (before - mean)
    return player.replace(extra={**player.extra, "latents": {"average": after.astype(before.dtype)}})


def averaged(average: Any, variables: Any, step: jax.Array, pictures: int, rules: Rules) -> Any:
    """Moves the average of the generator's parameters; what else it has is that of the generator.

    Args:
      average: the variables before.
      variables: of the generator after its updates.
      step: the number of the step, from 0.
      pictures: in a global batch.
      rules: for the pace.
    """
    half_life = jnp.asarray(rules.average_images)
    if rules.average_ramp is not None:
        seen = step.astype(half_life.dtype) * pictures
        half_life = jnp.minimum(half_life, rules.average_ramp * seen)
    decay = 0.5 ** (pictures / jnp.maximum(half_life, 1e-8))
    params = optax.incremental_update(variables["params"], average["params"], 1.0 - decay)
    return {**variables, "params": params}
