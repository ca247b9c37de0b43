r"""Where more chips stop paying: a simulation from one chip to 1,024, of what `benchmarks.compile` has found.

    python -m benchmarks.compile --target=v5e:2x2 --model=dcgan_anime_a --batch_size=256 > four.json
    python -m benchmarks.scaling four.json

Prints one JSON object. A step takes the longest of its limits on a chip (arithmetic, memory, host), and after it the
exchange of gradients and of batch statistics: a ring carries 2 (n − 1) / n of the bytes over each link, and every
collective waits for the latency of the links once. Nothing overlaps, which is the worst case. Computed, not measured.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import targets

CHIPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
LATENCY = {"h100": 15e-6, "a100": 15e-6, "l4": 30e-6, "t4": 30e-6, "v5e": 5e-6, "v5p": 5e-6}
"""Seconds that a collective takes however little it carries: of the order that is reported; assumed, not measured."""


def step_seconds(chips: int, local: float, carried: float, collectives: float, link: float, latency: float) -> float:
    """Estimates the seconds of a step on so many chips.

    Args:
      chips: how many share the batch.
      local: seconds that each needs for its share.
      carried: bytes of all collectives of a step.
      collectives: how many there are.
      link: bytes a second.
      latency: seconds of each collective.
    """
    if chips == 1:
        return local
    return local + 2 * (chips - 1) / chips * carried / link + collectives * latency


def simulate(found: dict[str, Any]) -> dict[str, Any]:
    """Simulates both ways to use more chips.

    Args:
      found: what `benchmarks.compile` printed for two chips or more.

    Returns:
      For each number of chips the images a second of all and the efficiency against one: `same_share` with as many
      examples on each chip as were compiled for, `same_batch` with the whole batch of that program split further, as
      far as each chip has an example.
    """
    name = found["target"].partition(":")[0]
    target, latency = targets.TARGETS[name], LATENCY[name]
    together = found["compiled"]["collectives"].values()
    carried, collectives = sum(row["bytes"] for row in together), sum(row["count"] for row in together)
    micro = found["computed"]["microseconds"]
    share = found["batch_size"] // found["chips"]
    growing = max(micro["arithmetic"], micro["memory"]) * 1e-6
    fixed = micro["host"] * 1e-6

    def row(chips: int, examples: float) -> dict[str, float]:
        local = max(growing * examples / share, fixed)
        seconds = step_seconds(chips, local, carried, collectives, target.link, latency)
        images = chips * examples / seconds
        alone = examples * chips / max(growing * examples * chips / share, fixed)
        return {"images_per_second": round(images), "efficiency": round(images / (chips * alone), 3)}

    batch = found["batch_size"]
    return {
        "carried_mb": round(carried / 1e6, 1),
        "collectives": collectives,
        "same_share": {chips: row(chips, share) for chips in CHIPS},
        "same_batch": {chips: row(chips, batch / chips) for chips in CHIPS if chips <= batch},
    }


def main() -> None:
    """Runs the command."""
    for path in sys.argv[1:]:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        settings = {name: found[name] for name in ("target", "model", "batch_size", "precision")}
        print(json.dumps({"benchmark": "scaling", **settings, **simulate(found)}, indent=1))


if __name__ == "__main__":
    main()
