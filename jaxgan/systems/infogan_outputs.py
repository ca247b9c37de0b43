"""What an InfoGAN can be asked for: samples, its codes side by side, and how much the codes say."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxgan.models.inference import chunks, generate
from jaxgan.models.infogan import Codes, InfoGAN
from jaxgan.ops import pixels
from jaxgan.systems import code_measures, information
from jaxgan.systems.adversarial import GANState
from jaxgan.systems.outputs import Exhibit, LatentOutput, Measure, mean_measure, share_measure
from jaxgan.systems.system import Preview

COLUMNS = 6  # of the preview, which is then drawn in one chunk
CLASSES = 10  # of the first categorical code that the preview shows, at most
SWEEP = 10  # values of a continuous code, if there are no classes to stand in the same columns
FARTHEST = 2.0  # of the values that continuous codes are shown at, as in the paper; in training they are below 1
STD = 1 / math.sqrt(3)  # of U(−1, 1)


@dataclass(frozen=True)
class CodedLatentOutput(LatentOutput):
    """Pictures drawn from noise and codes.

    Attributes:
      codes: the parts of a latent.
    """

    codes: Codes

    @property
    def normal(self) -> bool:
        """Whether the latents are normal noise, so that every point between two of them is like any other: no."""
        return False

    def latents(
        self, key: jax.Array, count: int, *, mean: float = 0.0, std: float = 1.0, truncation: float | None = None
    ) -> jax.Array:
        """Draws latents, (count, latent_dim); categorical codes are one-hot whatever the other arguments are.

        Args:
          key: PRNG key.
          count: how many.
          mean: offset of the noise and the continuous codes.
          std: factor of both.
          truncation: limit of both before that, in their standard deviations; None for no limit.
        """
        z = information.draw_latents(key, count, self.codes)
        # Uniform numbers within a limit are uniform ones times the limit.
        limit = 1.0 if truncation is None else min(1.0, truncation * STD)
        moved = mean + std * limit * z
        for place in self.codes.categorical_columns():
            moved = moved.at[:, place].set(z[:, place])
        return moved

    def with_codes(self, z: jax.Array, classes: Mapping[int, int], values: Mapping[int, float]) -> jax.Array:
        """Returns latents (N, latent_dim) with other codes.

        Args:
          z: the latents.
          classes: by the index of a categorical code: its class, from 0.
          values: by the index of a continuous code: its value.
        """
        for code, chosen in classes.items():
            z = with_class(z, self.codes, code, jnp.full(len(z), chosen))
        for code, value in values.items():
            z = with_value(z, self.codes, code, value)
        return z


def with_class(z: jax.Array, codes: Codes, code: int, classes: jax.Array) -> jax.Array:
    """Returns latents (N, latent_dim) with other classes, integers (N,), in a categorical code, counted from 0."""
    place = codes.categorical_columns()[code]
    return z.at[:, place].set(jax.nn.one_hot(classes, codes.categorical[code], dtype=z.dtype))


def with_value(z: jax.Array, codes: Codes, code: int, values: ArrayLike) -> jax.Array:
    """Returns latents (N, latent_dim) with other values, one or (N,), of a continuous code, counted from 0."""
    return z.at[:, codes.continuous_columns().start + code].set(jnp.asarray(values, z.dtype))


def build_preview(gan: InfoGAN, key: jax.Array) -> Preview:
    """Binds the preview to its latents: a row for each class of the first categorical code, or ten without one."""
    codes = gan.codes
    rows = min([CLASSES, *codes.categorical[:1]])

    @functools.cache  # not drawn before they are needed, and only once
    def latents() -> jax.Array:
        z = information.draw_latents(key, rows * COLUMNS, codes)
        return with_class(z, codes, 0, jnp.repeat(jnp.arange(rows), COLUMNS)) if codes.categorical else z

    captions = tuple(f"class {row}" for row in range(rows)) if codes.categorical else ()
    return Preview(lambda state: generate(gan.generator, state.sampling_variables, latents()), COLUMNS, captions)


def show_codes(gan: InfoGAN, state: GANState, count: int, seed: int) -> Exhibit:
    """Shows what each code does: a row for each, in which nothing else changes.

    A categorical code takes all its classes, a continuous one values from −2 to 2. Training draws values in [−1, 1];
    beyond them the generator extrapolates, as in the paper. The rows of a set have the same noise and, but for the code
    that is shown, the same classes, and continuous codes of 0.

    Args:
      gan: the networks, with at least one code.
      state: of the system.
      count: about how many pictures; rounded down to whole sets of rows, one at least.
      seed: of the noise and of the classes that do not change.
    """
    codes = gan.codes
    kinds = len(codes.categorical) + codes.continuous
    columns = max(codes.categorical, default=SWEEP)
    sets = max(1, count // (kinds * columns))
    z = information.draw_latents(jax.random.key(seed), sets, codes).at[:, codes.continuous_columns()].set(0.0)
    z = jnp.repeat(z, columns, axis=0)
    places, values = jnp.tile(jnp.arange(columns), sets), np.linspace(-FARTHEST, FARTHEST, columns)
    rows = [with_class(z, codes, code, places) for code in range(len(codes.categorical))]
    rows += [with_value(z, codes, code, jnp.asarray(values)[places]) for code in range(codes.continuous)]
    latents = jnp.stack([row.reshape(sets, columns, -1) for row in rows], axis=1)
    shown = generate(gan.generator, state.sampling_variables, latents.reshape(-1, codes.latent_dim))
    shown = shown.reshape(sets, kinds, columns, *shown.shape[1:])
    for code, classes in enumerate(codes.categorical):
        shown[:, code, classes:] = 255  # nothing where another code has more classes
    shown = shown.reshape(-1, *shown.shape[3:])
    names = [f"categorical {code + 1}" for code in range(len(codes.categorical))]
    names += [f"continuous {code + 1}" for code in range(codes.continuous)]
    return Exhibit(
        shown,
        np.zeros((len(shown), 0), np.uint8),
        columns,
        together=kinds,
        rows=tuple(names),
        heads=tuple(_head(codes, place, value) for place, value in enumerate(values)),
    )


def _head(codes: Codes, place: int, value: float) -> str:
    said = [f"class {place}"] if codes.categorical else []
    return ", ".join([*said, f"{value:+.1f}"] if codes.continuous else said)


def read_codes(gan: InfoGAN, state: GANState, images: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Reads the codes of pictures, uint8 (N, H, W, C), by Q in evaluation mode.

    Returns:
      The log probabilities of the classes of each categorical code, (N, classes) each, and the means of the continuous
      codes, (N, continuous).
    """
    parts = [_read(gan, state.discriminator.variables, part) for part, _ in chunks(images, None)]
    chances, means = jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)
    return chances, means


@functools.partial(jax.jit, static_argnums=0)
def _read(gan: InfoGAN, variables: Any, images: jax.Array) -> tuple[tuple[jax.Array, ...], jax.Array]:
    judged: Any = gan.discriminator.apply(variables, pixels.normalize(images), train=False, read_codes=True)
    return tuple(jax.nn.log_softmax(logits) for logits in judged[1].logits), judged[1].means


def measure(gan: InfoGAN, state: GANState, images: np.ndarray, key: jax.Array) -> dict[str, Measure]:
    """Measures how much pictures that the generator draws say of their codes, and what continuous codes do to digits.

    Args:
      gan: the networks.
      state: of the system.
      images: real pictures, uint8 (N, H, W, C); only how many they are counts: as many are drawn.
      key: of the latents.

    Returns:
      "categorical_1_information", "continuous_1_information", … in nats; for pictures of one channel also
      "continuous_1_slant" and "continuous_1_thickness", …, correlations within the classes of the first categorical
      code.
    """
    codes = gan.codes
    z = information.draw_latents(key, len(images), codes)
    drawn = generate(gan.generator, state.sampling_variables, z)
    chances, means = read_codes(gan, state, drawn)
    latents = np.asarray(z)
    found = {}
    for code, place in enumerate(codes.categorical_columns()):
        right = (latents[:, place] * chances[code]).sum(axis=1, dtype=np.float64)
        most = math.log(codes.categorical[code])
        meaning = f"nats that a drawn picture tells of it, by Q; {most:.2f} is all"
        found[f"categorical_{code + 1}_information"] = mean_measure(most + right, meaning)
    given = latents[:, codes.continuous_columns()]
    for code in range(codes.continuous):
        value = code_measures.information_of_uniform_code(given[:, code], means[:, code])
        meaning = "nats that a drawn picture tells of it, by Q; 0: nothing"
        found[f"continuous_{code + 1}_information"] = Measure(value, None, meaning)
    return found | (_effects(drawn, given, _first_class(latents, codes)) if gan.image_shape[-1] == 1 else {})


def _first_class(latents: np.ndarray, codes: Codes) -> np.ndarray:
    places = codes.categorical_columns()
    return latents[:, places[0]].argmax(axis=1) if places else np.zeros(len(latents), np.int64)


def _effects(drawn: np.ndarray, given: np.ndarray, classes: np.ndarray) -> dict[str, Measure]:
    ink = drawn[..., 0] / 255.0
    properties = {
        "slant": (code_measures.slants(ink), "correlation with how far drawn digits lean to the right"),
        "thickness": (code_measures.thicknesses(ink), "correlation with the width of strokes of drawn digits"),
    }
    found = {}
    for code in range(given.shape[1]):
        for name, (values, meaning) in properties.items():
            value, error = code_measures.correlation_within(given[:, code], values, classes)
            found[f"continuous_{code + 1}_{name}"] = Measure(value, error, f"{meaning}, within classes; -1 to 1")
    return found


def measure_labelled(
    gan: InfoGAN, state: GANState, images: np.ndarray, labels: Mapping[str, np.ndarray]
) -> dict[str, Measure]:
    """Measures how well categorical codes, learned without labels, tell the classes of real pictures.

    Args:
      gan: the networks.
      state: of the system.
      images: real pictures, uint8 (N, H, W, C).
      labels: by name of the kind, such as "hair": the class of each picture, integers (N,); −1 where it has none.

    Returns:
      "categorical_1_accuracy", …: the share of pictures whose class Q finds, after the best matching of a code's
      classes with the labels. With several kinds of labels their names stand before: "hair/categorical_1_accuracy".
    """
    chances, _ = read_codes(gan, state, images)
    found = {}
    for kind, classes in labels.items():
        known = classes >= 0
        if not known.any():
            continue
        for code, values in enumerate(chances):
            value = code_measures.matched_accuracy(values[known].argmax(axis=1), classes[known])
            name = f"categorical_{code + 1}_accuracy"
            meaning = f"share of real pictures whose {kind} it tells, after matching; chance {_chance(classes[known])}"
            found[name if len(labels) == 1 else f"{kind}/{name}"] = share_measure(value, int(known.sum()), meaning)
    return found


def _chance(classes: np.ndarray) -> str:
    """Returns the share of the most frequent class, which a code that says nothing reaches."""
    return f"{np.bincount(classes).max() / len(classes):.2f}"
