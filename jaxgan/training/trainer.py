"""Start, rollback and end of a run that can be killed at any moment and resumes bit for bit.

A resumed run cuts off whatever its files hold beyond the checkpoint that it resumes from. This is enough because
`jaxgan.training.loop` writes the checkpoint of a step after everything else that belongs to the step.

If there are several processes, only the first reads and writes files, watches the run and prints. The others run the
same steps, receive the initial state from it, and stop or roll back when it does.
"""

import contextlib
from typing import Any

from jaxgan.host import console
from jaxgan.host.errors import UserError
from jaxgan.training import parallel
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.recording import draw_summary, is_drawn, writing_to
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.job import Job, Schedule
from jaxgan.training.loop import Alarmed, Collapsed, Pass, PassInMemory, Position, WritingPass, say
from jaxgan.training.signals import StopSignals
from jaxgan.training.watch import Alarm, Watch

__all__ = ["Collapsed", "Job", "Schedule", "train"]


def train(
    state: Any,
    job: Job,
    schedule: Schedule,
    workdir: Workdir,
    *,
    watch: Watch | None = None,
    processes: Processes | None = None,
) -> Any:
    """Trains to `schedule.total_steps`, from the newest intact checkpoint of the workdir or from the start.

    A run that is interrupted and resumed writes the same files as one that is not, except for timings. A signal saves
    an extra checkpoint, however, and a rollback soon afterwards may return to that one.

    Args:
      state: the initial state, any pytree of arrays.
      job: the job to run.
      schedule: the number of steps and the intervals.
      workdir: output directory; the process that writes must have entered it, so that it is locked.
      watch: checks the run for trouble; None: no checks.
      processes: the processes that train together; None: this one alone.

    Returns:
      The state at `schedule.total_steps`, or at the step that the workdir has already reached if that is later.

    Raises:
      Interrupted: after SIGTERM, SIGHUP or Ctrl-C, once everything is saved. A second Ctrl-C ends the process at once.
      Collapsed: after an alarm, if `schedule.on_collapse` is "stop", or if there were too many rollbacks.
      UserError: if the workdir cannot be written to, holds another model, or has checkpoints but no intact one.
      ValueError: if `schedule.on_collapse` is "rollback" and the job has no `branch`.
    """
    if schedule.on_collapse == "rollback" and job.branch is None:
        raise ValueError("on_collapse='rollback' needs job.branch: the same state would go the same way again")
    processes = processes or Processes()
    if not processes.writes:
        return _train(state, None, job, schedule, workdir, watch, processes)
    saver = Checkpoints(workdir.checkpoints, keep=schedule.keep, keep_every=schedule.keep_every, report=say)
    with contextlib.closing(saver):
        return _train(state, saver, job, schedule, workdir, watch, processes)


def train_in_memory(state: Any, job: Job, schedule: Schedule, *, watch: Watch | None = None) -> Any:
    """Trains from the start to `schedule.total_steps` without writing anything.

    Args:
      state: the initial state, any pytree of arrays.
      job: the job to run.
      schedule: the number of steps and the intervals.
      watch: checks the run for trouble; None: no checks.

    Returns:
      The state at the end.

    Raises:
      Interrupted: after SIGTERM, SIGHUP or Ctrl-C.
      Collapsed: after an alarm, if `schedule.on_collapse` is "stop".
      ValueError: if `schedule.on_collapse` is "rollback", because there are no checkpoints to return to.
    """
    if schedule.on_collapse == "rollback":
        raise ValueError("on_collapse='rollback' needs a workdir: there are no checkpoints to go back to")
    with StopSignals() as signals:
        position = Position(0, state, {})
        with PassInMemory(position, job, schedule, watch, signals, Processes()) as training:
            return training.to_the_end()


def _train(
    state: Any,
    saver: Checkpoints | None,
    job: Job,
    schedule: Schedule,
    workdir: Workdir,
    watch: Watch | None,
    processes: Processes,
) -> Any:
    """Runs passes of the loop until one reaches the end; `saver` is None in processes that do not write."""
    template = (
        state if processes.count == 1 else parallel.local(state)
    )  # one process can restore arrays of its own devices only
    position = _common(processes, _resume(saver, template) if saver else None, state)
    if position.step >= schedule.total_steps:
        if saver:
            print(
                f"{workdir.path} is already at step {position.step}: finished. To continue, give larger --steps",
                file=console.out,
                flush=True,
            )
            if not is_drawn(workdir):  # The process died after its last save, or drawing failed.
                draw_summary(workdir, job.description, job.report)
        return position.state
    if saver:
        _begin(saver, position, template, job, schedule, workdir)
    with StopSignals() as signals:
        while True:
            arguments = position, job, schedule, watch, signals, processes
            try:
                with WritingPass(*arguments, workdir, saver) if saver else Pass(*arguments) as training:
                    trained = training.to_the_end()
                break
            except Alarmed as alarmed:
                back = None
                if saver:
                    back = _roll_back(saver, workdir, job, schedule, template, position, alarmed.alarm)
                position = _common(processes, back, state)
    if saver:
        reached = f"Reached step {schedule.total_steps}: the pictures are in {workdir.samples}"
        print(reached, file=console.out, flush=True)
    return trained


def _begin(
    saver: Checkpoints, position: Position, template: Any, job: Job, schedule: Schedule, workdir: Workdir
) -> None:
    job.begin()
    way = f"step {position.step} to {schedule.total_steps}, in {workdir.path}"
    print(f"Training {job.description}: {way}", file=console.out, flush=True)
    with writing_to(workdir):
        saver.set_aside([step for step in saver.steps() if step > position.step])
    if schedule.on_collapse == "rollback" and not saver.steps():
        saver.save(0, template, {})  # so that a rollback always has a checkpoint to return to


def _common(processes: Processes, position: Position | None, template: Any) -> Position:
    """Sends the position of the first process to all, on the devices of the template, whose arrays may be donated."""
    step, memory = processes.tell(lambda: (position.step, position.memory))  # type: ignore[union-attr]
    return Position(step, processes.hand_out(position and position.state, template), memory)


def _resume(saver: Checkpoints, state: Any) -> Position:
    restored = saver.restore_latest(state)
    if restored is not None:
        return Position(*restored)
    if saver.steps():
        raise UserError(
            f"--workdir={saver.directory.parent} has checkpoints, and none is intact (see above); choose another, or"
            " move this one away to start again"
        )
    return Position(0, state, {})


def _roll_back(
    saver: Checkpoints,
    workdir: Workdir,
    job: Job,
    schedule: Schedule,
    template: Any,
    position: Position,
    alarm: Alarm,
) -> Position:
    """Returns to the last checkpoint before the trouble began, with another key.

    If the last rollback went to the same checkpoint and the trouble came back, the checkpoint may contain its cause, so
    the one before it is taken.

    Raises:
      Collapsed: if there were too many rollbacks, or no earlier checkpoint is intact.
    """
    assert job.branch is not None
    rollbacks = position.memory.get("rollbacks", 0) + 1
    if rollbacks > schedule.max_rollbacks:
        raise Collapsed(f"{alarm} Stopped: the run has gone back {schedule.max_rollbacks} times already")
    restored = saver.restore_latest(template, at_most=alarm.since)
    if restored is not None and restored[0] == position.memory.get("went_back_to"):
        restored = saver.restore_latest(template, at_most=restored[0] - 1) or restored
    if restored is None:
        raise Collapsed(f"{alarm} Stopped: no checkpoint up to step {alarm.since} is intact")
    step, state, memory = restored
    with writing_to(workdir):
        saver.delete_after(step)
    say(f"{alarm} Going back to step {step} (rollback {rollbacks} of at most {schedule.max_rollbacks}).")
    return Position(step, job.branch(state, rollbacks), {**memory, "rollbacks": rollbacks, "went_back_to": step})
