"""Semi-supervised GAN: its settings, its defaults, and how a System is built from them.

The networks are in `jaxgan.models.semi_supervised` and `jaxgan.models.semi_supervised_conv`, the training step in
`jaxgan.systems.semi_supervised_step`, and what a trained one can be asked for in
`jaxgan.systems.semi_supervised_outputs`.
"""

import dataclasses
import functools
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.data import few_labels, order
from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head, heads_of
from jaxgan.host.errors import UserError, printable
from jaxgan.models.semi_supervised import ssgan_mnist
from jaxgan.models.semi_supervised_conv import ssgan_conv
from jaxgan.systems import semi_supervised_outputs as answers
from jaxgan.systems import semi_supervised_step as training
from jaxgan.systems.checks import SaturatedDiscriminator, UndecidedDiscriminator
from jaxgan.systems.outputs import ClassifyOutput, Outputs, ScoreOutput
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.semi_supervised_step import GeneratorLoss, Rules, SemiSupervisedState
from jaxgan.systems.settings import Family, SystemSettings, check_seed, option, require_positive, require_shares
from jaxgan.systems.system import Panel, Report, System

NETWORKS = {"ssgan_mnist": ssgan_mnist, "ssgan_conv": ssgan_conv}
FIRST_PICTURES = 500  # that the units of the discriminator are calibrated on, as in the source
ONLY = "class"  # the name of the only kind of a set's labels
_ADVICE = "Lower the learning rate of the one that wins, or change --generator_loss."


@dataclasses.dataclass(frozen=True, kw_only=True)
class SemiSupervisedSettings(SystemSettings):
    """What a semi-supervised GAN can be told."""

    labels_of: str | None = option(
        None,
        "Kind of the pictures' conditions that is learned as their class, such as hair or eyes; default: the first",
        group="Labels",
    )
    labels_per_class: int = option(10, "Number of pictures of each class whose labels are used", group="Labels")
    labels_seed: int = option(0, "Random seed of the choice of these pictures", group="Labels")
    unsupervised: bool = option(
        True,
        "Learn from unlabelled and generated pictures too; --nounsupervised trains the classifier on the labels alone,"
        " to compare",
        group="Loss",
    )
    unsupervised_weight: float = option(1.0, "Weight of the loss of unlabelled and generated pictures", group="Loss")
    generator_loss: str = option(
        "feature_matching",
        "Loss of the generator: the square distance of mean features of the discriminator, the absolute one, or"
        " log(1 - D(G(z)))",
        get_args(GeneratorLoss),
        group="Loss",
    )
    latent_dim: int = option(100, "Length of the noise that pictures are drawn from", group="Model")
    generator_width: int = option(
        500,
        "Units of each hidden layer of the generator; of a convolutional one channels of the last, those before have"
        " twice and four times as many",
        group="Model",
    )
    discriminator_width: int = option(
        1000,
        "Units of the discriminator's first layer, the next has half, three more a quarter; of a convolutional one"
        " channels of the first three layers, the others have twice as many",
        group="Model",
    )
    average_decay: float = option(0.9999, "Decay of the moving average of the classifier", group="Model")
    generator_learning_rate: float = option(3e-3, "Learning rate of the generator", group="Optimiser")
    discriminator_learning_rate: float = option(3e-3, "Learning rate of the discriminator", group="Optimiser")
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "labels_per_class", "latent_dim", "generator_width", "discriminator_width")
        require_shares(self, "beta1", "average_decay")
        check_seed(self.labels_seed)
        for name in ("unsupervised_weight", "generator_learning_rate", "discriminator_learning_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        if self.generator_loss not in get_args(GeneratorLoss):
            known = ", ".join(get_args(GeneratorLoss))
            raise UserError(f"--generator_loss={self.generator_loss}: choose one of {known}")

    @property
    def stand_in_conditions(self) -> tuple[str, ...]:
        """Names of conditions that the settings suit, before any picture is read."""
        if self.labels_of in (None, ONLY):
            return ("any",)
        return tuple(f"{number} {kind}" for kind in (self.labels_of, "(other)") for number in ("first", "second"))


def build(settings: SemiSupervisedSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: what it is trained on, or a description of that.

    Raises:
      UserError: for pictures without labels of the kind that is asked for, or a size that the networks cannot have.
    """
    head = head_of(examples.condition_names, settings.labels_of)
    rules = build_rules(settings, examples.image_shape, len(head.classes))
    gan: Any = rules.gan

    def init(key: jax.Array) -> SemiSupervisedState:
        return training.init_state(key, rules, first_pictures(examples, settings.seed))

    return System(
        name=settings.model,
        init=init,
        step=functools.partial(training.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=gan.image_shape,
        preview=answers.build_preview(gan, settings.preview_key()),
        report=build_report(settings.unsupervised),
        networks=lambda state: {
            "generator": state.generator.params,
            "discriminator": state.discriminator.params,
            "classifier": state.classifier,
        },
        outputs=Outputs(
            latent=answers.UniformLatentOutput(gan.generator, lambda state: state.generator.variables),
            score=ScoreOutput(gan.discriminator, lambda state: state.discriminator.variables),
            classify=ClassifyOutput(head, functools.partial(answers.probabilities, gan)),
            measure=functools.partial(answers.measure, gan),
            measure_labelled=functools.partial(answers.measure_labelled, gan, head),
        ),
        inputs={few_labels.LABELLED: ("image", "condition"), few_labels.UNLABELLED: ("image",)},
        divide=functools.partial(
            few_labels.divide,
            head=head,
            per_class=settings.labels_per_class,
            seed=settings.labels_seed,
            least=settings.batch_size,
        ),
        seed=settings.seed,
        settings=settings,
        short_step=not gan.discriminator.convolutional,
    )


def head_of(names: tuple[str, ...], kind: str | None) -> Head:
    """Returns the columns of the conditions that are the classes.

    Args:
      names: of the conditions, such as the ten digits, or of avatars colours of hair and of eyes.
      kind: the group of these to take, such as "eyes"; None: the first, or the only one.

    Raises:
      UserError: for pictures without labels, or without this kind of them.
    """
    heads = heads_of(names)
    if not heads:
        raise UserError("--dataset: its pictures have no labels, of which a semi-supervised GAN needs a few")
    for head in heads:
        if kind in (None, head.name):
            return head
    known = printable(", ".join(head.name for head in heads))
    raise UserError(f"--labels_of={printable(kind)}: the pictures have no such labels; choose one of {known}")


def build_rules(settings: SemiSupervisedSettings, image_shape: tuple[int, int, int], classes: int) -> Rules:
    """Builds the networks for pictures of a shape and a number of classes, and what they are trained by.

    Raises:
      UserError: for a size that the networks cannot have.
    """
    # The source has epsilon within the square root, and none outside.
    adam = functools.partial(optax.adam, b1=settings.beta1, eps=0.0, eps_root=1e-8)
    gan = NETWORKS[settings.model](
        image_size=settings.image_size or image_shape[0],
        channels=image_shape[-1],
        classes=classes,
        latent_dim=settings.latent_dim,
        generator_width=settings.generator_width,
        discriminator_width=settings.discriminator_width,
        dtype=jnp.bfloat16 if settings.precision == "bfloat16" else None,
    )
    return Rules(
        gan=gan,
        generator_optimizer=adam(settings.generator_learning_rate),
        discriminator_optimizer=adam(settings.discriminator_learning_rate),
        generator_loss=settings.generator_loss,  # type: ignore[arg-type]  # checked
        unsupervised=settings.unsupervised,
        unsupervised_weight=settings.unsupervised_weight,
        average_decay=settings.average_decay,
    )


def first_pictures(examples: Examples, seed: int) -> np.ndarray | None:
    """Returns the pictures that the discriminator is calibrated on, uint8; None of a description without any."""
    count = min(FIRST_PICTURES, len(examples))
    return examples.images[np.sort(order.indices(seed, 0, count, len(examples)))] if count else None


def build_report(unsupervised: bool) -> Report:
    """Returns what the metrics of the step mean, with the unsupervised terms or without."""
    accuracy = Panel("share", {"labelled_accuracy": "labelled pictures told right, under noise"}, probabilities=True)
    curves = {"labelled_loss": "of labels"}
    if not unsupervised:
        return Report((Panel("loss", curves), accuracy), bar=("labelled_loss",), diverse_preview=False)
    curves |= {"unlabelled_loss": "without labels"}
    opinions = {"d_real": "D(x), unlabelled", "d_fake": "D(G(z)), generated"}
    return Report(
        panels=(
            Panel("loss", curves),
            Panel("generator's loss", {"g_loss": "generator"}),
            Panel("mean probability", opinions, probabilities=True),
            accuracy,
        ),
        bar=("labelled_loss", "unlabelled_loss", "g_loss"),
        checks=(SaturatedDiscriminator(advice=_ADVICE), UndecidedDiscriminator(advice=_ADVICE)),
    )


FAMILIES = (
    Family(
        command="semi_supervised",
        settings=SemiSupervisedSettings,
        defaults={
            "ssgan_mnist": {"batch_size": 100},
            "ssgan_conv": {
                "batch_size": 100,
                "generator_width": 128,
                "discriminator_width": 96,
                "generator_loss": "absolute_feature_matching",
                "generator_learning_rate": 3e-4,
                "discriminator_learning_rate": 3e-4,
            },
        },
        # The source trains the second 400 epochs longer, in which its rates fall to 0.
        runs={"ssgan_mnist": {"epochs": 300}, "ssgan_conv": {"epochs": 800}},
        build=build,
        image_size=lambda model: {"ssgan_mnist": 28, "ssgan_conv": 32}[model],
        labelled=True,
    ),
)
"""What the command trains, as the source has it."""
