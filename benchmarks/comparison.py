"""Measures several sides by turns, and puts their numbers side by side."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from absl import flags

from benchmarks import machine, turns
from benchmarks.process import Process

ROUNDS = flags.DEFINE_integer("rounds", 5, "timed turns of each side", lower_bound=1)
TURN_SECONDS = flags.DEFINE_float("turn_seconds", 2.0, "about how long a turn is", lower_bound=0.0)


class InThisProcess:
    """What a `Process` is, without a process of its own; of the sides that use JAX."""

    def __init__(self, description: dict[str, Any]) -> None:
        from benchmarks import jax_side  # Elsewhere this process needs no JAX.

        side = jax_side.build(description)
        self.facts = side.facts()
        self.run, self.measure, self.matmul_rate = side.run, side.measure, side.matmul_rate


@contextlib.contextmanager
def processes(sides: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Process]]:
    """Starts the sides, each in its process, and ends them at the end."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name, description in sides.items():
            running[name] = Process(description, share=0.8 / len(sides))
            stack.callback(running[name].close)
        for process in running.values():
            _ = process.facts  # all are built before the first is timed
        yield running


@contextlib.contextmanager
def in_this_process(sides: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, InThisProcess]]:
    """Keeps all sides in this process: forms of one program differ by less than two processes do.

    Two processes of one program were 10 % apart on a CPU. The peak of memory is that of all.
    """
    yield {name: InThisProcess(description) for name, description in sides.items()}


def compare(
    sides: Mapping[str, dict[str, Any]],
    *,
    rounds: int,
    turn_seconds: float,
    start: Callable[..., Any] = processes,
) -> dict[str, Any]:
    """Measures all sides by turns; the first is the one that the others are compared with.

    Args:
      sides: what `benchmarks.worker` is to build, by name.
      rounds: timed turns of each.
      turn_seconds: about how long a turn is.
      start: `processes` (default), or `in_this_process`.
    """
    with start(sides) as running:
        timed = turns.take_turns(running, rounds=rounds, turn_seconds=turn_seconds)
        facts = {name: process.facts for name, process in running.items()}
        measured = {name: process.measure() for name, process in running.items()}
        rate = next(iter(running.values())).matmul_rate()
    rows = report(timed.seconds, facts, measured, rate)
    return {"sides": rows, "rounds": rounds, "others_busy": timed.busy, "machine": machine.describe()}


def report(
    seconds: Mapping[str, list[float]],
    facts: Mapping[str, dict[str, Any]],
    measured: Mapping[str, dict[str, Any]],
    rate: float,
) -> dict[str, Any]:
    """Returns the rows of all sides; a ratio says how many times as many images a second the first side trains on."""
    (ours, *others) = seconds
    rows = {
        name: {
            **turns.speed(values, facts[name]["images_per_call"]),
            "device": facts[name]["device"],
            "peak_memory_mb": measured[name]["peak_memory_mb"],
        }
        for name, values in seconds.items()
    }
    for name in others:
        scale = facts[ours]["images_per_call"] / facts[name]["images_per_call"]
        rows[name] |= turns.ratios([scale * value for value in seconds[name]], seconds[ours])
    rows[ours]["steps_per_call"] = facts[ours]["steps_per_call"]
    rows[ours]["matmul_gflop_per_second"] = round(rate / 1e9, 1)
    operations = facts[ours]["operations_per_call"]
    if operations is not None:
        rows[ours]["gflop_per_image"] = operations / facts[ours]["images_per_call"] / 1e9
        achieved = rows[ours]["gflop_per_image"] * 1e9 * rows[ours]["images_per_second"]
        rows[ours]["fraction_of_matmul_rate"] = round(achieved / rate, 4)
    return rows
