"""Checks: what the watch looks for in the metrics of a system, as values with pure functions.

A system lists its checks in its report. Any frozen dataclass that fits `Check` will do, with a kind and advice of its
own; its alarm is printed, stops a run and rolls it back like every other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Window(NamedTuple):
    """Metrics of several steps, looked at together.

    Attributes:
      step: the last of the steps.
      steps: how many they are.
      metrics: name -> mean over these steps. Metrics that are not finite are missing.
      early: whether the samples of the preview do not vary yet; never for systems without a diverse preview.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    early: bool = False


class Verdict(NamedTuple):
    """What a check says of a window.

    Attributes:
      bad: whether the window counts towards an alarm; a window that is not bad ends the streak.
      seen: what was seen, in words: "Step 300: SEEN since step 100."
      certain: False where the window is bad, but no reason for an alarm yet.
      memory: a number to remember until the next window; it goes into the checkpoints.
    """

    bad: bool
    seen: str = ""
    certain: bool = True
    memory: float = 0.0


class Check(Protocol):
    """Looks at metrics, window by window.

    Attributes:
      kind: the name of the trouble, such as "saturated"; no two checks of a system have the same.
      advice: what usually helps: one or more sentences.
      metrics: the names of the metrics that it needs; windows in which one of them is missing are left out.
      length: bad windows in a row before an alarm.
      steps: steps without a good window before an alarm.
    """

    @property
    def kind(self) -> str:
        """The name of the trouble."""
        ...

    @property
    def advice(self) -> str:
        """What usually helps."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it needs."""
        ...

    @property
    def length(self) -> int:
        """Bad windows in a row before an alarm."""
        ...

    @property
    def steps(self) -> int:
        """Steps without a good window before an alarm."""
        ...

    def look(self, window: Window, memory: float) -> Verdict:
        """Judges a window.

        Args:
          window: the means of the last steps.
          memory: what the verdict on the window before said to remember; 0 at the start.
        """
        ...


_WEAKER_DISCRIMINATOR = (
    "Lower the discriminator's learning rate or raise the generator's, or take a smaller discriminator."
)


@dataclass(frozen=True)
class HopelessGenerator:
    """A discriminator that is never in doubt, told by the loss −log D(G(z)) of the generator.

    The loss tells more than the mean of D(G(z)), in which one good picture in a hundred hides that D is never in doubt
    about the others. Its excess over a bearable loss is added up; the sum never falls below 0.

    Attributes:
      metric: the generator's loss.
      bearable_loss: the loss of a G that learns stays below this (9: D believes one picture in 8,000).
      most_excess: G is lost once its loss has been above that for so long that the excess, each step at most that much
        again, has added up to this without being made good.
      early_bearable_loss: the same before G has learned to vary its samples (7: D believes one picture in 1,100).
      early_most_excess: likewise.
      first_step: the step from which it adds up: wide networks begin with losses of 10 to 30, and recover.
      kind: see `Check`.
      advice: see `Check`.
      length: see `Check`.
      steps: see `Check`.

    Reference:
      Page, "Continuous Inspection Schemes", 1954: the CUSUM chart.
    """

    metric: str = "g_loss"
    bearable_loss: float = 9.0
    most_excess: float = 800.0
    early_bearable_loss: float = 7.0
    early_most_excess: float = 500.0
    first_step: int = 200
    kind: str = "saturated"
    advice: str = _WEAKER_DISCRIMINATOR
    length: int = 1
    steps: int = 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it needs."""
        return (self.metric,)

    def look(self, window: Window, memory: float) -> Verdict:
        """Judges a window; see `Check`. What it remembers is the sum of the excess."""
        loss = window.metrics[self.metric]
        bearable, most = self.bearable_loss, self.most_excess
        if window.early:
            bearable, most = self.early_bearable_loss, self.early_most_excess
        excess = min(loss, 2 * bearable) - bearable
        total = max(0.0, memory + window.steps * excess)
        if window.step <= self.first_step:
            total = min(total, 1.0)  # not well, but it does not add up
        seen = f"the discriminator is never in doubt (the generator's loss is {loss:.1f})"
        return Verdict(total > 0, seen, certain=total > most, memory=total)


@dataclass(frozen=True)
class SaturatedDiscriminator:
    """A discriminator that is never in doubt, told by its mean probabilities; for losses of bounded value.

    Attributes:
      real: the mean of D(x) for real pictures x.
      fake: the mean of D(G(z)).
      doubt: D has won where it gives real pictures more than 1 − `doubt` and generated ones less than it.
      steps: for how many steps it must have won without a break, in `length` windows at least.
      length: see `Check`.
      kind: see `Check`.
      advice: see `Check`.
    """

    real: str = "d_real"
    fake: str = "d_fake"
    doubt: float = 0.005
    steps: int = 200
    length: int = 3
    kind: str = "saturated"
    advice: str = _WEAKER_DISCRIMINATOR

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it needs."""
        return (self.real, self.fake)

    def look(self, window: Window, memory: float) -> Verdict:
        """Judges a window; see `Check`. It remembers nothing."""
        real, fake = window.metrics[self.real], window.metrics[self.fake]
        seen = f"the discriminator is never in doubt (D(x) = {real:.4f}, D(G(z)) = {fake:.4f})"
        return Verdict(real > 1 - self.doubt and fake < self.doubt, seen)


@dataclass(frozen=True)
class UndecidedDiscriminator:
    """A discriminator that cannot tell real from generated pictures, and so teaches the generator nothing.

    Early in training generated pictures are easy to tell, so equal opinions mean that the discriminator has not
    learned, not that the generator has won. Steps without a difference add up; each step with one takes off five.

    Attributes:
      real: the mean score or probability D(x) of real pictures x.
      fake: the mean of D(G(z)).
      difference: D tells them apart if their means differ by this much.
      most_steps: D is lost once so many steps without a difference have added up.
      loss: the loss of a D that must refuse wrong conditions too; None where it sees none.
      at_chance: that loss where D says the same of everything. With equal means of real and generated pictures it is
        lower only if D tells wrong conditions (Jensen's inequality), by which it teaches the generator still.
      kind: see `Check`.
      advice: see `Check`.
      length: see `Check`.
      steps: see `Check`.
    """

    real: str = "d_real"
    fake: str = "d_fake"
    difference: float = 0.02
    most_steps: int = 1500
    loss: str | None = None
    at_chance: float = 0.0
    kind: str = "undecided"
    advice: str = (
        "Raise the discriminator's learning rate or its width, or lower the generator's; --spectral_norm with"
        " --loss=hinge, or --penalty=r1, often helps where batch normalisation does not."
    )
    length: int = 1
    steps: int = 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it needs."""
        return (self.real, self.fake) if self.loss is None else (self.real, self.fake, self.loss)

    def look(self, window: Window, memory: float) -> Verdict:
        """Judges a window; see `Check`. What it remembers is the sum of the steps."""
        real, fake = window.metrics[self.real], window.metrics[self.fake]
        tells_conditions = self.loss is not None and window.metrics[self.loss] < 0.95 * self.at_chance
        alike = abs(real - fake) < self.difference and not tells_conditions
        total = max(0.0, memory + window.steps * (1 if alike else -5))
        seen = f"the discriminator cannot tell (D(x) = {real:.3f}, D(G(z)) = {fake:.3f}) and teaches nothing"
        return Verdict(total > 0, seen, certain=alike and total > self.most_steps, memory=total)
