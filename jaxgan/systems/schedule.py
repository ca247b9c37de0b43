"""Batch schedule: how many batches each step takes, of which size, computed from the step number alone."""

import bisect
import dataclasses
import itertools
from typing import NamedTuple

WARM_STEPS, WARM_EVERY, WARM_BATCHES = 25, 500, 100


class Batches(NamedTuple):
    """The batches of one step.

    Attributes:
      number: the number of batches, stacked along the first axis of the step's input.
      size: examples in each batch, over all devices.
      phase: index of the phase of training; the step is compiled once for each phase.
    """

    number: int
    size: int
    phase: int


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase of training.

    Attributes:
      first_step: the step at which it begins; 0 for the first phase.
      batch_size: examples in a batch, over all devices.
    """

    first_step: int
    batch_size: int


@dataclasses.dataclass(frozen=True)
class BatchSchedule:
    """The batches of every step.

    Attributes:
      batch_size: examples in a batch of the first phase, over all devices.
      batches_per_step: batches of an ordinary step: the number of critic steps if each takes a new batch, else 1.
      warmup: whether the first 25 steps and every 500th take 100 batches, to bring the critic close to its optimum.
      later_phases: the phases after the first, in ascending order of `first_step`.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017; `warmup` is from the authors' own program.
    """

    batch_size: int
    batches_per_step: int = 1
    warmup: bool = False
    later_phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        begins = [phase.first_step for phase in self.phases]
        if begins != sorted(set(begins)):
            raise ValueError(f"later phases begin after step 0, each after the one before, got {begins[1:]}")

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases."""
        return (Phase(0, self.batch_size), *self.later_phases)

    def at(self, step: int) -> Batches:
        """Returns the batches of a step."""
        warm = self.warmup and (step < WARM_STEPS or step % WARM_EVERY == 0)
        phase = sum(step >= phase.first_step for phase in self.later_phases)
        return Batches(WARM_BATCHES if warm else self.batches_per_step, self.phases[phase].batch_size, phase)

    def examples_before(self, step: int) -> int:
        """Counts the examples that all steps before this one take."""
        bounds = [min(phase.first_step, step) for phase in self.phases] + [step]
        batches = [self._batches_before(end) - self._batches_before(start) for start, end in itertools.pairwise(bounds)]
        return sum(count * phase.batch_size for count, phase in zip(batches, self.phases, strict=True))

    def steps_within(self, examples: int) -> int:
        """Counts the steps that together take at most so many examples."""
        return bisect.bisect_right(range(1, examples + 1), examples, key=self.examples_before)

    def _batches_before(self, step: int) -> int:
        total = self.batches_per_step * step
        if self.warmup and step:
            warm_steps = min(step, WARM_STEPS) + -(-step // WARM_EVERY) - 1  # both terms count step 0
            total += (WARM_BATCHES - self.batches_per_step) * warm_steps
        return total
