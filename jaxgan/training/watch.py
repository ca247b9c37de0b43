"""Watch over a run: detects non-finite metrics, samples that are all alike, and whatever the system's checks find.

Consecutive bad observations form a streak, counted from the last good one. An alarm is raised once a streak has lasted
long enough, so that a rough start or a single bad batch raises none. Parameters are not examined, because a non-finite
parameter makes the losses non-finite.
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
"""What usually helps, by the kinds of trouble that any system can have."""


@dataclass(frozen=True)
class Alarm:
    """An alarm: what went wrong, and when.

    Attributes:
      kind: "non-finite", "collapsed", or the kind of the check that raised it.
      step: the step at which it was raised.
      since: the last step before the trouble.
      seen: a description of what was observed.
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
    """Consecutive bad observations; the field names are the format of checkpoints."""

    since: int = 0
    length: int = 0
    told: bool = False


@dataclass
class Watch:
    """Follows a run; its memory is saved in every checkpoint, so that a resumed run raises the same alarms.

    Attributes:
      checks: the checks of the metrics, besides the one for non-finite numbers; each must have its own kind.
      diverse_preview: whether the preview shows independent samples; other previews are not checked.
      real_diversity: the `diversity` of as many real pictures as a preview has, or None if unknown.
      low_diversity: samples count as alike if their diversity falls below this share of the usual one: that of real
        pictures or, early in training, of the most diverse preview so far if that is lower.
      low_previews: consecutive previews with such samples before an alarm, once G has learned to vary its samples.
      early_low_previews: the same before that, larger because G can take long to recover if D has overtaken it.
      varied_share: G varies its samples if they have at least this share of the diversity of real pictures.
      varied_previews: number of such previews after which G counts as having learned to vary its samples.
      preview_every: steps between two previews that are checked.
      patience: the step after which G no longer counts as early in training.
      metrics_every: steps whose metrics are averaged for the checks, independent of `log_every`.

    Raises:
      ValueError: if two checks have the same kind, or one has the kind of a built-in check.
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
        """Whether the preview of a step is checked."""
        return self.diverse_preview and step % self.preview_every == 0

    def see_call(self, step: int, metrics: Mapping[str, np.ndarray]) -> list[Alarm]:
        """Checks the metrics of the call that ended at a step; returns the alarms, see `see_metrics`.

        Args:
          step: the last step of the call.
          metrics: each of shape (count,), one value per step.
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
        """Checks a line of metrics, as in `metrics.jsonl`.

        Returns:
          The alarms; each is raised once per streak.
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
        """Checks the samples of a preview; returns the alarms, see `see_metrics`.

        Args:
          step: the step of the preview.
          images: samples from fixed noise, uint8 (N, height, width, channels), N at least 2.
        """
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
        """Whether G has not yet learned to vary its samples, as far as that is known."""
        known = self.diverse_preview and self.real_diversity is not None
        return known and self._varied < self.varied_previews and step <= self.patience

    def well_until(self, step: int) -> int:
        """Returns the last step, up to this one, at which no streak was under way, as of the last observations.

        No later alarm has an earlier `since`, so a rollback can always return to the newest checkpoint up to it.
        """
        looked_at = step - step % self.metrics_every if self._sums else step
        seen = [streak for streak in self._streaks.values() if streak.since or streak.length]
        return min([streak.since for streak in seen], default=looked_at)

    def memory(self) -> dict[str, Any]:
        """Returns the state of the watch, as JSON can hold it."""
        return {
            "streaks": {kind: asdict(streak) for kind, streak in self._streaks.items()},
            "most_diverse": self._most_diverse,
            "varied": self._varied,
            "sums": dict(self._sums),
            "checks": dict(self._check_memory),
        }

    def remember(self, memory: Mapping[str, Any], *, tell_again: bool = False) -> None:
        """Restores the state that `memory` returned; an empty mapping resets the watch.

        Args:
          memory: the result of `memory`, in this or an earlier version. Kinds without a check are ignored.
          tell_again: whether to raise the alarms of ongoing trouble once more, for a run that now does more than warn.
        """
        known = memory.get("streaks", {})
        self._streaks = {kind: _Streak(**known.get(kind, {})) for kind in self._kinds()}
        for streak in self._streaks.values():
            streak.told = streak.told and not tell_again
        self._most_diverse = memory.get("most_diverse", 0.0)
        self._varied = memory.get("varied", 0)
        self._sums = dict(memory.get("sums", {}))
        # Older checkpoints hold a single number, that of the only kind that needed one.
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
    """Measures how much pictures differ: the mean over all pairs of the root mean square difference of their pixels.

    Args:
      images: uint8 (N, height, width, channels), N at least 2.

    Returns:
      A number in [0, 2], for pixels scaled to [−1, 1]: 0 if all are the same, 2 for a black and a white picture.

    Raises:
      ValueError: for fewer than two pictures.
    """
    if len(images) < 2:
        raise ValueError(f"diversity needs at least two pictures, got {len(images)}")
    flat = np.asarray(images, np.float32).reshape(len(images), -1) / 127.5
    flat = flat - flat.mean(axis=0)  # Keeps the distances, but reduces the rounding errors of the products.
    squares = np.einsum("ij,ij->i", flat, flat)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0) / flat.shape[1])
    return float(distances[np.triu_indices(len(flat), 1)].mean())
