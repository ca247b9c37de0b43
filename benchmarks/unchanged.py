"""Proof that the working tree computes what another commit computes, to the bit: every model, fresh and continued.

    python -m benchmarks.unchanged --old=COMMIT [--models=a,b] [--out=FILE] [--keep=FOLDER] [--new=PATH]

Each model is trained small, by its own recipe, three times: by the commit; by the working tree; and by the commit to
the half, from where the working tree goes on. The states must have one digest, the logs the same numbers. Only the
commands of both are used: what is inside may have changed. Prints a table; status 1 if anything differs.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

REPOSITORY = Path(__file__).resolve().parent.parent
TIMINGS = ("images_per_sec", "data_wait")
STEPS, HALF = 12, 6
SIDES = ("old", "new", "old, then new")
SMALL = "--dataset=avatars --num_examples=64 --batch_size=8 --seed=0 --log_every=3"
DIGITS = "--image_size=28 --generator_width=8 --discriminator_width=8"
# Of narrower networks no convolution would be computed by Winograd's method, as those of real runs are.
FACES = "--image_size=32 --generator_width=16 --discriminator_width=16"
MODELS = {  # the command that trains it, and its size
    "mlp_a": ("gan", DIGITS),
    "mlp_b": ("gan", DIGITS),
    "mlp_keras": ("gan", DIGITS),
    "dcgan_mnist_a": ("dcgan", DIGITS),
    "dcgan_mnist_keras": ("dcgan", DIGITS),
    "dcgan_anime_a": ("dcgan", FACES),
    "dcgan_anime_b": ("dcgan", FACES.replace("=32", "=48")),
    "dcgan_64": ("dcgan", FACES),
    "cgan_anime": ("cgan", FACES),
    "cgan_mnist": ("cgan", DIGITS),
    "wgan_anime": ("wgan", FACES),
}
PACKAGES = ("jaxgan", "experiments")
ORIGINS = f"from importlib.util import find_spec; print(*(find_spec(name).origin for name in {PACKAGES}))"


class CommandFailed(RuntimeError):
    """A command of a checkout broke off; its last lines are in the message."""


@dataclasses.dataclass(frozen=True)
class Checkout:
    """The files of a commit, or a working tree, and where its commands keep pictures and compiled programs."""

    folder: Path
    cache: Path

    def python(self, *arguments: str) -> str:
        """Returns what Python prints, begun in the checkout, so that it imports what lies there."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "JAXGAN_CACHE_DIR": str(self.cache)},
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            last = [line for line in done.stderr.splitlines() if line.strip()][-6:]
            said = "".join(f"\n    {line}" for line in last)
            raise CommandFailed(f"python {' '.join(arguments)}: status {done.returncode}{said}")
        return done.stdout

    def confirm(self) -> None:
        """Raises an error if the checkout's commands would import another one's modules: nothing would be proven."""
        for origin in self.python("-c", ORIGINS).split():
            if not Path(origin).resolve().is_relative_to(self.folder.resolve()):
                raise CommandFailed(f"{self.folder}: its commands would import {origin}")

    def train(self, model: str, steps: int, workdir: Path) -> None:
        self.confirm()
        self.python(*training(model), f"--steps={steps}", f"--workdir={workdir}")

    def go_on(self, model: str, steps: int, workdir: Path) -> None:
        """Continues a run by what its workdir says alone."""
        self.confirm()
        self.python("-m", f"experiments.{MODELS[model][0]}", f"--steps={steps}", f"--workdir={workdir}")

    def left_in(self, workdir: Path) -> dict[str, Any]:
        held = json.loads(self.python("-m", "experiments.inspect", f"--workdir={workdir}"))
        return {"step": held["step"], "digest": held["digest"], "metrics": metrics_of(workdir)}


def training(model: str) -> list[str]:
    family, size = MODELS[model]
    return ["-m", f"experiments.{family}", f"--model={model}", *SMALL.split(), *size.split()]


def metrics_of(workdir: Path) -> list[dict[str, Any]]:
    """Reads the lines of a log, with fractions as they are written: as numbers, 0 and -0 would be equal."""
    lines = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_float=str) for line in lines]


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[None]:
    try:
        git("worktree", "add", "--detach", str(folder), commit)
        yield
    finally:
        if folder.exists():
            git("worktree", "remove", "--force", str(folder))


def made_with(model: str) -> dict[str, Any]:
    """Returns all that decides the bits, besides the commit."""
    return {"command": training(model), "steps": [HALF, STEPS], "machine": describe()}


def read_kept(folder: Path, model: str) -> dict[str, Any] | None:
    """Reads what the commit's whole run left, if it was made as it would be made now."""
    if not (folder / "whole.json").exists():
        return None
    kept = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
    return kept["whole"] if kept["made_with"] == made_with(model) else None


def make_old(old: Checkout, model: str, folder: Path) -> None:
    """Trains as the commit does, whole and to the half, and keeps what is left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    old.train(model, HALF, folder / "half")
    old.train(model, STEPS, folder / "whole")
    kept = {"made_with": made_with(model), "whole": old.left_in(folder / "whole")}
    shutil.rmtree(folder / "whole")
    # Under its name only when all is there, for what is found by it is believed.
    (folder / "whole.json.tmp").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    (folder / "whole.json.tmp").rename(folder / "whole.json")


def make_missing(commit: str, folders: dict[str, Path], old: Checkout) -> dict[str, str]:
    """Makes the old side of the models whose folders lack it; what went wrong, by model."""
    missing = [model for model, folder in folders.items() if read_kept(folder, model) is None]
    failures: dict[str, str] = {}
    forget_pictures(old.cache)  # of the new side of an earlier time
    with checked_out(commit, old.folder) if missing else contextlib.nullcontext():
        for model in missing:
            with told(f"old {model}"):
                try:
                    make_old(old, model, folders[model])
                except CommandFailed as error:
                    failures[model] = f"old: {error}"
    return failures


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def forget_pictures(cache: Path) -> None:
    """Removes all but compiled programs, so that each side draws its own pictures.

    Programs are found by all that they compute; pictures only by their number and size.
    """
    for path in cache.glob("*"):
        if path.name != "compiled":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@dataclasses.dataclass
class Row:
    """A model's line in the table, and what is wrong."""

    model: str
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    metrics: bool = False
    differences: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        digests = [self.digests.get(side, "none")[:16] for side in SIDES]
        verdict = "FAILED" if "none" in digests else "DIFFERENT" if self.differences else "equal"
        return f"| {' | '.join((f'`{self.model}`', *digests, 'yes' if self.metrics else 'no', verdict))} |"


def compare(model: str, new: Checkout, folder: Path, scratch: Path) -> Row:
    """Trains as the working tree does, afresh and on from the commit's half, and compares with the commit's whole."""
    whole = read_kept(folder, model)
    row, alike = Row(model, {"old": whole["digest"]}), []
    for side in SIDES[1:]:
        workdir = scratch / side.replace(", ", "_").replace(" ", "_")
        try:
            if side == "new":
                new.train(model, STEPS, workdir)
            else:
                shutil.copytree(folder / "half", workdir)
                new.go_on(model, STEPS, workdir)
            left = new.left_in(workdir)
        except CommandFailed as error:
            row.differences.append(f"{side}: {error}")
            continue
        row.digests[side] = left["digest"]
        row.differences += [f"{side}: {text}" for text in differences(whole, left)]
        alike.append(difference_of_metrics(whole["metrics"], left["metrics"]) is None)
        half = metrics_of(folder / "half")
        # No two runs have the same timings: these lines are the commit's own only where nothing began anew.
        if side != "new" and left["metrics"][: len(half)] != half:
            row.differences.append(f"{side}: began anew instead of going on from step {HALF}")
    row.metrics = alike == [True, True]
    return row


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = [] if new["step"] == STEPS else [f"ended at step {new['step']}, not {STEPS}"]
    if old["digest"] != new["digest"]:
        found.append(f"digest {new['digest'][:16]}, not {old['digest'][:16]}")
    text = difference_of_metrics(old["metrics"], new["metrics"])
    return [*found, text] if text else found


def difference_of_metrics(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> str | None:
    """Returns the first number that differs, in words; None if none does."""
    steps = [[line["step"] for line in lines] for lines in (old, new)]
    if steps[0] != steps[1] or not steps[0]:
        return f"metrics of steps {steps[1]}, not {steps[0]}"
    for before, after in zip(old, new, strict=True):
        if before.keys() != after.keys():
            return f"metrics of step {before['step']} are {', '.join(after)}, not {', '.join(before)}"
        for name in before:
            if name not in TIMINGS and before[name] != after[name]:
                return f"metrics of step {before['step']}: {name} is {after[name]}, not {before[name]}"
    return None


def report(rows: Sequence[Row]) -> str:
    heads = ("model", *SIDES, "metrics equal", "verdict")
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *map(str, rows)]
    wrong = [f"{row.model}: {text}" for row in rows for text in row.differences]
    return "\n".join([*lines, *([""] if wrong else []), *wrong]) + "\n"


def ask() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unchanged", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--old", required=True, help="the commit to compare with")
    parser.add_argument("--new", type=Path, default=REPOSITORY, help="the working tree to compare [this one]")
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between them [all]")
    parser.add_argument("--out", type=Path, help="a file for the table too")
    parser.add_argument("--keep", type=Path, help="a folder that keeps what the commit computed, for the next time")
    asked = parser.parse_args()
    asked.models = asked.models.split(",")
    for model in asked.models:
        if model not in MODELS:
            parser.error(f"--models: there is no {model}; choose among {', '.join(MODELS)}")
    return asked


def main() -> None:
    asked = ask()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no worktree is left behind
    commit = git("rev-parse", "--verify", f"{asked.old}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="unchanged-") as temporary:
        scratch = Path(temporary)
        for package in PACKAGES:  # a copy, so that the table is of one state of files that may be edited meanwhile
            shutil.copytree(asked.new / package, scratch / "new" / package)
        kept = (asked.keep or scratch).absolute()
        folders = {model: kept / commit / model for model in asked.models}
        failures = make_missing(commit, folders, Checkout(scratch / "old", kept / "cache"))
        forget_pictures(kept / "cache")
        new = Checkout(scratch / "new", kept / "cache")
        rows = []
        for model in asked.models:
            if model in failures:
                rows.append(Row(model, differences=[failures[model]]))
                continue
            with told(f"new {model}"):
                rows.append(compare(model, new, folders[model], scratch / "runs" / model))
    text = report(rows)
    print(text, end="")
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    sys.exit(any(row.differences for row in rows))


if __name__ == "__main__":
    main()
