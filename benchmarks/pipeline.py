r"""How fast pictures are decoded, opened from the cache, and brought to the step.

    python -m benchmarks.pipeline --model=dcgan_anime_a --pictures=3000
    python -m benchmarks.pipeline --data_dir=<folder>

Without --data_dir it writes JPEG files of 96×96 itself. Prints one JSON object.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from absl import flags

from benchmarks import machine
from benchmarks.memory import PeakMemory
from benchmarks.process import REPOSITORY, Process, environment
from experiments.cli import command, schema
from experiments.run.recipes import all_options, resolve
from jaxgan import models, systems
from jaxgan.training import input_pipeline

_PICTURES = flags.DEFINE_integer("pictures", 3000, "how many pictures to write where no folder is given", lower_bound=1)
_SECONDS = flags.DEFINE_float("train_seconds", 10.0, "how long to train for the share of waiting", lower_bound=0.0)

_OPEN = """
import json, sys, time
from jaxgan import data
began = time.perf_counter()
pictures = data.load("folder", image_size=int(sys.argv[2]), data_dir=sys.argv[1])
seconds = time.perf_counter() - began
print(json.dumps({"pictures": len(pictures), "seconds": seconds, "cache_mb": pictures.images.nbytes / 1e6}))
"""


def main() -> None:
    """Runs the command."""
    given = schema.given_flags(all_options())
    recipe = resolve(given, systems.names())
    size = recipe.image_size or models.build(recipe.model).image_shape[0]
    with tempfile.TemporaryDirectory() as scratch, environment(JAXGAN_CACHE_DIR=f"{scratch}/cache"):
        folder = recipe.data_dir or write_pictures(Path(scratch) / "pictures", _PICTURES.value)
        cold, warm = open_folder(folder, size), open_folder(folder, size)
        training = {**given, "model": recipe.model, "dataset": "folder", "data_dir": folder}
        waits = {
            kind: share_of_waiting({**training, "placement": kind}, _SECONDS.value)
            for kind in input_pipeline.PLACEMENTS
        }
    result = {
        "pictures": cold["pictures"],
        "image_size": size,
        "cold_pictures_per_second": round(cold["pictures"] / cold["seconds"], 1),
        "cold_seconds": round(cold["seconds"], 2),
        "cold_peak_memory_mb": round(cold["peak_memory_mb"], 1),
        "cache_mb": round(cold["cache_mb"], 1),
        "cached_open_seconds": round(warm["seconds"], 3),
        "data_wait": waits,
    }
    settings = {"model": recipe.model, "batch_size": recipe.batch_size}
    print(json.dumps({"benchmark": "pipeline", **settings, **result, "machine": machine.describe()}, indent=1))


def write_pictures(folder: Path, count: int) -> str:
    """Writes JPEG files of 96×96 in ten subfolders: soft blots of colour, which compress about as drawn faces do."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / str(index % 10) / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        blots = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        blots.resize((96, 96), Image.Resampling.BICUBIC).save(path, quality=90)
    return str(folder)


def open_folder(folder: str, size: int) -> dict[str, Any]:
    """Opens a folder in a new process, which decodes it if the cache does not have it; with the peak of its memory."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OPEN, folder, str(size)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    with PeakMemory(process.pid) as memory:
        output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{folder} could not be opened, see above")
    return {**json.loads(output.splitlines()[-1]), "peak_memory_mb": memory.megabytes}


def share_of_waiting(given: dict[str, Any], seconds: float) -> float:
    """Measures the share of training that is spent waiting for data, after the first call."""
    side = Process({"side": "jaxgan", "flags": given, "folder": given["data_dir"]})
    try:
        side.run(1)
        before = side.measure()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds or side.measure()["seconds"] == before["seconds"]:
            side.run(1)
        after = side.measure()
    finally:
        side.close()
    return round((after["waited"] - before["waited"]) / (after["seconds"] - before["seconds"]), 5)


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
