"""The two-player systems of the tutorials: their settings, their defaults, and how a System is built from them.

The networks are in `jaxgan.models`, the training step in `jaxgan.systems.adversarial`.
"""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import losses, models
from jaxgan.data import conditions, tags
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.models.inference import generate
from jaxgan.ops import augment
from jaxgan.systems import adversarial, adversarial_penalties
from jaxgan.systems.adversarial_losses import ADA, ADVERSARIAL_LOSSES, CLASSES, PENALTY, two_player_report
from jaxgan.systems.adversarial_settings import AdversarialSettings, is_conditional
from jaxgan.systems.outputs import LatentOutput, Outputs, ScoreOutput
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import Family
from jaxgan.systems.system import Panel, Preview, System

GRID = 64  # pictures in a preview, 8×8
CONDITION_COLUMNS = 5  # pictures of each condition in the preview of tagged faces
SIZES = (
    "image_size",
    "latent_dim",
    "generator_width",
    "discriminator_width",
    "dropout_rate",
    "initial_std",
    "spectral_norm",
    "upsampling",
    "attention_size",
    "minibatch_std",
)
LACKING = {
    "dropout_rate": "has no dropout",
    "initial_std": "has initial weights of its own",
    "spectral_norm": "has no spectral normalisation",
    "upsampling": "doubles pictures in a way of its own",
    "attention_size": "has no self-attention",
    "minibatch_std": "has no minibatch standard deviation",
    "auxiliary_classifier": "has no head that tells conditions",
}
"""What a model is like that does not take a setting."""


def build(settings: AdversarialSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: what it is trained on, or a description of that.

    Raises:
      UserError: for a size that the networks cannot make, or examples without the conditions that they need.
    """
    gan = build_gan(settings, examples.image_shape[-1], examples.condition_dim)
    rules = build_rules(settings, gan, examples.condition_names)
    report = two_player_report(settings.loss, further_panels(settings), settings.matching_aware)
    return System(
        name=settings.model,
        init=functools.partial(adversarial.init_state, rules=rules),
        step=functools.partial(adversarial.train_step, rules=rules),
        schedule=schedule(settings),
        image_shape=gan.image_shape,
        preview=build_preview(settings, gan, examples),
        report=report,
        networks=lambda state: {
            "generator": state.generator.params,
            "discriminator": state.discriminator.params,
        },
        outputs=Outputs(
            latent=LatentOutput(gan.generator, lambda state: state.sampling_variables),
            score=ScoreOutput(gan.discriminator, lambda state: state.discriminator.variables),
        ),
        inputs={"": ("image", "condition") if gan.condition_dim else ("image",)},
        seed=settings.seed,
        settings=settings,
        short_step=not gan.generator.convolutional,
    )


def build_gan(settings: AdversarialSettings, channels: int, condition_dim: int) -> models.GAN:
    """Builds the networks for pictures with this many channels and conditions of this length (0: none).

    Raises:
      UserError: for a size that they cannot make, or conditions that are missing.
    """
    overrides: dict[str, Any] = {name: getattr(settings, name) for name in SIZES if getattr(settings, name) is not None}
    if settings.auxiliary_classifier is not None:
        overrides["auxiliary_classifier"] = True
    if settings.precision == "bfloat16":
        overrides["dtype"] = jnp.bfloat16
    if is_conditional(settings.model):
        if not condition_dim:
            raise UserError(f"--dataset: {settings.model} needs conditions, and these pictures have none")
        overrides["condition_dim"] = condition_dim
    try:
        return models.build(settings.model, channels=channels, **overrides)
    except TypeError as error:
        lacking = str(error).partition(";")[0]
        for name, what in LACKING.items():
            if name in lacking:
                raise UserError(f"--{name}: {settings.model} {what}; leave it out") from error
        raise UserError(f"--model={settings.model}: {error}") from error


def schedule(settings: AdversarialSettings) -> BatchSchedule:
    """Returns the batches of each step."""
    batches = settings.critic_steps if settings.new_batch_each_critic_step else 1
    return BatchSchedule(settings.batch_size, batches, settings.critic_warmup)


def build_rules(
    settings: AdversarialSettings, gan: models.GAN, condition_names: tuple[str, ...] = ()
) -> adversarial.Rules:
    """Builds the rules of the game; the names say which attributes a condition has."""
    attributes = conditions.attribute_sizes(condition_names)
    loss = ADVERSARIAL_LOSSES[settings.loss]
    return adversarial.Rules(
        gan=gan,
        discriminator_loss=discriminator_loss(settings),
        generator_loss=loss.generator_loss,
        generator_optimizer=optimizer(settings, settings.generator_learning_rate, 1),
        discriminator_optimizer=discriminator_optimizer(settings),
        critic_steps=settings.critic_steps,
        new_batch_each_critic_step=settings.new_batch_each_critic_step,
        reuse_noise=settings.reuse_noise,
        joint_batch=settings.joint_batch,
        matching_aware=settings.matching_aware,
        wrong_attributes=attributes if settings.wrong_in_one and attributes else None,
        interpolate=settings.interpolate_conditions,
        class_weight=settings.auxiliary_classifier or 0.0,
        class_kinds=attributes or (gan.condition_dim,),
        clip=None if settings.penalty else settings.clip,  # it takes the place of clipping
        clip_normalization=settings.clip_normalization,
        average_decay=settings.average_decay,
        sync_batch_norm=settings.sync_batch_norm,
        augment=augment.build(flip=settings.flip, rotation=settings.rotation),
        augment_both=settings.fixed_augmentation(),
        discriminator_penalty=adversarial_penalties.build(settings.penalty, settings.penalty_weight),
        penalty_every=settings.penalty_every,
        ada=settings.adaptive_augmentation(),
        instance_noise=settings.instance_noise,
        instance_noise_steps=settings.instance_noise_steps,
        replay=settings.replay,
        top_k=settings.top_k,
        top_k_steps=settings.top_k_steps,
        score=loss.score,
    )


def further_panels(settings: AdversarialSettings) -> list[Panel]:
    """Returns the panels of what the step returns under these settings besides losses and scores."""
    asked = ((PENALTY, settings.penalty), (ADA, settings.ada), (CLASSES, settings.auxiliary_classifier))
    return [panel for panel, setting in asked if setting]


def discriminator_loss(settings: AdversarialSettings) -> Any:
    """Returns the discriminator's loss, with what the settings ask of it."""
    if settings.matching_aware:
        return losses.matching_aware_discriminator_loss
    if settings.joint_batch:
        return losses.joint_batch_discriminator_loss
    loss = ADVERSARIAL_LOSSES[settings.loss].discriminator_loss
    if not settings.label_smoothing:
        return loss
    if "label_smoothing" not in inspect.signature(loss).parameters:
        raise UserError(f"--label_smoothing: the loss {settings.loss} has no labels to smooth")
    return functools.partial(loss, label_smoothing=settings.label_smoothing)


def discriminator_optimizer(settings: AdversarialSettings) -> optax.GradientTransformation:
    """Builds the discriminator's optimiser.

    With a lazy penalty it takes k + 1 updates in k critic steps. The learning rate is therefore multiplied by
    c = k / (k + 1), and moving averages decay by β^c, so that they cover as many pictures as without.

    Reference:
      Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, appendix B.
    """
    rate, every = settings.discriminator_learning_rate, settings.penalty_every
    if every == 1:
        return optimizer(settings, rate, settings.critic_steps)
    share = every / (every + 1)
    return optimizer(settings, rate * share, settings.critic_steps / share, share)


def optimizer(
    settings: AdversarialSettings, learning_rate: float, updates_per_step: float, power: float = 1.0
) -> optax.GradientTransformation:
    """Builds one player's optimiser; with `decay_every` its rate falls in stairs, counted in generator steps.

    Args:
      settings: of the system.
      learning_rate: at first.
      updates_per_step: updates in a generator step.
      power: every β is raised to this power.
    """
    rate: float | optax.Schedule = learning_rate
    if settings.decay_every is not None:
        every = settings.decay_every * updates_per_step
        rate = optax.exponential_decay(learning_rate, every, settings.decay_rate, staircase=True)
    if settings.optimizer == "rmsprop":
        return optax.rmsprop(rate, decay=0.9**power, eps=1e-7, eps_in_sqrt=settings.epsilon_in_root)
    if settings.optimizer == "sgd":
        return optax.sgd(rate)
    return optax.adam(rate, b1=settings.beta1**power, b2=settings.beta2**power, eps=1e-8)


def build_preview(settings: AdversarialSettings, gan: models.GAN, examples: Examples) -> Preview:
    """Binds the preview to its latents and conditions.

    The grid is 8×8. Under `--conditions`, and for faces with tags by default, it has a row for each condition; for
    classes, all of them in turn.
    """
    rows, captions = preview_conditions(settings, gan, examples)

    @functools.cache  # not drawn before they are needed, and only once
    def inputs() -> tuple[jax.Array, np.ndarray | None]:
        latent = LatentOutput(gan.generator, lambda state: state.sampling_variables)
        return latent.latents(settings.preview_key(), GRID if rows is None else len(rows)), rows

    def images(state: Any) -> np.ndarray:
        return generate(gan.generator, state.sampling_variables, *inputs())

    return Preview(images, CONDITION_COLUMNS if captions else 8, captions)


def preview_conditions(
    settings: AdversarialSettings, gan: models.GAN, examples: Examples
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Returns the condition of each picture of the preview, uint8 (N, c) or None, and a caption for each row or ().

    Raises:
      UserError: for a file of conditions that cannot be read.
    """
    names = examples.condition_names
    if not gan.condition_dim:
        return None, ()
    if settings.conditions is not None and len(examples):  # Nobody draws the preview of a mere description.
        try:
            rows = tags.read_conditions(settings.conditions, names)
        except UserError as error:
            raise UserError(f"--conditions: {error.as_flags}") from None
    elif conditions.are_tags(names):
        rows = np.stack([tags.parse_condition(text) for text in conditions.FACES])
    else:
        return conditions.in_turn(names, gan.condition_dim, GRID), ()
    captions = tuple(conditions.name_of(row, names) for row in rows)
    return np.repeat(rows, CONDITION_COLUMNS, axis=0), captions


def native_image_size(model: str) -> int:
    """Returns the height and width of the pictures that a model is made for."""
    return models.build(model).image_shape[0]


_HINGE: dict[str, Any] = {"loss": "hinge", "batch_size": 64}
_RESIDUAL: dict[str, Any] = {
    **_HINGE,
    "beta1": 0.0,
    "beta2": 0.9,
    "critic_steps": 5,
    "new_batch_each_critic_step": True,
}
_GAN: dict[str, Any] = {"reuse_noise": True, "beta1": 0.9, "batch_size": 64}
_MNIST_A: dict[str, Any] = {**_GAN, "generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-5}
_KERAS: dict[str, Any] = {
    "optimizer": "rmsprop",
    "generator_learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
    "joint_batch": True,
    "batch_size": 32,
}


def _family(command: str, systems: dict[str, tuple[dict[str, Any], dict[str, Any]]], **properties: Any) -> Family:
    """Makes a family from id -> (settings, how long its source trains it)."""
    return Family(
        command=command,
        settings=AdversarialSettings,
        defaults={name: settings for name, (settings, _) in systems.items()},
        runs={name: run for name, (_, run) in systems.items()},
        build=build,
        image_size=native_image_size,
        **properties,
    )


FAMILIES = (
    _family(
        "gan",
        {
            "mlp_b": ({"beta1": 0.9, "batch_size": 100}, {"epochs": 200, "log_every": 200}),
            "mlp_a": (
                {**_GAN, "generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4},
                {"epochs": 200},
            ),
            "mlp_keras": (_KERAS, {"epochs": 50}),
        },
    ),
    _family(
        "dcgan",
        {
            "dcgan_anime_a": (
                {"reuse_noise": True, "generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4},
                {"epochs": 500},
            ),
            "dcgan_anime_b": ({"batch_size": 256}, {"epochs": 200}),
            "dcgan_64": ({"batch_size": 128}, {"epochs": 25}),
            "dcgan_mnist_a": (_MNIST_A, {"epochs": 40}),
            "dcgan_mnist_keras": (_KERAS, {"epochs": 50}),
        },
    ),
    _family(
        "cgan",
        {
            "cgan_anime": (
                {
                    "reuse_noise": True,
                    "matching_aware": True,
                    "critic_steps": 2,
                    "beta1": 0.9,
                    "generator_learning_rate": 1e-4,
                    "discriminator_learning_rate": 1e-4,
                },
                {"epochs": 100, "sample_every": 5000, "checkpoint_every": 5000},
            ),
            "cgan_mnist": (_MNIST_A, {"epochs": 100}),
            "projection_gan": (_RESIDUAL, {"steps": 100_000}),
        },
        conditional=True,
    ),
    _family(
        "wgan",
        {
            "wgan_anime": (
                {
                    "loss": "wasserstein",
                    "optimizer": "rmsprop",
                    "epsilon_in_root": False,
                    "generator_learning_rate": 5e-5,
                    "discriminator_learning_rate": 5e-5,
                    "critic_steps": 5,
                    "new_batch_each_critic_step": True,
                    "clip": 0.01,
                    "rotation": 20.0,
                },
                {"steps": 100_000},
            ),
        },
    ),
    _family(
        "sngan",
        {
            "resnet_gan": (_RESIDUAL, {"steps": 100_000}),
            "sngan_32": (_RESIDUAL, {"steps": 50_000}),
            "sndcgan": (_HINGE, {"steps": 100_000}),
        },
    ),
)
"""What each command trains, as the sources have it."""
