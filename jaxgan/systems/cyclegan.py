"""CycleGAN: its settings, its defaults, and how a System is built from them.

The networks are in `jaxgan.models.resnet_translation`, `jaxgan.models.unet` and `jaxgan.models.patchgan`, the training
step in `jaxgan.systems.unpaired_translation`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.data.sources import Sources, by_name, first_source, longest
from jaxgan.host.errors import UserError
from jaxgan.models.inference import chunks
from jaxgan.models.network import Network
from jaxgan.models.patchgan import patchgan
from jaxgan.models.resnet_translation import resnet_translator
from jaxgan.models.unet import unet
from jaxgan.ops import pixels
from jaxgan.systems import unpaired_translation
from jaxgan.systems.checks import SaturatedDiscriminator
from jaxgan.systems.outputs import Measure, Outputs, Translator, mean_measure, rows_below
from jaxgan.systems.patch_losses import LOSSES
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import Family, SystemSettings, option, require_positive, require_shares
from jaxgan.systems.system import Panel, Preview, Report, System
from jaxgan.systems.unpaired_translation import DOMAINS, Rules, UnpairedState

INPUTS = {domain: ("image",) for domain in DOMAINS}
DIRECTIONS = ("a_to_b", "b_to_a")
COLUMNS = 8
ROWS = ("A", "to B", "and back", "B", "to A", "and back")
JITTER = 30 / 256  # of the side of a picture
LARGE = 256  # pixels, from which the source has nine blocks instead of six


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleganSettings(SystemSettings):
    """What CycleGAN can be told."""

    domain_a: str = option(
        "blonde hair",
        "With --dataset=avatars_domains: what the faces of domain A have, such as 'green eyes'",
        group="Data",
    )
    domain_b: str = option("blue hair", "The same of domain B: another colour of hair, or of eyes", group="Data")

    generator: str = option("resnet", "Generators: residual, or a U-Net", ("resnet", "unet"), group="Model")
    blocks: int | None = option(
        None, "Residual blocks of a generator; default: 6, or 9 from 256 pixels on", group="Model"
    )
    width: int = option(64, "Channels of the generators' first stage", group="Model")
    discriminator_width: int = option(64, "Channels of the discriminators' first stage", group="Model")
    discriminator_layers: int = option(
        3, "Halvings of the discriminators: 3 for patches of 70×70 pixels, 0 for single pixels", group="Model"
    )
    initial_std: float = option(0.02, "Standard deviation of the initial weights", group="Model")

    loss: str = option(
        "lsgan",
        "Adversarial loss: lsgan: squared distance from 0 and 1; bce: cross-entropy",
        LOSSES[::-1],
        group="Loss",
    )
    cycle_weight_a: float = option(
        10.0, "Weight of the mean absolute difference of pictures of A after there and back", group="Loss"
    )
    cycle_weight_b: float = option(10.0, "The same of B", group="Loss")
    identity_weight: float = option(
        0.5,
        "Weight, in shares of the cycle's, of the change of pictures by the generator into their own domain",
        group="Loss",
    )
    pool_size: int = option(
        50, "Former pictures of each generator that a discriminator may be shown instead of new ones", group="Loss"
    )
    flip: bool = option(True, "Mirror pictures left and right at random", group="Loss")
    jitter: int | None = option(
        None,
        "Enlarge pictures by this many pixels and cut out a random part; default: 30 for each 256 of the size",
        group="Loss",
    )

    learning_rate: float = option(2e-4, "Learning rate of all networks", group="Optimiser")
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", group="Optimiser")
    constant_epochs: float = option(
        100.0,
        "Passes over the larger domain before the learning rate falls, in even steps, one a pass",
        group="Optimiser",
    )
    decay_epochs: float = option(100.0, "Passes in which it falls; 0: never", group="Optimiser")
    decay_to_zero: bool = option(
        False,
        "Let it fall a pass earlier, so that the last has a rate of 0, as later versions of the source do",
        group="Optimiser",
    )

    @property
    def data_options(self) -> dict[str, str]:
        """What `data.load_domains` is told of the domains."""
        return {"domain_a": self.domain_a, "domain_b": self.domain_b}

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "width", "discriminator_width", "initial_std")
        require_shares(self, "beta1")
        weights = ("cycle_weight_a", "cycle_weight_b", "identity_weight")
        for name in ("learning_rate", *weights, "constant_epochs", "decay_epochs"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        for name, most in (("blocks", 64), ("discriminator_layers", 16), ("pool_size", 10_000), ("jitter", 4096)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                raise UserError(f"--{name}={value}: must be from 0 to {most:,}")
        if self.blocks is not None and self.generator != "resnet":
            raise UserError(f"--blocks={self.blocks}: a U-Net has none; leave it out, or choose --generator=resnet")


def build(settings: CycleganSettings, examples: Sources) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: the pictures of both domains, "a" and "b", or a description of one.

    Raises:
      UserError: for a size that the networks cannot have, or domains of different shapes.
    """
    shapes = {part.image_shape for part in by_name(examples).values()}
    if len(shapes) > 1:
        raise UserError(f"the pictures of the two domains have different shapes: {sorted(shapes)}; make them alike")
    passed = max(1, -(-longest(examples) // settings.batch_size))
    rules = build_rules(settings, first_source(examples).image_shape[-1], steps_per_epoch=passed)
    return System(
        name=settings.model,
        init=functools.partial(unpaired_translation.init_state, rules=rules),
        step=functools.partial(unpaired_translation.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=rules.generator.image_shape,
        preview=build_preview(rules, examples),
        report=build_report(rules),
        networks=lambda state: {
            name: getattr(state, name).params for name in (*DIRECTIONS, "discriminator_a", "discriminator_b")
        },
        outputs=Outputs(
            translate={direction: functools.partial(translate, rules.generator, direction) for direction in DIRECTIONS},
            translators={
                direction: Translator(functools.partial(_translator, rules, direction)) for direction in DIRECTIONS
            },
            measure=functools.partial(measure, rules.generator),
        ),
        inputs=INPUTS,
        seed=settings.seed,
        settings=settings,
    )


def build_rules(settings: CycleganSettings, channels: int, *, steps_per_epoch: int = 1) -> Rules:
    """Builds the networks for pictures with this many channels, and what they are trained by.

    Args:
      settings: checked settings.
      channels: of a picture.
      steps_per_epoch: steps of a pass over the larger domain, after which the learning rate changes.

    Raises:
      UserError: for a size that the networks cannot have.
    """
    size = settings.image_size or LARGE
    shared: dict[str, Any] = {
        "image_size": size,
        "channels": channels,
        "norm": "instance",
        "initial_std": settings.initial_std,
        "dtype": jnp.bfloat16 if settings.precision == "bfloat16" else None,
    }
    if settings.generator == "unet":
        generator: Network = unet(width=settings.width, dropout_rate=0.0, **shared)
    else:
        blocks = (9 if size >= LARGE else 6) if settings.blocks is None else settings.blocks
        generator = resnet_translator(width=settings.width, blocks=blocks, **shared)
    adam = optax.adam(functools.partial(learning_rate, settings, steps_per_epoch), b1=settings.beta1)
    return Rules(
        generator,
        patchgan(pictures=1, width=settings.discriminator_width, layers=settings.discriminator_layers, **shared),
        adam,
        adam,
        loss=settings.loss,  # type: ignore[arg-type]
        cycle_weight_a=settings.cycle_weight_a,
        cycle_weight_b=settings.cycle_weight_b,
        identity_weight=settings.identity_weight,
        pool_size=settings.pool_size,
        enlarge=round(JITTER * size) if settings.jitter is None else settings.jitter,
        flip=settings.flip,
    )


def learning_rate(settings: CycleganSettings, steps_per_epoch: int, step: jax.typing.ArrayLike) -> jax.Array:
    """Computes the learning rate of a step, counted from 0.

    It is constant at first, and then falls with each epoch by the same amount, to which the last epoch comes: of 100
    and 100 epochs the 101st has 100/101 of it and the 200th 1/101. With `decay_to_zero` everything is an epoch earlier,
    so that the 200th has 0. Those are the two that the source has had.

    Args:
      settings: for the rate and its epochs.
      steps_per_epoch: steps of a pass over the larger domain.
      step: of the optimiser.
    """
    epoch = jnp.asarray(step) // steps_per_epoch + 1
    if not settings.decay_epochs:
        return jnp.full_like(epoch, settings.learning_rate, jnp.float32)
    fallen = jnp.maximum(0.0, epoch + settings.decay_to_zero - settings.constant_epochs) / (settings.decay_epochs + 1)
    return settings.learning_rate * jnp.maximum(0.0, 1.0 - fallen)


def build_report(rules: Rules) -> Report:
    """Returns what the metrics of the step mean."""
    probabilities = rules.loss == "bce"
    identity = {"identity_a": "A by itself", "identity_b": "B by itself"} if rules.identity_weight else {}
    into = {"a": "A", "b": "B"}
    return Report(
        (
            Panel("adversarial loss", {f"g_loss_{d}": f"generator into {D}" for d, D in into.items()}),
            Panel("discriminator's loss", {f"d_loss_{d}": f"of {D}" for d, D in into.items()}),
            Panel("mean absolute difference", {"cycle_a": "A and back", "cycle_b": "B and back", **identity}),
            Panel(
                "score" if probabilities else "logit",
                {
                    f"d_{kind}_{d}": f"{called} {D}"
                    for d, D in into.items()
                    for kind, called in (("real", "real"), ("fake", "generated"))
                },
                probabilities,
            ),
        ),
        bar=("cycle_a", "cycle_b", "g_loss_a", "g_loss_b"),
        # With an alarm neither direction learns from its adversary any more, and the cycle alone teaches nothing.
        checks=tuple(
            SaturatedDiscriminator(real=f"d_real_{d}", fake=f"d_fake_{d}", kind=f"saturated_{d}") for d in into
        ),
        diverse_preview=False,  # two rows of six are given
    )


def build_preview(rules: Rules, examples: Sources) -> Preview:
    """Binds the preview to pictures that are not trained on, where there are any, else to the first of each domain.

    Below a row of each domain stands what is made of it, and what is left after the way back. Too few begin again.
    """

    @functools.cache  # not read before they are needed, and only once
    def given() -> dict[str, np.ndarray]:
        arrays = {name: part.held_out or part.arrays for name, part in by_name(examples).items()}
        return {name: part["image"][np.arange(COLUMNS) % len(part["image"])] for name, part in arrays.items()}

    def images(state: UnpairedState) -> np.ndarray:
        rows = []
        for domain, there, back in zip(DOMAINS, DIRECTIONS, DIRECTIONS[::-1], strict=True):
            translated = translate(rules.generator, there, state, given()[domain])
            rows += [given()[domain], translated, translate(rules.generator, back, state, translated)]
        return rows_below(rows, COLUMNS)

    return Preview(images, COLUMNS, ROWS)


def translate(generator: Network, direction: str, state: UnpairedState, images: np.ndarray) -> np.ndarray:
    """Translates pictures, uint8 (N, H, W, C), in one of `DIRECTIONS`; returns the same shape."""
    params = getattr(state, direction).params
    return np.concatenate([np.asarray(_translate(generator, params, part)) for part, _ in chunks(images, None)])


def _translator(rules: Rules, direction: str, state: UnpairedState, images: jax.Array) -> jax.Array:
    return unpaired_translation.translate(rules.generator, getattr(state, direction).params, images)


@functools.partial(jax.jit, static_argnums=0)
def _translate(generator: Network, params: Any, images: jax.Array) -> jax.Array:
    return pixels.quantize(unpaired_translation.translate(generator, params, images))


def measure(
    generator: Network,
    state: UnpairedState,
    images: np.ndarray,
    key: jax.Array | None = None,
    *,
    domain: str = "a",
    input: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Measures both ways of the pictures of a domain, of pixels in [−1, 1].

    Args:
      generator: of both directions.
      state: of the system.
      images: of the domain, uint8 (N, H, W, C).
      key: unused; translations draw nothing.
      domain: "a" or "b".
      input: pictures of the other domain whose right translations the images are, uint8, where these are known.

    Returns:
      By direction out of the domain, such as "a_to_b/cycle_l1", the mean absolute difference from what is left after
      there and back. With inputs, by direction into the domain, "l1" and "rmse", the mean absolute and the root mean
      square difference of translations from the truth, and "unchanged_rmse", that of the inputs themselves.
    """
    into, out = DIRECTIONS[::-1] if domain == "a" else DIRECTIONS
    back = translate(generator, into, state, translate(generator, out, state, images))
    found = {f"{out}/cycle_l1": mean_measure(_absolute(back, images), "mean absolute difference after there and back")}
    if input is not None:
        made = translate(generator, into, state, input)
        of_truth = "of the translation from the truth; 0 to 2"
        found |= {
            f"{into}/l1": mean_measure(_absolute(made, images), f"mean absolute difference {of_truth}"),
            f"{into}/rmse": mean_measure(_rmse(made, images), f"root mean square difference {of_truth}"),
            f"{into}/unchanged_rmse": mean_measure(_rmse(input, images), "the same of the input as it is; 0 to 2"),
        }
    return found


def _difference(pictures: np.ndarray, images: np.ndarray) -> np.ndarray:
    return (pictures.astype(np.float32) - images) / 127.5


def _absolute(pictures: np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.abs(_difference(pictures, images)).mean((1, 2, 3))


def _rmse(pictures: np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(_difference(pictures, images)).mean((1, 2, 3)))


FAMILIES = (
    Family(
        command="cyclegan",
        settings=CycleganSettings,
        defaults={"cyclegan": {"batch_size": 1}},
        runs={"cyclegan": {"epochs": 200}},
        build=build,
        image_size=lambda model: 256,
        unpaired=True,
    ),
)
"""What the command trains, as its source has it."""
