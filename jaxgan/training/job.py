"""The training job and its schedule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxgan.host.errors import UserError
from jaxgan.systems.system import Report
from jaxgan.training.files.tracking import Tracker
from jaxgan.training.watch import Watch

OnCollapse = Literal["warn", "stop", "rollback"]

EARLY = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Steps of the first grids, so that there is something to see at once and how faces come about."""


@dataclass(frozen=True)
class Job:
    """A training job: the functions that the loop calls, and what it reports.

    Attributes:
      description: one line about the run, printed at the start and used as the title of the plot.
      step_fn: `(state, first_step, count) -> (state, metrics)` advances by `count` steps; each metric has shape
        (count,). The state may be donated.
      preview: `state -> uint8 (N, height, width, channels)`, pictures from fixed inputs.
      examples_before: step -> the number of examples that all steps before it take, for `images_per_sec`.
      report: the names of the metrics, which of them the progress bar shows, and how they are plotted.
      evaluate: `state -> {name: number}`, numbers for the log such as scores of samples, deterministic. None: the log
        has no such numbers.
      columns: pictures in a row of a grid.
      rows: a caption for each row of a grid, or ().
      branch: `(state, rollbacks) -> state` gives a state another future, such as another key, after a rollback.
      compile: `(state, first_step) -> state` prepares `step_fn` for its first step without taking it, so that
        compilation does not count towards the time of a step. The state may be donated.
      data_wait: returns the seconds spent waiting for data since the process began.
      begin: called once by the process that writes, after all checks have passed and before it writes anything else.
      settings: the settings of the run by name, for TensorBoard.
      tracker: gets the lines of the log and the grids, too; None: nobody does.
    """

    description: str
    step_fn: Callable[[Any, int, int], tuple[Any, Mapping[str, Any]]]
    preview: Callable[[Any], Any]
    examples_before: Callable[[int], int]
    report: Report
    evaluate: Callable[[Any], Mapping[str, float]] | None = None
    columns: int = 8
    rows: tuple[str, ...] = ()
    branch: Callable[[Any, int], Any] | None = None
    compile: Callable[[Any, int], Any] = lambda state, first_step: state
    data_wait: Callable[[], float] = lambda: 0.0
    begin: Callable[[], None] = lambda: None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tracker: Tracker | None = None


@dataclass(frozen=True)
class Schedule:
    """Intervals, in steps, for logging, sampling, evaluation and checkpoints; each is also due at the last step.

    Attributes:
      total_steps: the step to reach, counted from the start of the run.
      steps_per_call: the largest number of steps in one call of the step function.
      log_every: steps between two lines of the log.
      sample_every: steps between two grids of samples.
      sample_early: whether grids are also due at the steps `EARLY`, as far as they come before `sample_every`.
      checkpoint_every: steps between two checkpoints.
      evaluate_every: steps between two calls of `Job.evaluate`, each of which writes a line of the log; None: never.
      keep: number of newest checkpoints to keep.
      keep_every: checkpoints at multiples of this step are kept forever; None: none are.
      keep_best: the score, one of `jaxgan.training.best.SCORES`, whose best checkpoint is saved and kept; None: none.
      on_collapse: what an alarm of the watch does: "warn" prints it, "stop" ends the run, and "rollback" returns to the
        last good checkpoint.
      max_rollbacks: number of rollbacks after which the run stops instead.

    Raises:
      UserError: if an interval is less than 1.
    """

    total_steps: int
    steps_per_call: int = 1
    log_every: int = 100
    sample_every: int = 1000
    sample_early: bool = False
    checkpoint_every: int = 1000
    evaluate_every: int | None = None
    keep: int = 3
    keep_every: int | None = None
    keep_best: str | None = None
    on_collapse: OnCollapse = "warn"
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        intervals = ("steps_per_call", "log_every", "sample_every", "checkpoint_every")
        counts = {"steps": self.total_steps, **{name: getattr(self, name) for name in intervals}}
        counts |= {} if self.evaluate_every is None else {"evaluate_every": self.evaluate_every}
        for flag, value in counts.items():
            if value < 1:
                raise UserError(f"--{flag} must be at least 1, not {value}")

    def is_turn(self, step: int, interval: int) -> bool:
        """Whether something with this interval is due at a step."""
        return step % interval == 0 or step == self.total_steps

    def is_sample(self, step: int) -> bool:
        """Whether a grid of samples is due at a step."""
        early = self.sample_early and step in EARLY and step < self.sample_every
        return early or self.is_turn(step, self.sample_every)

    def is_evaluation(self, step: int) -> bool:
        """Whether the state is evaluated at a step."""
        return self.evaluate_every is not None and self.is_turn(step, self.evaluate_every)

    def is_pause(self, step: int, watch: Watch | None) -> bool:
        """Whether the state itself is needed at a step, and not only its metrics."""
        due = self.is_sample(step) or self.is_turn(step, self.checkpoint_every)
        return due or self.is_evaluation(step) or (watch is not None and watch.is_preview(step))

    def call_end(self, step: int, watch: Watch | None) -> int:
        """Returns the last step of the next call, which ends where anything is due."""
        ends = range(step + 1, min(step + self.steps_per_call, self.total_steps) + 1)
        stops = (end for end in ends if self.is_turn(end, self.log_every) or self.is_pause(end, watch))
        return next(stops, ends[-1])
