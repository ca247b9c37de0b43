"""Schedule of progressive growing: size, share of the new layers, batch and rate of each step, counted in pictures.

A size is trained for so many pictures, then the next one fades in over so many, and so on: 4×4, fade into 8×8, 8×8, …
Everything is arithmetic of the step number, so that a run continues anywhere, also in the middle of a fade.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxgan.systems.schedule import BatchSchedule, Phase


@dataclasses.dataclass(frozen=True)
class Stage:
    """The steps of one size: its fade, and the time until the next size begins.

    Attributes:
      level: of the networks, 0 for 4×4.
      size: side of the pictures.
      batch_size: pictures in a batch, over all devices.
      learning_rate: of both optimisers.
      first_step: the step at which it begins.
      begun: pictures of its fade that the steps before `first_step` have already taken, at most a batch.
      fade: pictures in which it fades in; 0 for the first size, which does not.
    """

    level: int
    size: int
    batch_size: int
    learning_rate: float
    first_step: int
    begun: int = 0
    fade: int = 0

    @property
    def grown_step(self) -> int:
        """The first step at which it has faded in."""
        return self.first_step + max(0, math.ceil((self.fade - self.begun) / self.batch_size))

    def alpha(self, step: jax.Array) -> jax.Array:
        """Returns the share of the new layers at a step of this stage, from just above 0 to 1; int32 -> float."""
        # The number of steps is bounded before it is multiplied, or it would not fit into 32 bits in a long run.
        steps = jnp.clip(step - self.first_step, 0, self.grown_step - self.first_step)
        seen = (self.begun + steps * self.batch_size).astype(jnp.result_type(float))
        return jnp.minimum(seen / self.fade, 1.0) if self.fade else jnp.ones_like(seen)

    def is_reset(self, step: jax.Array) -> jax.Array:
        """Whether the optimisers forget their moments before a step: as a fade begins, and as it has ended."""
        return (step == self.first_step) | (step == self.grown_step)


def plan(
    levels: Sequence[int],
    sizes: Sequence[int],
    batch_sizes: Sequence[int],
    learning_rates: Sequence[float],
    *,
    stable: int,
    fade: int,
) -> tuple[Stage, ...]:
    """Plans the stages of a run.

    Args:
      levels: of the networks, in ascending order.
      sizes: the side of the pictures of each.
      batch_sizes: of each.
      learning_rates: of each.
      stable: pictures between two fades; the last size has all that follow.
      fade: pictures of a fade.

    Returns:
      A stage for each level. One begins at the first step before which more than k · stable + (k − 1) · fade pictures
      have been seen, its share being above 0 from the start.
    """
    stages: list[Stage] = []
    seen = 0  # pictures before the first step of a stage
    for number, (level, size, batch, rate) in enumerate(zip(levels, sizes, batch_sizes, learning_rates, strict=True)):
        if not stages:
            stages.append(Stage(level, size, batch, rate, 0))
            continue
        begin, before = number * stable + (number - 1) * fade, stages[-1]
        steps = max(1, (begin - seen) // before.batch_size + 1)
        seen += steps * before.batch_size
        stages.append(Stage(level, size, batch, rate, before.first_step + steps, seen - begin, fade))
    return tuple(stages)


def batch_schedule(stages: Sequence[Stage]) -> BatchSchedule:
    """Returns the batches of each step, with a phase for each stage."""
    first, *later = (Phase(stage.first_step, stage.batch_size) for stage in stages)
    return BatchSchedule(first.batch_size, later_phases=tuple(later))


@functools.partial(jax.jit, static_argnums=0)
def grown(stages: tuple[Stage, ...], steps: jax.Array) -> jax.Array:
    """Returns how far networks have grown after so many steps, as in the last of them: level − 1 + α, at least 0."""
    last = jnp.maximum(steps - 1, 0)
    found = jnp.float32(stages[0].level)
    for stage in stages[1:]:
        found = jnp.where(last >= stage.first_step, stage.level - 1 + stage.alpha(last), found)
    return found
