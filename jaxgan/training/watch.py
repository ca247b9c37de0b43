"""The watch over a run: numbers that are not finite, samples all alike, and what the checks of a system find.

Observations that are not fine form a streak, which begins at the last one that was fine. An alarm is raised once a
streak has lasted long enough, so that a rough start or a single bad batch raises none. Parameters are not looked at:
one that is not finite makes the losses so.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jaxgan.systems.checks import Check, Verdict, Window
from jaxgan.training.files.metrics_log import make_line

NON_FINITE, COLLAPSED = "non-finite", "collapsed"

ADVICE = {
    NON_FINITE: "Lower the learning rates, or use float32; look for damaged pictures.",
    COLLAPSED: "Lower both learning rates (Adam's beta1 at 0.5), take a larger batch, or another seed.",
}
"""What usually helps, by the kinds of trouble that every system can have."""


@dataclass(frozen=True)
class Alarm:
    """What went wrong.

    Attributes:
      kind: "non-finite", "collapsed", or the kind of the check that found it.
      step: the step at which it was certain.
      since: the last step at which all was well.
      seen: what was seen, in words.
      advice: what usually helps.
    """

    kind: str
    step: int
    since: int
    seen: str
    advice: str

    def __str__(self) -> str:
        return f"Step {self.step}: {self.seen} since step {self.since}. What usually helps: {self.advice}"


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
      checks: what is looked for in the metrics, besides numbers that are not finite; each has a kind of its own.
      diverse_preview: whether the preview shows independent samples. Other previews are not looked at.
      real_diversity: the `diversity` of as many real pictures as a preview has, or None if it is not known.
      low_diversity: samples are alike below this share of the diversity that they had, and real pictures have.
      low_previews: in how many previews in a row, once G has learned to vary its samples.
      early_low_previews: in how many before that: a G that D has overtaken can take long to find its way.
      varied_share: G varies them where they have this share of the diversity of real pictures.
      varied_previews: it has learned to once it did so in this many previews.
      preview_every: steps between the previews that are looked at.
      patience: until this step, samples may be alike because G has not learned to vary them.
      metrics_every: steps whose metrics are looked at together, however rare the lines of the log are.

    Raises:
      ValueError: if two checks have the same kind, or one has a kind that every system is looked at for.
    """

    checks: tuple[Check, ...] = ()
    diverse_preview: bool = True
    real_diversity: float | None = None
    low_diversity: float = 0.15
    low_previews: int = 3
    early_low_previews: int = 10
    varied_share: float = 0.5
    varied_previews: int = 10
    preview_every: int = 100
    patience: int = 10_000
    metrics_every: int = 20
    _sums: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _streaks: dict[str, _Streak] = field(default_factory=dict, init=False, repr=False)
    _check_memory: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _most_diverse: float = field(default=0.0, init=False, repr=False)
    _varied: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        kinds = self._kinds()
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"each check needs a kind of its own, got {', '.join(kinds)}")
        self.remember({})

    def _kinds(self) -> list[str]:
        return [*ADVICE, *(check.kind for check in self.checks)]

    def is_preview(self, step: int) -> bool:
        """Returns whether the preview of a step is looked at."""
        return self.diverse_preview and step % self.preview_every == 0

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
        """Looks at metrics, as in a line of `metrics.jsonl`.

        Returns:
          The alarms that it raises, each once a streak.
        """
        step, bad = line["step"], ", ".join(line.get("non_finite", ()))
        alarms = self._observe(NON_FINITE, ADVICE[NON_FINITE], step, Verdict(bool(bad), f"not finite: {bad}"))
        metrics = {name: value for name, value in line.items() if name not in ("step", "non_finite")}
        window = Window(step, self.metrics_every, metrics, early=self._is_early(step))
        for check in self.checks:
            if all(name in metrics for name in check.metrics):
                verdict = check.look(window, self._check_memory[check.kind])
                self._check_memory[check.kind] = verdict.memory
                alarms += self._observe(check.kind, check.advice, step, verdict, length=check.length, steps=check.steps)
        return alarms

    def see_preview(self, step: int, images: np.ndarray) -> list[Alarm]:
        """Looks at samples from fixed noise, uint8 (N, height, width, channels), N at least 2; see `see_metrics`."""
        value, length = diversity(images), self.low_previews
        usual = self._most_diverse
        if self.real_diversity is not None:
            usual = self.real_diversity if step > self.patience else min(usual, self.real_diversity)
            self._varied += value >= self.varied_share * self.real_diversity
        if self._is_early(step):
            length = self.early_low_previews
        self._most_diverse = max(self._most_diverse, value)
        seen = f"the samples are nearly alike (mean distance {value:.3f}, usually {usual:.3f})"
        verdict = Verdict(value < self.low_diversity * usual, seen)
        return self._observe(COLLAPSED, ADVICE[COLLAPSED], step, verdict, length=length)

    def _is_early(self, step: int) -> bool:
        """Returns whether G is still to learn to vary its samples, as far as that can be told."""
        known = self.diverse_preview and self.real_diversity is not None
        return known and self._varied < self.varied_previews and step <= self.patience

    def well_until(self, step: int) -> int:
        """Returns the last step, up to this one, at which everything was fine, each thing when it was looked at.

        No alarm to come has a `since` before it, so the newest checkpoint up to it can be gone back to.
        """
        looked_at = step - step % self.metrics_every if self._sums else step
        seen = [streak for streak in self._streaks.values() if streak.since or streak.length]
        return min([streak.since for streak in seen], default=looked_at)

    def memory(self) -> dict[str, Any]:
        """Returns what the watch remembers, as JSON can hold it."""
        return {
            "streaks": {kind: asdict(streak) for kind, streak in self._streaks.items()},
            "most_diverse": self._most_diverse,
            "varied": self._varied,
            "sums": dict(self._sums),
            "checks": dict(self._check_memory),
        }

    def remember(self, memory: Mapping[str, Any], *, tell_again: bool = False) -> None:
        """Takes back what `memory` returned; an empty mapping forgets everything.

        Args:
          memory: what `memory` returned, now or in an earlier version. Kinds that are not looked for are left out.
          tell_again: raise the alarms of trouble that lasts once more, since nothing but a warning came of them.
        """
        known = memory.get("streaks", {})
        self._streaks = {kind: _Streak(**known.get(kind, {})) for kind in self._kinds()}
        for streak in self._streaks.values():
            streak.told = streak.told and not tell_again
        self._most_diverse = memory.get("most_diverse", 0.0)
        self._varied = memory.get("varied", 0)
        self._sums = dict(memory.get("sums", {}))
        # In older checkpoints there is one number, of the only kind that needed any.
        remembered = memory.get("checks", {"saturated": memory.get("excess", 0.0)})
        self._check_memory = {check.kind: remembered.get(check.kind, 0.0) for check in self.checks}

    def _observe(
        self, kind: str, advice: str, step: int, verdict: Verdict, *, length: int = 1, steps: int = 0
    ) -> list[Alarm]:
        streak = self._streaks[kind]
        if not verdict.bad:
            self._streaks[kind] = _Streak(since=step)
            return []
        streak.length += 1
        if streak.told or not verdict.certain or streak.length < length or step - streak.since < steps:
            return []
        streak.told = True
        return [Alarm(kind, step, streak.since, verdict.seen, advice)]


def diversity(images: np.ndarray) -> float:
    """Returns how much pictures differ: the mean over all pairs of the root mean square difference of their pixels.

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
