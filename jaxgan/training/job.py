"""What is trained, and when what is done about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxgan.errors import UserError
from jaxgan.systems.system import Report
from jaxgan.training.watch import Watch

OnCollapse = Literal["warn", "stop", "rollback"]


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
      description: what and where, for people: the line at the start, the title of the plot.
      step_fn: `(state, first_step, count) -> (state, metrics)` advances by `count` steps; each metric has shape
        (count,). The state may be donated.
      compile: `(state, first_step) -> state` makes `step_fn` ready for a first step and does none, so that the time of
        the steps is theirs alone. The state may be donated.
      preview: pictures from fixed inputs: `state -> uint8 (N, height, width, channels)`.
      evaluate: numbers by name for the log, such as scores of the samples: `state -> {name: number}`, the same for the
        same state. None: the log has none.
      pictures_per_step: real pictures that a step takes, for `images_per_sec`.
      report: what the metrics are called, which of them the bar shows, and how they are plotted.
      columns: pictures in a row of a grid.
      branch: `(state, rollbacks) -> state` gives a state another future, such as another key; for rollbacks.
      data_wait: the seconds spent waiting for data since the process began.
      begin: is called by the process that writes when nothing refuses the run any more, before it writes anything else.
    """

    description: str
    step_fn: Callable[[Any, int, int], tuple[Any, Mapping[str, Any]]]
    preview: Callable[[Any], Any]
    pictures_per_step: int
    report: Report
    evaluate: Callable[[Any], Mapping[str, float]] | None = None
    columns: int = 8
    branch: Callable[[Any, int], Any] | None = None
    compile: Callable[[Any, int], Any] = lambda state, first_step: state
    data_wait: Callable[[], float] = lambda: 0.0
    begin: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Schedule:
    """When what is done, in steps. It is done at multiples of its interval and, but for saving, at the last step.

    Attributes:
      total_steps: the step to reach, counted from the very beginning.
      steps_per_call: the most steps that one call of the step function is given.
      log_every: steps to a line of the log.
      sample_every: steps to a grid.
      checkpoint_every: steps to a checkpoint.
      evaluate_every: steps to the numbers of `Job.evaluate`, which make a line of the log where none is due; None:
        never.
      keep: how many of the newest checkpoints are kept.
      keep_every: checkpoints at multiples of this are kept for ever; None: none are.
      on_collapse: what an alarm of the watch does: say so and go on, stop, or go back to the last good checkpoint.
      max_rollbacks: how often a run goes back before it stops.
    """

    total_steps: int
    steps_per_call: int = 1
    log_every: int = 100
    sample_every: int = 1000
    checkpoint_every: int = 1000
    evaluate_every: int | None = None
    keep: int = 3
    keep_every: int | None = None
    on_collapse: OnCollapse = "warn"
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        intervals = ("steps_per_call", "log_every", "sample_every", "checkpoint_every")
        counts = {"steps": self.total_steps, **{name: getattr(self, name) for name in intervals}}
        counts |= {} if self.evaluate_every is None else {"evaluate_every": self.evaluate_every}
        for flag, value in counts.items():
            if value < 1:
                raise UserError(f"--{flag} must be at least 1, not {value}.")

    def is_turn(self, step: int, interval: int) -> bool:
        """Whether what is done every `interval` steps is done at this one."""
        return step % interval == 0 or step == self.total_steps

    def is_evaluation(self, step: int) -> bool:
        """Whether the state is evaluated at a step."""
        return self.evaluate_every is not None and self.is_turn(step, self.evaluate_every)

    def is_pause(self, step: int, watch: Watch | None) -> bool:
        """Returns whether the state itself is needed at a step, and not only the metrics."""
        due = any(self.is_turn(step, interval) for interval in (self.sample_every, self.checkpoint_every))
        return due or self.is_evaluation(step) or (watch is not None and watch.is_preview(step))

    def call_end(self, step: int, watch: Watch | None) -> int:
        """The step to which the next call goes: to the next turn of anything, at most."""
        ends = range(step + 1, min(step + self.steps_per_call, self.total_steps) + 1)
        stops = (end for end in ends if self.is_turn(end, self.log_every) or self.is_pause(end, watch))
        return next(stops, ends[-1])
