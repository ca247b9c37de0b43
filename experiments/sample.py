"""Draws pictures from a trained run.

    python -m experiments.sample --workdir=W --num=64 --out=result.png
    python -m experiments.sample --workdir=W --num=64 --best_of=512 --out=best.png    # those that D believes most
    python -m experiments.sample --workdir=W --num=25 --condition="blue hair red eyes" --out=blue.png

A .png is one grid; a .npz holds `images` (uint8 N,H,W,C, or N,H,W for one channel) and `labels` (the condition of
each picture, uint8 N,c; c = 0 without conditions); any other name is a folder that gets one file a picture.
"""

import dataclasses
import math
import shlex
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command
from experiments.recipes import option
from experiments.restore import Run, load_run
from jaxgan import images, sampling
from jaxgan.data import tags
from jaxgan.errors import UserError
from jaxgan.workdir import replace_atomically

LARGEST = 1_000_000


@dataclasses.dataclass(frozen=True)
class Sample:
    """The flags of this command."""

    workdir: str | None = option(None, "the directory of the run")
    num: int = option(64, "how many pictures")
    best_of: int | None = option(None, "draw this many and keep the ones that the discriminator scores highest")
    seed: int = option(0, "decides the noise")
    mean: float = option(0.0, "mean of the noise")
    std: float = option(1.0, "standard deviation of the noise, in units of the model's own; below 1: truncated variety")
    condition: str | None = option(None, 'what to draw, such as "blue hair red eyes" or 7; default: all by turns')
    out: str = option("result.png", "a .png grid, a .npz of arrays, or a folder")


def main() -> None:
    """Draws and writes."""
    asked = Sample(**command.given_flags(Sample))
    check(asked)
    run = load_run(asked.workdir)
    pictures, labels = draw(run, asked)
    write(Path(asked.out), pictures, labels)
    print(f"{len(pictures)} pictures from step {run.step} of {asked.workdir}: {asked.out}")


def check(asked: Sample) -> None:
    """Raises a UserError for a number out of range."""
    candidates = _candidates(asked)
    for name, value in (("num", asked.num), ("best_of", candidates)):
        if not 1 <= value <= LARGEST:
            raise UserError(f"--{name}={value}: must be from 1 to {LARGEST:,}")
    if candidates < asked.num:
        raise UserError(f"--best_of={candidates}: must be at least --num={asked.num}")


def draw(run: Run, asked: Sample) -> tuple[np.ndarray, np.ndarray]:
    """What the flags ask for, drawn by a run: a pure function of the two.

    Args:
      run: the run to draw from; ``asked.workdir`` is not looked at.
      asked: flags that ``check`` lets pass.

    Returns:
      Pictures, uint8 (num, H, W, C), and the condition of each, uint8 (num, c); c = 0 without conditions.

    Raises:
      UserError: where the run cannot take the condition.
    """
    candidates = _candidates(asked)
    labels = conditions(run, asked.condition, candidates)
    z = sampling.fixed_latents(jax.random.key(asked.seed), run.gan, candidates, mean=asked.mean, std=asked.std)
    variables = run.state.sampling_variables
    condition = None if labels is None else jnp.asarray(labels, jnp.float32)
    if asked.best_of is None:
        pictures = sampling.generate(run.gan, variables, z, condition)
    else:
        judge = run.state.discriminator.variables
        pictures, order = sampling.best(run.gan, variables, judge, z, asked.num, condition)
        labels = None if labels is None else labels[order]
    return pictures, np.zeros((len(pictures), 0), np.uint8) if labels is None else labels


def square_grid(pictures: np.ndarray) -> np.ndarray:
    """Pictures, uint8 (N, H, W, C), as one, as nearly square as can be, uint8 (H', W', C)."""
    return images.grid(pictures, math.isqrt(len(pictures) - 1) + 1)


def command_line(asked: Sample) -> str:
    """The command, for a shell, that asks for this: flags that are at their defaults are left out."""
    given = {
        field.name: getattr(asked, field.name)
        for field in dataclasses.fields(asked)
        if getattr(asked, field.name) != field.default
    }
    flags = (shlex.quote(f"--{name}={value}") for name, value in given.items())
    return " ".join(("python -m experiments.sample", *flags))


def _candidates(asked: Sample) -> int:
    """How many pictures are drawn, to keep ``num`` of them."""
    return asked.num if asked.best_of is None else asked.best_of


def conditions(run: Run, text: str | None, count: int) -> np.ndarray | None:
    """A condition for each picture, uint8 (count, c), or None for networks without."""
    if not run.gan.condition_dim:
        if text is not None:
            raise UserError(f"--condition: {run.recipe.model} takes no condition; train a model of experiments.cgan")
        return None
    if text is not None:
        return np.repeat(tags.parse_condition(text, run.condition_names)[None], count, axis=0)
    if run.condition_names == tags.CONDITION_NAMES:
        pairs = np.indices((len(tags.HAIR), len(tags.EYES))).reshape(2, -1).T[np.arange(count) * 7 % 132]
        multi_hot = np.zeros((count, len(tags.CONDITION_NAMES)), np.uint8)
        multi_hot[np.arange(count), pairs[:, 0]] = 1
        multi_hot[np.arange(count), len(tags.HAIR) + pairs[:, 1]] = 1
        return multi_hot
    return np.eye(run.gan.condition_dim, dtype=np.uint8)[np.arange(count) % run.gan.condition_dim]


def write(path: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    """Writes pictures, uint8 (N, H, W, C), in the form that the path's ending names."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            images.save_png(path, square_grid(pictures))
        elif path.suffix == ".npz":
            arrays: dict[str, Any] = {
                "images": pictures[..., 0] if pictures.shape[-1] == 1 else pictures,
                "labels": labels,
            }
            replace_atomically(path, lambda file: np.savez_compressed(file, **arrays))
        else:
            for number, picture in enumerate(pictures):
                images.save_png(path / f"{number:06d}.png", picture)
    except OSError as error:
        raise UserError(f"--out={path}: cannot be written ({error.strerror or error})") from error


if __name__ == "__main__":
    command.define_flags(Sample)
    command.run(main)
