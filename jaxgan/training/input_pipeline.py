"""Gives a compiled step its batches, from the device's memory or from a stream: the same ones in the same order."""

import itertools
import math
import operator
import os
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgan.data import order
from jaxgan.data.examples import Examples
from jaxgan.errors import UserError
from jaxgan.systems.schedule import Rounds
from jaxgan.training.parallel import Program

PLACEMENTS = ("device", "stream")
LARGEST_SHARE = 0.25  # of a device's memory, for pictures


class Feed:
    """The step of a run, ``(state, first_step, count) -> (state, metrics)``, with the data behind it.

    Batch b holds the positions b·N to (b + 1)·N − 1 of the endless shuffled stream of ``jaxgan.data.order``, so that
    a step finds its batches by arithmetic. Of several processes each reads its own share of a batch; where the pictures
    are resident, each keeps them all.

    Args:
      program: the compiled step.
      pictures: all pictures.
      seed: of the order.
      batch_size: examples in a global batch, N.
      rounds: how many batches a step takes.
      steps_per_call: the most steps of a call.
      conditional: whether the batches hold conditions.
      placement: "device", "stream", or None: the device if the pictures fit.

    Raises:
      UserError: where there are fewer pictures than a batch needs, or the placement is unknown.
    """

    def __init__(
        self,
        program: Program,
        pictures: Examples,
        *,
        seed: int,
        batch_size: int,
        rounds: Rounds,
        steps_per_call: int,
        conditional: bool,
        placement: str | None = None,
    ) -> None:
        if placement not in (None, *PLACEMENTS):
            raise UserError(f"--placement={placement}: choose one of {', '.join(PLACEMENTS)}")
        if len(pictures.images) < batch_size:
            raise UserError(f"--batch_size={batch_size}: there are only {len(pictures.images)} pictures")
        self._program, self._pictures, self._rounds, self._conditional = program, pictures, rounds, conditional
        self._seed, self._batch_size, self._steps_per_call = seed, batch_size, steps_per_call
        self._share = program.share(batch_size)
        self.placement = placement or usual_placement(program, pictures)
        self.waited = 0.0  # seconds spent waiting for data
        self._next_streamed = -1
        self._stream: Iterator[Any] = iter(())
        self._data = None
        if self.placement == "device":
            arrays = {"image": pictures.images, "condition": pictures.conditions if conditional else None}
            self._data = program.place_data({name: array for name, array in arrays.items() if array is not None})

    def compile(self, state: Any, first_step: int) -> Any:
        """Compiles the program and opens the stream for a first step; returns the state, whose arrays it takes over."""
        if self.placement == "device":
            draws: Any = self._padded(self._indices(first_step, 1))
        else:
            self._stream, self._next_streamed = self._open_stream(first_step), first_step
            batch = next(self._stream)
            self._stream = itertools.chain([batch], self._stream)
            draws = jax.tree.map(lambda leaf: self._padded(leaf[None]), batch)
        state, _ = self._program(state, draws, 0, self._data)  # no step of it
        return jax.block_until_ready(state)

    def __call__(self, state: Any, first_step: int, count: int) -> tuple[Any, Any]:
        """Runs steps ``first_step`` to ``first_step + count − 1``; the metrics have shape (count,)."""
        logs = []
        for start, length in self._runs_of_equal_rounds(first_step, count):
            began = time.perf_counter()
            draws = self._draws(start, length)
            self.waited += time.perf_counter() - began
            state, log = self._program(state, draws, length, self._data)
            logs.append(jax.tree.map(operator.itemgetter(slice(length)), log))
        return state, logs[0] if len(logs) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *logs)

    def _runs_of_equal_rounds(self, first: int, count: int) -> Iterator[tuple[int, int]]:
        """The steps in parts that one program can run: each of so many rounds, and no longer than a call."""
        start = first
        for step in range(first + 1, first + count + 1):
            changes = step < first + count and self._rounds.at(step) != self._rounds.at(start)
            if step == first + count or changes or step - start == self._steps_per_call:
                yield start, step - start
                start = step

    def _draws(self, first: int, count: int) -> Any:
        if self.placement == "device":
            return self._padded(self._indices(first, count))
        if first != self._next_streamed:
            self._stream = self._open_stream(first)
        self._next_streamed = first + count
        batches = [next(self._stream) for _ in range(count)]
        return jax.tree.map(lambda *leaves: self._padded(np.stack(leaves)), *batches)

    def _indices(self, step: int, count: int) -> np.ndarray:
        """Example numbers of ``count`` steps of equal rounds, int32 (count, rounds, this process's share of N)."""
        shape = (count, self._rounds.at(step), self._batch_size)
        first = self._rounds.before(step) * self._batch_size
        numbers = order.indices(self._seed, first, math.prod(shape), len(self._pictures.images))
        return numbers.reshape(shape)[:, :, self._share].astype(np.int32)

    def _padded(self, draws: np.ndarray) -> np.ndarray:
        """Repeats the last step's part up to the length of a full call, so that every call has the same shape."""
        missing = self._steps_per_call - len(draws)
        return np.concatenate([draws, np.repeat(draws[-1:], missing, 0)]) if missing else draws

    def _open_stream(self, first: int) -> Iterator[Any]:
        from jaxgan.data import stream  # TensorFlow is loaded only where batches are streamed

        def numbers() -> Iterator[np.ndarray]:
            step = first
            while True:
                yield self._indices(step, 1)[0]
                step += 1

        pictures = self._pictures
        if not self._conditional:
            pictures = Examples(pictures.images, None, (), pictures.digest)
        return iter(stream.stream(pictures, numbers()))


def usual_placement(program: Program, pictures: Examples) -> str:
    """Where the pictures are best kept: on the devices if they fit."""
    return "device" if fits(pictures, program.local_devices[0]) else "stream"


def fits(pictures: Examples, device: jax.Device) -> bool:
    """Whether the pictures leave a device most of its memory."""
    statistics = device.memory_stats() or {}
    memory = statistics.get("bytes_limit") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return pictures.images.nbytes <= LARGEST_SHARE * memory
