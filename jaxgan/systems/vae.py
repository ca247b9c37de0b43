"""Autoencoders, plain and variational: their settings, their defaults, and how a System is built from them.

The networks are in `jaxgan.models.vae`, the training step in `jaxgan.systems.variational`.
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
from jaxgan.models import vae as networks
from jaxgan.models.inference import chunks, generate
from jaxgan.models.vae import Autoencoder
from jaxgan.ops import pixels
from jaxgan.systems import variational
from jaxgan.systems.outputs import LatentOutput, Measure, Outputs, mean_measure, rows_below
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import LARGEST, Family, SystemSettings, option, require_positive
from jaxgan.systems.system import Panel, Preview, Report, System
from jaxgan.systems.variational import Rules, VAEState

COLUMNS = 8
PAIRS = ("real", "reconstruction")
ROWS = {True: 2 * PAIRS + 4 * ("sample",), False: 4 * PAIRS}
"""The rows of the preview, by whether the autoencoder is variational."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VAESettings(SystemSettings):
    """What an autoencoder can be told."""

    latent_dim: int | None = option(None, "Length of a code; default: the model's own", group="Model")
    width: int | None = option(
        None, "Units of the hidden layer, or channels after the first halving; default: the model's own", group="Model"
    )
    likelihood: str = option(
        "bernoulli",
        "Distribution of a pixel. bernoulli: black or white, with the decoder's log odds;"
        " gaussian: around the decoder's mean",
        ("bernoulli", "gaussian"),
        group="Loss",
    )
    pixel_std: float = option(
        0.2,
        "Standard deviation of a gaussian pixel, of pixels in [-1, 1]",
        group="Loss",
    )
    binarize: bool = option(
        False, "Draw each pixel black or white by its brightness in every step (bernoulli alone)", group="Loss"
    )
    kl_weight: float = option(1.0, "Weight of the KL term: 1 is the evidence lower bound, more β-VAE", group="Loss")
    kl_warmup: int = option(0, "Raise that weight from 0 over this many steps", group="Loss")
    learning_rate: float = option(1e-3, "Learning rate of Adam", group="Optimiser")

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "latent_dim", "width", "pixel_std")
        for name in ("learning_rate", "kl_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        if not 0 <= self.kl_warmup <= LARGEST:
            raise UserError(f"--kl_warmup={self.kl_warmup}: must be from 0 to {LARGEST:,}")
        if self.binarize and self.likelihood != "bernoulli":
            raise UserError(f"--binarize: makes pixels that are not {self.likelihood}; give --likelihood=bernoulli too")
        if (self.kl_weight != 1 or self.kl_warmup) and not is_variational(self.model):
            name = "kl_warmup" if self.kl_warmup else "kl_weight"
            raise UserError(f"--{name}: {self.model} draws no codes and has no KL term; leave it out")


def is_variational(model: str) -> bool:
    """Whether the codes of a model are drawn, so that pictures can be drawn from latents."""
    return networks.build(model).variational


def build(settings: VAESettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: what it is trained on, or a description of that.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    rules = build_rules(settings, examples.image_shape[-1])
    autoencoder = rules.autoencoder
    return System(
        name=settings.model,
        init=functools.partial(variational.init_state, rules=rules),
        step=functools.partial(variational.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=autoencoder.image_shape,
        preview=build_preview(autoencoder, examples, settings.preview_key()),
        report=build_report(rules),
        networks=lambda state: state.autoencoder.params,
        outputs=Outputs(
            # A plain autoencoder has no distribution of codes to draw from.
            latent=_latent_output(autoencoder) if autoencoder.variational else None,
            reconstruct=functools.partial(reconstruct, autoencoder),
            measure=functools.partial(measure, rules),
        ),
        seed=settings.seed,
        settings=settings,
        short_step=not autoencoder.decoder.convolutional,
    )


def build_rules(settings: VAESettings, channels: int) -> Rules:
    """Builds the networks for pictures with this many channels, and what they are trained by.

    Raises:
      UserError: for a size that the networks cannot make.
    """
    sizes = {name: getattr(settings, name) for name in ("image_size", "latent_dim", "width")}
    overrides: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    if settings.precision == "bfloat16":
        overrides["dtype"] = jnp.bfloat16
    return Rules(
        autoencoder=networks.build(settings.model, channels=channels, **overrides),
        optimizer=optax.adam(settings.learning_rate),
        likelihood=settings.likelihood,  # type: ignore[arg-type]
        pixel_std=settings.pixel_std,
        kl_weight=settings.kl_weight,
        kl_warmup=settings.kl_warmup,
        binarize=settings.binarize,
    )


def build_report(rules: Rules) -> Report:
    """Returns what the metrics of the step mean."""
    losses = Panel("nats per picture", {"loss": "loss", "reconstruction": "reconstruction"})
    if not rules.variational:
        return Report((losses,), bar=("loss",), diverse_preview=False)
    return Report(
        (losses, Panel("nats per picture", {"kl": "KL"})),
        bar=("loss", "kl"),
        checks=(variational.PosteriorCollapse(kl_weight=rules.kl_weight),),
        diverse_preview=False,  # half of its rows are of the data set
    )


def build_preview(autoencoder: Autoencoder, examples: Examples, key: jax.Array) -> Preview:
    """Binds the preview to the first pictures of the data set, and to latents where there are samples.

    Pictures and their reconstructions stand below one another, samples below both. A data set of fewer pictures begins
    again.
    """
    rows = ROWS[autoencoder.variational]
    count = rows.count("real") * COLUMNS

    @functools.cache  # not read before they are needed, and only once
    def inputs() -> tuple[np.ndarray, jax.Array]:
        real = examples.images[np.arange(count) % len(examples)]
        return real, _latent_output(autoencoder).latents(key, rows.count("sample") * COLUMNS)

    def images(state: VAEState) -> np.ndarray:
        real, latents = inputs()
        shown = [rows_below((real, reconstruct(autoencoder, state, real)), COLUMNS)]
        if len(latents):
            shown.append(generate(autoencoder.decoder, state.decoder_variables, latents))
        return np.concatenate(shown)

    return Preview(images, COLUMNS, rows)


def _latent_output(autoencoder: Autoencoder) -> LatentOutput:
    return LatentOutput(autoencoder.decoder, lambda state: state.decoder_variables)


def reconstruct(autoencoder: Autoencoder, state: VAEState, images: np.ndarray) -> np.ndarray:
    """Decodes the mean codes of pictures, uint8 (N, H, W, C); returns the same shape."""
    params = state.autoencoder.params
    parts = [_reconstruct(autoencoder, params, part) for part, _ in chunks(images, None)]
    return np.concatenate([np.asarray(part) for part in parts])


def measure(rules: Rules, state: VAEState, images: np.ndarray, key: jax.Array) -> dict[str, Measure]:
    """Measures how well pictures that the autoencoder has not seen are kept by it.

    Args:
      rules: that it was trained by.
      state: of the system.
      images: uint8 (N, H, W, C).
      key: of the codes, and of the pixels that are drawn black or white.

    Returns:
      "reconstruction_error"; for variational ones also "elbo" and "active_units". See `jaxgan.systems.variational`.
    """
    parts = [
        _measure(rules, state.autoencoder.params, part, jax.random.fold_in(key, index))
        for index, (part, _) in enumerate(chunks(images, None))
    ]
    found = {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
    measures = {"reconstruction_error": mean_measure(found["error"], "from a picture to its reconstruction; 0 to 2")}
    if rules.variational:
        what = "drawn black or white by their brightness"
        if rules.likelihood == "gaussian":
            what = f"in [-1, 1] with a standard deviation of {rules.pixel_std:g}"
        units = int(variational.active_units(jnp.asarray(found["code"])))
        meaning = f"latents of {rules.autoencoder.latent_dim} that depend on the picture"
        measures["elbo"] = mean_measure(found["elbo"], f"nats, of pixels {what}; more is better")
        measures["active_units"] = Measure(units, None, meaning)
    return measures


@functools.partial(jax.jit, static_argnums=0)
def _reconstruct(autoencoder: Autoencoder, params: Any, images: jax.Array) -> jax.Array:
    return pixels.quantize(variational.reconstruct(autoencoder, params, images))


@functools.partial(jax.jit, static_argnums=0)
def _measure(rules: Rules, params: Any, images: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
    found = {"error": variational.reconstruction_errors(rules.autoencoder, params, images)}
    if rules.variational:
        found["elbo"] = variational.elbo(rules, params, images, key)
        found["code"] = variational.encode(rules.autoencoder, params, images).mean
    return found


FAMILIES = (
    Family(
        command="vae",
        settings=VAESettings,
        defaults={
            "vae_mlp": {"batch_size": 128},
            "vae_conv": {"batch_size": 128, "likelihood": "gaussian"},
            "autoencoder": {"batch_size": 128},
        },
        runs={
            "vae_mlp": {"epochs": 10},
            "vae_conv": {"epochs": 30},
            "autoencoder": {"epochs": 10},
        },
        build=build,
        image_size=lambda model: networks.build(model).image_shape[0],
    ),
)
"""What the command trains, as the sources have it."""
