"""A system: what the training loop, the commands and the tests need to know of a thing that trains."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.systems.checks import Check
from jaxgan.systems.outputs import LatentOutput, Outputs
from jaxgan.systems.schedule import BatchSchedule

Metrics = Mapping[str, Any]

IMAGES = {"": ("image",)}
"""The inputs of a system that takes images alone: one source without a name."""


LARGEST_SEED = 2**32 - 1


def check_distinct_seed(seed: int, name: str = "seed") -> None:
    """Raises a UserError for a seed of which JAX takes only the lower 32 bits, so that another draws the same."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"--{name}={seed}: must be from 0 to {LARGEST_SEED:,}")


def initial_key(seed: int) -> jax.Array:
    """Returns the key of the initial state of a run with this seed."""
    return jax.random.split(jax.random.key(seed))[0]


def preview_key(seed: int) -> jax.Array:
    """Returns the key of the preview of a run with this seed."""
    return jax.random.split(jax.random.key(seed))[1]


@dataclasses.dataclass(frozen=True)
class Panel:
    """Metrics that are drawn over one another in the plot of a run.

    Attributes:
      label: the vertical axis, such as "loss".
      curves: metric -> what the legend calls it.
      probabilities: whether the values are probabilities: the axis then goes from 0 to 1, with a line at one half.
    """

    label: str
    curves: Mapping[str, str]
    probabilities: bool = False


@dataclasses.dataclass(frozen=True)
class Report:
    """What the metrics of a system's step are called, and how people and the watch look at them.

    Attributes:
      panels: of the plot, from top to bottom. Together they name every metric that `step` returns.
      bar: the metrics that the progress bar shows.
      checks: what the watch looks for in the metrics; see `jaxgan.systems.checks`.
      diverse_preview: whether the preview shows independent samples, so that the watch may ask whether they are alike.
      unit: what a step is, such as "generator steps".
    """

    panels: tuple[Panel, ...]
    bar: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    diverse_preview: bool = True
    unit: str = "steps"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        return tuple(name for panel in self.panels for name in panel.curves)


@dataclasses.dataclass(frozen=True)
class Preview:
    """The grid of pictures that shows how training goes.

    Attributes:
      images: state -> uint8 (N, H, W, C), the same shape at every step, from inputs bound when the system was built.
      columns: pictures in a row.
      rows: a caption for each row, or ().
    """

    images: Callable[[Any], np.ndarray]
    columns: int = 8
    rows: tuple[str, ...] = ()


def latent_preview(latent: LatentOutput, key: jax.Array, count: int = 64, conditions: Any = None) -> Preview:
    """Binds a preview of samples to their latents, and to conditions (count, condition_dim), in rows of 8."""
    latents = functools.cache(lambda: latent.latents(key, count))  # not drawn before they are needed, and only once
    return Preview(lambda state: latent.images(state, latents(), conditions))


@dataclasses.dataclass(frozen=True)
class System:
    """A thing that trains, as values and pure functions.

    Attributes:
      name: the id that it was built by, or any name.
      init: key -> state, a pytree of arrays with `step` (int32) and `key`; the template of every checkpoint.
      step: (state, batch, axis_name=None) -> (state, metrics), what one device does with its share of a batch. Where
        the schedule has several phases, it also takes `phase`, an index that is static when the step is compiled.
      schedule: the batches of each step.
      image_shape: (height, width, channels) of the pictures that it makes or takes.
      preview: the grid of pictures that shows how training goes.
      report: the metrics and what they mean.
      networks: state -> {name: parameters}, for the description of a run and its sizes.
      outputs: what a trained state can be asked for.
      inputs: source -> the arrays of an example that it takes. A system of one source names it "", and its batches are
        {"image": (batches, N, H, W, C), …}; of several, a batch is {source: {"image": …}, …}.
      divide: one set of examples -> the sources of `inputs`, for a system that divides a set itself; None: it takes the
        sources as they are given.
      seed: of the initial state, the preview and the order of the examples.
      settings: the dataclass that it was built from, by which a run can be read back; None for a system that no
        registry knows.
      short_step: whether a step takes so little time that many belong into one call of the device.
    """

    name: str
    init: Callable[[jax.Array], Any]
    step: Callable[..., tuple[Any, Metrics]]
    schedule: BatchSchedule
    image_shape: tuple[int, int, int]
    preview: Preview
    report: Report
    networks: Callable[[Any], Mapping[str, Any]]
    outputs: Outputs = dataclasses.field(default_factory=Outputs)
    inputs: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: dict(IMAGES))
    divide: Callable[[Examples], Mapping[str, Examples]] | None = None
    seed: int = 0
    settings: Any = None
    short_step: bool = False

    def sources(self, examples: Examples | Mapping[str, Examples]) -> Examples | Mapping[str, Examples]:
        """Returns the examples as `inputs` has them: one set divided, if the system divides it, or what was given.

        Raises:
          UserError: if the set cannot be divided.
        """
        divided = self.divide is not None and isinstance(examples, Examples)
        return self.divide(examples) if divided else examples  # type: ignore[misc, arg-type]

    def sample(self, state: Any, num: int = 64, seed: int = 0, condition: Any = None) -> np.ndarray:
        """Draws samples from a state.

        Args:
          state: of this system.
          num: how many.
          seed: of the latents.
          condition: (num, condition_dim) for conditional systems.

        Returns:
          uint8 (num, H, W, C).

        Raises:
          UserError: if the system draws nothing from latents, or the seed is above LARGEST_SEED.
        """
        check_distinct_seed(seed)
        latent = self.outputs.require("latent", self.name)
        return latent.images(state, latent.latents(jax.random.key(seed), num), condition)
