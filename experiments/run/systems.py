"""From a recipe to the networks and the rules that it stands for."""

import inspect
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import optax

from experiments.run.recipes import Recipe
from jaxgan import losses, models
from jaxgan.errors import UserError
from jaxgan.metrics.heads import heads_of
from jaxgan.ops import augment
from jaxgan.systems import adversarial
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES
from jaxgan.systems.schedule import Rounds

_SIZES = ("image_size", "latent_dim", "generator_width", "discriminator_width", "dropout_rate", "initial_std")


def build_gan(recipe: Recipe, channels: int, condition_dim: int) -> models.GAN:
    """The networks of a recipe for pictures with this many channels and conditions of this length (0: none)."""
    overrides: dict[str, Any] = {name: getattr(recipe, name) for name in _SIZES if getattr(recipe, name) is not None}
    if recipe.precision == "bfloat16":
        overrides["dtype"] = jnp.bfloat16
    if is_conditional(recipe):
        if not condition_dim:
            raise UserError(
                f"--dataset={recipe.dataset}: {recipe.model} needs conditions, and these pictures have none"
            )
        overrides["condition_dim"] = condition_dim
    try:
        return models.build(recipe.model, channels=channels, **overrides)
    except TypeError as error:
        lacking = str(error).partition(";")[0]
        if "dropout_rate" in lacking:
            raise UserError(f"--dropout_rate: {recipe.model} has no dropout; leave it out") from error
        if "initial_std" in lacking:
            raise UserError(f"--initial_std: {recipe.model} has initial weights of its own; leave it out") from error
        raise UserError(f"--model={recipe.model}: {error}") from error


def is_conditional(recipe: Recipe) -> bool:
    """Whether the networks take a condition."""
    return recipe.model.startswith("cgan")


def native_image_size(recipe: Recipe) -> int:
    """The size of the pictures that the recipe asks for, or else the model's own."""
    return recipe.image_size or models.build(recipe.model).image_shape[0]


def build_rounds(recipe: Recipe) -> Rounds:
    """How many batches each step of a recipe takes."""
    return Rounds(recipe.critic_steps if recipe.new_batch_each_critic_step else 1, recipe.critic_warmup)


def build_rules(recipe: Recipe, gan: models.GAN, condition_names: Sequence[str] = ()) -> adversarial.Rules:
    """The rules of the game that a recipe describes; the names say which attributes a condition has."""
    attributes = tuple(len(head.classes) for head in heads_of(condition_names))
    return adversarial.Rules(
        gan=gan,
        discriminator_loss=discriminator_loss(recipe),
        generator_loss=ADVERSARIAL_LOSSES[recipe.loss].generator_loss,
        generator_optimizer=optimizer(recipe, recipe.generator_learning_rate, 1),
        discriminator_optimizer=optimizer(recipe, recipe.discriminator_learning_rate, recipe.critic_steps),
        critic_steps=recipe.critic_steps,
        new_batch_each_critic_step=recipe.new_batch_each_critic_step,
        reuse_noise=recipe.reuse_noise,
        joint_batch=recipe.joint_batch,
        matching_aware=recipe.matching_aware,
        wrong_attributes=attributes if recipe.wrong_in_one and attributes else None,
        clip=recipe.clip,
        clip_normalization=recipe.clip_normalization,
        average_decay=recipe.average_decay,
        sync_batch_norm=recipe.sync_batch_norm,
        augment=augment.build(flip=recipe.flip, rotation=recipe.rotation),
        score=ADVERSARIAL_LOSSES[recipe.loss].score,
    )


def discriminator_loss(recipe: Recipe) -> Any:
    """The discriminator's loss, with what the recipe asks of it."""
    if recipe.matching_aware:
        return losses.matching_aware_discriminator_loss
    if recipe.joint_batch:
        return losses.joint_batch_discriminator_loss
    loss = ADVERSARIAL_LOSSES[recipe.loss].discriminator_loss
    if not recipe.label_smoothing:
        return loss
    if "label_smoothing" not in inspect.signature(loss).parameters:
        raise UserError(f"--label_smoothing: the loss {recipe.loss} has no labels to smooth")
    return lambda real, fake: loss(real, fake, label_smoothing=recipe.label_smoothing)


def optimizer(recipe: Recipe, learning_rate: float, updates_per_step: int) -> optax.GradientTransformation:
    """One player's optimiser; with ``decay_every`` its rate falls in stairs, counted in generator steps."""
    rate: float | optax.Schedule = learning_rate
    if recipe.decay_every is not None:
        every = recipe.decay_every * updates_per_step
        rate = optax.exponential_decay(learning_rate, every, recipe.decay_rate, staircase=True)
    if recipe.optimizer == "rmsprop":
        return optax.rmsprop(rate, decay=0.9, eps=1e-7, eps_in_sqrt=recipe.epsilon_in_root)
    if recipe.optimizer == "sgd":
        return optax.sgd(rate)
    return optax.adam(rate, b1=recipe.beta1, b2=recipe.beta2, eps=1e-8)
