"""Input pipeline: feeds a compiled step its batches, from device memory or streamed, in the same order."""

import functools
import itertools
import math
import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxgan.data import order
from jaxgan.data.sources import Sources, by_name
from jaxgan.host.errors import UserError
from jaxgan.systems.schedule import BatchSchedule, Phase
from jaxgan.training.compile_ahead import CompileAhead
from jaxgan.training.parallel import Program

PLACEMENTS = ("device", "stream")
LARGEST_SHARE = 0.25  # of a device's memory, at most, for examples

Inputs = Mapping[str, Sequence[str]]
Programs = Program | Sequence[Program] | Callable[[int], Program]


class InputPipeline:
    """A compiled step together with its data: `(state, first_step, count) -> (state, metrics)`.

    Step n takes the examples that start at position `schedule.examples_before(n)` of the endless shuffled order of
    `jaxgan.data.order`, which every source has of its own. The examples of any step are therefore found by arithmetic.
    If there are several processes, each reads only its share of a batch; resident examples are kept whole by each.

    Args:
      programs: the compiled step. If it differs by phase, one program per phase, or a function from a phase to its
        program. All must use the same devices in the same mode.
      sources: the examples, or source -> examples.
      inputs: source -> the names of the arrays that the step takes; see `System.inputs`. The batches of a single source
        named "" are {"image": (batches, N, H, W, C), …}; otherwise they are {source: {"image": …}, …}.
      schedule: the batches of each step.
      seed: the seed of the orders.
      steps_per_call: the largest number of steps per compiled call.
      placement: "device" or "stream"; None: "device" if the examples fit.
      total_steps: steps of the run: while a phase trains, the program of the next is compiled in the background if it
        begins before. None: each program is compiled when it is needed, as it always is with several processes.

    Attributes:
      placement: "device" or "stream".
      waited: seconds spent waiting for data so far.

    Raises:
      UserError: if a source is missing, lacks an array or has fewer examples than a batch, if the devices cannot share
        a batch, or if the placement is unknown.
      ValueError: if the number of programs is not the number of phases.
    """

    def __init__(
        self,
        programs: Programs,
        sources: Sources,
        *,
        inputs: Inputs,
        schedule: BatchSchedule,
        seed: int,
        steps_per_call: int,
        placement: str | None = None,
        total_steps: int | None = None,
    ) -> None:
        if placement not in (None, *PLACEMENTS):
            raise UserError(f"--placement={placement}: choose one of {', '.join(PLACEMENTS)}")
        self._arrays = select(sources, inputs)
        self._lengths = {source: len(next(iter(arrays.values()))) for source, arrays in self._arrays.items()}
        _check_lengths(self._lengths, max(phase.batch_size for phase in schedule.phases))
        self._program_of = _by_phase(programs, len(schedule.phases))
        program = self._program_of(0)
        self._shares = [_share(program, phase) for phase in schedule.phases]
        self._schedule, self._steps_per_call = schedule, steps_per_call
        self._seeds = {source: order.seed_of(seed, source) for source in self._arrays}
        self.placement = placement or usual_placement(program, sources, inputs)
        self.waited = 0.0
        self._total_steps = (total_steps or 0) if jax.process_count() == 1 else 0
        self._ahead, self._phase_ahead = CompileAhead(), 0
        self._next_streamed = -1
        self._stream: Iterator[Any] = iter(())
        self._data = program.place_data(_batch_of(self._arrays)) if self.placement == "device" else None

    def compile(self, state: Any, first_step: int) -> Any:
        """Compiles the program of a first step and opens the stream there, without taking the step.

        Args:
          state: the state, which is donated to the program.
          first_step: the step from which the run continues.

        Returns:
          The same state.
        """
        if self.placement == "device":
            draws = self._indices(first_step, 1)
        else:
            self._stream, self._next_streamed = self._open_stream(first_step), first_step
            batch = next(self._stream)
            self._stream = itertools.chain([batch], self._stream)
            draws = jax.tree.map(operator.itemgetter(None), batch)
        phase = self._schedule.at(first_step).phase
        state, _ = self._program_of(phase)(state, self._padded(draws), 0, self._data)
        self._compile_ahead(phase + 1, state)
        return jax.block_until_ready(state)

    def __call__(self, state: Any, first_step: int, count: int) -> tuple[Any, Any]:
        """Runs steps `first_step` to `first_step + count − 1`; the metrics have shape (count,)."""
        logs = []
        for start, length in self._runs_of_equal_batches(first_step, count):
            began = time.perf_counter()
            draws = self._padded(self._draws(start, length))
            self.waited += time.perf_counter() - began
            phase = self._schedule.at(start).phase
            if phase == self._phase_ahead:
                self._ahead.wait()
                self._compile_ahead(phase + 1, state)
            state, log = self._program_of(phase)(state, draws, length, self._data)
            logs.append(jax.tree.map(operator.itemgetter(slice(length)), log))
        return state, logs[0] if len(logs) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *logs)

    def _compile_ahead(self, phase: int, state: Any) -> None:
        """Begins to compile the program of a phase, if the run comes to it."""
        self._phase_ahead = phase
        if phase >= len(self._schedule.phases) or self._schedule.phases[phase].first_step >= self._total_steps:
            return
        draws: dict[str, Any] = dict(self._numbers(self._schedule.phases[phase].first_step, 1))
        if self.placement == "stream":
            from jaxgan.data.stream import gather

            draws = {source: gather(self._arrays[source], numbers) for source, numbers in draws.items()}
        self._ahead.begin(self._program_of(phase), state, self._padded(_batch_of(draws)), self._data)

    def _runs_of_equal_batches(self, first: int, count: int) -> Iterator[tuple[int, int]]:
        """Yields (first step, number of steps) of parts with equal batches and at most `steps_per_call` steps."""
        start = first
        for step in range(first + 1, first + count + 1):
            changes = step < first + count and self._schedule.at(step) != self._schedule.at(start)
            if step == first + count or changes or step - start == self._steps_per_call:
                yield start, step - start
                start = step

    def _draws(self, first: int, count: int) -> Any:
        """Returns the input of the program for some steps: example numbers, or the batches themselves."""
        if self.placement == "device":
            return self._indices(first, count)
        if first != self._next_streamed:
            self._stream = self._open_stream(first)
        self._next_streamed = first + count
        return jax.tree.map(lambda *leaves: np.stack(leaves), *itertools.islice(self._stream, count))

    def _indices(self, step: int, count: int) -> Any:
        """Returns the example numbers of steps with equal batches, int32 (count, batches, this process's share)."""
        return _batch_of(self._numbers(step, count))

    def _numbers(self, step: int, count: int) -> dict[str, np.ndarray]:
        batches = self._schedule.at(step)
        shape, share = (count, batches.number, batches.size), self._shares[batches.phase]
        first = self._schedule.examples_before(step)
        return {
            source: order.indices(self._seeds[source], first, math.prod(shape), length)
            .reshape(shape)[:, :, share]
            .astype(np.int32)
            for source, length in self._lengths.items()
        }

    def _padded(self, draws: Any) -> Any:
        """Repeats the last step up to the length of a full call, so that every call has the same shape."""

        def pad(leaf: np.ndarray) -> np.ndarray:
            missing = self._steps_per_call - len(leaf)
            return np.concatenate([leaf, np.repeat(leaf[-1:], missing, 0)]) if missing else leaf

        return jax.tree.map(pad, draws)

    def _open_stream(self, first: int) -> Iterator[Any]:
        from jaxgan.data import stream  # loads TensorFlow, which only streaming needs

        def numbers() -> Iterator[dict[str, np.ndarray]]:
            for step in itertools.count(first):
                yield {source: drawn[0] for source, drawn in self._numbers(step, 1).items()}

        return map(_batch_of, stream.stream(self._arrays, numbers()))


def select(sources: Sources, inputs: Inputs) -> dict[str, dict[str, np.ndarray]]:
    """Selects the arrays that a system takes: source -> {name: (N, …)}.

    Args:
      sources: the examples, or source -> examples.
      inputs: source -> names of arrays.

    Raises:
      UserError: if the sources are not those of `inputs`, or one lacks an array.
    """
    sources = by_name(sources)
    if sources.keys() != inputs.keys():
        needed, given = (" and ".join(map(_called, sorted(names))) or "none" for names in (inputs, sources))
        raise UserError(f"the system takes {needed} of examples, and was given {given}")
    for source, names in inputs.items():
        lacking = [name for name in names if name not in sources[source].arrays]
        if lacking:
            raise UserError(f"the system takes the array {lacking[0]!r}, which {_called(source)} does not have")
    return {source: {name: sources[source].arrays[name] for name in names} for source, names in inputs.items()}


def usual_placement(program: Program, sources: Sources, inputs: Inputs) -> str:
    """Chooses the placement of the examples: "device" if they fit there, else "stream"."""
    return "device" if fits(select(sources, inputs), program.local_devices[0]) else "stream"


def fits(arrays: Any, device: jax.Device) -> bool:
    """Whether a tree of arrays leaves most of a device's memory free."""
    statistics = device.memory_stats() or {}
    memory = statistics.get("bytes_limit") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return sum(array.nbytes for array in jax.tree.leaves(arrays)) <= LARGEST_SHARE * memory


def _called(source: str) -> str:
    return f"the source {source!r}" if source else "one source"


def _batch_of(by_source: Mapping[str, Any]) -> Any:
    """Returns the batch of a step: of a single unnamed source its part alone, without the mapping."""
    return by_source[""] if by_source.keys() == {""} else dict(by_source)


def _share(program: Any, phase: Phase) -> slice:
    """Returns this process' part of the batches of a phase; raises a UserError where the devices cannot share them."""
    count = len(program.devices)
    if phase.first_step and phase.batch_size % count:
        raise UserError(
            f"--batch_size: from step {phase.first_step:,} on a batch has {phase.batch_size} pictures; it must be a"
            f" multiple of the {count} devices that share it"
        )
    part: slice = program.share(phase.batch_size)
    return part


def _check_lengths(lengths: Mapping[str, int], batch_size: int) -> None:
    for source, length in lengths.items():
        if length < batch_size:
            where = f" in the source {source!r}" if source else ""
            way_out = f"choose at most {length}, or give more pictures"
            raise UserError(f"--batch_size={batch_size}: there are only {length} pictures{where}; {way_out}")


def _by_phase(programs: Programs, phases: int) -> Callable[[int], Program]:
    if isinstance(programs, Program):
        return lambda phase: programs
    if callable(programs):
        return functools.cache(programs)
    if len(programs) != phases:
        raise ValueError(f"{phases} phases need a program each, not {len(programs)}")
    return programs.__getitem__
