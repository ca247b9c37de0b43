r"""What a recipe has learnt, here and in PyTorch, over several seeds: scores, and a grid of each.

    python -m benchmarks.quality --flagfile=mnist.flags --steps=12000 --seeds=0,1,2
    python -m benchmarks.quality --flagfile=good.flags --sides=jaxgan --grids=docs

Needs PyTorch for its side, which knows the tutorials' rules alone: no average, no mirroring. Prints a JSON object for
each side and seed. Every flag of the training commands works here too.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import machine
from experiments.cli import command, schema
from experiments.run import start
from experiments.run.evaluation import make_evaluator
from experiments.run.recipes import Recipe, all_options, resolve, total_steps
from experiments.run.references import load_pictures
from experiments.run.restore import load_run
from jaxgan import models, systems
from jaxgan.data.examples import Examples
from jaxgan.host import images
from jaxgan.host.errors import UserError
from jaxgan.metrics import measured_colours, scores
from jaxgan.systems import gan
from jaxgan.training.distributed.processes import Processes

_SIDES = flags.DEFINE_list("sides", ["jaxgan", "pytorch"], "who trains")
_SEEDS = flags.DEFINE_list("seeds", ["0"], "one run of each side for each")
_NUM = flags.DEFINE_integer("num", 10_000, "pictures drawn of each run")
_GRIDS = flags.DEFINE_string("grids", None, "a folder for a grid of the first 64 pictures of each run")


def main() -> None:
    """Runs the command."""
    recipe = resolve(schema.given_flags(all_options()), systems.names())
    if wrong := [side for side in _SIDES.value if side not in ("jaxgan", "pytorch")]:
        raise UserError(f"--sides={wrong[0]}: choose of jaxgan and pytorch")
    if wrong := [seed for seed in _SEEDS.value if not seed.isdecimal()]:
        raise UserError(f"--seeds={wrong[0]}: must be whole numbers, such as 0,1,2")
    if "pytorch" in _SIDES.value:
        from benchmarks.torch_side import check

        check(recipe)
    pictures = load_pictures(recipe)
    evaluator = make_evaluator(recipe, start.build_system(recipe, pictures), num=_NUM.value, progress=False)
    for seed in map(int, _SEEDS.value):
        for side in _SIDES.value:
            seeded = dataclasses.replace(recipe, seed=seed)
            began = time.perf_counter()
            if side == "pytorch":
                drawn = pytorch_pictures(seeded, pictures, evaluator.z, evaluator.conditions)
            else:
                drawn = jaxgan_pictures(seeded, evaluator)
            seconds = time.perf_counter() - began
            found = scores.score_pictures(drawn, evaluator.reference, conditions=evaluator.conditions, seed=0)
            if evaluator.read_colours and evaluator.conditions is not None:
                real = evaluator.real
                found |= measured_colours(
                    drawn, conditions=evaluator.conditions, real=real.images, real_conditions=real.conditions
                )
            if _GRIDS.value:
                name = f"{recipe.model}-{recipe.dataset}-{side}-{seed}.png"
                images.save_png(Path(_GRIDS.value) / name, images.grid(drawn[:64], 8))
            row = {"side": side, "model": recipe.model, "dataset": recipe.dataset, "seed": seed}
            row |= {"pictures_seen": pictures_seen(recipe, len(pictures)), "seconds": round(seconds, 1)}
            row["scores"] = {score: entry["value"] for score, entry in found.items()}
            print(json.dumps(row), flush=True)
    print(json.dumps({"machine": machine.describe(), "n": _NUM.value}))


def pictures_seen(recipe: Recipe, pictures: int) -> int:
    """Counts the real pictures that the discriminator was shown; repeats of one batch count once."""
    batches = gan.schedule(recipe)
    return batches.examples_before(total_steps(recipe, pictures, batches))


def jaxgan_pictures(recipe: Recipe, evaluator: Any) -> np.ndarray:
    """Trains as the commands do, and draws what is measured, uint8 (n, H, W, C)."""
    with tempfile.TemporaryDirectory() as workdir:
        start.train(dataclasses.replace(recipe, workdir=workdir), Processes())
        return evaluator.draw_images(load_run(workdir).state)


def pytorch_pictures(recipe: Recipe, pictures: Examples, z: jax.Array, conditions: np.ndarray | None) -> np.ndarray:
    """Trains the tutorial's rules in PyTorch, and draws from the same noise in evaluation mode."""
    import torch

    from benchmarks.torch_side import TorchSide

    side = TorchSide(recipe, channels_last=models.build(recipe.model).generator.convolutional, pictures=pictures)
    side.train(total_steps(recipe, len(pictures), gan.schedule(recipe)))
    side.generator.eval()
    arrays = [array for array in (z, conditions) if array is not None]
    inputs = [torch.from_numpy(np.array(array, np.float32)).to(side.device) for array in arrays]
    with torch.no_grad():
        parts = [side.generator(*rows).cpu() for rows in zip(*(torch.split(x, 200) for x in inputs), strict=True)]
    made = torch.cat(parts).permute(0, 2, 3, 1).numpy()
    return np.clip(np.round(made * 127.5 + 127.5), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
