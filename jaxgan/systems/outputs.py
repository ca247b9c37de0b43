"""What a trained system can be asked for: samples, scores of pictures, reconstructions, exhibits, measures."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.data.heads import Head
from jaxgan.host.errors import UserError
from jaxgan.models import Network, inference
from jaxgan.models.inference import fixed_latents


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """Pictures that belong side by side.

    Attributes:
      images: uint8 (N, H, W, C), row by row.
      labels: the condition of each, uint8 (N, c); c = 0 without conditions.
      columns: pictures in a row; None: about as many as there are rows.
      apart: how many columns at the left stand apart from the others.
      together: how many rows belong together, apart from the others; 0: all.
      rows: a caption for each row, repeated if there are more rows, or ().
      heads: a caption for each column, or ().
    """

    images: np.ndarray
    labels: np.ndarray
    columns: int | None = None
    apart: int = 0
    together: int = 0
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()


class Measure(NamedTuple):
    """A number that a system's own measure gives.

    Attributes:
      value: the number.
      standard_error: of the number, or None.
      meaning: what it says, in a few words.
    """

    value: float
    standard_error: float | None
    meaning: str


def mean_measure(values: np.ndarray, meaning: str) -> Measure:
    """Returns the mean of a number of each example, (N,), with its standard error, which one example alone has not."""
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return Measure(float(values.mean(dtype=np.float64)), error, meaning)


def share_measure(value: float, count: int, meaning: str) -> Measure:
    """Returns a share of independent examples with its standard error."""
    return Measure(value, math.sqrt(value * (1.0 - value) / count), meaning)


def rows_below(parts: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Puts rows of each part, (N, H, W, C), below one another in turn; of a last row that is not full, nothing."""
    count, shape = len(parts[0]) // columns * columns, parts[0].shape[1:]
    rows = [part[:count].reshape(-1, columns, *shape) for part in parts]
    return np.stack(rows, axis=1).reshape(-1, *shape)


@dataclasses.dataclass(frozen=True)
class LatentOutput:
    """Pictures drawn from latents.

    Attributes:
      network: maps latents (N, latent_dim), and for conditional systems a condition, to images in [−1, 1].
      variables: state -> the network's variables.
    """

    network: Network
    variables: Callable[[Any], Any]

    @property
    def normal(self) -> bool:
        """Whether latents are normal noise, which a path length supposes."""
        return True

    def latents(
        self, key: jax.Array, count: int, *, mean: float = 0.0, std: float = 1.0, truncation: float | None = None
    ) -> jax.Array:
        """Draws latents, mean + std · (the network's own noise, truncated), (count, latent_dim)."""
        return fixed_latents(key, self.network, count, mean=mean, std=std, truncation=truncation)

    def images(self, state: Any, z: jax.Array, condition: Any = None) -> np.ndarray:
        """Draws pictures, uint8 (N, H, W, C), from latents (N, latent_dim) and conditions (N, condition_dim)."""
        return inference.generate(self.network, self.variables(state), z, condition)


@dataclasses.dataclass(frozen=True)
class ScoreOutput:
    """How real a discriminator believes pictures to be.

    Attributes:
      network: maps images in [−1, 1], and for conditional systems a condition, to logits (N,).
      variables: state -> the network's variables.
    """

    network: Network
    variables: Callable[[Any], Any]

    def scores(self, state: Any, images: np.ndarray, condition: Any = None) -> np.ndarray:
        """Scores pictures, uint8 (N, H, W, C), with logits (N,)."""
        return inference.scores(self.network, self.variables(state), images, condition)


@dataclasses.dataclass(frozen=True)
class TranslationOutput:
    """Pictures translated into conditions.

    Attributes:
      kinds: what can be asked for: groups of columns of the conditions.
      translate: (state, uint8 images (N, H, W, C), conditions (N, c)) -> uint8 images of the same shape. What a
        condition leaves open stays as it is.
    """

    kinds: tuple[Head, ...]
    translate: Callable[[Any, np.ndarray, np.ndarray], np.ndarray]

    def images(self, state: Any, images: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """Translates pictures, uint8 (N, H, W, C), into conditions (N, c), zeros and ones.

        Raises:
          UserError: if a condition asks for what the system does not translate, or for nothing that it does.
        """
        conditions = np.asarray(conditions)
        known = np.zeros(conditions.shape[1], bool)
        for kind in self.kinds:
            known[kind.columns] = True
        if conditions[:, ~known].any() or not conditions[:, known].any(axis=1).all():
            kinds = " and ".join(kind.name for kind in self.kinds)
            example = self.kinds[0].classes[0]
            raise UserError(f'--condition: is to be of {kinds}, which this system translates, such as "{example}"')
        return self.translate(state, images, conditions)


@dataclasses.dataclass(frozen=True)
class Translator:
    """A translation as a function of arrays alone, for programs that are exported.

    Attributes:
      translate: (state, images (N, H, W, C) in [−1, 1], and conditions (N, c), zeros and ones, if there are any) ->
        images of the same shape in [−1, 1].
      conditions: what the columns of a condition stand for; () if it takes none.
    """

    translate: Callable[..., jax.Array]
    conditions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ClassifyOutput:
    """Classes of pictures.

    Attributes:
      kind: the classes.
      probabilities: (state, uint8 images (N, H, W, C)) -> (N, K), each row with the sum 1.
    """

    kind: Head
    probabilities: Callable[[Any, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What commands may ask of a system; None and {} where it has nothing to give.

    Attributes:
      latent: pictures from latents.
      score: logits of pictures.
      reconstruct: (state, uint8 images (N, H, W, C)) -> uint8 images of the same shape.
      translate: direction -> (state, uint8 images) -> uint8 images; the first direction is the usual one.
      translate_to: pictures translated into conditions, instead of in directions.
      translators: direction -> the same translations as functions of arrays alone, without noise.
      classify: classes of pictures, which `experiments.classify` tells.
      exhibits: name -> (state, count, seed) -> Exhibit: pictures that `experiments.sample --show=NAME` shows.
      measure: (state, uint8 images, key) -> {name: Measure}, of pictures that the system has not seen; shown by
        `experiments.evaluate`. Further arrays that the system takes, such as `input`, are given by their names.
      measure_labelled: (state, uint8 images, labels) -> {name: Measure}, of such pictures where they have labels: by
        kind, such as "class" or "hair", the class of each, integers (N,), or −1. Shown beside those of `measure`.
    """

    latent: LatentOutput | None = None
    score: ScoreOutput | None = None
    reconstruct: Callable[[Any, np.ndarray], np.ndarray] | None = None
    translate: Mapping[str, Callable[[Any, np.ndarray], np.ndarray]] = dataclasses.field(default_factory=dict)
    translate_to: TranslationOutput | None = None
    translators: Mapping[str, Translator] = dataclasses.field(default_factory=dict)
    classify: ClassifyOutput | None = None
    exhibits: Mapping[str, Callable[..., Exhibit]] = dataclasses.field(default_factory=dict)
    measure: Callable[..., Mapping[str, Measure]] | None = None
    measure_labelled: Callable[[Any, np.ndarray, Mapping[str, np.ndarray]], Mapping[str, Measure]] | None = None

    def require(self, name: str, system: str) -> Any:
        """Returns an output.

        Args:
          name: one of the attributes.
          system: the system's name, for the message.

        Raises:
          UserError: if the system does not have it.
        """
        output = getattr(self, name)
        if not output:
            raise UserError(f"{system} {LACKING[name]}")
        return output


LACKING = {
    "latent": "draws no samples from latents",
    "score": "has no discriminator that scores pictures",
    "reconstruct": "does not reconstruct pictures",
    "translate": "does not translate pictures",
    "translate_to": "does not translate pictures into conditions",
    "translators": "does not translate pictures",
    "classify": "does not classify pictures",
    "measure": "has no measures of its own",
}
"""What a refusal says, by output."""
