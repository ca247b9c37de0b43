r"""From the start of the process to the first step: with an empty cache of compiled programs, and again.

    python -m benchmarks.startup --model=dcgan_anime_a

Runs the command that a user runs, up to its first step, in a new workdir each time. Prints one JSON object; "ratio" is
the second start's time after imports over that of the cold start.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import machine
from benchmarks.process import REPOSITORY, environment
from experiments.cli import command, schema
from experiments.run.recipes import all_options, resolve
from jaxgan import systems

_STARTS = flags.DEFINE_integer("starts", 3, "starts of each kind", lower_bound=1)


def main() -> None:
    """Runs the command."""
    given = schema.given_flags(all_options())
    recipe = resolve(given, systems.names())
    given = {"num_examples": max(64, recipe.batch_size), **given, "model": recipe.model}
    cold, warm, busy = [], [], []
    with tempfile.TemporaryDirectory() as scratch, environment(JAXGAN_CACHE_DIR=f"{scratch}/cache"):
        start(given, f"{scratch}/first")  # draws the pictures, and has the files of all packages read once
        for index in range(_STARTS.value):
            busy.append(machine.busy_share(0.3))
            shutil.rmtree(f"{scratch}/cache/compiled", ignore_errors=True)
            cold.append(start(given, f"{scratch}/cold{index}"))
            warm.append(start(given, f"{scratch}/warm{index}"))
    ratio = statistics.median(b["after_imports"] / a["after_imports"] for a, b in zip(cold, warm, strict=True))
    result = {"ratio": round(ratio, 3), "cold": medians(cold), "warm": medians(warm)}
    settings = {"model": recipe.model, "batch_size": recipe.batch_size, "starts": _STARTS.value}
    about = {"others_busy": round(statistics.mean(busy), 3), "machine": machine.describe()}
    print(json.dumps({"benchmark": "startup", **settings, **result, **about}, indent=1))


def start(given: dict[str, Any], workdir: str, folder: Path = REPOSITORY) -> dict[str, float]:
    """Starts a checkout's command: the seconds to its first step, to the end of the imports, and between the two."""
    arguments = [f"--{name}={value}" for name, value in {**given, "workdir": workdir, "steps": 1}.items()]
    began = time.monotonic()
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.first_step", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    ).stdout
    moments = json.loads(output.splitlines()[-1])
    to_step, imports = moments["first_step"] - began, moments["imported"] - began
    return {"to_first_step": to_step, "imports": imports, "after_imports": to_step - imports}


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Computes the median of each column."""
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
