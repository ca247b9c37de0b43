"""What a start would do, without doing it: the recipe, sizes, memory, and an estimate of the time."""

import datetime
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from experiments.run.recipes import Recipe, total_steps
from jaxgan.data.sources import Sources, by_name, longest
from jaxgan.host.progress import bar, ticking
from jaxgan.systems.settings import flag_lines
from jaxgan.systems.system import System
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import Devices, compile_phases, count_parameters, describe, initial_state
from jaxgan.training.input_pipeline import InputPipeline

SECONDS = 3.0  # of steps, at least one call of the device, on which the estimate rests
_FIRST = 30  # a step after the first ones, which take more batches where the critic warms up


def plan(recipe: Recipe, system: System, pictures: Sources, devices: Devices) -> str:
    """Describes a run in lines of text: takes some of its steps, and writes nothing.

    Args:
      recipe: of the run.
      system: what it trains.
      pictures: what it trains on.
      devices: those that it trains on.

    Raises:
      UserError: where the run could not begin either.
    """
    steps = total_steps(recipe, longest(pictures), system.schedule)
    reached = max(Checkpoints(Workdir(str(recipe.workdir)).checkpoints).steps(), default=0)
    programs = compile_phases(system, devices)
    pipeline = InputPipeline(
        programs,
        system.sources(pictures),
        inputs=system.inputs,
        schedule=system.schedule,
        seed=system.seed,
        steps_per_call=devices.calls(system),
        placement=devices.placement,
    )
    with ticking("making the networks"):
        state = programs[0].place_state(initial_state(system))
    networks = {name: count_parameters(tree) for name, tree in system.networks(state).items()}
    lines = [describe(system, state, pictures, str(recipe.dataset), programs[0], pipeline.placement)]
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state) if hasattr(leaf, "nbytes"))
    each = seconds_per_step(pipeline, state, devices.calls(system))
    lines += _sizes(networks, size, pictures)
    lines += _times(recipe, system, longest(pictures), steps, reached, each)
    return "\n".join([*lines, "", "The flags of the run:", flag_lines(recipe).rstrip(), "", "Nothing was written."])


def seconds_per_step(pipeline: Any, state: Any, steps: int) -> float:
    """Measures the step of a pipeline, without its compilation; the state is donated."""
    with bar(total=None, what="taking a few steps") as progress:
        state = pipeline.compile(state, _FIRST)
        step, began, spent = _FIRST, time.perf_counter(), 0.0
        while step == _FIRST or spent < SECONDS:
            state, metrics = pipeline(state, step, steps)
            jax.block_until_ready((state, metrics))
            step, spent = step + steps, time.perf_counter() - began
            progress.update(steps)
    return spent / (step - _FIRST)


def _sizes(networks: Mapping[str, int], size: int, pictures: Sources) -> list[str]:
    data = sum(array.nbytes for part in by_name(pictures).values() for array in part.arrays.values())
    parameters = ", ".join(f"{name} {count:,}" for name, count in networks.items())
    return [
        f"parameters: {parameters}",
        f"memory: {_bytes(size)} of weights and optimisers, {_bytes(data)} of pictures, and what a step takes besides",
    ]


def _times(recipe: Recipe, system: System, pictures: int, steps: int, reached: int, each: float) -> list[str]:
    passes = system.schedule.examples_before(steps) / pictures
    left = datetime.timedelta(seconds=round(max(0, steps - reached) * each))
    goes_on = f"; {recipe.workdir} has reached {reached:,}" if reached else ""
    first = " (of the first phase; later ones take other pictures)" if len(system.schedule.phases) > 1 else ""
    checkpoints = f"each {recipe.checkpoint_every:,} steps, of which {recipe.keep_checkpoints} are kept"
    return [
        f"steps: {steps:,}, or {passes:.4g} passes over the pictures{goes_on}",
        f"time: about {left} for what is left, at {each:.3g} s a step{first}, without previews, scores and checkpoints",
        f"files: in {Path(str(recipe.workdir)).absolute()}, a checkpoint {checkpoints}",
    ]


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
