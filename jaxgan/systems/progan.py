"""ProGAN: its settings, its defaults, and how a System is built from them.

The networks are in `jaxgan.models.progan`, the training step in `jaxgan.systems.progan_step`, and the schedule by which
they grow in `jaxgan.systems.growth`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax.numpy as jnp

from jaxgan import models
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.models import progan as networks
from jaxgan.ops import augment
from jaxgan.systems import growth, progan_step
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.adversarial_losses import PENALTY, two_player_report
from jaxgan.systems.growth import Stage
from jaxgan.systems.outputs import LatentOutput, Outputs, ScoreOutput
from jaxgan.systems.progan_step import Rules
from jaxgan.systems.settings import LARGEST, Family, SystemSettings, option, require_positive, require_shares
from jaxgan.systems.system import Panel, Report, System, latent_preview

IMAGE_SIZE = 64
LARGEST_OF_FULL_BATCH = 16  # side of pictures; from then on the batch is halved as often as they are doubled
SMALLEST_BATCH = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProGANSettings(SystemSettings):
    """What a ProGAN can be told."""

    width: int = option(512, "Largest number of channels, of small pictures", group="Model")
    channel_base: int = option(
        16384, "Largest number of channels times the side of a picture, of large pictures", group="Model"
    )
    latent_dim: int | None = option(None, "Length of the latent z; default: as many as channels", group="Model")
    minibatch_std: int = option(
        4, "Show the discriminator how much this many pictures of a batch differ", group="Model"
    )
    average_decay: float = option(0.999, "Sample from a moving average of the generator with this decay", group="Model")
    initial_size: int = option(
        4, "Side in pixels of the pictures that training begins with; --image_size for no growing", group="Growing"
    )
    stable_kimg: float = option(600.0, "Thousands of pictures that each size is trained for", group="Growing")
    fade_kimg: float = option(600.0, "Thousands of pictures in which the next size fades in", group="Growing")
    batch_sizes: str | None = option(
        None,
        "Batches from a size on, as SIZE:PICTURES with commas between, such as 32:64,64:32; default: --batch_size as"
        " far as 16 pixels, then half of it with each doubling, 4 at least",
        group="Growing",
    )
    learning_rate: float = option(1e-3, "Learning rate of both networks", group="Optimiser")
    learning_rates: str | None = option(
        "1024:0.0015",
        "Learning rates from a size on, as SIZE:RATE with commas between; an empty value: --learning_rate alone",
        group="Optimiser",
    )
    penalty_weight: float = option(10.0, "Weight of the gradient penalty (WGAN-GP)", group="Regularisation")
    drift_weight: float = option(0.001, "Weight of the mean square of real pictures' scores", group="Regularisation")
    flip: bool = option(False, "Mirror real pictures left and right at random", group="Regularisation")

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "width", "channel_base", "latent_dim", "minibatch_std", "learning_rate")
        require_shares(self, "average_decay")
        for name in ("stable_kimg", "fade_kimg", "penalty_weight", "drift_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        for name in ("width", "channel_base", "latent_dim"):
            if (getattr(self, name) or 1) > models.LARGEST:
                raise UserError(f"--{name}={getattr(self, name)}: must be at most {models.LARGEST:,}")
        if self.image_size is not None:
            self.sizes(self.image_size)
        if 1000 * (self.stable_kimg + self.fade_kimg) * len(self.sizes(networks.LARGEST)) > LARGEST:
            raise UserError(f"--stable_kimg={self.stable_kimg:g}: with --fade_kimg, too many pictures to be counted")
        for size in self.sizes(self.image_size or IMAGE_SIZE):
            batch = self.batch_at(size)
            if batch % min(self.minibatch_std, batch):
                raise UserError(
                    f"--minibatch_std={self.minibatch_std}: must divide the batch at {size} pixels, {batch}"
                )
        self.rate_at(self.initial_size)

    def sizes(self, image_size: int) -> tuple[int, ...]:
        """Returns the sides that pictures grow by to a side.

        Raises:
          UserError: for a side that the networks cannot have.
        """
        if not networks.is_size(image_size):
            raise UserError(f"--image_size={image_size}: progan makes pictures of 8, 16, 32, … or 1024 pixels")
        found = [networks.FIRST_SIZE << level for level in range(image_size.bit_length() - 2)]
        if self.initial_size not in found:
            raise UserError(f"--initial_size={self.initial_size}: choose one of {', '.join(map(str, found))}")
        return tuple(size for size in found if size >= self.initial_size)

    def batch_at(self, size: int) -> int:
        """Returns the batch of a side."""
        if self.batch_sizes is not None:
            return int(_from_a_size_on("batch_sizes", self.batch_sizes, size, self.batch_size, whole=True))
        halved = self.batch_size * LARGEST_OF_FULL_BATCH // max(size, LARGEST_OF_FULL_BATCH)
        return max(halved, min(self.batch_size, SMALLEST_BATCH))

    def rate_at(self, size: int) -> float:
        """Returns the learning rate of a side."""
        return _from_a_size_on("learning_rates", self.learning_rates or "", size, self.learning_rate)

    def stages(self, image_size: int) -> tuple[Stage, ...]:
        """Returns the schedule of pictures that grow to a side."""
        sizes = self.sizes(image_size)
        return growth.plan(
            [size.bit_length() - 3 for size in sizes],
            sizes,
            [self.batch_at(size) for size in sizes],
            [self.rate_at(size) for size in sizes],
            stable=round(1000 * self.stable_kimg),
            fade=round(1000 * self.fade_kimg),
        )


def _from_a_size_on(name: str, text: str, size: int, otherwise: float, *, whole: bool = False) -> float:
    """Reads "32:64,64:32" at a side: what stands at the largest side that is not above it, or `otherwise`.

    Raises:
      UserError: for a list that cannot be read.
    """
    found = {0: otherwise}
    for part in filter(None, (part.strip() for part in text.split(","))):
        side, _, number = part.partition(":")
        try:
            found[int(side)] = int(number) if whole else float(number)
        except ValueError:
            raise UserError(f"--{name}={text}: give SIZE:NUMBER with commas between, not {part}") from None
    if not all(0 < value <= LARGEST for value in found.values()):
        raise UserError(f"--{name}={text}: must have numbers above 0, and at most {LARGEST:,}")
    return found[max(side for side in found if side <= size)]


def build(settings: ProGANSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: what it is trained on, or a description of that.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    rules = build_rules(settings, examples.image_shape[-1])
    gan, stages = rules.gan, rules.stages

    def grown(variables: Any, state: GANState) -> dict[str, Any]:
        """Adds to the variables of a network how far it has grown."""
        return {**variables, "growth": {"stage": growth.grown(stages, state.step)}}

    latent = LatentOutput(gan.generator, lambda state: grown(state.sampling_variables, state))
    return System(
        name=settings.model,
        init=functools.partial(progan_step.init_state, rules=rules),
        step=functools.partial(progan_step.train_step, rules=rules),
        schedule=growth.batch_schedule(stages),
        image_shape=gan.image_shape,
        preview=latent_preview(latent, settings.preview_key()),
        report=build_report(),
        networks=lambda state: {
            "generator": state.generator.params,
            "discriminator": state.discriminator.params,
        },
        outputs=Outputs(
            latent=latent,
            score=ScoreOutput(gan.discriminator, lambda state: grown(state.discriminator.variables, state)),
        ),
        seed=settings.seed,
        settings=settings,
    )


def build_rules(settings: ProGANSettings, channels: int) -> Rules:
    """Builds the networks for pictures with this many channels, and what they are trained by.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    image_size = settings.image_size or IMAGE_SIZE
    return Rules(
        gan=networks.progan(
            image_size=image_size,
            channels=channels,
            latent_dim=settings.latent_dim,
            width=settings.width,
            channel_base=settings.channel_base,
            group_size=settings.minibatch_std,
            dtype=jnp.bfloat16 if settings.precision == "bfloat16" else None,
        ),
        stages=settings.stages(image_size),
        penalty_weight=settings.penalty_weight,
        drift_weight=settings.drift_weight,
        average_decay=settings.average_decay,
        augment=augment.build(flip=settings.flip),
    )


def build_report() -> Report:
    """Returns what the metrics of the step mean; the bar also shows the size, and how far it has faded in."""
    growing = [Panel("side in pixels", {"size": "pictures"}), Panel("share", {"alpha": "newest layers"})]
    report = two_player_report("wasserstein", [PENALTY, *growing])
    return dataclasses.replace(report, bar=(*report.bar, "size", "alpha"), unit="steps of each network")


FAMILIES = (
    Family(
        command="progan",
        settings=ProGANSettings,
        defaults={"progan": {"batch_size": 128}},
        runs={"progan": {"epochs": 400}},  # 12,000 thousand pictures of a set of 30,000, as CelebA-HQ
        build=build,
        image_size=lambda model: IMAGE_SIZE,
    ),
)
"""What the command trains, as the source has it."""
