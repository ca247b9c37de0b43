"""StyleGAN2: its settings, its configurations, and how a System is built from them.

The networks are in `jaxgan.models.stylegan2`, the training step in `jaxgan.systems.style_training`, and what a trained
one can be asked for in `jaxgan.systems.stylegan2_outputs`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax.numpy as jnp
import optax

from jaxgan import models, transforms
from jaxgan.data.conditions import in_turn
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.models.stylegan2 import stylegan2
from jaxgan.ops import augment
from jaxgan.systems import style_training
from jaxgan.systems.adversarial_losses import ADA, PENALTY, two_player_report
from jaxgan.systems.augmentation_settings import AugmentationSettings
from jaxgan.systems.checks import HopelessGenerator, UndecidedDiscriminator
from jaxgan.systems.outputs import Outputs, ScoreOutput
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import Family, option, require_positive, require_shares
from jaxgan.systems.style_training import Rules
from jaxgan.systems.stylegan2_outputs import (
    StyledLatentOutput,
    show_mixing,
    show_noise,
    show_styles,
    show_truncation,
)
from jaxgan.systems.system import Panel, Report, System, latent_preview

GRID = 64  # pictures in a preview, 8×8

PATH = (
    Panel("penalty of paths", {"path_penalty": "generator's"}),
    Panel("path length", {"path_length": "moving average"}),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGAN2Settings(AugmentationSettings):
    """What a StyleGAN2 can be told."""

    latent_dim: int = option(512, "Length of a latent z and of a style w", group="Model")
    channel_base: int | None = option(
        None,
        "Channels of features of a size are this over the size; default: 32768 for pictures of 512 pixels or more, else"
        " 16384",
        group="Model",
    )
    channel_max: int = option(512, "Channels of features, at most", group="Model")
    mapping_layers: int = option(8, "Layers from z to w", group="Model")
    minibatch_std: int = option(
        4, "Show the discriminator how much this many pictures of a batch differ", group="Model"
    )
    residual: bool = option(True, "Give the discriminator residual blocks", group="Model")
    conditional: bool = option(
        False, "Draw pictures under conditions: the classes or tags of the pictures", group="Model"
    )

    average_kimg: float | None = option(
        None,
        "Thousands of pictures after which an old generator counts half in the moving average that is sampled from;"
        " default: 10 for 32 pictures in a batch, more for more",
        group="Model",
    )
    average_ramp: float | None = option(
        None, "That number is at most this share of the pictures seen so far; default: no ramp", group="Model"
    )
    mixing: float = option(0.9, "Probability that a batch has the styles of two latents", group="Loss")
    flip: bool = option(False, "Mirror real pictures left and right at random", group="Loss")

    gamma: float | None = option(
        None, "Weight of R1, which halves it; default: 0.0002 · pixels / --batch_size", group="Regularisation"
    )
    penalty_every: int = option(
        16, "Compute R1 in each of so many steps, as many times as strong", group="Regularisation"
    )
    path_weight: float = option(2.0, "Weight of the path length's penalty; 0: none", group="Regularisation")
    path_every: int = option(
        4, "Compute the path length in each of so many steps, as many times as strong", group="Regularisation"
    )
    learning_rate: float = option(2e-3, "Learning rate of both networks", group="Optimiser")
    beta1: float = option(0.0, "Adam's decay of the gradient's mean", group="Optimiser")
    beta2: float = option(0.99, "Adam's decay of the gradient's square", group="Optimiser")

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        for name in ("latent_dim", "channel_base", "channel_max", "mapping_layers", "minibatch_std"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= models.LARGEST:
                raise UserError(f"--{name}={value}: must be from 1 to {models.LARGEST:,}")
        require_positive(self, "average_kimg", "average_ramp", "penalty_every", "path_every")
        require_shares(self, "beta1", "beta2")
        for name in ("gamma", "path_weight", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UserError(f"--{name}={value}: must be 0 or more")
        if not 0 <= self.mixing <= 1:
            raise UserError(f"--mixing={self.mixing}: must be from 0 to 1")
        if self.batch_size % min(self.minibatch_std, self.batch_size):
            raise UserError(f"--minibatch_std={self.minibatch_std}: must divide --batch_size={self.batch_size}")


def build(settings: StyleGAN2Settings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: what it is trained on, or a description of that.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    if settings.conditional and not examples.condition_dim:
        raise UserError("--conditional: these pictures have no classes and no tags; leave it out")
    condition_dim = examples.condition_dim if settings.conditional else 0
    rules = build_rules(settings, examples.image_shape[-1], condition_dim)
    gan = rules.gan
    latent = StyledLatentOutput(gan.generator, lambda state: state.sampling_variables)
    turn = functools.partial(in_turn, examples.condition_names, condition_dim) if condition_dim else None
    exhibits = {"mixing": show_mixing, "truncation": show_truncation, "styles": show_styles, "noise": show_noise}
    return System(
        name=settings.model,
        init=functools.partial(style_training.init_state, rules=rules),
        step=functools.partial(style_training.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=gan.image_shape,
        preview=latent_preview(latent, settings.preview_key(), GRID, turn and turn(GRID)),
        report=build_report(rules),
        networks=lambda state: {
            "generator": state.generator.params,
            "discriminator": state.discriminator.params,
        },
        outputs=Outputs(
            latent=latent,
            score=ScoreOutput(gan.discriminator, lambda state: state.discriminator.variables),
            exhibits={name: functools.partial(show, latent, turn) for name, show in exhibits.items()},
        ),
        inputs={"": ("image", "condition") if condition_dim else ("image",)},
        seed=settings.seed,
        settings=settings,
    )


def build_rules(settings: StyleGAN2Settings, channels: int, condition_dim: int = 0) -> Rules:
    """Builds the networks for pictures with this many channels and conditions, and what they are trained by.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    side = NATIVE[settings.model] if settings.image_size is None else settings.image_size
    gan = stylegan2(
        name=settings.model,
        image_size=side,
        channels=channels,
        latent_dim=settings.latent_dim,
        condition_dim=condition_dim,
        channel_base=settings.channel_base or (32768 if side >= 512 else 16384),
        channel_max=settings.channel_max,
        mapping_layers=settings.mapping_layers,
        minibatch_std=settings.minibatch_std,
        residual=settings.residual,
        dtype=jnp.bfloat16 if settings.precision == "bfloat16" else None,
    )
    batch = settings.batch_size
    return Rules(
        gan=gan,
        generator_optimizer=optimizer(settings, settings.path_every),
        discriminator_optimizer=optimizer(settings, settings.penalty_every),
        gamma=0.0002 * side**2 / batch if settings.gamma is None else settings.gamma,
        penalty_every=settings.penalty_every,
        path_weight=settings.path_weight,
        path_every=settings.path_every,
        mixing=settings.mixing,
        average_images=1000 * (batch * 10 / 32 if settings.average_kimg is None else settings.average_kimg),
        average_ramp=settings.average_ramp,
        augment=augment.build(flip=settings.flip),
        augment_both=settings.fixed_augmentation(),
        ada=settings.adaptive_augmentation(),
    )


def optimizer(settings: StyleGAN2Settings, every: int) -> optax.GradientTransformation:
    """Builds Adam for a player that is also updated on a regulariser in each of `every` steps.

    It takes k + 1 updates in k steps. Its learning rate is therefore multiplied by c = k / (k + 1), and moving averages
    decay by β^c, so that they cover as many pictures as without. As in the source, that holds too where the path length
    has no weight.

    Reference:
      Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, appendix B.
    """
    share = every / (every + 1)
    adam = optax.adam(settings.learning_rate * share, b1=settings.beta1**share, b2=settings.beta2**share, eps=1e-8)
    return optax.chain(transforms.replace_nonfinite(), adam)


def build_report(rules: Rules) -> Report:
    """Returns what the metrics of the step mean."""
    further = [PENALTY, *(PATH if rules.path_weight else ()), *([ADA] if rules.ada is not None else [])]
    report = two_player_report("nonsaturating", further)
    checks = (HopelessGenerator(advice=_ADVICE), UndecidedDiscriminator(advice=_ADVICE))
    return dataclasses.replace(report, unit="steps", checks=checks)


_ADVICE = "Try another --gamma, ten times as large or as small, a lower --learning_rate, or --ada for few pictures."

NATIVE = {"stylegan2_small": 64, "stylegan2": 256, "stylegan2_auto": 256}
"""The height and width of pictures that a model is made for."""

_AUTO: dict[str, Any] = {"mapping_layers": 2, "learning_rate": 2.5e-3, "average_ramp": 0.05, "batch_size": 16}

FAMILIES = (
    Family(
        command="stylegan",
        settings=StyleGAN2Settings,
        defaults={
            "stylegan2_small": {
                **_AUTO,
                "latent_dim": 128,
                "channel_base": 2048,
                "channel_max": 64,
                "mapping_layers": 4,
                "path_every": 8,
            },
            "stylegan2": {"channel_base": 32768, "gamma": 10.0, "average_kimg": 10.0, "batch_size": 32},
            "stylegan2_auto": _AUTO,
        },
        # 25,000 kimg in the authors' code.
        runs={
            "stylegan2_small": {"steps": 20_000},
            "stylegan2": {"steps": 781_250},
            "stylegan2_auto": {"steps": 1_562_500},
        },
        build=build,
        image_size=lambda model: NATIVE[model],
    ),
)
"""What the command trains: configuration F and the automatic one of the source, and one for two cores."""
