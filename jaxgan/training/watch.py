"""Notices that training has gone wrong: losses that are not finite, a discriminator that has won, samples all alike.

Each is a streak: an observation counts from the last one that was fine, and an alarm is raised once a streak has lasted
long enough, so that a rough start or a single bad batch raises none. A parameter that is not finite makes the losses
so, and need not be looked at.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from jaxgan.training.files.metrics_log import make_line

Kind = Literal["non-finite", "saturated", "collapsed"]

ADVICE: dict[Kind, str] = {
    "non-finite": "Lower the learning rates, or use float32; look for damaged pictures.",
    "saturated": "Lower the discriminator's learning rate or raise the generator's, or take a smaller discriminator.",
    "collapsed": "Lower both learning rates (Adam's beta1 at 0.5), take a larger batch, or another seed.",
}


@dataclass(frozen=True)
class Alarm:
    """What went wrong.

    Attributes:
      kind: which of the three.
      step: the step at which it was certain.
      since: the last step at which all was well.
      seen: what was seen, in words.
    """

    kind: Kind
    step: int
    since: int
    seen: str

    def __str__(self) -> str:
        return f"Step {self.step}: {self.seen} since step {self.since}. What usually helps: {ADVICE[self.kind]}"


@dataclass
class _Streak:
    """Observations in a row that were not fine."""

    since: int = 0
    length: int = 0
    told: bool = False


@dataclass
class Watch:
    """Follows a run; its memory goes into every checkpoint, so that a resumed run raises the same alarms.

    Attributes:
      probabilities: whether `d_real` and `d_fake` are probabilities. A critic's scores have no bound and are never
        saturated.
      real_diversity: the `diversity` of as many real pictures as a preview has, or None if it is not known.
      nonsaturating: whether `g_loss` is −log D(G(z)). It tells more than the mean of D(G(z)), in which one good picture
        in a hundred hides that D is never in doubt about the others.
      hopeless_loss: the nonsaturating loss of a G that learns stays below this (9: D believes one picture in 8,000).
      hopeless_excess: G is lost once its loss has been above that for so long that the excess, each step at most that
        much again, has added up to this without being made good (a CUSUM chart: Page 1954).
      early_hopeless_loss: the same before G has learned to vary its samples (7: D believes one picture in 1,100).
      early_hopeless_excess: likewise.
      hopeless_from: the step from which it adds up: wide networks begin with losses of 10 to 30, and recover.
      saturation: for other losses, D has won where it gives real pictures more than 1 − `saturation` and generated
        ones less than it.
      saturation_steps: for how many steps it must have won without a break, in three windows at least.
      low_diversity: samples are alike below this share of the diversity that they had, and real pictures have.
      low_previews: in how many previews in a row, once G has learned to vary its samples.
      early_low_previews: in how many before that: a G that D has overtaken can take long to find its way.
      varied_share: G varies them where they have this share of the diversity of real pictures.
      varied_previews: it has learned to once it did so in this many previews.
      preview_every: steps between the previews that are looked at.
      patience: until this step, samples may be alike because G has not learned to vary them.
      metrics_every: steps whose metrics are looked at together, however rare the lines of the log are.
    """

    probabilities: bool
    real_diversity: float | None = None
    nonsaturating: bool = False
    hopeless_loss: float = 9.0
    hopeless_excess: float = 800.0
    early_hopeless_loss: float = 7.0
    early_hopeless_excess: float = 500.0
    hopeless_from: int = 200
    saturation: float = 0.005
    saturation_steps: int = 200
    low_diversity: float = 0.15
    low_previews: int = 3
    early_low_previews: int = 10
    varied_share: float = 0.5
    varied_previews: int = 10
    preview_every: int = 100
    patience: int = 10_000
    metrics_every: int = 20
    _sums: dict[str, float] = field(default_factory=dict, repr=False)
    _streaks: dict[Kind, _Streak] = field(default_factory=lambda: {kind: _Streak() for kind in ADVICE}, repr=False)
    _most_diverse: float = field(default=0.0, repr=False)
    _varied: int = field(default=0, repr=False)
    _excess: float = field(default=0.0, repr=False)

    def see_call(self, step: int, metrics: Mapping[str, np.ndarray]) -> list[Alarm]:
        """Looks at the metrics of a call that ended at a step; see `see_metrics`.

        Args:
          step: the last step of the call.
          metrics: each of shape (count,), one value a step.
        """
        values = {name: np.asarray(value).tolist() for name, value in metrics.items()}
        [count] = {len(value) for value in values.values()}
        alarms = []
        for index in range(count):
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value[index]
            current = step - count + 1 + index
            if current % self.metrics_every == 0:
                means = {name: total / self.metrics_every for name, total in self._sums.items()}
                self._sums = {}
                alarms += self.see_metrics(make_line(current, means))
        return alarms

    def see_metrics(self, line: Mapping[str, Any]) -> list[Alarm]:
        """Looks at metrics, as in a line of `metrics.jsonl`; returns the alarms that it raises, each once a streak."""
        bad = ", ".join(line.get("non_finite", ()))
        alarms = self._observe("non-finite", line["step"], bool(bad), f"not finite: {bad}")
        if self.nonsaturating and "g_loss" in line:
            alarms += self._see_generator_loss(line["step"], line["g_loss"])
        elif self.probabilities and "d_real" in line and "d_fake" in line:
            d_real, d_fake = line["d_real"], line["d_fake"]
            won = d_real > 1 - self.saturation and d_fake < self.saturation
            seen = f"the discriminator is never in doubt (D(x) = {d_real:.4f}, D(G(z)) = {d_fake:.4f})"
            alarms += self._observe("saturated", line["step"], won, seen, length=3, steps=self.saturation_steps)
        return alarms

    def _see_generator_loss(self, step: int, loss: float) -> list[Alarm]:
        bearable, at_most = self.hopeless_loss, self.hopeless_excess
        if self._is_early(step):
            bearable, at_most = self.early_hopeless_loss, self.early_hopeless_excess
        excess = min(loss, 2 * bearable) - bearable
        total = max(0.0, self._excess + self.metrics_every * excess)
        self._excess = total if step > self.hopeless_from else min(total, 1.0)  # not well, but it does not add up
        seen = f"the discriminator is never in doubt (the generator's loss is {loss:.1f})"
        return self._observe("saturated", step, self._excess > 0, seen, certain=self._excess > at_most)

    def see_preview(self, step: int, images: np.ndarray) -> list[Alarm]:
        """Looks at samples from fixed noise, uint8 (N, height, width, channels); see `see_metrics`."""
        value, length = diversity(images), self.low_previews
        usual = self._most_diverse
        if self.real_diversity is not None:
            usual = self.real_diversity if step > self.patience else min(usual, self.real_diversity)
            self._varied += value >= self.varied_share * self.real_diversity
        if self._is_early(step):
            length = self.early_low_previews
        self._most_diverse = max(self._most_diverse, value)
        seen = f"the samples are nearly alike (mean distance {value:.3f}, usually {usual:.3f})"
        return self._observe("collapsed", step, value < self.low_diversity * usual, seen, length=length)

    def _is_early(self, step: int) -> bool:
        """Whether G is still to learn to vary its samples, as far as that can be told."""
        return self.real_diversity is not None and self._varied < self.varied_previews and step <= self.patience

    def well_until(self, step: int) -> int:
        """The last step, up to this one, at which everything that is looked at was fine, each when it was its turn.

        No alarm to come has a `since` before it, so the newest checkpoint up to it can be gone back to.
        """
        looked_at = step - step % self.metrics_every if self._sums else step
        seen = [streak for streak in self._streaks.values() if streak.since or streak.length]
        return min([streak.since for streak in seen], default=looked_at)

    def memory(self) -> dict[str, Any]:
        """What the watch remembers, as JSON can hold it."""
        streaks = {kind: asdict(streak) for kind, streak in self._streaks.items()}
        sums = {"sums": dict(self._sums), "excess": self._excess}
        return {"streaks": streaks, "most_diverse": self._most_diverse, "varied": self._varied, **sums}

    def remember(self, memory: Mapping[str, Any], *, tell_again: bool = False) -> None:
        """Takes back what `memory` returned; an empty mapping forgets everything.

        Args:
          memory: what `memory` returned.
          tell_again: raise the alarms of trouble that lasts once more, since nothing but a warning came of them.
        """
        known = memory.get("streaks", {})
        self._streaks = {kind: _Streak(**known.get(kind, {})) for kind in ADVICE}
        for streak in self._streaks.values():
            streak.told = streak.told and not tell_again
        self._most_diverse = memory.get("most_diverse", 0.0)
        self._varied = memory.get("varied", 0)
        self._sums = dict(memory.get("sums", {}))
        self._excess = memory.get("excess", 0.0)

    def _observe(
        self, kind: Kind, step: int, bad: bool, seen: str, *, length: int = 1, steps: int = 0, certain: bool = True
    ) -> list[Alarm]:
        streak = self._streaks[kind]
        if not bad:
            self._streaks[kind] = _Streak(since=step)
            return []
        streak.length += 1
        if streak.told or not certain or streak.length < length or step - streak.since < steps:
            return []
        streak.told = True
        return [Alarm(kind, step, streak.since, seen)]


def diversity(images: np.ndarray) -> float:
    """How much pictures differ: the mean over all pairs of the root mean square difference of their pixels.

    Args:
      images: uint8 (N, height, width, channels), N at least 2.

    Returns:
      0 if all are the same; 2 between a black and a white picture (pixels count as numbers in [−1, 1]).
    """
    if len(images) < 2:
        raise ValueError(f"diversity needs at least two pictures, got {len(images)}")
    flat = np.asarray(images, np.float32).reshape(len(images), -1) / 127.5
    flat = flat - flat.mean(axis=0)  # The distances stay; the rounding errors of the products shrink.
    squares = np.einsum("ij,ij->i", flat, flat)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0) / flat.shape[1])
    return float(distances[np.triu_indices(len(flat), 1)].mean())
