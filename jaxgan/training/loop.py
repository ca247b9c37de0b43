"""The loop: call by call from one position to the end, or to a signal or an alarm that ends it before.

It knows nothing of generators and critics. Where several things fall on one step, the line of the log comes first and
the checkpoint last, so that no checkpoint knows more than the files do.
"""

import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxgan.errors import UserError
from jaxgan.host import console, progress
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.recording import Recorder, draw_summary
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.job import Job, Schedule
from jaxgan.training.signals import Interrupted, StopSignals
from jaxgan.training.watch import Alarm, Watch


class Collapsed(UserError):
    """Training went wrong, and was to stop then."""


@dataclass(frozen=True)
class Position:
    """Where a run goes on: a step, its state, and what the loop has to remember of the steps before."""

    step: int
    state: Any
    memory: dict[str, Any]


class Alarmed(Exception):
    """The run has to go back."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(str(alarm))
        self.alarm = alarm


def say(message: str) -> None:
    """Prints a line to the standard error stream, above the progress bar."""
    tqdm.write(message, file=console.err)


@dataclass
class Pass:
    """One way from a position to the end, or to a signal or an alarm that ends it before: what every process does."""

    position: Position
    job: Job
    schedule: Schedule
    watch: Watch | None
    signals: StopSignals
    processes: Processes
    agreed: int | None = field(default=None, init=False)  # the signal that all processes know of

    def __enter__(self) -> "Pass":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    @property
    def caught(self) -> int | None:
        """The signal that asks all processes to stop, if any."""
        return self.signals.caught if self.processes.count == 1 else self.agreed

    def to_the_end(self) -> Any:
        """Trains call by call, and after each does what is due at its last step."""
        step, state = self.position.step, self.position.state
        unread: deque[tuple[int, Mapping[str, Any], Any, Any]] = deque()
        in_flight = 0 if jax.default_backend() == "cpu" else 1  # An accelerator computes while the last call is read.
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
        """Takes what came of a call that ended at a step; waits until it is computed."""
        alarms = self.take(step, metrics)
        self.agreed = int(asked) or self.agreed
        if to_evaluate is not None or self.schedule.is_turn(step, self.schedule.log_every):
            self.write_line(step, to_evaluate)
        self._heed(alarms)

    def _heed(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            if self.schedule.on_collapse == "stop":
                raise Collapsed(f"{alarm} Stopped: --on_collapse=warn goes on, rollback goes back and tries again.")
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

    # What only the process that writes does

    def start_clock(self) -> None:
        """Begins to measure a call."""

    def take(self, step: int, metrics: Mapping[str, Any]) -> list[Alarm]:
        """Takes the metrics of a call that ended at a step; returns what the watch says to them."""
        return []

    def write_line(self, step: int, to_evaluate: Any) -> None:
        """Writes a line of the log, with the scores of a state if there is one."""

    def look(self, step: int, state: Any) -> list[Alarm]:
        """Saves a grid, and shows the pictures to the watch, each when it is its turn."""
        return []

    def save(self, step: int, state: Any, finished: bool, stopped: bool) -> str:
        """Saves the state if it is time; returns what to say if the run stops here."""
        return ""


@dataclass
class PassInMemory(Pass):
    """The same without a workdir: a progress bar and the watch are all that is seen of it."""

    def __post_init__(self) -> None:
        self.bar = progress.bar(total=self.schedule.total_steps, delay=0)

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def take(self, step: int, metrics: Mapping[str, Any]) -> list[Alarm]:
        """Counts the steps of a call, shows their last metrics in the bar and all of them to the watch."""
        metrics = jax.device_get(dict(metrics))
        [count] = {len(values) for values in metrics.values()}
        self.bar.update(count)
        self.bar.set_postfix({name: f"{metrics[name][-1]:.4g}" for name in self.job.report.bar}, refresh=False)
        return self.watch.see_call(step, metrics) if self.watch is not None else []

    def look(self, step: int, state: Any) -> list[Alarm]:
        """Draws the preview if it is to be watched."""
        if self.watch is None or not self.watch.is_preview(step):
            return []
        return self.watch.see_preview(step, np.asarray(self.job.preview(state)))

    def save(self, step: int, state: Any, finished: bool, stopped: bool) -> str:
        """Saves nothing; returns what to say if the run stops here."""
        return f"Stopped at step {step}; nothing was saved."


@dataclass
class WritingPass(Pass):
    """The same in the process that writes."""

    workdir: Workdir
    saver: Checkpoints

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
        )
        self.bar = progress.bar(initial=step, total=self.schedule.total_steps, delay=0)

    def __exit__(self, *exception: object) -> None:
        self.bar.close()
        under_way = exception[0] is not None  # It says more than that the files, too, cannot be written.
        with contextlib.suppress(UserError) if under_way else contextlib.nullcontext():
            self.recorder.close()

    def start_clock(self) -> None:
        """Begins to measure a call."""
        self.recorder.clock.start()
        if self.bar.n == self.bar.initial:
            self.bar.unpause()  # the time left does not depend on that of compiling

    def take(self, step: int, metrics: Mapping[str, Any]) -> list[Alarm]:
        """Counts the steps of a call, and shows their metrics to the watch."""
        metrics = jax.device_get(dict(metrics))
        self.bar.update(self.recorder.add(metrics))
        return self.watch.see_call(step, metrics) if self.watch is not None else []

    def write_line(self, step: int, to_evaluate: Any) -> None:
        """Writes a line of the log, and what the bar says."""
        scores = {} if to_evaluate is None or self.job.evaluate is None else self.job.evaluate(to_evaluate)
        line = self.recorder.write_line(step, scores)
        self.bar.set_postfix({name: f"{line[name]:.4g}" for name in self.job.report.bar if name in line})
        self.saver.check()

    def look(self, step: int, state: Any) -> list[Alarm]:
        """Draws the preview if it is to be saved or watched."""
        to_save = self.schedule.is_turn(step, self.schedule.sample_every)
        to_watch = self.watch is not None and self.watch.is_preview(step)
        if not (to_save or to_watch):
            return []
        pictures = np.asarray(self.job.preview(state))
        if to_save:
            self.recorder.save_grid(step, pictures, self.job.columns)
        return self.watch.see_preview(step, pictures) if self.watch is not None and to_watch else []

    def save(self, step: int, state: Any, finished: bool, stopped: bool) -> str:
        """Saves the state after the files that belong to it, and at the end draws the summary."""
        if stopped or self.schedule.is_turn(step, self.schedule.checkpoint_every):
            good_until = self.watch.well_until(step) if self.watch is not None else None
            first, confirm = self.recorder.sync, self.workdir.confirm
            self.saver.save(step, state, self._memory(), good_until=good_until, first=first, confirm=confirm)
        if finished or stopped:
            self.saver.wait()
        if finished:  # Whatever becomes of the drawing, the state is safe.
            draw_summary(self.workdir, self.job.description, self.job.report)
        where = self.workdir.checkpoints / str(step)
        return f"Stopped at step {step}, saved in {where}; the same command goes on from there."

    def _memory(self) -> dict[str, Any]:
        """What a checkpoint holds beside the state, for the run to go on as if nothing had happened."""
        watch = self.watch.memory() if self.watch is not None else {}
        before = self.position.memory
        rollbacks = {"rollbacks": before.get("rollbacks", 0), "went_back_to": before.get("went_back_to")}
        return {**rollbacks, "recorder": self.recorder.memory(), "watch": watch}
