"""The library's side: the step that the commands train with, fed as they feed it."""

import math
import time
from collections import deque
from typing import Any

import jax
import numpy as np

from benchmarks import machine, plain
from benchmarks.arithmetic import step_operations
from benchmarks.workload import cycle, random_pictures
from experiments.cli import process
from experiments.run import start
from experiments.run.recipes import Recipe, resolve
from jaxgan import data
from jaxgan.data.sources import Sources
from jaxgan.systems import adversarial
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.training import parallel
from jaxgan.training.fitting import Devices
from jaxgan.training.input_pipeline import InputPipeline


def build(description: dict[str, Any]) -> "JaxSide":
    """Builds the side that a worker's description asks for: "flags" of a recipe, "side", and perhaps "folder"."""
    process.set_up_process()
    recipe = resolve(description["flags"], (description["flags"]["model"],))
    folder = description.get("folder")
    pictures = data.load("folder", image_size=recipe.picture_size, data_dir=folder) if folder else None
    return JaxSide(recipe, plain_flax=description["side"] == "plain_flax", pictures=pictures)


class JaxSide:
    """A run of a recipe without its files.

    Args:
      recipe: what is trained.
      plain_flax: with XLA's convolutions and one step a call, as a program without this library would do it.
      pictures: what it is trained on; random ones unless given.

    A call of a system that does some of its work rarely is a whole cycle of its steps; a system that grows stays in its
    first phase.
    """

    def __init__(self, recipe: Recipe, *, plain_flax: bool = False, pictures: Sources | None = None) -> None:
        if plain_flax:
            plain.use_plain_convolutions()
        pictures = pictures or random_pictures(recipe)
        system = start.build_system(recipe, pictures)
        devices = jax.local_devices()[:1]
        if plain_flax:
            program = plain.compile_step(system.step, devices)
        else:
            program = parallel.compile_step(system.step, devices=devices)
        self._steps = 1 if plain_flax else Devices(steps_per_call=recipe.steps_per_call).calls(system)
        schedule = BatchSchedule(system.schedule.batch_size, system.schedule.batches_per_step)  # no warm-up
        self._feed = InputPipeline(
            [program],
            system.sources(pictures),
            inputs=system.inputs,
            schedule=schedule,
            seed=recipe.seed,
            steps_per_call=self._steps,
            placement=recipe.placement,
        )
        state = jax.jit(system.init)(jax.random.key(recipe.seed))
        self._state, self._done, self._seconds = program.place_state(state), 0, 0.0
        self._recipe, self._feeds = recipe, math.lcm(cycle(recipe), self._steps) // self._steps
        steps = self._feeds * self._steps
        self._images = images_per_call(schedule, steps)
        rules = system.step.keywords.get("rules")
        # What other systems and penalties need is not known.
        known = isinstance(rules, adversarial.Rules) and rules.discriminator_penalty is None
        self._operations = step_operations(rules, recipe.batch_size) * steps if known else None

    def facts(self) -> dict[str, Any]:
        """Returns what a comparison needs to know."""
        device = jax.local_devices()[0]
        return {
            "images_per_call": self._images,
            "steps_per_call": self._steps,
            "device": f"{device.platform} {device.device_kind}",
            "placement": self._feed.placement,
            "operations_per_call": self._operations,
        }

    def compiled_text(self) -> str:
        """Returns the compiled program, for a profile: which instruction came from which layer."""
        draws = self._feed._draws(0, self._steps)
        arguments = (self._state, draws, np.int32(self._steps), self._feed._data)
        return self._feed._program_of(0)._run.lower(*arguments).compile().as_text()

    def run(self, calls: int) -> float:
        """Trains, as the loop does: the numbers of a call are read, on an accelerator while the next one runs."""
        unread: deque[Any] = deque()
        in_flight = 0 if jax.default_backend() == "cpu" else 1
        began = time.perf_counter()
        for _ in range(calls * self._feeds):
            self._state, metrics = self._feed(self._state, self._done, self._steps)
            self._done += self._steps
            unread.append(metrics)
            if len(unread) > in_flight:
                jax.device_get(unread.popleft())
        jax.block_until_ready(self._state)
        seconds = time.perf_counter() - began
        self._seconds += seconds
        return seconds

    def measure(self) -> dict[str, Any]:
        """Measures peak memory, the seconds of all turns so far, and those of waiting for data within them."""
        statistics = jax.local_devices()[0].memory_stats() or {}
        peak = statistics.get("peak_bytes_in_use", 0) / 1e6
        return {
            "peak_memory_mb": round(peak, 1) or machine.peak_memory_mb(),
            "waited": self._feed.waited,
            "seconds": self._seconds,
        }

    def matmul_rate(self) -> float:
        """Multiplications and additions a second that the device can do at best, in the precision of the recipe."""
        return machine.matmul_rate(self._recipe.precision)


def images_per_call(schedule: BatchSchedule, steps: int) -> int:
    """Counts the real pictures that so many steps take."""
    return schedule.batch_size * schedule.batches_per_step * steps
