"""The training step of StarGAN: state, rules, the step, translation and classification.

Everything here is a pure function of arrays and an explicit key. Flips, targets and the penalty's points depend on the
key, the step and an example's place in the global batch, so a run does not depend on how many devices carry it.

Reference:
  Choi et al., "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation", 2018.
  Where the paper and the authors' PyTorch program differ, the step is that of the program. A step here is five of the
  program's iterations: of the discriminator each, and in the fifth of the generator as well.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan import losses
from jaxgan.models.network import Network
from jaxgan.models.stargan import Judged
from jaxgan.ops import pixels
from jaxgan.ops.jitter import jitter
from jaxgan.penalties import gradient_penalty
from jaxgan.systems.batches import check_batch
from jaxgan.systems.patch_losses import mean_difference
from jaxgan.systems.players import Player, apply, mean_over_devices, new_player, update

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


class ConditionalState(struct.PyTreeNode):
    """Everything that a run must keep to go on exactly as if it had never stopped.

    Attributes:
      step: generator steps taken, int32.
      key: the key of the whole run; never used directly, only folded with the step.
      generator: the generator, from pictures and labels to pictures, and its optimiser.
      discriminator: the discriminator, which also classifies, and its optimiser.
    """

    step: jax.Array
    key: jax.Array
    generator: Player
    discriminator: Player


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a pair of networks is trained by.

    Attributes:
      generator: maps pictures and labels to pictures; without running statistics.
      discriminator: maps pictures to `Judged`; without normalisation.
      generator_optimizer: an optax transformation.
      discriminator_optimizer: an optax transformation.
      condition_dim: length of a condition.
      columns: of a condition, which the networks take for labels.
      kinds: the number of adjacent labels of each kind, such as hair, of which a picture has one each; (): each label
        is there or not by itself.
      critic_steps: steps of the discriminator, each on a batch of its own, to one of the generator.
      penalty_weight: of the discriminator's gradient penalty.
      class_weight: of the classification losses of both.
      reconstruction_weight: of the mean absolute difference of pictures from what is left after there and back.
      identity_weight: of the mean absolute difference of pictures from their translations into their own labels, which
        the source does not have. Without it a generator may change what no label speaks of, if it can change it back.
      flip: whether pictures are mirrored with probability ½.
    """

    generator: Network
    discriminator: Network
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    condition_dim: int
    columns: tuple[int, ...]
    kinds: tuple[int, ...]
    critic_steps: int = 5
    penalty_weight: float = 10.0
    class_weight: float = 1.0
    reconstruction_weight: float = 10.0
    identity_weight: float = 0.0
    flip: bool = False


class StepKeys(NamedTuple):
    """The keys of a step of the discriminator, each for a single purpose."""

    flip: jax.Array
    targets: jax.Array
    penalty: jax.Array


class Examples(NamedTuple):
    """A batch as the networks take it: pictures (N, H, W, C), their labels, and those to be translated into, (N, c)."""

    images: jax.Array
    labels: jax.Array
    targets: jax.Array


def step_keys(state: ConditionalState, index: jax.typing.ArrayLike) -> StepKeys:
    """Derives the keys of one of the discriminator's steps of the next step."""
    return StepKeys(*jax.random.split(jax.random.fold_in(jax.random.fold_in(state.key, state.step), index), 3))


def init_state(key: jax.Array, rules: Rules) -> ConditionalState:
    """Returns the state before the first step."""
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    return ConditionalState(
        jnp.zeros((), jnp.int32),
        run_key,
        new_player(generator_key, rules.generator, rules.generator_optimizer),
        new_player(discriminator_key, rules.discriminator, rules.discriminator_optimizer),
    )


def train_step(
    state: ConditionalState, batch: Batch, rules: Rules, axis_name: str | None = None
) -> tuple[ConditionalState, Metrics]:
    """Takes the steps of the discriminator, then one of the generator on the last batch, against it as it then is.

    Args:
      state: the state before the step; the same on every device.
      batch: "image", (critic steps, N, H, W, C), uint8 or floating-point in [−1, 1], and "condition", (critic steps, N,
        condition_dim), zeros and ones; of one critic step also without the first axis. N is this device's share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars of the whole global batch. Of the discriminator's last step, from
      before it: "d_loss", the mean score of translations less that of real pictures; "d_penalty", with its weight;
      "d_class", the classification loss of real pictures, without; "d_real" and "d_fake", the mean scores. Of the
      generator: "g_loss", the negative mean score; "g_class", the classification loss of translations by their targets;
      "reconstruction", the mean absolute difference after there and back, of pixels in [−1, 1], and "identity", if it
      has a weight, that of translations into the pictures' own labels; all three without weights.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for another number of batches than critic steps.
    """
    batches = _critic_batches(batch, rules)

    def critic_step(judge: Player, inputs: tuple[jax.Array, Batch]) -> tuple[Player, Metrics]:
        index, current = inputs
        keys = step_keys(state, index)
        examples = _examples(current, keys, rules, axis_name)
        fakes = translate(rules.generator, state.generator.params, examples.images, examples.targets)
        return _discriminator_step(judge, examples, fakes, keys.penalty, rules, axis_name)

    indices = jnp.arange(rules.critic_steps)
    judge, logs = jax.lax.scan(critic_step, state.discriminator, (indices, batches))
    last = rules.critic_steps - 1
    examples = _examples(jax.tree.map(lambda leaf: leaf[last], batches), step_keys(state, last), rules, axis_name)
    player, metrics = _generator_step(state.generator, judge, examples, rules, axis_name)
    metrics |= {name: values[last] for name, values in logs.items()}
    after = state.replace(step=state.step + 1, generator=player, discriminator=judge)
    return after, mean_over_devices(metrics, axis_name)


def _critic_batches(batch: Batch, rules: Rules) -> Batch:
    """Returns the batch of each of the discriminator's steps, stacked: leaves (critic steps, N, …)."""
    check_batch(batch, rules.generator.image_shape, rules.condition_dim)
    batches = {name: batch[name] for name in ("image", "condition")}
    if batches["image"].ndim == 4:
        batches = {name: leaf[None] for name, leaf in batches.items()}
    if len(batches["image"]) != rules.critic_steps:
        raise ValueError(f"StarGAN takes {rules.critic_steps} batches a step, got {len(batches['image'])}")
    return batches


def _examples(batch: Batch, keys: StepKeys, rules: Rules, axis_name: str | None) -> Examples:
    """Mirrors the pictures of a batch, and takes the labels of each for the targets of another one."""
    (images,) = jitter(keys.flip, (pixels.normalize(batch["image"]),), flip=rules.flip, axis_name=axis_name)
    labels = batch["condition"][:, jnp.asarray(rules.columns)].astype(jnp.float32)
    return Examples(images, labels, permuted(keys.targets, labels, axis_name))


def permuted(key: jax.Array, labels: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Puts the labels of the global batch in a random order, in which some may keep their places.

    Args:
      key: of the order.
      labels: this device's share, (n, c).
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      This device's share of the permuted labels, (n, c).
    """
    count = len(labels)
    everyone = labels if axis_name is None else jax.lax.all_gather(labels, axis_name, tiled=True)
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return everyone[jax.lax.dynamic_slice_in_dim(jax.random.permutation(key, len(everyone)), first, count)]


def _discriminator_step(
    player: Player, examples: Examples, fakes: jax.Array, key: jax.Array, rules: Rules, axis_name: str | None
) -> tuple[Player, Metrics]:
    """Takes a step of the discriminator; returns it with its metrics on this device, from before the step."""

    def loss(params: Any) -> tuple[jax.Array, Metrics]:
        judged = _judge(rules, params, jnp.concatenate([examples.images, fakes]))
        source = judged.source.astype(jnp.promote_types(judged.source.dtype, jnp.float32))
        real, fake = (part.reshape(-1) for part in jnp.split(source, 2))
        d_loss = losses.wasserstein_discriminator_loss(real, fake)
        d_class = losses.class_loss(judged.classes[: len(fakes)], examples.labels, rules.kinds)
        d_penalty = gradient_penalty(
            lambda pictures: _judge(rules, params, pictures).source,  # of whose patches the penalty takes the sum
            examples.images,
            fakes,
            key,
            axis_name,
            weight=rules.penalty_weight,
        )
        metrics = {"d_loss": d_loss, "d_class": d_class, "d_penalty": d_penalty}
        metrics |= {"d_real": jnp.mean(real), "d_fake": jnp.mean(fake)}
        return d_loss + rules.class_weight * d_class + d_penalty, metrics

    gradient, metrics = jax.grad(loss, has_aux=True)(player.params)
    return update(player, gradient, rules.discriminator_optimizer, axis_name), metrics


def _generator_step(
    player: Player, judge: Player, examples: Examples, rules: Rules, axis_name: str | None
) -> tuple[Player, Metrics]:
    """Takes a step of the generator; returns it with its metrics on this device, from before the step."""

    def loss(params: Any) -> tuple[jax.Array, Metrics]:
        fakes = translate(rules.generator, params, examples.images, examples.targets)
        judged = _judge(rules, judge.params, fakes)
        metrics = {
            "g_loss": losses.wasserstein_generator_loss(judged.source.reshape(-1)),
            "g_class": losses.class_loss(judged.classes, examples.targets, rules.kinds),
            "reconstruction": mean_difference(
                translate(rules.generator, params, fakes, examples.labels), examples.images
            ),
        }
        weighted = rules.class_weight * metrics["g_class"] + rules.reconstruction_weight * metrics["reconstruction"]
        if rules.identity_weight:
            same = translate(rules.generator, params, examples.images, examples.labels)
            metrics["identity"] = mean_difference(same, examples.images)
            weighted += rules.identity_weight * metrics["identity"]
        return metrics["g_loss"] + weighted, metrics

    gradient, metrics = jax.grad(loss, has_aux=True)(player.params)
    return update(player, gradient, rules.generator_optimizer, axis_name), metrics


def translate(generator: Network, params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Translates pictures (N, H, W, C), uint8 or in [−1, 1], into labels (N, c): pictures in [−1, 1].

    Each is normalised by its own statistics, always.
    """
    output, _ = apply(generator, {"params": params, "batch_stats": {}}, pixels.normalize(images), labels)
    return output


def _judge(rules: Rules, params: Any, images: jax.Array) -> Judged:
    judged, _ = apply(rules.discriminator, {"params": params, "batch_stats": {}}, images)
    return judged


def classify(rules: Rules, params: Any, images: jax.Array) -> jax.Array:
    """Tells the labels of pictures (N, H, W, C), uint8 or in [−1, 1], as the discriminator sees them.

    Returns:
      Zeros and ones (N, c), float32: of each kind one label, or of labels by themselves those that are likelier than
      not.
    """
    logits = _judge(rules, params, pixels.normalize(images)).classes
    if not rules.kinds:
        return (logits > 0).astype(jnp.float32)
    stops = tuple(itertools.accumulate(rules.kinds))
    parts = jnp.split(logits, stops[:-1], axis=1)
    return jnp.concatenate([jax.nn.one_hot(part.argmax(1), part.shape[1]) for part in parts], axis=1)
