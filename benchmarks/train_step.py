r"""Images a second of a training step, here and in what a user would run instead.

    python -m benchmarks.train_step --model=dcgan_anime_a --batch_size=64 --peer=torch

Prints one JSON object; benchmarks/README.md says how to read it.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from absl import flags

from benchmarks import machine, turns
from benchmarks.process import Process
from experiments import command
from experiments.recipes import Recipe, resolve
from jaxgan import models

PEERS = ("torch", "torch_compile", "plain_flax", "none")

_PEER = flags.DEFINE_enum("peer", "torch", PEERS, "what jaxgan is compared with")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "timed turns of each side", lower_bound=1)
_TURN_SECONDS = flags.DEFINE_float("turn_seconds", 2.0, "about how long a turn is", lower_bound=0.0)


def main() -> None:
    """The command."""
    given = command.given_flags(Recipe)
    recipe = resolve(given, tuple(models.names()))
    given = {**given, "model": recipe.model}
    sides = {"jaxgan": {"side": "jaxgan", "flags": given}, **peers(recipe, given, _PEER.value)}
    result = compare(sides, rounds=_ROUNDS.value, turn_seconds=_TURN_SECONDS.value)
    result = {**against_the_fastest(result["sides"], sides, recipe.precision), **result}
    settings = {"model": recipe.model, "batch_size": recipe.batch_size, "precision": recipe.precision}
    print(json.dumps({"benchmark": "train_step", **settings, **result}, indent=1))


def peers(recipe: Recipe, given: dict[str, Any], peer: str) -> dict[str, dict[str, Any]]:
    """The sides that jaxgan is compared with, by name."""
    if peer == "none":
        return {}
    if peer == "plain_flax":
        return {"plain Flax": {"side": "plain_flax", "flags": given}}
    compiled = peer == "torch_compile"
    name = "torch.compile" if compiled else "PyTorch eager"
    layouts = ("contiguous",) if recipe.model.startswith("mlp") else ("contiguous", "channels_last")
    precisions = (recipe.precision,) if compiled else ("float32", "bfloat16")

    def side(layout: str, precision: str, **more: Any) -> dict[str, Any]:
        torch_flags = {**given, "precision": precision}
        how = {"channels_last": layout == "channels_last", "compiled": compiled}
        return {"side": "torch", "flags": torch_flags, **how, **more}

    rows = {f"{name}, {layout}, {kind}": side(layout, kind) for kind in precisions for layout in layouts}
    if recipe.reuse_noise and recipe.model in ("dcgan_anime_a", "cgan_anime") and not compiled:
        best = layouts[-1]
        rows[f"{name}, {best}, {recipe.precision}, one generator forward"] = side(
            best, recipe.precision, one_forward=True
        )
    return rows


def against_the_fastest(
    rows: Mapping[str, dict[str, Any]], sides: Mapping[str, dict[str, Any]], precision: str
) -> dict[str, Any]:
    """The ratio to the fastest of the peers that compute in the same precision and do what the tutorial does."""

    def is_like(description: dict[str, Any]) -> bool:
        same = description["flags"].get("precision", precision) == precision
        return same and description["side"] != "jaxgan" and not description.get("one_forward")

    alike = [name for name, description in sides.items() if is_like(description)]
    if not alike:
        return {}
    fastest = max(alike, key=lambda name: rows[name]["images_per_second"])
    return {"peer": fastest, "ratio": rows[fastest]["ratio"], "ratio_range": rows[fastest]["ratio_range"]}


def compare(sides: Mapping[str, dict[str, Any]], *, rounds: int, turn_seconds: float) -> dict[str, Any]:
    """Measures all sides by turns; the first is the one that the others are compared with."""
    with processes(sides) as running:
        timed = turns.take_turns(running, rounds=rounds, turn_seconds=turn_seconds)
        facts = {name: process.facts for name, process in running.items()}
        measured = {name: process.measure() for name, process in running.items()}
        rate = next(iter(running.values())).matmul_rate()
    rows = report(timed.seconds, facts, measured, rate)
    return {"sides": rows, "rounds": rounds, "others_busy": timed.busy, "machine": machine.describe()}


@contextlib.contextmanager
def processes(sides: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Process]]:
    """The sides, each in its process, ended at the end."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name, description in sides.items():
            running[name] = Process(description, share=0.8 / len(sides))
            stack.callback(running[name].close)
        for process in running.values():
            _ = process.facts  # all are built before the first is timed
        yield running


def report(
    seconds: Mapping[str, list[float]],
    facts: Mapping[str, dict[str, Any]],
    measured: Mapping[str, dict[str, Any]],
    rate: float,
) -> dict[str, Any]:
    """The rows of all sides; a ratio says how many times as many images a second the first side trains on."""
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
    rows[ours]["gflop_per_image"] = facts[ours]["operations_per_call"] / facts[ours]["images_per_call"] / 1e9
    rows[ours]["matmul_gflop_per_second"] = round(rate / 1e9, 1)
    achieved = rows[ours]["gflop_per_image"] * 1e9 * rows[ours]["images_per_second"]
    rows[ours]["fraction_of_matmul_rate"] = round(achieved / rate, 4)
    return rows


if __name__ == "__main__":
    command.define_flags(Recipe)
    command.run(main)
