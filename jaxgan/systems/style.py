"""Style transfer: its settings, its defaults, and how a System is built from them.

The network is in `jaxgan.models.style_transformer`, the training step in `jaxgan.systems.feed_forward_style`, the
losses in `jaxgan.systems.style_losses`. `jaxgan.sampling.stylisation` paints a single picture without any training.
"""

import dataclasses
import functools
import math
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.data import patterns
from jaxgan.data.decode import decode
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError, printable
from jaxgan.host.files import sha256_of
from jaxgan.models import feature_maps
from jaxgan.models.feature_maps import FeatureMaps
from jaxgan.models.inference import chunks
from jaxgan.models.style_transformer import style_transformer
from jaxgan.models.vgg import POOLS
from jaxgan.ops import pixels
from jaxgan.systems import feed_forward_style
from jaxgan.systems.feed_forward_style import Rules, StyleState
from jaxgan.systems.outputs import Measure, Outputs, Translator, mean_measure, rows_below
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import Family, SystemSettings, option, require_positive
from jaxgan.systems.style_losses import Objective
from jaxgan.systems.system import Panel, Preview, Report, System

TRAINED = "classifier"
"""The features that `experiments.style` offers besides: those of the network that `experiments.evaluate` trains."""

COLUMNS = 8
ROWS = 2 * ("input", "output")
PREVIEWED = COLUMNS * ROWS.count("input")
MEASURED_AT_ONCE = 16  # pictures: features take more memory than what they are taken of


REPORT = Report(
    (
        Panel("loss", {"loss": "weighted sum"}),
        Panel("terms of the loss", {"content": "content", "style": "style", "total_variation": "total variation"}),
    ),
    bar=("loss", "content", "style"),
    diverse_preview=False,  # every other row is given
)
"""What the metrics of the step mean."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleSettings(SystemSettings):
    """What style transfer can be told."""

    style: str | None = option(None, "Picture file whose style is taken; default: --pattern", group="Style", path=True)
    pattern: str = option(
        "waves", "Style that the library draws, where --style is not given", patterns.NAMES, group="Style"
    )
    style_sha256: str | None = option(
        None, "SHA-256 that the --style file must have; default: any, and then that of the run's start", group="Style"
    )
    features: str = option(
        "random_filters",
        "Network whose maps are compared: with random weights, one layer of filters of many sizes or VGG-19; the"
        " classifier that experiments.evaluate trains, for single pictures alone; VGG-16 or VGG-19 with"
        " --feature_weights",
        (*feature_maps.RANDOM, TRAINED, *feature_maps.FROM_FILE),
        group="Features",
    )
    feature_weights: str | None = option(
        None, "With --features=vgg16 or vgg19: a .npz or .safetensors file of torchvision's weights", group="Features",
        path=True,
    )  # fmt: skip
    feature_sha256: str | None = option(None, "SHA-256 that this file must have; default: any", group="Features")
    feature_width: int | None = option(
        None, "Channels of a random VGG's first block, or random filters of each size; default: 32", group="Features"
    )
    feature_seed: int = option(0, "Random seed of random features", group="Features")
    pool: str = option("average", "Halvings of a VGG: the mean or the greatest of four", POOLS, group="Features")

    content_layers: str | None = option(
        None, "Layers whose maps are kept, with commas between them; default: the network's usual one", group="Loss"
    )
    style_layers: str | None = option(
        None, "Layers whose Gram matrices are taken from the style; default: the network's usual ones", group="Loss"
    )
    content_weight: float = option(1.0, "Weight of the content loss", group="Loss")
    style_weight: float = option(10.0, "Weight of the style loss", group="Loss")
    total_variation: float = option(0.01, "Weight of the total variation, which smooths", group="Loss")
    normalize_layers: bool = option(
        True, "Divide the loss of each layer by its value for an empty picture; random features need it", group="Loss"
    )

    width: int = option(32, "Channels of the network's first layer", group="Model")
    blocks: int = option(5, "Residual blocks of the network", group="Model")
    learning_rate: float = option(1e-3, "Learning rate of Adam", group="Optimiser")

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for settings that contradict each other."""
        super().check()
        require_positive(self, "feature_width", "width")
        if self.blocks < 0:
            raise UserError(f"--blocks={self.blocks}: must be 0 or more")
        for name in ("content_weight", "style_weight", "total_variation", "learning_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"--{name}={getattr(self, name)}: must be 0 or more")
        if not self.content_weight and not self.style_weight:
            raise UserError(
                "--style_weight=0.0: nothing is asked of the picture; give --content_weight or this above 0"
            )
        if not 0 <= self.feature_seed < 2**63:
            raise UserError(f"--feature_seed={self.feature_seed}: must be from 0 to 2^63 - 1")
        if self.feature_sha256 is not None and self.features not in feature_maps.FROM_FILE:
            raise UserError("--feature_sha256: is that of the weights of --features=vgg16 or vgg19; leave it out")

    def with_digests(self) -> Self:
        """Returns the settings with the digests of the files that they name, by which a run knows them again.

        Raises:
          UserError: for a file that cannot be read.
        """
        found: dict[str, Any] = {}
        for file, digest in (("style", "style_sha256"), ("feature_weights", "feature_sha256")):
            path = getattr(self, file)
            if path is not None and getattr(self, digest) is None:
                try:
                    found[digest] = sha256_of(path)
                except OSError as error:
                    raise UserError(f"--{file}={printable(path)}: cannot be read ({error.strerror})") from error
        return dataclasses.replace(self, **found)


def build(settings: StyleSettings, examples: Examples) -> System:
    """Builds the System that the settings describe.

    Args:
      settings: checked settings.
      examples: the content pictures that it is trained on, or a description of them.

    Raises:
      UserError: for a size that the networks cannot have, or features that cannot be had.
    """
    rules = build_rules(settings, examples.image_shape[-1])
    painted = functools.partial(translate, rules)
    return System(
        name=settings.model,
        init=functools.partial(feed_forward_style.init_state, rules=rules),
        step=functools.partial(feed_forward_style.train_step, rules=rules),
        schedule=BatchSchedule(settings.batch_size),
        image_shape=rules.transformer.image_shape,
        preview=build_preview(painted, examples),
        report=REPORT,
        networks=lambda state: {"transformer": state.transformer.params},
        outputs=Outputs(
            translate={"content_to_style": painted},
            translators={"content_to_style": Translator(functools.partial(_translator, rules))},
            measure=functools.partial(measure, rules),
        ),
        seed=settings.seed,
        settings=settings,
    )


def build_rules(settings: StyleSettings, channels: int) -> Rules:
    """Builds the network for pictures with this many channels, and what it is trained by.

    Raises:
      UserError: for a size that the networks cannot have, or features that cannot be had.
    """
    size = settings.image_size or 256
    features = build_features(settings, (size, size, channels))
    return Rules(
        style_transformer(
            image_size=size,
            channels=channels,
            width=settings.width,
            blocks=settings.blocks,
            dtype=jnp.bfloat16 if settings.precision == "bfloat16" else None,
        ),
        optax.adam(settings.learning_rate),
        features,
        functools.cache(lambda: style_picture(settings, size, channels)[None]),
        build_objective(settings, features),
    )


def build_features(settings: StyleSettings, image_shape: tuple[int, int, int]) -> FeatureMaps:
    """Builds the feature network for pictures of a shape.

    Raises:
      UserError: for features that cannot be had.
    """
    if settings.features == TRAINED:
        raise UserError(
            f"--features={TRAINED}: is trained by experiments.style for single pictures alone; choose one of"
            f" {', '.join(feature_maps.NAMES)}"
        )
    return feature_maps.build(
        settings.features,
        image_shape,
        width=settings.feature_width,
        pool=settings.pool,
        seed=settings.feature_seed,
        weights=settings.feature_weights,
        sha256=settings.feature_sha256,
        dtype=jnp.bfloat16 if settings.precision == "bfloat16" else None,
    )


def build_objective(settings: StyleSettings, features: FeatureMaps) -> Objective:
    """Builds what is minimised.

    Raises:
      UserError: for layers that the network does not have.
    """
    return Objective(
        features.chosen(settings.content_layers, features.content, "content_layers"),
        features.chosen(settings.style_layers, features.style, "style_layers"),
        settings.content_weight,
        settings.style_weight,
        settings.total_variation,
        settings.normalize_layers,
    )


def style_picture(settings: StyleSettings, size: int, channels: int) -> np.ndarray:
    """Returns the picture whose style is taken, (size, size, channels) uint8: the middle of a file, or a pattern.

    Raises:
      UserError: if the file cannot be read as a picture, or is another than at the start of the run.
    """
    if settings.style is None:
        if settings.style_sha256 is not None:
            raise UserError("--style: the style picture did not come with this run, which can only paint without it")
        drawn = patterns.draw(settings.pattern, size, size)
        return drawn if channels == 3 else drawn.mean(axis=-1, keepdims=True).round().astype(np.uint8)
    try:
        picture, digest = decode(settings.style, size, channels), sha256_of(settings.style)
    except Exception as error:  # Pillow raises almost anything for a damaged file
        raise UserError(
            f"--style={printable(settings.style)}: cannot be read as a picture ({printable(error)})"
        ) from error
    if settings.style_sha256 is not None and settings.style_sha256.lower() != digest:
        raise UserError(
            f"--style={printable(settings.style)}: is another file than at the start of the run; bring that one back"
        )
    return picture


def build_preview(painted: Any, examples: Examples) -> Preview:
    """Binds the preview to pictures that are not trained on, where there are any, else to the first ones.

    Pictures and what is made of them stand below one another. Too few begin again.
    """

    @functools.cache  # not read before they are needed, and only once
    def inputs() -> np.ndarray:
        images = (examples.held_out or examples.arrays)["image"]
        return images[np.arange(PREVIEWED) % len(images)]

    return Preview(lambda state: rows_below((inputs(), painted(state, inputs())), COLUMNS), COLUMNS, ROWS)


def translate(rules: Rules, state: StyleState, images: np.ndarray) -> np.ndarray:
    """Paints pictures, uint8 (N, H, W, C), in the style; returns the same shape."""
    parts = [_translate(rules.transformer, state.transformer.params, part) for part, _ in chunks(images, None)]
    return np.concatenate([np.asarray(part) for part in parts])


def _translator(rules: Rules, state: StyleState, images: jax.Array) -> jax.Array:
    return feed_forward_style.paint(rules.transformer, state.transformer.params, images)


@functools.partial(jax.jit, static_argnums=0)
def _translate(transformer: Any, params: Any, images: jax.Array) -> jax.Array:
    return pixels.quantize(feed_forward_style.paint(transformer, params, images))


def measure(rules: Rules, state: StyleState, images: np.ndarray, key: jax.Array) -> dict[str, Measure]:
    """Measures what is left of the content of pictures, and how far they are from the style.

    Args:
      rules: for the features and the objective.
      state: of the system.
      images: uint8 (N, H, W, C).
      key: not used: nothing is drawn.

    Returns:
      "content_loss" and "style_loss", as in training, means over the pictures; "unchanged_style_loss", that of the
      pictures as they are.
    """
    parts = [_measure(rules, state.transformer.params, part) for part, _ in chunks(images, None, MEASURED_AT_ONCE)]
    found = {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
    scale = "1 for an empty picture in each layer" if rules.objective.relative else "without a bound"
    return {
        "content_loss": mean_measure(found["content"], f"of the maps of the content layers, summed; {scale}"),
        "style_loss": mean_measure(found["style"], f"of the Gram matrices of the style layers, summed; {scale}"),
        "unchanged_style_loss": mean_measure(found["unchanged"], "the style loss of the pictures as they are"),
    }


@functools.partial(jax.jit, static_argnums=0)
def _measure(rules: Rules, params: Any, images: jax.Array) -> dict[str, jax.Array]:
    inputs = pixels.normalize(images)
    made = pixels.normalize(pixels.quantize(feed_forward_style.paint(rules.transformer, params, inputs)))
    variables, example = rules.constants()
    objective, features = rules.objective, rules.features
    grams = objective.style_of(features, variables, example)
    before, after = (features.apply(variables, one, objective.layers) for one in (inputs, made))

    def terms(maps: Any, image: jax.Array) -> Any:
        def alone(maps: Any, image: jax.Array, content: Any) -> Any:
            maps, image, content = jax.tree.map(lambda part: part[None], (maps, image, content))
            return objective(maps, image, content, grams)[1]

        return jax.vmap(alone)(maps, image, before)

    found, unchanged = terms(after, made), terms(before, inputs)
    return {"content": found["content"], "style": found["style"], "unchanged": unchanged["style"]}


FAMILIES = (
    Family(
        command="style",
        settings=StyleSettings,
        defaults={"style": {"batch_size": 4}},
        runs={"style": {"epochs": 2}},
        build=build,
        image_size=lambda model: 256,
    ),
)
"""What the command trains, as its source has it."""
