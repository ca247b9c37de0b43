"""StarGAN: its settings, its defaults, and how a System is built from them.

The networks are in `jaxgan.models.stargan`, the training step in `jaxgan.systems.conditional_translation`, and what a
trained one can be asked for in `jaxgan.systems.stargan_outputs`.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head, heads_of
from jaxgan.host.errors import UserError, printable
from jaxgan.models.stargan import stargan
from jaxgan.systems import conditional_translation, stargan_outputs
from jaxgan.systems.conditional_translation import ConditionalState, Rules
from jaxgan.systems.outputs import Outputs, TranslationOutput, Translator
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import LONGEST_CALL, Family, SystemSettings, option, require_positive, require_shares
from jaxgan.systems.system import Panel, Report, System

SIZE = 128  # pixels, of the source's faces
RATE_EVERY = 1000  # iterations, after which the authors' program looks at its learning rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class StarganSettings(SystemSettings):
    """What StarGAN can be told."""

    kinds: str | None = option(
        None,
        "Kinds of the pictures' conditions that are translated, separated by commas, such as hair of hair and eyes;"
        " default: all",
        group="Data",
    )

    width: int = option(64, "Channels of the generator's first stage", group="Model")
    blocks: int = option(6, "Residual blocks of the generator", group="Model")
    mask: bool = option(
        False,
        "Have the generator also say where it repaints a picture, and keep the rest as it is (GANimation)",
        group="Model",
    )
    discriminator_width: int = option(64, "Channels of the discriminator's first stage", group="Model")
    discriminator_layers: int | None = option(
        None, "Halvings of the discriminator; default: 6, or fewer where they lead to one pixel", group="Model"
    )

    critic_steps: int = option(
        5, "Steps of the discriminator, each on a batch of its own, to one of the generator", group="Loss"
    )
    class_loss: str = option(
        "softmax",
        "Classification loss; softmax: a picture has one class of each kind; binary: it has any of the labels",
        ("softmax", "binary"),
        group="Loss",
    )
    class_weight: float = option(1.0, "Weight of the classification loss of both networks", group="Loss")
    reconstruction_weight: float = option(
        10.0, "Weight of the mean absolute difference of pictures after there and back", group="Loss"
    )
    identity_weight: float = option(
        0.0,
        "Weight of the mean absolute difference of pictures from translations into their own labels, which keeps what"
        " no label speaks of; the authors have none",
        group="Loss",
    )
    penalty_weight: float = option(10.0, "Weight of the gradient penalty of the discriminator", group="Loss")
    flip: bool = option(True, "Mirror pictures left and right at random", group="Loss")

    generator_learning_rate: float = option(1e-4, "Learning rate of the generator", group="Optimiser")
    discriminator_learning_rate: float = option(1e-4, "Learning rate of the discriminator", group="Optimiser")
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")
    constant_steps: int = option(20_000, "Steps before the learning rates fall", group="Optimiser")
    decay_steps: int = option(20_000, "Steps in which they fall; 0: never", group="Optimiser")
    decay: str = option(
        "linear",
        "How they fall; linear: to 0, as the paper has it; program: as in the authors' program, which means the same"
        " but takes away a thousandth of it",
        ("linear", "program"),
        group="Optimiser",
    )

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "width", "discriminator_width", "discriminator_layers", "critic_steps")
        require_shares(self, "beta1")
        weights = ("class_weight", "reconstruction_weight", "identity_weight", "penalty_weight")
        for name in (*weights, "constant_steps", "decay_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        if not 0 <= self.blocks <= 64:
            raise UserError(f"--blocks={self.blocks}: must be from 0 to 64")
        if self.critic_steps > LONGEST_CALL:
            raise UserError(f"--critic_steps={self.critic_steps}: must be from 1 to {LONGEST_CALL:,}")

    @property
    def stand_in_conditions(self) -> tuple[str, ...]:
        """Names of conditions that the settings suit, before any picture is read."""
        kinds = dict.fromkeys((*(_words(self.kinds) or ["any"]), "(other)"))
        return tuple(f"{number} {kind}" for kind in kinds for number in ("first", "second"))


def build(settings: StarganSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: the pictures and their conditions, or a description of them.

    Raises:
      UserError: for pictures without conditions, kinds that they do not have, labels that do not exclude one another
        where they should, or a size that the networks cannot have.
    """
    kinds = kinds_of(examples.condition_names, settings.kinds)
    rules = build_rules(settings, examples.image_shape[-1], kinds, examples.condition_dim)
    binary = not rules.kinds
    if not binary:
        _check_exclusive(kinds, examples)
    return System(
        name=settings.model,
        init=functools.partial(conditional_translation.init_state, rules=rules),
        step=functools.partial(conditional_translation.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size, batches_per_step=settings.critic_steps),
        image_shape=rules.generator.image_shape,
        preview=stargan_outputs.build_preview(rules, kinds, examples),
        report=build_report(settings.identity_weight > 0),
        networks=lambda state: {"generator": state.generator.params, "discriminator": state.discriminator.params},
        outputs=Outputs(
            translate_to=TranslationOutput(kinds, functools.partial(stargan_outputs.translate_to, rules)),
            translators={
                "to_condition": Translator(
                    functools.partial(_translator, rules), tuple(examples.condition_names[i] for i in rules.columns)
                )
            },
            measure=functools.partial(stargan_outputs.measure, rules),
            measure_labelled=None if binary else functools.partial(stargan_outputs.measure_labelled, rules, kinds),
        ),
        inputs={"": ("image", "condition")},
        seed=settings.seed,
        settings=settings,
    )


def _translator(rules: Rules, state: ConditionalState, images: jax.Array, conditions: jax.Array) -> jax.Array:
    return conditional_translation.translate(rules.generator, state.generator.params, images, conditions)


def _check_exclusive(kinds: Sequence[Head], examples: Examples) -> None:
    """Raises a UserError where more than a tenth of the pictures have several labels of a kind."""
    if examples.conditions is None:
        return
    for kind in kinds:
        several = int((examples.conditions[:, kind.columns].sum(axis=1, dtype=int) > 1).sum())
        if several > len(examples) / 10:
            raise UserError(
                f"--class_loss=softmax: {several:,} pictures have several labels of {kind.name};"
                " give --class_loss=binary"
            )


def kinds_of(names: Sequence[str], asked: str | None) -> tuple[Head, ...]:
    """Returns the kinds of conditions that are translated, in the order of the conditions.

    Args:
      names: of the conditions.
      asked: the names of kinds, separated by commas; None: all.

    Raises:
      UserError: for a kind that there is not, or if there are no conditions.
    """
    heads = heads_of(names)
    if not heads:
        raise UserError("--dataset: its pictures have no conditions, such as tags or classes, to be translated into")
    if asked is None:
        return heads
    known = [head.name for head in heads]
    wanted = _words(asked)
    for word in wanted:
        if word not in known:
            raise UserError(f"--kinds={printable(asked)}: the pictures' conditions are of {', '.join(known)}")
    if not wanted:
        raise UserError(f"--kinds={printable(asked)}: names none; choose from {', '.join(known)}")
    return tuple(head for head in heads if head.name in wanted)


def build_rules(settings: StarganSettings, channels: int, kinds: Sequence[Head], condition_dim: int) -> Rules:
    """Builds the networks for pictures with this many channels, and what they are trained by.

    Args:
      settings: checked settings.
      channels: of a picture.
      kinds: of conditions that are translated.
      condition_dim: length of a condition.

    Raises:
      UserError: for a size that the networks cannot have.
    """
    sizes = tuple(len(kind.classes) for kind in kinds)
    generator, discriminator = stargan(
        image_size=settings.image_size or SIZE,
        channels=channels,
        labels=sum(sizes),
        width=settings.width,
        blocks=settings.blocks,
        mask=settings.mask,
        discriminator_width=settings.discriminator_width,
        layers=settings.discriminator_layers,
        dtype=jnp.bfloat16 if settings.precision == "bfloat16" else None,
    )
    rate = functools.partial(learning_rate, settings)
    critic = settings.critic_steps
    return Rules(
        generator,
        discriminator,
        # The generator's turn is after the last iteration of a step.
        optax.adam(lambda count: rate(settings.generator_learning_rate, critic * count + critic - 1), settings.beta1),
        optax.adam(lambda count: rate(settings.discriminator_learning_rate, count), settings.beta1),
        condition_dim=condition_dim,
        columns=tuple(itertools.chain.from_iterable(range(*kind.columns.indices(condition_dim)) for kind in kinds)),
        kinds=sizes if settings.class_loss == "softmax" else (),
        critic_steps=critic,
        penalty_weight=settings.penalty_weight,
        class_weight=settings.class_weight,
        reconstruction_weight=settings.reconstruction_weight,
        identity_weight=settings.identity_weight,
        flip=settings.flip,
    )


def learning_rate(settings: StarganSettings, first: float, iteration: jax.typing.ArrayLike) -> jax.Array:
    """Computes the learning rate of an iteration, which is a step of the discriminator.

    "linear" falls with each iteration to 0. The authors' program takes a hundred-thousandth, for as many iterations,
    away as well, but only every thousandth time, so that 0.999 of the rate is left in the end.

    Args:
      settings: for the steps, each of several iterations, and the way it falls.
      first: the rate at first.
      iteration: counted from 0.
    """
    constant, falling = (settings.critic_steps * steps for steps in (settings.constant_steps, settings.decay_steps))
    iteration = jnp.asarray(iteration)
    if not falling:
        return jnp.full_like(iteration, first, jnp.float32)
    if settings.decay == "program":
        fallen = jnp.maximum(0, iteration // RATE_EVERY - constant // RATE_EVERY)
    else:
        fallen = jnp.maximum(0, iteration - constant)
    return first * jnp.maximum(0.0, 1.0 - fallen / falling)


def build_report(identity: bool) -> Report:
    """Returns what the metrics of the step mean, with the loss of identity or without."""
    differences = {
        "reconstruction": "after there and back",
        **({"identity": "by their own labels"} if identity else {}),
    }
    # No checks: scores of a Wasserstein critic have no level of their own.
    return Report(
        (
            Panel("adversarial loss", {"d_loss": "D", "g_loss": "G"}),
            Panel("gradient penalty", {"d_penalty": "of D"}),
            Panel("classification loss", {"d_class": "D, of real pictures", "g_class": "G, of translations"}),
            Panel("mean absolute difference", differences),
            Panel("score", {"d_real": "real", "d_fake": "translated"}),
        ),
        bar=("d_loss", "g_class", "reconstruction"),
        diverse_preview=False,  # the same pictures in several labels
        unit="generator steps",
    )


def _words(kinds: str | None) -> list[str]:
    return [word.strip() for word in (kinds or "").split(",") if word.strip()]


FAMILIES = (
    Family(
        command="stargan",
        settings=StarganSettings,
        defaults={"stargan": {"batch_size": 16}},
        runs={"stargan": {"steps": 40_000}},
        build=build,
        image_size=lambda model: SIZE,
        conditional=True,
    ),
)
"""What the command trains, as its source has it."""
