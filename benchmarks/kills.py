"""Kills runs of several families at random moments, resumes each to its end, and compares them with a whole run.

    python -m benchmarks.kills [--kills=100] [--seed=0] [--folder=F]
    python -m benchmarks.kills --families=progan,stylegan --kills=20    # in fades, and between lazy steps

Of ten kills, seven come at a moment drawn evenly from the seconds after a process begins to train, one while it
starts, and two wait after that moment for a grid or a log line to be begun. The files of the dead tell what it was
doing. Prints one JSON object; status 1 if a run ended otherwise than the whole one.
"""

import dataclasses
import itertools
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event

from benchmarks.machine import describe
from experiments.cli import command, schema
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import option
from jaxgan.training.files import metrics_log
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.tensorboard import read_records

TIMINGS = ("images_per_sec", "data_wait")
OFTEN = "--dataset=avatars --num_examples=256 --batch_size=8 --latent_dim=4"
OFTEN += " --log_every=1 --sample_every=6 --checkpoint_every=10 --steps_per_call=5"
NARROW = "--generator_width=2 --discriminator_width=2"
FAMILIES = {
    "gan": f"--model=mlp_b --image_size=16 --steps=800 {NARROW}",
    "dcgan": f"--model=dcgan_64 --image_size=16 --steps=800 {NARROW}",
    "cgan": f"--model=cgan_anime --image_size=16 --steps=800 {NARROW}",
    "wgan": f"--model=wgan_anime --image_size=32 --steps=300 {NARROW}",
    # Three sizes of pictures, a fade or a size every hundred steps; both penalties lazy, every fourth and third step.
    "progan": "--model=progan --image_size=16 --width=4 --channel_base=32 --steps=500"
    " --stable_kimg=0.8 --fade_kimg=0.8",
    "stylegan": "--model=stylegan2_small --image_size=16 --channel_base=32 --channel_max=4 --mapping_layers=1 --ada"
    " --penalty_every=4 --path_every=3 --steps=500",
}
AIMS = ("any", "any", "grid", "log", "any", "any", "any", "any", "any", "start")


@dataclasses.dataclass(frozen=True)
class Kills:
    kills: int = option(100, "how many, over all families")
    families: str = option("gan,dcgan,cgan,wgan", f"which, with commas between, of {', '.join(FAMILIES)}")
    seed: int = option(0, "decides the moments")
    seconds: float = option(2.5, "the latest moment of a kill, after training began")
    folder: str | None = option(None, "where the runs go; default: a temporary folder")


def start(family: str, workdir: Path) -> subprocess.Popen:
    arguments = [*OFTEN.split(), *FAMILIES[family].split(), f"--workdir={workdir}"]
    with open(f"{workdir}.err", "w") as errors:
        return subprocess.Popen(
            [sys.executable, "-u", "-m", f"experiments.{family}", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def first_step(process: subprocess.Popen) -> int | None:
    """Waits until the process trains: the step from which it goes on; None if it ended before."""
    for line in process.stdout:
        if line.startswith("Training"):
            return int(re.search(r"step (\d+) to", line)[1])
    return None


def died_in(workdir: Path) -> str:
    """Tells what a killed process was doing, by what it left."""
    if any((workdir / "checkpoints").glob("*tmp*")):
        return "a save"
    if any((workdir / "samples").glob(".*.tmp")):
        return "a grid"
    if any(workdir.glob(".*.tmp")):
        return "another file"
    log = workdir / "metrics.jsonl"
    torn = log.exists() and log.stat().st_size and not log.read_bytes().endswith(b"\n")
    return "a log line" if torn or last_step(workdir) != max([0, *events_of(workdir)]) else "a step"


def last_step(workdir: Path) -> int:
    return max([line["step"] for line in metrics_log.read(workdir / "metrics.jsonl")], default=0)


def events_of(workdir: Path) -> dict[int, Any]:
    """Scalars and pictures by step, without timings."""
    found: dict[int, Any] = {}
    for path in (workdir / "tensorboard").glob("*"):
        for event in map(Event.FromString, read_records(path)):
            values = [(v.tag, v.simple_value, v.image.encoded_image_string) for v in event.summary.value]
            found.setdefault(event.step, []).extend(value for value in values if not value[0].startswith("speed/"))
    return found


def left_by(workdir: Path) -> dict[str, Any]:
    lines = metrics_log.read(workdir / "metrics.jsonl")
    return {
        "digest": Checkpoints(workdir / "checkpoints").read_latest().digest,
        "metrics": [{name: line[name] for name in line if name not in TIMINGS} for line in lines],
        "events": events_of(workdir),
        "samples": {path.name: path.read_bytes() for path in (workdir / "samples").iterdir()},
        "evolution": (workdir / "evolution.gif").read_bytes(),
        "names": sorted(path.name for path in workdir.iterdir()),
    }


def run_with_kills(family: str, workdir: Path, moments: random.Random, wanted: int, seconds: float) -> list[dict]:
    """Runs to the end through at most so many deaths; returns what is known of each."""
    deaths: list[dict] = []
    while True:
        process = start(family, workdir)
        is_last, aim = len(deaths) == wanted, AIMS[len(deaths) % len(AIMS)]
        begun = None if aim == "start" and not is_last else first_step(process)
        if deaths and begun is not None:
            deaths[-1]["lost"] = max(0, deaths[-1]["reached"] - begun)
        try:
            if process.wait(None if is_last else moments.uniform(0, seconds)):
                raise SystemExit(f"{workdir}: status {process.returncode}: {Path(f'{workdir}.err').read_text()}")
            return deaths
        except subprocess.TimeoutExpired:
            wait_for(aim, process, workdir)
            process.kill()
            process.wait()
            where = "the start" if aim == "start" else died_in(workdir)
            deaths.append({"where": where, "reached": last_step(workdir)})
        finally:
            process.stdout.close()


def wait_for(aim: str, process: subprocess.Popen, workdir: Path) -> None:
    """Waits for the first sign that a grid or a log line is being written; else not at all."""
    log = workdir / "metrics.jsonl"
    size = log.stat().st_size if log.exists() else 0
    while aim in ("grid", "log") and process.poll() is None:
        if aim == "log" and log.exists() and log.stat().st_size != size:
            return
        if aim == "grid" and any((workdir / "samples").glob(".*.tmp")):
            return


def main() -> None:
    asked = Kills(**schema.given_flags(Kills))
    families = asked.families.split(",")
    if unknown := set(families) - set(FAMILIES):
        raise UserError(f"--families={asked.families}: {unknown.pop()} is none of {', '.join(FAMILIES)}")
    if asked.kills < len(families):
        raise UserError(f"--kills={asked.kills}: at least one for each of the {len(families)} families")
    folder = Path(asked.folder or tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    moments, began = random.Random(asked.seed), time.monotonic()
    deaths, equal, different = [], Counter(), []
    for number, family in enumerate(families):
        quota = len(range(number, asked.kills, len(families)))
        run_with_kills(family, folder / family, moments, 0, 0)
        whole, found = left_by(folder / family), []
        for run in itertools.count():
            if len(found) == quota:
                break
            workdir = folder / f"{family}-{run}"
            found += run_with_kills(family, workdir, moments, quota - len(found), asked.seconds)
            same = left_by(workdir) == whole
            equal[family] += same
            different += [] if same else [str(workdir)]
        deaths += found
    lost = [death["lost"] for death in deaths if "lost" in death]
    report = {
        "kills": len(deaths),
        "during": dict(Counter(death["where"] for death in deaths).most_common()),
        "runs_equal": dict(equal),
        "runs_different": different,
        "steps_lost": {"mean": round(statistics.mean(lost), 1), "max": max(lost), "between_saves": 10},
        "seconds": round(time.monotonic() - began),
        "machine": describe(),
    }
    print(json.dumps(report, indent=1))
    sys.exit(bool(different))


if __name__ == "__main__":
    command.run(main, schema.define_flags(Kills))
