"""The loop: from a state and a step to a run that can be killed at any moment and goes on to the bit.

It knows nothing of generators and critics. Where several things fall on one step, the line of the log comes first and
the checkpoint last, so that no checkpoint knows more than the files do; what lies beyond a restored one is cut off.
"""

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from tqdm import tqdm

from jaxgan.checkpoints import Checkpoints
from jaxgan.errors import UserError
from jaxgan.interruption import Interrupted, StopSignals
from jaxgan.recording import Recorder, draw_summary
from jaxgan.watch import Alarm, Watch
from jaxgan.workdir import Workdir

OnCollapse = Literal["warn", "stop", "rollback"]


class Collapsed(UserError):
    """Training went wrong, and was to stop then."""


@dataclass(frozen=True)
class Job:
    """What is trained.

    Attributes:
      description: what and where, for people: the line at the start, the title of the plot.
      step_fn: `(state, first_step, count) -> (state, metrics)` advances by `count` steps; each metric has shape
        (count,), among them `d_loss`, `g_loss`, `d_real` and `d_fake`. The state may be donated.
      preview: pictures from fixed noise: `state -> uint8 (N, height, width, channels)`.
      pictures_per_step: real pictures that a step takes, for `images_per_sec`.
      columns: pictures in a row of a grid.
      probabilities: whether `d_real` and `d_fake` are probabilities, or a critic's scores.
      branch: `(state, rollbacks) -> state` gives a state another future, such as another key; for rollbacks.
      data_wait: the seconds spent waiting for data since the process began.
    """

    description: str
    step_fn: Callable[[Any, int, int], tuple[Any, Mapping[str, Any]]]
    preview: Callable[[Any], Any]
    pictures_per_step: int
    columns: int = 8
    probabilities: bool = True
    branch: Callable[[Any, int], Any] | None = None
    data_wait: Callable[[], float] = lambda: 0.0


@dataclass(frozen=True)
class Schedule:
    """When what is done, in steps. It is done at multiples of its interval and, but for saving, at the last step.

    Attributes:
      total_steps: the step to reach, counted from the very beginning.
      steps_per_call: the most steps that one call of the step function is given.
      log_every: steps to a line of the log.
      sample_every: steps to a grid.
      checkpoint_every: steps to a checkpoint.
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
    keep: int = 3
    keep_every: int | None = None
    on_collapse: OnCollapse = "warn"
    max_rollbacks: int = 3

    def __post_init__(self) -> None:
        intervals = ("steps_per_call", "log_every", "sample_every", "checkpoint_every")
        counts = {"steps": self.total_steps, **{name: getattr(self, name) for name in intervals}}
        for flag, value in counts.items():
            if value < 1:
                raise UserError(f"--{flag} must be at least 1, not {value}.")

    def is_turn(self, step: int, interval: int) -> bool:
        """Whether what is done every `interval` steps is done at this one."""
        return step % interval == 0 or step == self.total_steps

    def is_pause(self, step: int, watch: Watch | None) -> bool:
        """Whether the state itself is needed at a step, and not only the metrics."""
        intervals = [self.sample_every, self.checkpoint_every, *([watch.preview_every] if watch else [])]
        return any(self.is_turn(step, interval) for interval in intervals)

    def call_end(self, step: int, watch: Watch | None) -> int:
        """The step to which the next call goes: to the next turn of anything, at most."""
        ends = range(step + 1, min(step + self.steps_per_call, self.total_steps) + 1)
        stops = (end for end in ends if self.is_turn(end, self.log_every) or self.is_pause(end, watch))
        return next(stops, ends[-1])


def train(state: Any, job: Job, schedule: Schedule, workdir: Workdir, *, watch: Watch | None = None) -> Any:
    """Trains to `schedule.total_steps`, from the newest intact checkpoint of the workdir or from the start.

    A run that was interrupted, in whatever way, and resumed writes the files that it would have written without that,
    but for the timings.

    Args:
      state: the initial state, any pytree of arrays.
      job: what is trained.
      schedule: when what is done.
      workdir: where the run writes; entered by the caller, so that it is locked.
      watch: looks for what goes wrong; None: nobody does.

    Returns:
      The state at `schedule.total_steps`, or at the step that the workdir had reached already.

    Raises:
      Interrupted: after SIGTERM or Ctrl-C, when everything is saved. A second Ctrl-C ends the process at once.
      Collapsed: after an alarm, if `schedule.on_collapse` says so.
      UserError: if the workdir cannot be written to, is of another model, or has no checkpoint that is intact.
    """
    if schedule.on_collapse == "rollback" and job.branch is None:
        raise ValueError("on_collapse='rollback' needs job.branch: the same state would go the same way again.")
    saver = Checkpoints(workdir.checkpoints, keep=schedule.keep, keep_every=schedule.keep_every, report=say)
    with contextlib.closing(saver):
        position = _resume(saver, state)
        if position.step >= schedule.total_steps:
            print(
                f"{workdir.path} is already at step {position.step}: finished; more --steps go on from there.",
                flush=True,
            )
            return position.state
        print(
            f"Training {job.description}: step {position.step} to {schedule.total_steps}, in {workdir.path}", flush=True
        )
        saver.set_aside([step for step in saver.steps() if step > position.step])
        if schedule.on_collapse == "rollback" and not saver.steps():
            saver.save(0, state, {})  # So that there always is something to go back to.
        state = _train(state, position, job, schedule, workdir, saver, watch)
    print(f"Reached step {schedule.total_steps}: the pictures are in {workdir.samples}", flush=True)
    return state


def _train(
    template: Any,
    position: "_Position",
    job: Job,
    schedule: Schedule,
    workdir: Workdir,
    saver: Checkpoints,
    watch: Watch | None,
) -> Any:
    """Runs from a position to the end, or from one rollback to the next. The arrays of the template may be donated."""
    with StopSignals() as signals:
        while True:
            try:
                with _Run(position, job, schedule, workdir, saver, watch, signals) as run:
                    return run.to_the_end()
            except _Alarmed as alarmed:
                position = _roll_back(saver, job, schedule, template, position, alarmed.alarm)


def say(message: str) -> None:
    """Prints a line to the standard error stream, above the progress bar."""
    tqdm.write(message, file=sys.stderr)


@dataclass(frozen=True)
class _Position:
    """Where a run goes on: a step, its state, and what the loop has to remember of the steps before."""

    step: int
    state: Any
    memory: dict[str, Any]


class _Alarmed(Exception):
    """The run has to go back."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(str(alarm))
        self.alarm = alarm


def _resume(saver: Checkpoints, state: Any) -> _Position:
    restored = saver.restore_latest(state)
    if restored is not None:
        return _Position(*restored)
    if saver.steps():
        raise UserError(
            f"--workdir {saver.directory.parent} has checkpoints, and none is intact (see above): choose another, or"
            " move this one away to start again."
        )
    return _Position(0, state, {})


def _roll_back(
    saver: Checkpoints, job: Job, schedule: Schedule, template: Any, position: _Position, alarm: Alarm
) -> _Position:
    """Goes back to the last checkpoint before the trouble began, to take another way from there."""
    assert job.branch is not None
    rollbacks = position.memory.get("rollbacks", 0) + 1
    if rollbacks > schedule.max_rollbacks:
        raise Collapsed(f"{alarm} Stopped: the run has gone back {schedule.max_rollbacks} times already.")
    restored = saver.restore_latest(template, at_most=alarm.since)
    if restored is None:
        raise Collapsed(f"{alarm} Stopped: no checkpoint up to step {alarm.since} is intact.")
    step, state, memory = restored
    saver.delete_after(step)
    say(f"{alarm} Going back to step {step} (rollback {rollbacks} of at most {schedule.max_rollbacks}).")
    return _Position(step, job.branch(state, rollbacks), {**memory, "rollbacks": rollbacks})


class _Run:
    """One way from a position to the end, or to a signal or an alarm that ends it before."""

    def __init__(
        self,
        position: _Position,
        job: Job,
        schedule: Schedule,
        workdir: Workdir,
        saver: Checkpoints,
        watch: Watch | None,
        signals: StopSignals,
    ) -> None:
        self.position, self.job, self.schedule, self.workdir = position, job, schedule, workdir
        self.saver, self.watch, self.signals = saver, watch, signals
        self.rollbacks = position.memory.get("rollbacks", 0)
        if watch is not None:
            watch.remember(position.memory.get("watch", {}))
        self.recorder = Recorder(
            workdir,
            position.step,
            position.memory.get("recorder", {}),
            pictures_per_step=job.pictures_per_step,
            data_wait=job.data_wait,
        )
        self.bar = _progress_bar(position.step, schedule.total_steps)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()
        self.recorder.close()

    def to_the_end(self) -> Any:
        """Trains call by call, and after each does what is due at its last step."""
        step, state = self.position.step, self.position.state
        unread: deque[tuple[int, Mapping[str, Any]]] = deque()
        in_flight = 0 if jax.default_backend() == "cpu" else 1  # An accelerator computes while the last call is read.
        self.recorder.clock.start()
        while step < self.schedule.total_steps:
            # The first call compiles: it is one step long, so that the others of its log line can be timed.
            end = self.schedule.call_end(step, self.watch) if step > self.position.step else step + 1
            state, metrics = self.job.step_fn(state, step, end - step)
            step = end
            unread.append((step, metrics))
            pause = self.signals.caught is not None or self.schedule.is_pause(step, self.watch)
            while len(unread) > (0 if pause else in_flight):
                self._read(*unread.popleft())
            if pause:
                self._look(step, state)
                self._save_if_due(step, state)
                self.recorder.clock.start()
        return state

    def _read(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Takes the metrics of a call that ended at a step; waits until it is computed."""
        metrics = jax.device_get(dict(metrics))
        self.bar.update(self.recorder.add(metrics))
        alarms = self.watch.see_call(step, metrics) if self.watch is not None else []
        if self.schedule.is_turn(step, self.schedule.log_every):
            self._write_line(step)
        self._heed(alarms)

    def _write_line(self, step: int) -> None:
        line = self.recorder.write_line(step)
        self.bar.set_postfix({name: f"{line[name]:.4g}" for name in ("d_loss", "g_loss") if name in line})
        self.saver.check()

    def _look(self, step: int, state: Any) -> None:
        """Saves a grid, and shows the pictures to the watch, each when it is its turn."""
        to_save = self.schedule.is_turn(step, self.schedule.sample_every)
        to_watch = self.watch is not None and step % self.watch.preview_every == 0
        if not (to_save or to_watch):
            return
        pictures = np.asarray(self.job.preview(state))
        if to_save:
            self.recorder.save_grid(step, pictures, self.job.columns)
        if self.watch is not None and to_watch:
            self._heed(self.watch.see_preview(step, pictures))

    def _heed(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            if self.schedule.on_collapse == "rollback":
                raise _Alarmed(alarm)
            if self.schedule.on_collapse == "stop":
                raise Collapsed(f"{alarm} Stopped: --on_collapse=warn goes on, rollback goes back and tries again.")
            say(str(alarm))

    def _save_if_due(self, step: int, state: Any) -> None:
        finished, caught = step == self.schedule.total_steps, self.signals.caught
        if finished:
            draw_summary(self.workdir, self.job.description, self.job.probabilities)
        if caught is None and not self.schedule.is_turn(step, self.schedule.checkpoint_every):
            return
        good_until = self.watch.well_until(step) if self.watch is not None else None
        self.saver.save(step, state, self._memory(), good_until=good_until, first=self.recorder.sync)
        if finished or caught is not None:
            self.saver.wait()
        if caught is not None and not finished:
            where = self.workdir.checkpoints / str(step)
            raise Interrupted(caught, f"Stopped at step {step}, saved in {where}; the same command goes on from there.")

    def _memory(self) -> dict[str, Any]:
        """What a checkpoint holds beside the state, for the run to go on as if nothing had happened."""
        watch = self.watch.memory() if self.watch is not None else {}
        return {"rollbacks": self.rollbacks, "recorder": self.recorder.memory(), "watch": watch}


def _progress_bar(step: int, total_steps: int) -> Any:
    """Steps done, speed, time left; a line every half minute where nobody watches."""
    watched = sys.stderr.isatty()
    return tqdm(initial=step, total=total_steps, unit="step", dynamic_ncols=watched, mininterval=0.2 if watched else 30)
