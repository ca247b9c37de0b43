"""Training from a program: `fit` needs only a system, examples and a number of steps."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data import ARRAYS
from jaxgan.data.sources import Sources, by_name, first_source
from jaxgan.host import progress
from jaxgan.host.digest import is_key, key_data
from jaxgan.systems.settings import flag_lines
from jaxgan.systems.system import System, initial_key
from jaxgan.training import parallel, slow_gradients, watch
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.description import GRID, check_same_examples, write_description
from jaxgan.training.files.tracking import Tracker
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.input_pipeline import InputPipeline, usual_placement
from jaxgan.training.job import Job, OnCollapse, Schedule
from jaxgan.training.loop import say
from jaxgan.training.trainer import train, train_in_memory


@dataclasses.dataclass(frozen=True)
class Devices:
    """How training is distributed over devices.

    Attributes:
      mode: "jit" (one device), "pmap" or "shard_map"; None: chosen by the number of devices.
      placement: where the pictures are kept, "device" or "stream"; None: "device" if they fit.
      steps_per_call: training steps per compiled call; None: chosen by system and device.
      processes: the processes that train together.
    """

    mode: str | None = None
    placement: str | None = None
    steps_per_call: int | None = None
    processes: Processes = dataclasses.field(default_factory=Processes)

    @property
    def used(self) -> list[jax.Device]:
        """The devices that share a batch."""
        devices = jax.devices()
        return devices[:1] if self.mode == "jit" else devices

    def calls(self, system: System) -> int:
        """Returns the training steps per compiled call: many if steps are short, so that the device never idles."""
        if self.steps_per_call is not None:
            return self.steps_per_call
        if system.short_step:
            return 50
        return 1 if jax.default_backend() == "cpu" else 20


def fit(
    system: System,
    examples: Sources,
    *,
    steps: int,
    workdir: str | Path | None = None,
    log_every: int = 100,
    sample_every: int = 1000,
    sample_early: bool = True,
    checkpoint_every: int = 1000,
    keep_checkpoints: int = 3,
    keep_checkpoints_every: int | None = None,
    on_collapse: OnCollapse = "warn",
    devices: Devices | None = None,
) -> Any:
    """Trains a system up to a number of steps, resuming the run in its workdir if there is one.

    Args:
      system: the system to train.
      examples: the examples to train on, see `jaxgan.data.from_arrays`; for a system with several sources a mapping
        source -> examples.
      steps: the total number of steps to reach, counted from the start of the run.
      workdir: output directory; an existing run in it is resumed bit for bit. None: nothing is written, and only the
        returned state remains.
      log_every: steps between two lines of metrics.jsonl.
      sample_every: steps between two grids of samples.
      sample_early: whether to save grids at steps 1, 2, 5, 10, 20, 50, 100, 200 and 500 too, before `sample_every`.
      checkpoint_every: steps between two checkpoints.
      keep_checkpoints: number of newest checkpoints to keep.
      keep_checkpoints_every: checkpoints at multiples of this step are kept forever; None: none are.
      on_collapse: what an alarm of the watch does: "warn", "stop", or "rollback" to the last good checkpoint.
      devices: how training is distributed; None: over all devices of this process.

    Returns:
      The state at `steps`, or at the step that the workdir has already reached if that is later.

    Raises:
      UserError: if the examples are too few or lack an array that the system takes, if the workdir belongs to another
        run, or if a file cannot be written.
      Interrupted: after SIGTERM, SIGHUP or Ctrl-C, once everything is saved.
    """
    schedule = Schedule(
        total_steps=steps,
        log_every=log_every,
        sample_every=sample_every,
        sample_early=sample_early,
        checkpoint_every=checkpoint_every,
        keep=keep_checkpoints,
        keep_every=keep_checkpoints_every,
        on_collapse=on_collapse,
    )
    flags, settings = None, {}
    if system.settings is not None:
        flags = flag_lines(system.settings) + f"--dataset={ARRAYS}\n--steps={steps}\n"
        settings = {**dataclasses.asdict(system.settings), "dataset": ARRAYS, "steps": steps}
    if workdir is None:
        return train_system(system, examples, schedule, None, devices=devices or Devices())
    with Workdir(workdir) as locked:
        check_same_examples(locked, examples)
        begin = functools.partial(write_description, locked, ARRAYS, examples, flags, system.sources(examples))
        used = devices or Devices()
        return train_system(system, examples, schedule, locked, devices=used, begin=begin, settings=settings)


def train_system(
    system: System,
    examples: Sources,
    schedule: Schedule,
    workdir: Workdir | None,
    *,
    devices: Devices,
    dataset: str = ARRAYS,
    begin: Callable[[], None] = lambda: None,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    prepare: Callable[[Any], Any] = lambda state: state,
    settings: Mapping[str, Any] | None = None,
    tracker: Tracker | None = None,
) -> Any:
    """Compiles a system's step and trains to the end of a schedule.

    Args:
      system: the system to train.
      examples: the examples to train on.
      schedule: the number of steps and the intervals; its `steps_per_call` is replaced by that of the devices.
      workdir: entered by the caller in the process that writes; None: nothing is written.
      devices: how training is distributed.
      dataset: the name of the source of the examples.
      begin: called once by the process that writes, after all checks have passed.
      evaluate: state -> scores for the log, by name; None: the log has none.
      prepare: initial state -> the state that a new run begins with, of the same shapes.
      settings: the settings of the run by name, for TensorBoard.
      tracker: gets the lines of the log and the grids, too; None: nobody does.

    Returns:
      The state at the end.
    """
    processes = devices.processes
    sources = system.sources(examples)
    programs = compile_phases(system, devices)
    program, steps_per_call = programs[0], devices.calls(system)
    pipeline = InputPipeline(
        programs,
        sources,
        inputs=system.inputs,
        schedule=system.schedule,
        seed=system.seed,
        steps_per_call=steps_per_call,
        placement=devices.placement or processes.tell(lambda: usual_placement(program, sources, system.inputs)),
        total_steps=schedule.total_steps,
    )
    with progress.ticking("making the networks"):
        state = initial_state(system)
    state = program.place_state(prepare(state))
    job = Job(
        description=describe(system, state, examples, dataset, program, pipeline.placement),
        step_fn=pipeline,
        compile=pipeline.compile,
        preview=lambda state: system.preview.images(parallel.local(state)),
        evaluate=None if evaluate is None else lambda state: evaluate(parallel.local(state)),
        examples_before=system.schedule.examples_before,
        columns=system.preview.columns,
        rows=system.preview.rows,
        report=system.report,
        branch=lambda state, count: state.replace(key=jax.random.fold_in(state.key, count)),
        data_wait=lambda: pipeline.waited,
        begin=begin,
        settings=settings or {},
        tracker=tracker,
    )
    schedule = dataclasses.replace(schedule, steps_per_call=steps_per_call)
    real = np.asarray(first_source(examples).images[:GRID])
    watching = watch.Watch(
        checks=system.report.checks,
        diverse_preview=system.report.diverse_preview,
        real_diversity=watch.diversity(real) if system.report.diverse_preview and len(real) > 1 else None,
    )
    if workdir is None:
        return train_in_memory(state, job, schedule, watch=watching)
    return train(state, job, schedule, workdir, watch=watching, processes=processes)


def compile_phases(system: System, devices: Devices) -> list[parallel.Program]:
    """Compiles the step of a system once for each phase of its schedule."""
    phases = range(len(system.schedule.phases))
    # The step of a system with a single phase takes no `phase`.
    steps = [functools.partial(system.step, phase=phase) for phase in phases] if len(phases) > 1 else [system.step]
    advise = slow_gradients.adviser(say) if devices.processes.writes else lambda jaxpr: None
    return [parallel.compile_step(step, mode=devices.mode, devices=devices.used, inspect=advise) for step in steps]


def initial_state(system: System) -> Any:
    """Returns the state before the first step; compiled without optimisation, because it runs only once."""
    options = {"xla_backend_optimization_level": 0}
    return jax.jit(system.init, compiler_options=options)(initial_key(system.seed))


def state_template(system: System) -> Any:
    """Returns a state of shapes and types alone, for which nothing is compiled; its keys are zeros of their kind."""
    key = initial_key(system.seed)

    def with_key(leaf: jax.ShapeDtypeStruct) -> Any:
        if not is_key(leaf):
            return leaf
        data = jax.eval_shape(key_data, leaf)
        return jax.random.wrap_key_data(jnp.asarray(np.zeros(data.shape, data.dtype)), impl=jax.random.key_impl(key))

    return jax.tree.map(with_key, jax.eval_shape(system.init, key))


def describe(
    system: System, state: Any, examples: Sources, dataset: str, program: parallel.Program, placement: str
) -> str:
    """Describes a run in one line: the system, its sizes, its pictures and its devices."""
    sizes = " and ".join(f"{name} {count_parameters(params):,}" for name, params in system.networks(state).items())
    shape = "×".join(map(str, system.image_shape))
    pictures = " and ".join(f"{len(part):,}" for part in by_name(examples).values())
    where = "in the device's memory" if placement == "device" else "streamed"
    devices = f"{len(program.devices)} {program.devices[0].platform} device{'s' * (len(program.devices) > 1)}"
    if jax.process_count() > 1:
        devices += f" of {jax.process_count()} processes"
    precision = getattr(system.settings, "precision", "float32")
    return (
        f"{system.name} ({sizes} parameters) on {pictures} pictures {shape} of"
        f" {dataset}, {where}; {devices}, {program.mode}, {precision}, batch {system.schedule.batch_size}"
    )


def count_parameters(params: Any) -> int:
    """Counts the parameters in a tree of arrays."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
