"""Compares the speed of the working tree with that of another commit: training steps and starts, by turns.

    python -m benchmarks.commits --old=COMMIT --models=dcgan_anime_a,mlp_b [--starts=3]

Both sides use their own `benchmarks.worker` and `benchmarks.first_step`, so that what is inside may have changed.
Prints one JSON object; a ratio above 1 says that the working tree is faster. Exits with status 1 below --least.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import comparison, machine, startup
from benchmarks.process import REPOSITORY, environment
from benchmarks.unchanged import checked_out


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--old", required=True, help="the other commit")
    parser.add_argument("--models", default="dcgan_anime_a,mlp_b", help="ids, with commas between them")
    parser.add_argument("--rounds", type=int, default=9, help="timed turns of each side")
    parser.add_argument("--turn_seconds", type=float, default=2.0, help="about how long a turn is")
    parser.add_argument("--starts", type=int, default=3, help="starts of each side; 0 leaves them out")
    parser.add_argument("--least", type=float, default=0.98, help="status 1 if a step's ratio is below")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, checked_out(asked.old, Path(scratch) / "old"):
        folders = {"new": REPOSITORY, "old": Path(scratch) / "old"}
        steps = {model: step_speed(model, folders, asked) for model in asked.models.split(",")}
        starts = {model: start_speed(model, folders, asked.starts, scratch) for model in steps if asked.starts}
    print(json.dumps({"benchmark": "commits", "old": asked.old, "steps": steps, "starts": starts}, indent=1))
    sys.exit(any(found["ratio"] < asked.least for found in steps.values()))


def step_speed(model: str, folders: dict[str, Path], asked: argparse.Namespace) -> dict[str, Any]:
    """Compares the training steps."""
    sides = {
        name: {"side": "jaxgan", "flags": {"model": model}, "checkout": str(folder)} for name, folder in folders.items()
    }
    result = comparison.compare(sides, rounds=asked.rounds, turn_seconds=asked.turn_seconds)
    found = {name: round(row["images_per_second"], 1) for name, row in result["sides"].items()}
    old = result["sides"]["old"]
    return {"ratio": old["ratio"], "ratio_range": old["ratio_range"], "images_per_second": found, **_about(result)}


def start_speed(model: str, folders: dict[str, Path], starts: int, scratch: str) -> dict[str, Any]:
    """Compares the seconds from the start of the process to the first step, with a filled cache."""
    given, seconds = {"model": model, "num_examples": 256}, {name: [] for name in folders}
    for number in range(starts + 1):  # the first of each fills the cache
        for name, folder in sorted(folders.items(), reverse=bool(number % 2)):
            with environment(JAXGAN_CACHE_DIR=f"{scratch}/cache-{name}"):
                took = startup.start(given, f"{scratch}/{model}-{name}-{number}", folder)["to_first_step"]
            seconds[name] += [took] if number else []
    ratio = statistics.median(old / new for old, new in zip(seconds["old"], seconds["new"], strict=True))
    return {"ratio": round(ratio, 3), "seconds": {name: round(statistics.median(s), 2) for name, s in seconds.items()}}


def _about(result: dict[str, Any]) -> dict[str, Any]:
    return {"others_busy": result["others_busy"], "machine": machine.describe()}


if __name__ == "__main__":
    main()
