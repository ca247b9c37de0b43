"""The training step of pix2pix: state, rules, the step, and translation.

Everything here is a pure function of arrays and an explicit key. Dropout, crops and flips depend on the key, the step
and an example's place in the global batch, so a run does not depend on how many devices carry it.

Reference:
  Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017. Where the paper, its Lua
  program and the authors' PyTorch program differ, the step is that of the last.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan.models.patchgan import PatchGAN
from jaxgan.models.unet import UNet
from jaxgan.ops import pixels
from jaxgan.ops.jitter import jitter
from jaxgan.systems.batches import check_batch, only_batch
from jaxgan.systems.patch_losses import discriminator_loss, generator_loss, mean_difference, mean_score
from jaxgan.systems.players import Player, apply, mean_over_devices, new_player, update

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]

PAIR = ("input", "image")


class PairedState(struct.PyTreeNode):
    """Everything that a run must keep to go on exactly as if it had never stopped.

    Attributes:
      step: steps taken, int32.
      key: the key of the whole run; never used directly, only folded with the step.
      generator: the generator, from inputs to images, and its optimiser.
      discriminator: the discriminator of pairs and its optimiser.
    """

    step: jax.Array
    key: jax.Array
    generator: Player
    discriminator: Player


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a pair of networks is trained by.

    Attributes:
      generator: maps inputs to images, with dropout for noise.
      discriminator: maps (input, image) to a map of logits.
      generator_optimizer: an optax transformation.
      discriminator_optimizer: an optax transformation.
      loss: "bce", binary cross-entropy, or "lsgan", squared distance of the logits from 0 and 1 without a half.
      l1_weight: of the mean absolute difference from the image in the generator's loss.
      enlarge: pixels by which pairs are enlarged before a random part is cut out.
      flip: whether pairs are mirrored with probability ½.
    """

    generator: UNet
    discriminator: PatchGAN
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    loss: Literal["bce", "lsgan"] = "bce"
    l1_weight: float = 100.0
    enlarge: int = 0
    flip: bool = False


class StepKeys(NamedTuple):
    """The keys of a step, each for a single purpose."""

    dropout: jax.Array
    jitter: jax.Array


def step_keys(state: PairedState) -> StepKeys:
    """Derives the keys of the next step."""
    return StepKeys(*jax.random.split(jax.random.fold_in(state.key, state.step)))


def init_state(key: jax.Array, rules: Rules) -> PairedState:
    """Returns the state before the first step."""
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    return PairedState(
        jnp.zeros((), jnp.int32),
        run_key,
        new_player(generator_key, rules.generator, rules.generator_optimizer),
        new_player(discriminator_key, rules.discriminator, rules.discriminator_optimizer),
    )


def train_step(
    state: PairedState, batch: Batch, rules: Rules, axis_name: str | None = None
) -> tuple[PairedState, Metrics]:
    """Takes a step of the discriminator, then one of the generator against the discriminator as it then is.

    Args:
      state: the state before the step; the same on every device.
      batch: "input" and "image", each (1, N, H, W, C) or (N, H, W, C), uint8 or floating-point in [−1, 1]. N is this
        device's share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars of the whole global batch: "d_loss", half of the sum for real and
      generated pairs; "g_loss", the adversarial part of the generator's loss; "l1", its mean absolute difference from
      the images, of pixels in [−1, 1], without the weight; "d_real" and "d_fake", the mean scores of real and generated
      pairs before the discriminator's step: probabilities for "bce", logits for "lsgan".

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one batch.
    """
    check_batch(batch, rules.generator.image_shape, pictures=PAIR)
    keys = step_keys(state)
    rules = dataclasses.replace(
        rules,
        generator=rules.generator.clone(axis_name=axis_name),
        discriminator=rules.discriminator.clone(axis_name=axis_name),
    )
    pair = tuple(pixels.normalize(only_batch(batch[name], "pix2pix")) for name in PAIR)
    inputs, images = jitter(keys.jitter, pair, enlarge=rules.enlarge, flip=rules.flip, axis_name=axis_name)

    def generate(params: Any) -> tuple[jax.Array, Any]:
        variables = {**state.generator.variables, "params": params}
        return apply(rules.generator, variables, inputs, rngs={"dropout": keys.dropout})

    # The generator does not change before its own step, so one pass serves both networks.
    fakes, pull_back, generator_collections = jax.vjp(generate, state.generator.params, has_aux=True)
    judge, metrics = _discriminator_update(state.discriminator, inputs, images, fakes, rules, axis_name)

    def generator_loss(pictures: jax.Array) -> tuple[jax.Array, tuple[Metrics, Any]]:
        logits, collections = apply(rules.discriminator, judge.variables, inputs, pictures)
        adversarial, l1 = generator_objectives(rules, logits, pictures, images)
        return adversarial + rules.l1_weight * l1, ({"g_loss": adversarial, "l1": l1}, collections)

    fake_gradient, (parts, collections) = jax.grad(generator_loss, has_aux=True)(fakes)
    (gradient,) = pull_back(fake_gradient)
    player = update(state.generator, gradient, rules.generator_optimizer, axis_name)
    return state.replace(
        step=state.step + 1,
        generator=player.with_collections(generator_collections),
        discriminator=judge.with_collections(collections),  # the reference's statistics move in this pass too
    ), mean_over_devices({**metrics, **parts}, axis_name)


def _discriminator_update(
    player: Player, inputs: jax.Array, images: jax.Array, fakes: jax.Array, rules: Rules, axis_name: str | None
) -> tuple[Player, Metrics]:
    """Takes a step of the discriminator; returns it with its metrics on this device, from before the step."""

    def loss(params: Any) -> tuple[jax.Array, tuple[list[jax.Array], Any]]:
        judge, logits = player.replace(params=params), []
        for pictures in (jax.lax.stop_gradient(fakes), images):  # each pass moves the running statistics, in this order
            judged, collections = apply(rules.discriminator, judge.variables, inputs, pictures)
            judge = judge.with_collections(collections)
            logits.append(judged)
        return discriminator_objective(rules, real=logits[1], fake=logits[0]), (logits, judge.batch_stats)

    (d_loss, (logits, batch_stats)), gradient = jax.value_and_grad(loss, has_aux=True)(player.params)
    player = update(player, gradient, rules.discriminator_optimizer, axis_name).replace(batch_stats=batch_stats)
    scores = [mean_score(rules.loss, part) for part in logits]
    return player, {"d_loss": d_loss, "d_real": scores[1], "d_fake": scores[0]}


def discriminator_objective(rules: Rules, *, real: jax.Array, fake: jax.Array) -> jax.Array:
    """Computes half of the sum of both mean losses, over all patches (N, h, w) of real and of generated pairs."""
    return discriminator_loss(rules.loss, real=real, fake=fake)


def generator_objectives(
    rules: Rules, logits: jax.Array, pictures: jax.Array, images: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Computes the adversarial loss of the generator, and the mean absolute difference of its pictures from the images.

    Args:
      rules: for the loss.
      logits: of its pictures with their inputs, (N, h, w).
      pictures: that it made, (N, H, W, C).
      images: that they should be, (N, H, W, C).
    """
    return generator_loss(rules.loss, logits), mean_difference(pictures, images)


def translate(generator: UNet, variables: Any, inputs: jax.Array, key: jax.Array, *, evaluate: bool = False) -> Any:
    """Translates pictures, one at a time: as in training, or in evaluation mode.

    As in the authors' program, each picture is normalised by its own statistics, and dropout is active: the only noise.

    Args:
      generator: the network.
      variables: its variables.
      inputs: (N, H, W, C), uint8 or in [−1, 1].
      key: of the dropout; a picture's depends on its place among them.
      evaluate: whether to take the running statistics and no dropout instead.

    Returns:
      (N, H, W, C) in [−1, 1].
    """
    inputs = pixels.normalize(inputs)
    if evaluate:
        return generator.apply(variables, inputs, train=False)

    def one(picture: jax.Array, key: jax.Array) -> jax.Array:
        return apply(generator, variables, picture[None], rngs={"dropout": key})[0][0]

    keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(jnp.arange(len(inputs)))
    return jax.vmap(one)(inputs, keys)
