r"""Every system that trains, compiled for accelerators without having one: whether they know all of its convolutions.

    python -m benchmarks.compile_all
    python -m benchmarks.compile_all --targets=h100 --models=pix2pix,vae_conv --precisions=bfloat16

Prints one line of JSON for each program as soon as it is compiled: the counts of `benchmarks.compile`, of narrow
networks, since the kinds of convolutions do not depend on their widths. A program that does not compile has an "error"
instead.
"""

import dataclasses
import json
import time
from typing import Any

from absl import flags

from benchmarks import compile as compiling
from benchmarks import targets
from experiments.cli import command
from experiments.run.recipes import Recipe, recipe_class, resolve
from jaxgan import systems
from jaxgan.host.errors import UserError

_TARGETS = flags.DEFINE_list("targets", ["h100", "v5e", "v5e:4x4"], "what to compile for")
_MODELS = flags.DEFINE_list("models", [], "which systems; default: all")
_PRECISIONS = flags.DEFINE_list("precisions", ["float32", "bfloat16"], "types to compute in")
_SIDE = flags.DEFINE_integer("side", None, "height and width of the pictures; default: each system's own")

NARROW = {"generator_width": 16, "discriminator_width": 16, "width": 16, "channel_max": 16}
BATCH_SIDE = 16  # and as many on sixteen chips, so that each has one
STEPS_PER_CALL = 2
PICTURES = 64


def narrow(model: str, precision: str, image_size: int | None = None) -> Recipe:
    """Returns the recipe of a system with narrow networks, for pictures of its own size or of another."""
    known = {field.name for field in dataclasses.fields(recipe_class(systems.family_of(model).settings))}
    widths = {name: width for name, width in NARROW.items() if name in known}
    fixed = {"batch_size": BATCH_SIDE, "steps_per_call": STEPS_PER_CALL, "precision": precision}
    return resolve({"model": model, "image_size": image_size, **widths, **fixed}, (model,))


def row(target: str, model: str, precision: str, image_size: int | None = None) -> dict[str, Any]:
    """Compiles a system for a target and says what came of it."""
    recipe, began = narrow(model, precision, image_size), time.perf_counter()
    try:
        found = compiling.report(target, recipe, compiling.training(recipe, PICTURES))
    except Exception as error:  # what a compiler refuses is a result, and the others are still to come
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}
    odd = [one for one in found["each_convolution"] if one["odd"]]
    seconds = round(time.perf_counter() - began, 1)
    return {"chips": found["chips"], "seconds": seconds, **found["compiled"], "odd": odd}


def main() -> None:
    """Runs the command."""
    lacking = {name: targets.missing(name) for name in _TARGETS.value}
    for name, what in lacking.items():
        if what is not None:
            raise UserError(f"--targets={name}: {what}")
    unknown = set(_MODELS.value) - set(systems.names())
    if unknown:
        raise UserError(f"--models={unknown.pop()}: choose of {', '.join(systems.names())}")
    for target in _TARGETS.value:
        for model in _MODELS.value or systems.names():
            for precision in _PRECISIONS.value:
                settings = {"target": target, "model": model, "precision": precision}
                print(json.dumps({**settings, **row(target, model, precision, _SIDE.value)}), flush=True)


if __name__ == "__main__":
    command.run(main)
