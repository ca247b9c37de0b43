"""pix2pix: its settings, its defaults, and how a System is built from them.

The networks are in `jaxgan.models.unet` and `jaxgan.models.patchgan`, the training step in
`jaxgan.systems.paired_translation`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.models.inference import chunks
from jaxgan.models.patchgan import patchgan
from jaxgan.models.unet import NORMS, unet
from jaxgan.ops import pixels
from jaxgan.systems import paired_translation
from jaxgan.systems.outputs import Measure, Outputs, Translator, mean_measure, rows_below
from jaxgan.systems.paired_translation import PairedState, Rules
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import Family, SystemSettings, option, require_positive, require_shares
from jaxgan.systems.system import Panel, Preview, Report, System

INPUTS = {"": ("image", "input")}
COLUMNS = 8
ROWS = 2 * ("input", "output", "truth")
PREVIEWED = COLUMNS * ROWS.count("input")
JITTER = 30 / 256  # of the side of a picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2pixSettings(SystemSettings):
    """What pix2pix can be told."""

    pair_input: str = option(
        "parts",
        "With --dataset=avatars_pairs: what is drawn beside a face, to be translated into it: a sketch in lines, a map"
        " of its parts, or its grey picture",
        ("parts", "sketch", "grey"),
        group="Data",
    )
    pair: str = option(
        "left",
        "With --dataset=folder_pairs: where the targets are: the left or right half of each picture, or the first or"
        " second of two subfolders with the same names, in alphabetical order; the inputs are in the other",
        ("left", "right", "first", "second"),
        group="Data",
    )

    width: int = option(64, "Channels of the generator after the first halving", group="Model")
    discriminator_width: int = option(64, "Channels of the discriminator's first stage", group="Model")
    discriminator_layers: int = option(
        3, "Halvings of the discriminator: 3 for patches of 70×70 pixels, 0 for single pixels", group="Model"
    )
    norm: str = option("batch", "Normalisation of both networks", NORMS, group="Model")
    dropout_rate: float = option(0.5, "Dropout rate of the generator, its only noise", group="Model")
    initial_std: float = option(0.02, "Standard deviation of the initial weights", group="Model")
    eval_mode: bool = option(
        False,
        "Translate with running statistics and without dropout, instead of as in training",
        group="Model",
        may_change=True,
    )

    loss: str = option(
        "bce",
        "Adversarial loss: bce: cross-entropy; lsgan: squared distance from 0 and 1",
        ("bce", "lsgan"),
        group="Loss",
    )
    l1_weight: float = option(100.0, "Weight of the mean absolute difference from the target", group="Loss")
    flip: bool = option(True, "Mirror pairs left and right at random", group="Loss")
    jitter: int | None = option(
        None,
        "Enlarge pairs by this many pixels and cut out a random part; default: 30 for each 256 of the size",
        group="Loss",
    )

    learning_rate: float = option(2e-4, "Learning rate of both networks", group="Optimiser")
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")
    decay_after: int | None = option(
        None, "Step after which the learning rate falls in a straight line; default: never", group="Optimiser"
    )
    decay_steps: int | None = option(None, "With --decay_after: steps in which it falls to 0", group="Optimiser")

    @property
    def data_options(self) -> dict[str, str]:
        """What `data.load` is told of the pairs."""
        return {"pair_input": self.pair_input, "pair": self.pair}

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "width", "discriminator_width", "initial_std", "decay_after", "decay_steps")
        require_shares(self, "dropout_rate", "beta1")
        for name in ("learning_rate", "l1_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        if not 0 <= self.discriminator_layers <= 16:
            raise UserError(f"--discriminator_layers={self.discriminator_layers}: must be from 0 to 16")
        if self.jitter is not None and not 0 <= self.jitter <= 4096:
            raise UserError(f"--jitter={self.jitter}: must be from 0 to 4,096 pixels")
        if (self.decay_after is None) != (self.decay_steps is None):
            lacking = "decay_steps" if self.decay_steps is None else "decay_after"
            raise UserError(f"--{lacking}: give --decay_after and --decay_steps, or neither")


def build(settings: Pix2pixSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: the pairs that it is trained on, or a description of them.

    Raises:
      UserError: for a size that the networks cannot have.
    """
    rules = build_rules(settings, examples.image_shape[-1])
    translated = functools.partial(translate, rules, evaluate=settings.eval_mode)
    return System(
        name=settings.model,
        init=functools.partial(paired_translation.init_state, rules=rules),
        step=functools.partial(paired_translation.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=rules.generator.image_shape,
        preview=build_preview(rules, examples, settings),
        report=build_report(rules),
        networks=lambda state: {"generator": state.generator.params, "discriminator": state.discriminator.params},
        outputs=Outputs(
            translate={"input_to_image": translated},
            translators={"input_to_image": Translator(functools.partial(_translator, rules))},
            measure=functools.partial(measure, translated),
        ),
        inputs=INPUTS,
        seed=settings.seed,
        settings=settings,
    )


def build_rules(settings: Pix2pixSettings, channels: int) -> Rules:
    """Builds the networks for pictures with this many channels, and what they are trained by.

    Raises:
      UserError: for a size that the networks cannot have.
    """
    size = settings.image_size or 256
    shared: dict[str, Any] = {
        "image_size": size,
        "channels": channels,
        "norm": settings.norm,
        "initial_std": settings.initial_std,
        "dtype": jnp.bfloat16 if settings.precision == "bfloat16" else None,
    }
    rate: Any = settings.learning_rate
    if settings.decay_after is not None and settings.decay_steps is not None:
        rate = optax.linear_schedule(rate, 0.0, settings.decay_steps, transition_begin=settings.decay_after)
    adam = optax.adam(rate, b1=settings.beta1)
    return Rules(
        unet(width=settings.width, dropout_rate=settings.dropout_rate, **shared),
        patchgan(width=settings.discriminator_width, layers=settings.discriminator_layers, **shared),
        adam,
        adam,
        loss=settings.loss,  # type: ignore[arg-type]
        l1_weight=settings.l1_weight,
        enlarge=round(JITTER * size) if settings.jitter is None else settings.jitter,
        flip=settings.flip,
    )


def build_report(rules: Rules) -> Report:
    """Returns what the metrics of the step mean."""
    # No checks: with the L1 term the generator learns from a discriminator that is never in doubt, too.
    probabilities = rules.loss == "bce"
    return Report(
        (
            Panel("adversarial loss", {"d_loss": "D", "g_loss": "G"}),
            Panel("mean absolute difference", {"l1": "from the target"}),
            Panel("score" if probabilities else "logit", {"d_real": "real", "d_fake": "generated"}, probabilities),
        ),
        bar=("d_loss", "g_loss", "l1"),
        diverse_preview=False,  # two rows of three are given
    )


def build_preview(rules: Rules, examples: Examples, settings: Pix2pixSettings) -> Preview:
    """Binds the preview to pairs that are not trained on, where there are any, else to the first pairs.

    Inputs, what is made of them, and the truth stand below one another. Too few pairs begin again.
    """

    @functools.cache  # not read before they are needed, and only once
    def pairs() -> tuple[np.ndarray, np.ndarray]:
        arrays = examples.held_out or examples.arrays
        chosen = np.arange(PREVIEWED) % len(arrays["image"])
        return arrays["input"][chosen], arrays["image"][chosen]

    def images(state: PairedState) -> np.ndarray:
        inputs, truths = pairs()
        outputs = translate(rules, state, inputs, settings.preview_key(), evaluate=settings.eval_mode)
        return rows_below((inputs, outputs, truths), COLUMNS)

    return Preview(images, COLUMNS, ROWS)


def translate(
    rules: Rules, state: PairedState, images: np.ndarray, key: jax.Array | None = None, *, evaluate: bool = False
) -> np.ndarray:
    """Translates pictures, uint8 (N, H, W, C); returns the same shape. See `paired_translation.translate`."""
    key = jax.random.key(0) if key is None else key
    parts = [
        _translate(rules, state.generator.variables, part, jax.random.fold_in(key, index), evaluate)
        for index, (part, _) in enumerate(chunks(images, None))
    ]
    return np.concatenate([np.asarray(part) for part in parts])


def _translator(rules: Rules, state: PairedState, images: jax.Array) -> jax.Array:
    """Translates in evaluation mode: a program that is exported has neither dropout nor a picture's own statistics."""
    key = jax.random.key(0)  # not used in evaluation mode
    return paired_translation.translate(rules.generator, state.generator.variables, images, key, evaluate=True)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _translate(rules: Rules, variables: Any, inputs: jax.Array, key: jax.Array, evaluate: bool) -> jax.Array:
    return pixels.quantize(paired_translation.translate(rules.generator, variables, inputs, key, evaluate=evaluate))


def measure(
    translated: Any, state: PairedState, images: np.ndarray, key: jax.Array, *, input: np.ndarray
) -> dict[str, Measure]:
    """Measures how far translations are from the truth, of pixels in [−1, 1].

    Args:
      translated: (state, uint8 inputs, key) -> uint8 images.
      state: of the system.
      images: the truth, uint8 (N, H, W, C).
      key: of the dropout.
      input: the inputs, uint8 (N, H, W, C).

    Returns:
      "l1", the mean absolute difference, and "rmse", the root mean square difference, both means over the pictures.
    """
    difference = (translated(state, input, key).astype(np.float32) - images) / 127.5
    absolute, squares = (values.mean((1, 2, 3)) for values in (np.abs(difference), np.square(difference)))
    return {
        "l1": mean_measure(absolute, "mean absolute difference from the truth; 0 to 2"),
        "rmse": mean_measure(np.sqrt(squares), "root mean square difference from the truth; 0 to 2"),
    }


FAMILIES = (
    Family(
        command="pix2pix",
        settings=Pix2pixSettings,
        defaults={"pix2pix": {"batch_size": 1}},
        runs={"pix2pix": {"epochs": 200}},
        build=build,
        image_size=lambda model: 256,
        paired=True,
    ),
)
"""What the command trains, as its source has it."""
