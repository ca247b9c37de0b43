"""The training loop: call by call from a position to the end, unless a signal or an alarm ends it earlier.

It knows nothing of generators and discriminators. When several things are due at one step, the line of the log comes
first and the checkpoint last: a run resumed from a checkpoint then finds everything that belongs to earlier steps in
its files, and only has to cut off what lies beyond.
"""

import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxgan.host import console, progress
from jaxgan.host.errors import UserError
from jaxgan.training.best import Best, better
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.recording import Recorder, draw_summary
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.job import Job, Schedule
from jaxgan.training.signals import Interrupted, StopSignals
from jaxgan.training.watch import Alarm, Watch

COMPILING = "compiling"  # what the bar says before the first step


class Collapsed(UserError):
    """Raised when training collapses under --on_collapse=stop, or when rollbacks have not helped."""


@dataclass(frozen=True)
class Position:
    """A position from which a run continues: a step, its state, and the memory of the loop as JSON can hold it."""

    step: int
    state: Any
    memory: dict[str, Any]


class Alarmed(Exception):
    """Raised to roll the run back."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(str(alarm))
        self.alarm = alarm


def say(message: str) -> None:
    """Prints a line to the standard error stream above the progress bar."""
    tqdm.write(message, file=console.err)


@dataclass
class Pass:
    """One pass of the loop, from a position to the end, a signal or an alarm; the part that every process does."""

    position: Position
    job: Job
    schedule: Schedule
    watch: Watch | None
    signals: StopSignals
    processes: Processes
    agreed: int | None = field(default=None, init=False)  # the signal that all processes have agreed on

    def __enter__(self) -> "Pass":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    @property
    def caught(self) -> int | None:
        """The number of the signal on which all processes stop, or None."""
        return self.signals.caught if self.processes.count == 1 else self.agreed

    def to_the_end(self) -> Any:
        """Trains call by call, and after each does what is due at its last step; returns the state at the end.

        Raises:
          Interrupted: after a signal, once the state is saved.
          Collapsed: after an alarm, under --on_collapse=stop.
          Alarmed: after an alarm, under --on_collapse=rollback.
        """
        step, state = self.position.step, self.position.state
        unread: deque[tuple[int, Mapping[str, Any], Any, Any]] = deque()
        # An accelerator computes the next call while the host reads the metrics of the last one.
        in_flight = 0 if jax.default_backend() == "cpu" else 1
        state = self.job.compile(state, step)
        self.start_clock()
        while step < self.schedule.total_steps:
            end = self.schedule.call_end(step, self.watch)
            state, metrics = self.job.step_fn(state, step, end - step)
            step = end
            asked = self.processes.largest(self.signals.caught or 0)
            unread.append((step, metrics, asked, state if self.schedule.is_evaluation(step) else None))
            pause = self._pauses(step)
            while len(unread) > (0 if pause else in_flight):
                self._read(*unread.popleft())
                pause = pause or self._pauses(step)
            if pause:
                self._heed(self.look(step, state))
                self._save_if_due(step, state)
                self.start_clock()
        return state

    def _pauses(self, step: int) -> bool:
        return self.caught is not None or self.schedule.is_pause(step, self.watch)

    def _read(self, step: int, metrics: Mapping[str, Any], asked: Any, to_evaluate: Any) -> None:
        """Reads the metrics of the call that ended at a step, and waits until they are computed."""
        if metrics.keys() != set(self.job.report.metrics):
            told = sorted(self.job.report.metrics)
            raise ValueError(f"the step returns the metrics {sorted(metrics)}, and the report's panels name {told}")
        alarms = self.take(step, metrics)
        self.agreed = int(asked) or self.agreed
        if to_evaluate is not None or self.schedule.is_turn(step, self.schedule.log_every):
            self.write_line(step, to_evaluate)
        self._heed(alarms)

    def _heed(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            if self.schedule.on_collapse == "stop":
                raise Collapsed(f"{alarm} Stopped; --on_collapse=warn continues, rollback returns to a good checkpoint")
            if self.schedule.on_collapse == "warn":
                say(str(alarm))
        if self.schedule.on_collapse == "rollback":
            alarm_of_all = self.processes.tell(lambda: asdict(alarms[0]) if alarms else None)
            if alarm_of_all is not None:
                raise Alarmed(Alarm(**alarm_of_all))

    def _save_if_due(self, step: int, state: Any) -> None:
        finished, caught = step == self.schedule.total_steps, self.caught
        where = self.save(step, state, finished, caught is not None)
        if caught is not None and not finished:
            raise Interrupted(caught, where)

    # Overridden by the process that writes

    def start_clock(self) -> None:
        """Starts measuring a call."""

    def take(self, step: int, metrics: Mapping[str, Any]) -> list[Alarm]:
        """Takes the metrics of the call that ended at a step; returns the alarms that they raise."""
        return []

    def write_line(self, step: int, to_evaluate: Any) -> None:
        """Writes a line of the log, with the scores of a state unless that is None."""

    def look(self, step: int, state: Any) -> list[Alarm]:
        """Saves a grid and checks the preview, each if it is due; returns the alarms that the preview raises."""
        return []

    def save(self, step: int, state: Any, finished: bool, stopped: bool) -> str:
        """Saves the state if that is due; returns the message to print if the run stops here."""
        return ""


@dataclass
class PassInMemory(Pass):
    """A pass without a workdir: it shows a progress bar and runs the watch, but writes no files."""

    def __post_init__(self) -> None:
        self.bar = progress.bar(what=COMPILING, total=self.schedule.total_steps, delay=0)

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def start_clock(self) -> None:
        """Says that the step is compiled."""
        self.bar.set_description("training", refresh=False)

    def take(self, step: int, metrics: Mapping[str, Any]) -> list[Alarm]:
        """Shows the last metrics of a call in the progress bar and passes all of them to the watch."""
        metrics = jax.device_get(dict(metrics))
        [count] = {len(values) for values in metrics.values()}
        self.bar.update(count)
        self.bar.set_postfix({name: f"{metrics[name][-1]:.4g}" for name in self.job.report.bar}, refresh=False)
        return self.watch.see_call(step, metrics) if self.watch is not None else []

    def look(self, step: int, state: Any) -> list[Alarm]:
        """Draws the preview if the watch checks it at this step."""
        if self.watch is None or not self.watch.is_preview(step):
            return []
        return self.watch.see_preview(step, np.asarray(self.job.preview(state)))

    def save(self, step: int, state: Any, finished: bool, stopped: bool) -> str:
        """Saves nothing; returns the message to print if the run stops here."""
        return f"Stopped at step {step}; nothing was saved."


@dataclass
class WritingPass(Pass):
    """A pass in the process that writes the files of the run."""

    workdir: Workdir
    saver: Checkpoints
    told: set[str] = field(default_factory=set, init=False)  # what has been said once

    def __post_init__(self) -> None:
        step, memory = self.position.step, self.position.memory
        if self.watch is not None:
            self.watch.remember(memory.get("watch", {}), tell_again=self.schedule.on_collapse != "warn")
        self.recorder = Recorder(
            self.workdir,
            step,
            memory.get("recorder", {}),
            examples_before=self.job.examples_before,
            data_wait=self.job.data_wait,
            report=self.job.report,
            settings=self.job.settings,
            tracker=self.job.tracker,
        )
        self.best: Best | None = memory.get("best")
        self.scores: dict[str, str] = {}  # the last ones, as the bar shows them
        self.bar = progress.bar(what=COMPILING, initial=step, total=self.schedule.total_steps, delay=0)

    def __exit__(self, *exception: object) -> None:
        self.bar.close()
        under_way = exception[0] is not None  # The error under way says more than a failure to close the files would.
        with contextlib.suppress(UserError) if under_way else contextlib.nullcontext():
            self.recorder.close()

    def start_clock(self) -> None:
        """Starts measuring a call."""
        self.recorder.clock.start()
        if self.bar.n == self.bar.initial:
            self.bar.set_description("training", refresh=False)
            self.bar.unpause()  # leaves compilation out of the estimated time left

    def take(self, step: int, metrics: Mapping[str, Any]) -> list[Alarm]:
        """Records the metrics of a call and passes them to the watch."""
        metrics = jax.device_get(dict(metrics))
        self.bar.update(self.recorder.add(metrics))
        left = progress.time_left(self.bar, self.recorder.clock.worked)
        if left is not None:
            self._say_once("time", f"At this speed, {self.schedule.total_steps:,} steps are reached in {left}.")
        return self.watch.see_call(step, metrics) if self.watch is not None else []

    def write_line(self, step: int, to_evaluate: Any) -> None:
        """Writes a line of the log and updates the progress bar."""
        scores = {} if to_evaluate is None or self.job.evaluate is None else self.job.evaluate(to_evaluate)
        line = self.recorder.write_line(step, scores)
        shown = {name: f"{value:.4g}" for name, value in scores.items() if "/" not in name}  # a head's would fill lines
        self.scores = shown or self.scores
        losses = {name: f"{line[name]:.4g}" for name in self.job.report.bar if name in line}
        self.bar.set_postfix({**losses, **self.scores})
        self.saver.check()
        if scores and self.schedule.keep_best is not None:
            self.best = better(self.best, self.schedule.keep_best, step, scores)

    def look(self, step: int, state: Any) -> list[Alarm]:
        """Draws the preview if it is due to be saved or checked."""
        to_save = self.schedule.is_sample(step)
        to_watch = self.watch is not None and self.watch.is_preview(step)
        if not (to_save or to_watch):
            return []
        pictures = np.asarray(self.job.preview(state))
        if to_save:
            self.recorder.save_grid(step, pictures, self.job.columns, self.job.rows)
            self._say_once("samples", f"Samples of step {step:,}: {self.workdir.sample(step)}")
        return self.watch.see_preview(step, pictures) if self.watch is not None and to_watch else []

    def save(self, step: int, state: Any, finished: bool, stopped: bool) -> str:
        """Saves the state after the files that belong to it; at the end also draws the summary."""
        is_best = self.best is not None and self.best["step"] == step
        if stopped or is_best or self.schedule.is_turn(step, self.schedule.checkpoint_every):
            good_until = self.watch.well_until(step) if self.watch is not None else None
            first, confirm = self.recorder.sync, self.workdir.confirm
            best = None if self.best is None else self.best["step"]
            memory = self._memory()
            self.saver.save(step, state, memory, good_until=good_until, best=best, first=first, confirm=confirm)
        if finished or stopped:
            self.saver.wait()
        if finished:  # Last, because the state is safe even if drawing fails.
            draw_summary(self.workdir, self.job.description, self.job.report)
        where = self.workdir.checkpoints / str(step)
        return f"Stopped at step {step}, saved in {where}; rerun the same command to resume."

    def _say_once(self, subject: str, message: str) -> None:
        if subject not in self.told:
            self.told.add(subject)
            say(message)

    def _memory(self) -> dict[str, Any]:
        """Returns what a checkpoint holds besides the state, so that a resumed run continues as if uninterrupted."""
        watch = self.watch.memory() if self.watch is not None else {}
        before = self.position.memory
        rollbacks = {"rollbacks": before.get("rollbacks", 0), "went_back_to": before.get("went_back_to")}
        best = {} if self.best is None else {"best": self.best}
        return {**rollbacks, **best, "recorder": self.recorder.memory(), "watch": watch}
