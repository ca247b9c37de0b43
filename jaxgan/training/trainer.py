"""A run that can be killed at any moment and goes on to the bit: where it begins, to what it goes back, and its end.

What lies in the workdir beyond the checkpoint that a run goes on from is cut off: `jaxgan.training.loop` does the
steps, and writes a checkpoint last of all that falls on one.

Of several processes the first alone reads and writes files, watches and prints. The others run the same steps, take the
state to begin with from it, and stop or go back where it does.
"""

import contextlib
from typing import Any

from jaxgan.errors import UserError
from jaxgan.host import console
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

    A run that was interrupted, in whatever way, and resumed writes the files that it would have written without that,
    but for the timings. A signal leaves a checkpoint of its own, though, and a rollback that comes soon after goes back
    to that one.

    Args:
      state: the initial state, any pytree of arrays.
      job: what is trained.
      schedule: when what is done.
      workdir: where the run writes; entered by the caller in the process that writes, so that it is locked.
      watch: looks for what goes wrong; None: nobody does.
      processes: those that train together; None: this one alone.

    Returns:
      The state at `schedule.total_steps`, or at the step that the workdir had reached already.

    Raises:
      Interrupted: after SIGTERM or Ctrl-C, when everything is saved. A second Ctrl-C ends the process at once.
      Collapsed: after an alarm, if `schedule.on_collapse` says so.
      UserError: if the workdir cannot be written to, is of another model, or has no checkpoint that is intact.
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
    """Trains to `schedule.total_steps` from the start, and writes nothing.

    Args:
      state: the initial state, any pytree of arrays.
      job: what is trained.
      schedule: when what is done.
      watch: looks for what goes wrong; None: nobody does.

    Returns:
      The state at the end.

    Raises:
      Interrupted: after SIGTERM or Ctrl-C.
      Collapsed: after an alarm, if `schedule.on_collapse` says so.
      ValueError: if that asks for a rollback: there are no checkpoints to go back to.
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
    """Runs from where the workdir is to the end, or from one rollback to the next; only a process that writes saves."""
    template = state if processes.count == 1 else parallel.local(state)  # what one process can restore
    position = _common(processes, _resume(saver, template) if saver else None, state)
    if position.step >= schedule.total_steps:
        if saver:
            print(
                f"{workdir.path} is already at step {position.step}: finished; more --steps go on from there.",
                file=console.out,
                flush=True,
            )
            if not is_drawn(workdir):  # It died after its last save, or could not draw.
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
        saver.save(0, template, {})  # So that there always is something to go back to.


def _common(processes: Processes, position: Position | None, template: Any) -> Position:
    """The writing process' position for all, on the devices of the template, whose arrays may be donated already."""
    step, memory = processes.tell(lambda: (position.step, position.memory))  # type: ignore[union-attr]
    return Position(step, processes.hand_out(position and position.state, template), memory)


def _resume(saver: Checkpoints, state: Any) -> Position:
    restored = saver.restore_latest(state)
    if restored is not None:
        return Position(*restored)
    if saver.steps():
        raise UserError(
            f"--workdir {saver.directory.parent} has checkpoints, and none is intact (see above): choose another, or"
            " move this one away to start again."
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
    """Goes back to the last checkpoint before the trouble began, to take another way from there.

    Where the trouble came again after that, the checkpoint has its cause in it, and it is the turn of the one before.
    """
    assert job.branch is not None
    rollbacks = position.memory.get("rollbacks", 0) + 1
    if rollbacks > schedule.max_rollbacks:
        raise Collapsed(f"{alarm} Stopped: the run has gone back {schedule.max_rollbacks} times already.")
    restored = saver.restore_latest(template, at_most=alarm.since)
    if restored is not None and restored[0] == position.memory.get("went_back_to"):
        restored = saver.restore_latest(template, at_most=restored[0] - 1) or restored
    if restored is None:
        raise Collapsed(f"{alarm} Stopped: no checkpoint up to step {alarm.since} is intact.")
    step, state, memory = restored
    with writing_to(workdir):
        saver.delete_after(step)
    say(f"{alarm} Going back to step {step} (rollback {rollbacks} of at most {schedule.max_rollbacks}).")
    return Position(step, job.branch(state, rollbacks), {**memory, "rollbacks": rollbacks, "went_back_to": step})
