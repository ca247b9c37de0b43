"""The training step of InfoGAN: latents, information terms, rules and the step.

The generator gets noise and codes. A second head of the discriminator, Q, reads the codes back from the pictures; how
well it can is a lower bound of the mutual information of codes and pictures, and both players raise it. Everything here
is a pure function of arrays and an explicit key. A latent depends on the key, the step and an example's place in the
global batch, so a run does not depend on how many devices carry it.

Reference:
  Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
  2016, and the authors' code, which adds the term to the loss of both players, where the paper's equation 6 has it in
  that of the generator and Q.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgan.models.infogan import Belief, Codes, InfoGAN
from jaxgan.ops import noise, pixels
from jaxgan.ops.augment import Augmentation
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES, AdversarialLoss
from jaxgan.systems.batches import check_batch, only_batch
from jaxgan.systems.players import Player, apply, mean_over_devices, moving_average, new_player, update

Batch = dict[str, jax.Array]
Show = Callable[[jax.Array], jax.Array]
Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Rules:
    """What an InfoGAN is trained by.

    Attributes:
      gan: the networks, and the codes.
      generator_optimizer: an optax transformation.
      discriminator_optimizer: an optax transformation, of the discriminator and of Q.
      categorical_weight: of the information of the categorical codes in both losses.
      continuous_weight: of that of the continuous codes.
      average_decay: decay of a moving average of the generator, from which samples are drawn; None: no average.
      loss: of both players, to which the information is added.
      augment: of all pictures that the discriminator and Q see, (key, images, axis_name) -> images, or None. What a
        code means must then be seen in a picture that has been changed.
    """

    gan: InfoGAN
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    categorical_weight: float = 1.0
    continuous_weight: float = 1.0
    average_decay: float | None = None
    loss: AdversarialLoss = ADVERSARIAL_LOSSES["nonsaturating"]
    augment: Augmentation | None = None


@functools.partial(jax.jit, static_argnames=("count", "codes", "axis_name"))  # dozens of small programs without it
def draw_latents(key: jax.Array, count: int, codes: Codes, axis_name: str | None = None) -> jax.Array:
    """Draws noise and codes for the examples on this device.

    Args:
      key: of the whole global batch.
      count: examples on this device, N.
      codes: the parts of a latent.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      float32 (N, codes.latent_dim).
    """

    def draw(key: jax.Array) -> jax.Array:
        noise_key, categorical_key, continuous_key = jax.random.split(key, 3)
        parts = [jax.random.uniform(noise_key, (codes.noise_dim,), jnp.float32, -1.0, 1.0)]
        for index, classes in enumerate(codes.categorical):
            chosen = jax.random.randint(jax.random.fold_in(categorical_key, index), (), 0, classes)
            parts.append(jax.nn.one_hot(chosen, classes, dtype=jnp.float32))
        parts.append(jax.random.uniform(continuous_key, (codes.continuous,), jnp.float32, -1.0, 1.0))
        return jnp.concatenate(parts)

    return jax.vmap(draw)(noise.example_keys(key, count, axis_name))


def categorical_information(believed: Belief, latents: jax.Array, codes: Codes) -> jax.Array:
    """Bounds the information in nats that pictures hold about their categorical codes, all together, from below.

    Args:
      believed: what Q reads from the pictures.
      latents: that the pictures were generated from, (N, codes.latent_dim).
      codes: the parts of a latent.

    Returns:
      The sum over the codes of log K − mean of −log Q(c | x), with K classes. At most Σ log K, 2.30 for ten classes; 0
      if Q knows nothing, and below if what it believes is wrong.
    """
    found = jnp.zeros((), latents.dtype)
    for logits, place in zip(believed.logits, codes.categorical_columns(), strict=True):
        # A log-softmax, not the logarithm of a softmax: that is −inf where a class has no chance.
        log_chances = jax.nn.log_softmax(logits)
        found += math.log(logits.shape[1]) + jnp.mean(jnp.sum(latents[:, place] * log_chances, axis=1))
    return found


def continuous_information(believed: Belief, latents: jax.Array, codes: Codes) -> jax.Array:
    """Computes the information term of the continuous codes as the source has it, in nats.

    Args:
      believed: what Q reads from the pictures.
      latents: that the pictures were generated from, (N, codes.latent_dim).
      codes: the parts of a latent.

    Returns:
      The mean over the batch of Σ log N(c; mean, 1) − log N(c; 0, 1) over the codes. The source takes a normal density
      for the entropy of codes that are uniform; that part does not depend on the networks. It is no bound of the
      information, but rises with how near Q's means are to the codes: 1/6 for each code in expectation if they are
      equal, 0 if all means are 0.
    """
    given = latents[:, codes.continuous_columns()]
    squares = jnp.square(given) - jnp.square(given - believed.means)
    return 0.5 * jnp.sum(squares) / len(latents)


def init_state(key: jax.Array, rules: Rules) -> GANState:
    """Returns the state before the first step."""
    generator_key, discriminator_key, run_key = jax.random.split(key, 3)
    generator = new_player(generator_key, rules.gan.generator, rules.generator_optimizer)
    discriminator = new_player(discriminator_key, rules.gan.discriminator, rules.discriminator_optimizer)
    average = None if rules.average_decay is None else jax.tree.map(jnp.copy, generator.variables)
    return GANState(jnp.zeros((), jnp.int32), run_key, generator, discriminator, average)


def train_step(state: GANState, batch: Batch, rules: Rules, axis_name: str | None = None) -> tuple[GANState, Metrics]:
    """Takes one step of the discriminator with Q, then one of the generator, each with latents of its own.

    Args:
      state: the state before the step; the same on every device.
      batch: "image" with shape (1, N, H, W, C) or (N, H, W, C), uint8 or floating-point in [−1, 1]. N is this device's
        share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars over the global batch: the losses without the information,
      "d_loss" and "g_loss"; the mean probabilities, or scores, "d_real" and "d_fake", of the discriminator before its
      update; the terms "categorical_information" and "continuous_information" of the generator's step, of the codes
      that there are.

    Raises:
      UserError: if the batch is not what the networks take.
      ValueError: for more than one batch.
    """
    check_batch(batch, rules.gan.image_shape)
    images = only_batch(batch["image"], "an InfoGAN")
    key = jax.random.fold_in(state.key, state.step)
    *for_players, for_augmentations = jax.random.split(key, 3)
    latents = [draw_latents(part, len(images), rules.gan.codes, axis_name) for part in for_players]
    show = augmentations(for_augmentations, rules, axis_name)
    return take_step(state, pixels.normalize(images), latents[0], latents[1], rules, axis_name, show)


def augmentations(key: jax.Array, rules: Rules, axis_name: str | None) -> tuple[Show, Show, Show]:
    """Returns what pictures pass before they are judged: real and generated ones, and those of the generator's step."""

    def bound(number: int) -> Show:
        augment = rules.augment
        if augment is None:
            return unchanged
        return lambda images: augment(jax.random.fold_in(key, number), images, axis_name)

    return bound(0), bound(1), bound(2)


def unchanged(images: jax.Array) -> jax.Array:
    """Returns pictures as they are."""
    return images


def take_step(
    state: GANState,
    images: jax.Array,
    discriminator_latents: jax.Array,
    generator_latents: jax.Array,
    rules: Rules,
    axis_name: str | None = None,
    show: tuple[Show, Show, Show] = (unchanged,) * 3,
) -> tuple[GANState, Metrics]:
    """Takes one step with given latents, (N, latent_dim) for each player; images (N, H, W, C). See `train_step`."""
    gan: Any = rules.gan.on(axis_name)
    rules = dataclasses.replace(rules, gan=gan)
    fakes, _ = apply(rules.gan.generator, state.generator.variables, discriminator_latents)
    (_, (metrics, collections)), gradient = jax.value_and_grad(discriminator_loss, has_aux=True)(
        state.discriminator.params, state.discriminator, show[0](images), show[1](fakes), discriminator_latents, rules
    )
    discriminator = update(state.discriminator, gradient, rules.discriminator_optimizer, axis_name)
    discriminator = discriminator.with_collections(collections)

    (_, (others, collections)), gradient = jax.value_and_grad(generator_loss, has_aux=True)(
        state.generator.params, state.generator, discriminator, generator_latents, rules, show[2]
    )
    generator = update(state.generator, gradient, rules.generator_optimizer, axis_name)
    generator = generator.with_collections(collections)

    average = state.average
    if rules.average_decay is not None:
        average = moving_average(state.average, generator.variables, rules.average_decay, state.step)
    state = GANState(state.step + 1, state.key, generator, discriminator, average)
    return state, mean_over_devices({**metrics, **others}, axis_name)


def discriminator_loss(
    params: Any, player: Player, images: jax.Array, fakes: jax.Array, latents: jax.Array, rules: Rules
) -> tuple[jax.Array, tuple[Metrics, Any]]:
    """Computes the loss of the discriminator and Q: that of the rules − the information.

    In the source the first is −mean log D(x) − mean log(1 − D(G(z))).

    Real and generated pictures pass one after the other, each normalised by its own statistics. Q sees generated ones.

    Args:
      params: of the discriminator and Q.
      player: whose statistics they are.
      images: real pictures, (N, H, W, C) in [−1, 1].
      fakes: generated pictures, of the same shape.
      latents: that they were generated from.
      rules: for the networks and the weights.

    Returns:
      The loss, the metrics of `train_step`, and the collections after both passes.
    """
    network = rules.gan.discriminator
    real_logits, collections = apply(network, {**player.variables, "params": params}, images)
    variables = {**player.with_collections(collections).variables, "params": params}
    (fake_logits, believed), collections = apply(network, variables, fakes, read_codes=True)
    loss = rules.loss.discriminator_loss(real_logits, fake_logits)
    scores = [jnp.mean(rules.loss.score(logits.astype(jnp.float32))) for logits in (real_logits, fake_logits)]
    metrics = {"d_loss": loss, "d_real": scores[0], "d_fake": scores[1]}
    return loss - _weighted(information(believed, latents, rules.gan.codes), rules), (metrics, collections)


def generator_loss(
    params: Any, player: Player, discriminator: Player, latents: jax.Array, rules: Rules, show: Show = unchanged
) -> tuple[jax.Array, tuple[Metrics, Any]]:
    """Computes the loss of the generator: that of the rules, −mean log D(G(z)) in the source, − the information.

    Args:
      params: of the generator.
      player: whose statistics they are.
      discriminator: that judges the pictures, and Q.
      latents: (N, latent_dim).
      rules: for the networks and the weights.
      show: what the generated pictures pass.

    Returns:
      The loss, the metrics of `train_step`, and the generator's collections after the pass. The discriminator's
      statistics are of what it learns from, and do not move here.
    """
    fakes, collections = apply(rules.gan.generator, {**player.variables, "params": params}, latents)
    (logits, believed), _ = apply(rules.gan.discriminator, discriminator.variables, show(fakes), read_codes=True)
    loss = rules.loss.generator_loss(logits)
    terms = information(believed, latents, rules.gan.codes)
    return loss - _weighted(terms, rules), ({"g_loss": loss, **terms}, collections)


def information(believed: Belief, latents: jax.Array, codes: Codes) -> Metrics:
    """Returns the information terms of the kinds of codes that there are."""
    terms = {}
    if codes.categorical:
        terms["categorical_information"] = categorical_information(believed, latents, codes)
    if codes.continuous:
        terms["continuous_information"] = continuous_information(believed, latents, codes)
    return terms


def _weighted(terms: Metrics, rules: Rules) -> jax.Array | float:
    weights = {
        "categorical_information": rules.categorical_weight,
        "continuous_information": rules.continuous_weight,
    }
    return sum(weights[name] * term for name, term in terms.items())
