"""The training step of the semi-supervised GAN: draws, losses, rules and the step.

A classifier of K classes is the discriminator. It learns from few pictures with labels, and from many without: these
must belong to some class, and generated pictures to none. Everything here is a pure function of arrays and an explicit
key. Noise depends on the key, the step and an example's place in the global batch, so a run does not depend on how many
devices carry it.

Reference:
  Salimans et al., "Improved Techniques for Training GANs", 2016, §3.1 and §5, and the authors' code.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxgan.data.few_labels import LABELLED, UNLABELLED
from jaxgan.models.network import GAN
from jaxgan.models.semi_supervised import Judgement, real_logits
from jaxgan.models.weight_norm import FIXED
from jaxgan.ops import noise, pixels
from jaxgan.systems.batches import check_batch, check_sources, only_batch
from jaxgan.systems.players import Player, apply, mean_over_devices, moving_average, new_player, update

FIRST_LATENTS = 100  # that the generator is calibrated on, as in the source
Metrics = dict[str, jax.Array]
GeneratorLoss = Literal["feature_matching", "absolute_feature_matching", "minimax"]


class SemiSupervisedState(struct.PyTreeNode):
    """Everything that a run must keep to go on exactly as if it had never stopped.

    Attributes:
      step: steps taken, int32.
      key: the key of the whole run; never used directly, only folded with the step.
      generator: the generator and its optimiser.
      discriminator: the classifier and its optimiser.
      classifier: a moving average of the classifier's parameters, which classifies best.
    """

    step: jax.Array
    key: jax.Array
    generator: Player
    discriminator: Player
    classifier: Any

    @property
    def classifier_variables(self) -> dict[str, Any]:
        """The variables of the averaged classifier."""
        return {**self.discriminator.variables, "params": self.classifier}


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a semi-supervised GAN is trained by.

    Attributes:
      gan: the networks, as `models.semi_supervised` builds them.
      generator_optimizer: an optax transformation.
      discriminator_optimizer: an optax transformation.
      generator_loss: "feature_matching", the mean square difference of the mean features of real and of generated
        pictures; "absolute_feature_matching", the mean absolute one, which the source takes for colour pictures; or
        "minimax", the mean of log(1 − D(G(z))).
      unsupervised: whether to learn from anything but the labels; without, the generator stays as it is.
      unsupervised_weight: of the loss of unlabelled and generated pictures.
      average_decay: of the average of the classifier.
    """

    gan: GAN
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    generator_loss: GeneratorLoss = "feature_matching"
    unsupervised: bool = True
    unsupervised_weight: float = 1.0
    average_decay: float = 0.9999


class Draws(NamedTuple):
    """What a step draws: latents of each player's step, and the noise of each pass of the discriminator.

    Attributes:
      discriminator_latents: (N, latent_dim).
      generator_latents: (N, latent_dim).
      labelled: noise (N, noise_dim) of the discriminator's step, for labelled pictures.
      unlabelled: the same, for unlabelled ones.
      generated: the same, for generated ones.
      matched: noise of the generator's step, for unlabelled pictures.
      matched_generated: the same, for generated ones.
    """

    discriminator_latents: jax.Array
    generator_latents: jax.Array
    labelled: jax.Array
    unlabelled: jax.Array
    generated: jax.Array
    matched: jax.Array
    matched_generated: jax.Array


def draw_latents(key: jax.Array, count: int, dim: int, axis_name: str | None = None) -> jax.Array:
    """Draws latents U(0, 1) for the examples on this device, float32 (count, dim)."""
    keys = noise.example_keys(key, count, axis_name)
    return jax.vmap(lambda one: jax.random.uniform(one, (dim,), jnp.float32))(keys)


def draw(key: jax.Array, count: int, gan: Any, axis_name: str | None = None) -> Draws:
    """Draws what a step needs for `count` examples on this device; the key is that of the step."""
    keys = jax.random.split(key, len(Draws._fields))
    latents = [draw_latents(part, count, gan.latent_dim, axis_name) for part in keys[:2]]
    return Draws(*latents, *(gan.discriminator.draw_noise(part, count, axis_name) for part in keys[2:]))


def labelled_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Computes the cross-entropy of the classes of real pictures, mean over the batch.

    Args:
      logits: of the K classes, (N, K).
      labels: one-hot (N, K).
    """
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits, axis=1), axis=1))


def unlabelled_loss(unlabelled_logits: jax.Array, generated_logits: jax.Array) -> jax.Array:
    """Computes ½·mean −log D(x) + ½·mean −log(1 − D(G(z))), with D = Z / (Z + 1) and Z the sum of exponentials.

    Both logarithms are softplus of ∓log Z, finite for any logits.

    Args:
      unlabelled_logits: of the K classes of real pictures, (N, K).
      generated_logits: the same of generated ones.
    """
    real, generated = real_logits(unlabelled_logits), real_logits(generated_logits)
    return 0.5 * (jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(generated)))


def feature_matching_loss(
    real: jax.Array, generated: jax.Array, *, absolute: bool = False, axis_name: str | None = None
) -> jax.Array:
    """Computes how far the mean features of generated pictures are from those of real ones, mean over the features.

    Args:
      real: features (N, F), which no gradient passes.
      generated: features (N, F).
      absolute: whether to take absolute differences of the means for their squares.
      axis_name: the mapped axis over which the batch is split: the means are those of the global batch.
    """
    difference = jnp.mean(generated, axis=0) - jax.lax.stop_gradient(jnp.mean(real, axis=0))
    difference = mean_over_devices(difference, axis_name)
    return jnp.mean(jnp.abs(difference) if absolute else jnp.square(difference))


def minimax_loss(generated_logits: jax.Array) -> jax.Array:
    """Computes mean log(1 − D(G(z))) of the logits of the classes of generated pictures, (N, K)."""
    return -jnp.mean(jax.nn.softplus(real_logits(generated_logits)))


def init_state(key: jax.Array, rules: Rules, images: np.ndarray | None = None) -> SemiSupervisedState:
    """Returns the state before the first step.

    Args:
      key: of the initial weights and of the run.
      rules: for the networks and the optimisers.
      images: real pictures, uint8 (N, H, W, C), from which the units of the discriminator get mean 0 and deviation 1;
        None: they stay as they are drawn.
    """
    generator_key, discriminator_key, run_key, noise_key = jax.random.split(key, 4)
    generator = new_player(generator_key, rules.gan.generator, rules.generator_optimizer)
    discriminator = new_player(discriminator_key, rules.gan.discriminator, rules.discriminator_optimizer)
    if images is not None:
        generator = calibrate_generator(generator, rules.gan, noise_key)
        discriminator = calibrate(discriminator, rules.gan, images, noise_key)
    average = jax.tree.map(jnp.copy, discriminator.params)
    return SemiSupervisedState(jnp.zeros((), jnp.int32), run_key, generator, discriminator, average)


def calibrate(player: Player, gan: Any, images: Any, key: jax.Array) -> Player:
    """Returns the discriminator with scales and biases set from pictures, uint8 (N, H, W, C), under noise."""
    network = gan.discriminator
    drawn = network.draw_noise(key, len(images))
    _, found = network.apply(
        player.variables,
        pixels.normalize(jnp.asarray(images)),
        drawn,
        train=True,
        calibrate=True,
        mutable=["params", FIXED],
    )
    return player.replace(params=found["params"], extra={FIXED: found[FIXED]})


def calibrate_generator(player: Player, gan: Any, key: jax.Array) -> Player:
    """Returns the generator with scales and biases set from as many latents as in the source, if it has such layers."""
    network = gan.generator
    if not network.calibrated:
        return player
    # The noise of the first pictures comes of the same key and their numbers: this one is none of them.
    latents = draw_latents(jax.random.fold_in(key, 2**32 - 1), FIRST_LATENTS, network.latent_dim)
    mutable = ["params", "batch_stats"]  # of these the statistics stay as they were
    _, found = network.apply(player.variables, latents, train=True, calibrate=True, mutable=mutable)
    return player.replace(params=found["params"])


def train_step(
    state: SemiSupervisedState, batch: Mapping[str, Mapping[str, jax.Array]], rules: Rules, axis_name: str | None = None
) -> tuple[SemiSupervisedState, Metrics]:
    """Takes a step of the discriminator, then one of the generator, each with latents and noise of its own.

    Args:
      state: the state before the step; the same on every device.
      batch: of two sources. "labelled": "image" (1, N, H, W, C), uint8 or floating-point in [−1, 1], and "condition",
        one-hot (1, N, K); "unlabelled": "image". N is this device's share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars over the global batch: "labelled_loss", "labelled_accuracy" under
      noise and, unless there are labels alone, "unlabelled_loss", "g_loss", and the mean probabilities "d_real" of
      unlabelled and "d_fake" of generated pictures, before the discriminator's update.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one batch.
    """
    gan: Any = rules.gan
    check_sources(batch, (LABELLED, UNLABELLED))
    check_batch(batch[LABELLED], gan.image_shape, gan.discriminator.classes)
    check_batch(batch[UNLABELLED], gan.image_shape)
    labelled, unlabelled = (
        pixels.normalize(only_batch(batch[name]["image"], "a semi-supervised GAN")) for name in (LABELLED, UNLABELLED)
    )
    labels = batch[LABELLED]["condition"].reshape(len(labelled), -1).astype(labelled.dtype)
    key = jax.random.fold_in(state.key, state.step)
    draws = draw(key, len(labelled), gan, axis_name)
    return take_step(state, labelled, labels, unlabelled, draws, rules, axis_name)


def take_step(
    state: SemiSupervisedState,
    labelled: jax.Array,
    labels: jax.Array,
    unlabelled: jax.Array,
    draws: Draws,
    rules: Rules,
    axis_name: str | None = None,
) -> tuple[SemiSupervisedState, Metrics]:
    """Takes one step with given latents and noise; pictures (N, H, W, C) in [−1, 1]. See `train_step`."""
    rules = dataclasses.replace(rules, gan=rules.gan.on(axis_name))
    fakes = None
    if rules.unsupervised:
        fakes, _ = apply(rules.gan.generator, state.generator.variables, draws.discriminator_latents)
    (_, metrics), gradient = jax.value_and_grad(discriminator_loss, has_aux=True)(
        state.discriminator.params, state.discriminator, labelled, labels, unlabelled, fakes, draws, rules
    )
    discriminator = update(state.discriminator, gradient, rules.discriminator_optimizer, axis_name)
    generator = state.generator
    if rules.unsupervised:
        loss = functools.partial(generator_loss, axis_name=axis_name)
        (g_loss, collections), gradient = jax.value_and_grad(loss, has_aux=True)(
            generator.params, generator, discriminator, unlabelled, draws, rules
        )
        generator = update(generator, gradient, rules.generator_optimizer, axis_name).with_collections(collections)
        metrics = {**metrics, "g_loss": g_loss}
    classifier = moving_average(state.classifier, discriminator.params, rules.average_decay, state.step)
    state = SemiSupervisedState(state.step + 1, state.key, generator, discriminator, classifier)
    return state, mean_over_devices(metrics, axis_name)


def discriminator_loss(
    params: Any,
    player: Player,
    labelled: jax.Array,
    labels: jax.Array,
    unlabelled: jax.Array,
    fakes: jax.Array | None,
    draws: Draws,
    rules: Rules,
) -> tuple[jax.Array, Metrics]:
    """Computes the loss of the discriminator: `labelled_loss` + weight · `unlabelled_loss`.

    Args:
      params: of the discriminator.
      player: whose fixed scales they go with.
      labelled: pictures with labels, (N, H, W, C) in [−1, 1].
      labels: one-hot (N, K).
      unlabelled: pictures without.
      fakes: generated pictures; None without the unsupervised terms.
      draws: for the noise.
      rules: for the networks and the weight.

    Returns:
      The loss, and the metrics of `train_step`.
    """
    images, noises = [labelled], [draws.labelled]
    if fakes is not None:
        images, noises = [labelled, unlabelled, fakes], [draws.labelled, draws.unlabelled, draws.generated]
    # No layer looks at a whole batch, so one pass serves all pictures.
    judged = judge({**player.variables, "params": params}, jnp.concatenate(images), jnp.concatenate(noises), rules)
    logits = jnp.split(judged.logits, len(images))
    right = jnp.argmax(logits[0], axis=1) == jnp.argmax(labels, axis=1)
    loss = labelled_loss(logits[0], labels)
    metrics = {"labelled_loss": loss, "labelled_accuracy": jnp.mean(right.astype(loss.dtype))}
    if fakes is None:
        return loss, metrics
    unsupervised = unlabelled_loss(logits[1], logits[2])
    metrics["unlabelled_loss"] = unsupervised
    for name, of_kind in zip(("d_real", "d_fake"), logits[1:], strict=True):
        metrics[name] = jnp.mean(jax.nn.sigmoid(real_logits(of_kind)))
    return loss + rules.unsupervised_weight * unsupervised, metrics


def generator_loss(
    params: Any,
    player: Player,
    discriminator: Player,
    unlabelled: jax.Array,
    draws: Draws,
    rules: Rules,
    axis_name: str | None = None,
) -> tuple[jax.Array, Any]:
    """Computes the loss of the generator that the rules name.

    Args:
      params: of the generator.
      player: whose statistics they are.
      discriminator: that judges the pictures.
      unlabelled: real pictures, whose features are matched.
      draws: for the latents and the noise.
      rules: for the networks and the loss.
      axis_name: see `feature_matching_loss`.

    Returns:
      The loss, and the generator's collections after the pass.
    """
    fakes, collections = apply(rules.gan.generator, {**player.variables, "params": params}, draws.generator_latents)
    generated = judge(discriminator.variables, fakes, draws.matched_generated, rules)
    if rules.generator_loss == "minimax":
        return minimax_loss(generated.logits), collections
    real = judge(discriminator.variables, unlabelled, draws.matched, rules)
    absolute = rules.generator_loss == "absolute_feature_matching"
    return (
        feature_matching_loss(real.features, generated.features, absolute=absolute, axis_name=axis_name),
        collections,
    )


def judge(variables: Any, images: jax.Array, noises: jax.Array, rules: Rules) -> Judgement:
    """Applies the discriminator in training mode, with this noise."""
    judged: Judgement = apply(rules.gan.discriminator, variables, images, noises, classify=True)[0]
    return judged
