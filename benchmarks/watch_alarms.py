"""Which recipes the watch calls collapsed, and when: true and false alarms over several seeds.

    python -m benchmarks.watch_alarms --data_dir=TFDS_DIRECTORY [--seeds=10] [--only=NAME]

Each run ends at its first alarm. Prints a JSON object a run, and a summary at the end; status 1 if one surprises.
"""

import contextlib
import dataclasses
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.cli import command, schema
from experiments.run import start
from experiments.run.recipes import resolve
from jaxgan import systems
from jaxgan.systems.settings import option
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.trainer import Collapsed

FAST = {"generator_learning_rate": 2e-3, "discriminator_learning_rate": 2e-3}
NARROW = {"image_size": 32, "num_examples": 2000, "generator_width": 8, "discriminator_width": 8, "batch_size": 32}


@dataclasses.dataclass(frozen=True)
class Alarms:
    data_dir: str | None = option(None, "TFDS's directory, with mnist")
    seeds: int = option(10, "runs of each kind")
    only: str | None = option(None, "the kind of runs; default: all")


KINDS: dict[str, tuple[bool, dict[str, Any]]] = {  # whether they collapse, and the flags
    "mlp_b 2e-3": (True, {"model": "mlp_b", "dataset": "mnist", "steps": 600, **FAST}),
    "mlp_b": (False, {"model": "mlp_b", "dataset": "mnist", "steps": 5000}),
    "mlp_a": (False, {"model": "mlp_a", "dataset": "mnist", "steps": 5000}),
    "mlp_keras": (False, {"model": "mlp_keras", "dataset": "mnist", "steps": 5000}),
    "dcgan_mnist_a": (False, {"model": "dcgan_mnist_a", "dataset": "mnist", "steps": 5000}),
    "dcgan_mnist_keras": (False, {"model": "dcgan_mnist_keras", "dataset": "mnist", "steps": 5000}),
    "cgan_mnist": (False, {"model": "cgan_mnist", "dataset": "mnist", "steps": 5000}),
    "dcgan_64": (False, {"model": "dcgan_64", "steps": 5000, **NARROW}),
    "dcgan_anime_a": (False, {"model": "dcgan_anime_a", "steps": 5000, **NARROW, "image_size": 48}),
    "dcgan_anime_b": (False, {"model": "dcgan_anime_b", "steps": 5000, **NARROW, "image_size": 48}),
    "cgan_anime": (False, {"model": "cgan_anime", "steps": 5000, **NARROW}),
    "wgan_anime": (False, {"model": "wgan_anime", "steps": 5000, **NARROW}),
}


def run(flags: dict[str, Any], folder: str) -> dict[str, Any]:
    """Trains to the end or to the first alarm."""
    recipe = resolve({**flags, "workdir": folder, "on_collapse": "stop", "sample_every": 1000}, systems.names())
    began, said = time.monotonic(), io.StringIO()
    alarm = None
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            start.train(recipe, Processes())
    except Collapsed as collapsed:
        alarm = str(collapsed)
    return {"alarm": alarm, "seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    asked = Alarms(**schema.given_flags(Alarms))
    surprises = 0
    summary = {}
    for kind, (collapses, flags) in KINDS.items():
        if asked.only not in (None, kind):
            continue
        found = []
        for seed in range(asked.seeds):
            place = {"data_dir": asked.data_dir} if flags.get("dataset") == "mnist" else {"dataset": "avatars"}
            with tempfile.TemporaryDirectory() as folder:
                found.append(run({**flags, **place, "seed": seed}, str(Path(folder) / "run")))
            print(json.dumps({"kind": kind, "seed": seed, **found[-1]}), flush=True)
        alarms = sum(entry["alarm"] is not None for entry in found)
        summary[kind] = {"runs": len(found), "alarms": alarms, "wanted": len(found) if collapses else 0}
        surprises += abs(summary[kind]["wanted"] - alarms)
    print(json.dumps(summary))
    sys.exit(bool(surprises))


if __name__ == "__main__":
    command.run(main, schema.define_flags(Alarms))
