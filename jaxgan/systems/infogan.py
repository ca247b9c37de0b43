"""InfoGAN: its settings, its defaults, and how a System is built from them.

The networks are in `jaxgan.models.infogan`, the training step in `jaxgan.systems.information`, and what a trained one
can be asked for in `jaxgan.systems.infogan_outputs`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax.numpy as jnp
import optax

from jaxgan import models
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.models import infogan as networks
from jaxgan.models.blocks import UPSAMPLING
from jaxgan.models.infogan import Codes
from jaxgan.systems import infogan_outputs, information
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES, two_player_report
from jaxgan.systems.augmentation_settings import FixedAugmentationSettings
from jaxgan.systems.infogan_outputs import CodedLatentOutput
from jaxgan.systems.information import Rules
from jaxgan.systems.outputs import Outputs, ScoreOutput
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import Family, option, require_positive, require_shares
from jaxgan.systems.system import Panel, Report, System

TERMS = {"categorical_information": "categorical codes", "continuous_information": "continuous codes"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class InfoGANSettings(FixedAugmentationSettings):
    """What an InfoGAN can be told."""

    noise_dim: int | None = option(
        None, "Length of the noise beside the codes; default: the model's own", group="Codes"
    )
    categorical_codes: str | None = option(
        None,
        "Number of classes of each categorical code, with commas between, such as 10 or 10,5; an empty value: none;"
        " default: the model's own",
        group="Codes",
    )
    continuous_codes: int | None = option(None, "Number of continuous codes; default: the model's own", group="Codes")
    categorical_weight: float = option(
        1.0, "Weight of the information of the categorical codes in both losses", group="Codes"
    )
    continuous_weight: float = option(
        1.0, "Weight of the information of the continuous codes in both losses", group="Codes"
    )
    generator_width: int | None = option(
        None, "Smallest number of channels in the generator; default: the model's own", group="Model"
    )
    discriminator_width: int | None = option(
        None, "Smallest number of channels in the discriminator; default: the model's own", group="Model"
    )
    negative_slope: float | None = option(
        None,
        "Slope of LeakyReLU below 0 (infogan_mnist alone): 0.01 in the authors' code, 0.1 in the paper; default: 0.01",
        group="Model",
    )
    spectral_norm: bool = option(
        False,
        "Normalise the discriminator's weights by their largest singular value (infogan_faces alone)",
        group="Model",
    )
    upsampling: str = option(
        "transposed",
        "How the generator of infogan_faces doubles pictures: by transposed convolutions, or by repetition or"
        " interpolation and a convolution, which leaves no chequers",
        tuple(UPSAMPLING),
        group="Model",
    )
    average_decay: float | None = option(
        None, "Sample from a moving average of the generator with this decay; default: no average", group="Model"
    )
    loss: str = option("nonsaturating", "Pair of losses", tuple(ADVERSARIAL_LOSSES), group="Loss")
    generator_learning_rate: float = option(1e-3, "Learning rate of the generator", group="Optimiser")
    discriminator_learning_rate: float = option(
        2e-4, "Learning rate of the discriminator and of Q, which reads the codes", group="Optimiser"
    )
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "generator_width", "discriminator_width")
        require_shares(self, "beta1", "average_decay", "negative_slope")
        for name in (
            "categorical_weight",
            "continuous_weight",
            "generator_learning_rate",
            "discriminator_learning_rate",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        for name in ("noise_dim", "continuous_codes"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) <= models.LARGEST:
                raise UserError(f"--{name}={getattr(self, name)}: must be from 0 to {models.LARGEST:,}")
        if self.negative_slope is not None and self.model != "infogan_mnist":
            raise UserError(f"--negative_slope: {self.model} has that of its DCGAN, 0.2; leave it out")
        if self.model == "infogan_mnist":
            if self.spectral_norm:
                raise UserError("--spectral_norm: infogan_mnist has no spectral normalisation; take infogan_faces")
            if self.upsampling != "transposed":
                raise UserError("--upsampling: infogan_mnist doubles pictures in a way of its own; take infogan_faces")
        if not self.codes.categorical and not self.codes.continuous:
            raise UserError("--continuous_codes=0: an InfoGAN has codes; give --categorical_codes too")

    @property
    def codes(self) -> Codes:
        """The parts of a latent.

        Raises:
          UserError: for a list that cannot be read, or codes without a choice.
        """
        default = networks.default_codes(self.model)
        return Codes(
            default.noise_dim if self.noise_dim is None else self.noise_dim,
            default.categorical if self.categorical_codes is None else _sizes(self.categorical_codes),
            default.continuous if self.continuous_codes is None else self.continuous_codes,
        )


def _sizes(text: str) -> tuple[int, ...]:
    """Reads the number of classes of each code: "10,5" -> (10, 5)."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() and 2 <= int(part) <= models.LARGEST for part in parts):
        raise UserError(
            f"--categorical_codes={text}: give numbers of classes from 2 on with commas between, as in 10,5"
        )
    return tuple(int(part) for part in parts)


def build(settings: InfoGANSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: what it is trained on, or a description of that.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    rules = build_rules(settings, examples.image_shape[-1])
    gan = rules.gan
    return System(
        name=settings.model,
        init=functools.partial(information.init_state, rules=rules),
        step=functools.partial(information.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=gan.image_shape,
        preview=infogan_outputs.build_preview(gan, settings.preview_key()),
        report=build_report(gan.codes, settings.loss),
        networks=lambda state: {
            "generator": state.generator.params,
            "discriminator": state.discriminator.params,
        },
        outputs=Outputs(
            latent=CodedLatentOutput(gan.generator, lambda state: state.sampling_variables, gan.codes),
            score=ScoreOutput(gan.discriminator, lambda state: state.discriminator.variables),
            exhibits={"codes": functools.partial(infogan_outputs.show_codes, gan)},
            measure=functools.partial(infogan_outputs.measure, gan),
            measure_labelled=functools.partial(infogan_outputs.measure_labelled, gan),
        ),
        seed=settings.seed,
        settings=settings,
    )


def build_rules(settings: InfoGANSettings, channels: int) -> Rules:
    """Builds the networks for pictures with this many channels, and what they are trained by.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    sizes = ("image_size", "generator_width", "discriminator_width", "negative_slope")
    overrides: dict[str, Any] = {name: getattr(settings, name) for name in sizes if getattr(settings, name) is not None}
    if settings.model == "infogan_faces":
        overrides |= {"spectral_norm": settings.spectral_norm, "upsampling": settings.upsampling}
    if settings.precision == "bfloat16":
        overrides["dtype"] = jnp.bfloat16
    return Rules(
        gan=networks.build(settings.model, channels=channels, codes=settings.codes, **overrides),
        generator_optimizer=optax.adam(settings.generator_learning_rate, b1=settings.beta1),
        discriminator_optimizer=optax.adam(settings.discriminator_learning_rate, b1=settings.beta1),
        categorical_weight=settings.categorical_weight,
        continuous_weight=settings.continuous_weight,
        average_decay=settings.average_decay,
        loss=ADVERSARIAL_LOSSES[settings.loss],
        augment=settings.fixed_augmentation(),
    )


def build_report(codes: Codes, loss: str) -> Report:
    """Returns what the metrics of the step mean."""
    kinds = zip(TERMS, (codes.categorical, codes.continuous), strict=True)
    curves = {name: TERMS[name] for name, there in kinds if there}
    report = two_player_report(loss, [Panel("information in nats", curves)])
    return dataclasses.replace(report, bar=(*report.bar, *list(curves)[:1]))


FAMILIES = (
    Family(
        command="infogan",
        settings=InfoGANSettings,
        defaults={"infogan_mnist": {"batch_size": 128}, "infogan_faces": {"batch_size": 64}},
        # 50 epochs of 100 updates in the authors' code, which are 10.7 passes over MNIST.
        runs={"infogan_mnist": {"steps": 5000}, "infogan_faces": {"steps": 20_000}},
        build=build,
        image_size=lambda model: networks.build(model).image_shape[0],
    ),
)
"""What the command trains, as the source has it."""
