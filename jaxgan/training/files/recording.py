"""Recorder of a run: log lines, events and grids while it trains, an animation and a plot at its end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import numpy as np

from jaxgan.host import images
from jaxgan.host.captions import captioned_grid
from jaxgan.host.errors import UserError
from jaxgan.systems.system import Report
from jaxgan.training.best import SCORES
from jaxgan.training.files import metrics_log, plots
from jaxgan.training.files.metrics_log import Line, MetricsLog
from jaxgan.training.files.tracking import Tracker
from jaxgan.training.files.workdir import Workdir

SPEED = ("images_per_sec", "data_wait")
PARTS_OF_LOSSES = ("loss", "penalty", "nats", "difference")
"""Words in the label of a panel of losses."""


class Recorder:
    """Writes the files of a run; on opening, cuts off what lies beyond the step from which the run continues.

    A line of the log holds means over the steps since the last line. The unfinished sums of a line are saved in every
    checkpoint (see `memory`), so that a resumed run writes the same lines.

    Args:
      workdir: the directory of the run.
      step: the step from which the run continues.
      memory: the result of `memory` at that step; empty at the start.
      examples_before: step -> the number of examples that all steps before it take, for `images_per_sec`.
      data_wait: returns the seconds spent waiting for data since the process began.
      report: the names of the metrics, and what kind of numbers they are.
      settings: the settings of the run by name, for TensorBoard.
      tracker: gets the scalars and the grids, too; None: nobody does.
    """

    def __init__(
        self,
        workdir: Workdir,
        step: int,
        memory: Mapping[str, Any],
        *,
        examples_before: Callable[[int], int],
        data_wait: Callable[[], float],
        report: Report,
        settings: Mapping[str, Any],
        tracker: Tracker | None = None,
    ) -> None:
        # tensorboardX imports PyTorch where that is installed, which takes seconds; what only draws goes without.
        from jaxgan.training.files import tensorboard

        self._workdir, self._tracker = workdir, tracker
        self._groups = groups_of(report)
        self._sums: dict[str, float] = dict(memory.get("sums", {}))
        self._steps: int = memory.get("steps", 0)
        self._examples_before, self._step = examples_before, step
        self._unsaved_grids: dict[int, np.ndarray] = {}
        self.clock = Clock(data_wait)
        with writing_to(workdir):
            _cut_samples(workdir, step)
            self._log = MetricsLog(workdir.metrics, step)
            flags = workdir.flags.read_text(encoding="utf-8") if workdir.flags.exists() else ""
            compared = [*map(self._tag, (*report.metrics, *SPEED)), *map(self._tag, SCORES)]
            self._events = tensorboard.EventLog(
                workdir.tensorboard, step, tensorboard.describe(flags, settings, compared)
            )

    def memory(self) -> dict[str, Any]:
        """Returns the unfinished sums, as JSON can hold them."""
        return {"sums": dict(self._sums), "steps": self._steps}

    def add(self, metrics: Mapping[str, np.ndarray]) -> int:
        """Takes the metrics of one call, each of shape (count,); returns count.

        They are summed step by step, so that rounding does not depend on how the steps are grouped into calls.
        """
        [count] = {len(values) for values in metrics.values()}
        for name, values in metrics.items():
            total = self._sums.get(name, 0.0)
            for value in values.tolist():
                total += value
            self._sums[name] = total
        self._steps += count
        self.clock.lap(self._examples_before(self._step + count) - self._examples_before(self._step))
        self._step += count
        return count

    def write_line(self, step: int, scores: Mapping[str, float] | None = None) -> Line:
        """Writes and returns a line of the log: means since the last line, and the scores of this step if any."""
        values = {name: total / self._steps for name, total in self._sums.items()}
        values |= {**self.clock.rates(), **(scores or {})}
        line = self._log.append(step, values)
        scalars = {self._tag(name): line[name] for name in values if name in line}
        self._events.add_scalars(step, scalars)
        if self._tracker is not None:
            self._tracker.add_scalars(step, scalars)
        self._sums, self._steps = {}, 0
        return line

    def save_grid(self, step: int, pictures: np.ndarray, columns: int, rows: Sequence[str] = ()) -> None:
        """Saves the grid of a step; if that fails, the next `sync` tries again.

        Args:
          step: the step of the pictures.
          pictures: uint8 (N, height, width, channels).
          columns: pictures in a row.
          rows: a caption for each row, or ().
        """
        grid = captioned_grid(pictures, columns, rows=rows) if rows else images.grid(pictures, columns)
        self._unsaved_grids[step] = grid
        with suppress(OSError):
            self._save_grids()
        self._events.add_image(step, "samples", grid)
        if self._tracker is not None:
            self._tracker.add_image(step, "samples", grid)

    def sync(self) -> None:
        """Waits until everything is on disk, so that no checkpoint is ahead of the files.

        Raises:
          OSError: if something cannot be written. The next call tries again, so nothing is lost.
        """
        self._save_grids()
        self._log.sync()
        self._events.sync()

    def _tag(self, name: str) -> str:
        return f"{'speed' if name in SPEED else self._groups.get(name, 'scores')}/{name}"

    def _save_grids(self) -> None:
        self._workdir.confirm()  # Never write into another directory that has taken the place of this one.
        for step in list(self._unsaved_grids):
            images.save_png(self._workdir.sample(step), self._unsaved_grids[step])
            del self._unsaved_grids[step]

    def close(self) -> None:
        """Closes both files, even if one of them cannot be completed."""
        with writing_to(self._workdir), closing(self._events), closing(self._log):
            pass


def groups_of(report: Report) -> dict[str, str]:
    """Returns metric -> "losses" for the terms of a loss, "training" for everything else, such as opinions of D."""
    return {
        name: "losses" if any(word in panel.label for word in PARTS_OF_LOSSES) else "training"
        for panel in report.panels
        for name in panel.curves
    }


class Clock:
    """Measures the time of training, without that of grids and checkpoints.

    Args:
      data_wait: returns the seconds spent waiting for data since the process began.

    Attributes:
      worked: seconds of training so far.
    """

    def __init__(self, data_wait: Callable[[], float]) -> None:
        self._data_wait = data_wait
        self.worked = 0.0
        self._clear()
        self.start()

    def start(self) -> None:
        """Starts counting from now."""
        self._began, self._waited_before = time.perf_counter(), self._data_wait()

    def lap(self, examples: int) -> None:
        """Counts the time since the last lap or start towards this number of examples."""
        self._examples += examples
        seconds = time.perf_counter() - self._began
        self._seconds += seconds
        self.worked += seconds
        self._waited += self._data_wait() - self._waited_before
        self.start()

    def rates(self) -> dict[str, float]:
        """Returns `images_per_sec` and `data_wait` (share of the time) since the last call; {} without any step."""
        examples, seconds, waited = self._examples, self._seconds, self._waited
        self._clear()
        if not examples or seconds <= 0:
            return {}
        return {"images_per_sec": examples / seconds, "data_wait": min(waited / seconds, 1.0)}

    def _clear(self) -> None:
        self._examples, self._seconds, self._waited = 0, 0.0, 0.0


def draw_summary(workdir: Workdir, title: str, report: Report) -> None:
    """Writes `evolution.gif` from the grids and `losses.png` from the log.

    Args:
      workdir: the directory of the run.
      title: the title of the plot.
      report: see `jaxgan.training.files.plots.draw_metrics`.

    Raises:
      UserError: if they cannot be written.
    """
    with writing_to(workdir):
        workdir.confirm()  # another run may have taken the place of this one
        images.save_evolution(workdir.evolution, workdir.samples)
        plots.save_metrics(workdir.losses, metrics_log.read(workdir.metrics), report, title=title)


def is_drawn(workdir: Workdir) -> bool:
    """Whether `draw_summary` has run since the last line of the log was written."""
    with writing_to(workdir):
        paths = workdir.metrics, workdir.losses, workdir.evolution
        times = [path.stat().st_mtime_ns for path in paths if path.exists()]
    return len(times) == len(paths) and times[0] <= min(times)


@contextmanager
def writing_to(workdir: Workdir) -> Iterator[None]:
    """Converts the OSError of a disk that is full, read-only or gone to a UserError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"--workdir={workdir.path} cannot be written to ({reason}); fix this and rerun the command to resume"
        ) from error


def _cut_samples(workdir: Workdir, step: int) -> None:
    for path in workdir.samples.glob("*.png"):
        later = path.stem.isdecimal() and int(path.stem) > step
        if later and path == workdir.sample(int(path.stem)):  # Other names belong to pictures that a user has put here.
            path.unlink()
