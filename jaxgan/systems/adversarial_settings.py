"""What a system of a generator and a discriminator can be told."""

import dataclasses

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.models.blocks import UPSAMPLING
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES
from jaxgan.systems.adversarial_penalties import PENALTIES, WEIGHT
from jaxgan.systems.augmentation_settings import AugmentationSettings
from jaxgan.systems.settings import LARGEST, LONGEST_CALL, option, require_positive, require_shares


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialSettings(AugmentationSettings):
    """What a system of a generator and a discriminator can be told."""

    latent_dim: int | None = option(None, "Length of the latent z; default: the model's own", group="Model")
    generator_width: int | None = option(
        None, "Smallest number of channels in the generator; default: the model's own", group="Model"
    )
    discriminator_width: int | None = option(
        None, "Smallest number of channels in the discriminator; default: the model's own", group="Model"
    )
    dropout_rate: float | None = option(
        None, "Dropout rate of the discriminator, where the model has dropout; default: the model's own", group="Model"
    )
    initial_std: float | None = option(
        None, "Standard deviation of the initial weights; default: the model's own", group="Model"
    )
    spectral_norm: bool | None = option(
        None,
        "Normalise the discriminator's weights by their largest singular value, where the model can; default: the"
        " model's own",
        group="Model",
    )
    upsampling: str | None = option(
        None,
        "How the generator doubles pictures, where the model has a choice: by transposed convolutions, or by repetition"
        " or interpolation and a convolution, which leaves no chequers; default: transposed",
        tuple(UPSAMPLING),
        group="Model",
    )
    attention_size: int | None = option(
        None,
        "Side in pixels of the pictures within both networks that self-attention sees, where the model has blocks;"
        " default: no attention",
        group="Model",
    )
    minibatch_std: int | None = option(
        None,
        "Show the discriminator how much this many pictures of a batch differ, where the model has blocks; default:"
        " not at all",
        group="Model",
    )
    interpolate_conditions: bool = option(
        False, "Also train the generator on means of two examples' conditions (GAN-INT)", group="Loss"
    )
    auxiliary_classifier: float | None = option(
        None,
        "Have a second head of the discriminator tell the conditions, in the place of a projection, with a loss of this"
        " weight for both players (projection_gan alone, which it makes an AC-GAN); default: none",
        group="Loss",
    )
    average_decay: float | None = option(
        None, "Sample from a moving average of the generator with this decay; default: no average", group="Model"
    )

    loss: str = option("nonsaturating", "Pair of losses", tuple(ADVERSARIAL_LOSSES), group="Loss")
    label_smoothing: float = option(
        0.0, "Target for real images is 1 minus this (minimax and nonsaturating losses)", group="Loss"
    )
    matching_aware: bool = option(
        False, "Also show the discriminator wrong conditions and wrong pictures", group="Loss"
    )
    wrong_in_one: bool = option(
        False,
        "With --matching_aware: make a wrong condition wrong in one attribute, such as hair or eyes",
        group="Loss",
    )
    joint_batch: bool = option(
        False, "Pass real and generated examples through the discriminator as one batch", group="Loss"
    )
    reuse_noise: bool = option(False, "Use the discriminator's noise for the generator's step too", group="Loss")
    sync_batch_norm: bool = option(
        True, "Take batch statistics over the global batch instead of each device's share", group="Loss"
    )
    flip: bool = option(False, "Mirror real pictures left and right at random", group="Loss")
    rotation: float = option(0.0, "Rotate real pictures by up to this many degrees at random", group="Loss")

    penalty: str | None = option(
        None,
        "Penalty on the discriminator's gradient, which takes the place of --clip: WGAN-GP's, R1, R2 or DRAGAN's; "
        "default: none",
        tuple(PENALTIES),
        group="Regularisation",
    )
    penalty_weight: float | None = option(
        None,
        f"Weight of --penalty; for R1 and R2 their gamma, which they halve; default: {WEIGHT:g}",
        group="Regularisation",
    )
    penalty_every: int = option(
        1,
        "Compute --penalty in each of so many discriminator steps, as many times as strong (StyleGAN2's lazy "
        "regularisation)",
        group="Regularisation",
    )
    replay: int = option(
        0,
        "Keep this many generated pictures of former steps; every second that the discriminator sees is then one of "
        "them",
        group="Regularisation",
    )
    instance_noise: float = option(
        0.0,
        "Add noise of this standard deviation, at first, to all pictures that the discriminator sees",
        group="Regularisation",
    )
    instance_noise_steps: int = option(10_000, "Steps in which --instance_noise falls to 0", group="Regularisation")
    top_k: float = option(
        1.0,
        "Share of generated pictures, the best ones, that the generator learns from in the end",
        group="Regularisation",
    )
    top_k_steps: int = option(10_000, "Steps in which --top_k falls from 1 to its value", group="Regularisation")

    critic_steps: int = option(1, "Discriminator steps per generator step", group="Critic")
    new_batch_each_critic_step: bool = option(
        False, "Give each discriminator step pictures and noise of its own", group="Critic"
    )
    critic_warmup: bool = option(
        False, "Take 100 critic steps in each of the first 25 generator steps and in every 500th", group="Critic"
    )
    clip: float | None = option(
        None, "Clip every discriminator parameter to this bound after each step; default: no clipping", group="Critic"
    )
    clip_normalization: bool = option(True, "Clip scales and biases of batch normalisation too", group="Critic")

    optimizer: str = option("adam", "Optimiser of both networks", ("adam", "rmsprop", "sgd"), group="Optimiser")
    generator_learning_rate: float = option(2e-4, "Learning rate of the generator", group="Optimiser")
    discriminator_learning_rate: float = option(2e-4, "Learning rate of the discriminator", group="Optimiser")
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")
    beta2: float = option(0.999, "Adam's decay of the gradient's square (RMSprop's is 0.9)", group="Optimiser")
    epsilon_in_root: bool = option(
        True, "Have RMSprop divide by √(v + 1e-7), as Keras 3; otherwise by √v + 1e-7, as Keras 2", group="Optimiser"
    )
    decay_every: int | None = option(
        None, "Multiply both learning rates by --decay_rate every this many steps; default: never", group="Optimiser"
    )
    decay_rate: float = option(0.5, "Factor of --decay_every", group="Optimiser")

    conditions: str | None = option(
        None,
        "File with one condition per line, for the preview of a conditional model; default: a selection",
        group="Model",
        path=True,
        may_change=True,
    )

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "decay_every", "clip", "attention_size", "minibatch_std", "auxiliary_classifier")
        if self.minibatch_std is not None and self.batch_size % self.minibatch_std:
            raise UserError(f"--minibatch_std={self.minibatch_std}: must divide --batch_size={self.batch_size}")
        if not 1 <= self.critic_steps <= LONGEST_CALL:
            raise UserError(f"--critic_steps={self.critic_steps}: must be from 1 to {LONGEST_CALL:,}")
        for name in ("generator_learning_rate", "discriminator_learning_rate", "rotation"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        for name in ("initial_std", "decay_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{name}={value}: must be above 0")
        require_shares(self, "beta1", "beta2", "label_smoothing", "average_decay", "dropout_rate")
        self._check_conditions()
        self._check_losses()
        self._check_critic()
        self._check_regularisation()

    def _check_conditions(self) -> None:
        for name in ("matching_aware", "interpolate_conditions", "conditions"):
            if getattr(self, name) and not is_conditional(self.model):
                raise UserError(f"--{name}: {self.model} has no condition; use a model of experiments.cgan")
        if self.auxiliary_classifier is not None and self.matching_aware:
            raise UserError("--auxiliary_classifier: tells conditions that --matching_aware makes wrong; leave out one")
        if self.interpolate_conditions and self.batch_size % 2:
            raise UserError(f"--batch_size={self.batch_size}: must be even with --interpolate_conditions")
        if self.wrong_in_one and not self.matching_aware:
            raise UserError("--wrong_in_one: says how a condition is wrong; give --matching_aware too")

    def _check_losses(self) -> None:
        for name in ("matching_aware", "joint_batch"):
            if getattr(self, name) and not ADVERSARIAL_LOSSES[self.loss].is_probability:
                raise UserError(f"--loss={self.loss}: --{name} has a loss of its own; give --[no]{name} too")
            if getattr(self, name) and self.label_smoothing:
                raise UserError(f"--label_smoothing: --{name} has a loss without it; give --[no]{name} too")

    def _check_critic(self) -> None:
        if self.reuse_noise and self.new_batch_each_critic_step:
            raise UserError("--new_batch_each_critic_step: its noise is new too; give --[no]reuse_noise")
        if self.critic_warmup and not self.new_batch_each_critic_step:
            raise UserError(
                "--critic_warmup: each of its steps takes a new batch; give --new_batch_each_critic_step too"
            )
        if self.decay_every is not None and self.decay_every * self.critic_steps > LARGEST:
            raise UserError(f"--decay_every={self.decay_every}: must be at most {LARGEST // self.critic_steps:,} here")
        if self.critic_warmup and self.decay_every is not None:
            raise UserError("--decay_every: counts steps with as many critic steps each; leave out --critic_warmup")

    def _check_regularisation(self) -> None:
        require_positive(self, "penalty_weight", "penalty_every", "instance_noise_steps", "top_k", "top_k_steps")
        for name, unless in (("penalty_weight", None), ("penalty_every", 1)):
            if self.penalty is None and getattr(self, name) != unless:
                raise UserError(f"--{name}: says how a penalty is taken; give --penalty too")
        if not 0 <= self.instance_noise < float("inf"):
            raise UserError(f"--instance_noise={self.instance_noise}: must be 0 or more")
        if self.top_k > 1:
            raise UserError(f"--top_k={self.top_k}: must be a share of the batch, at most 1")
        self._check_replay()

    def _check_replay(self) -> None:
        half = (self.batch_size + 1) // 2
        if self.replay and not half <= self.replay <= LARGEST:
            raise UserError(f"--replay={self.replay}: must be 0, or hold half of a batch, {half} pictures")
        if self.replay and self.penalty in ("gp", "r2") and is_conditional(self.model):
            raise UserError(f"--replay: --penalty={self.penalty} would show former pictures under new conditions")


def is_conditional(model: str) -> bool:
    """Whether the networks of a model take a condition."""
    return models.build(model).condition_dim > 0
