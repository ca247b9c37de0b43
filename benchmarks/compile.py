r"""What an accelerator would run, seen without one: the training step compiled for it, and read.

    python -m benchmarks.compile --target=h100 --model=dcgan_anime_a --precision=bfloat16 --batch_size=64
    python -m benchmarks.compile --target=v5e:4x4 --flagfile=wgan.flags

Prints one JSON object. Nothing runs: "compiled" is what XLA made of the program that the training command would run,
"computed" follows from it and from what is published about the target. A GPU's library kernels are not tuned without
the GPU, so there products of matrices may be done by other kernels than those counted here. Of a system that grows it
is the last size, or that of --initial_size.
"""

import dataclasses
import functools
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.sharding import AxisType, Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from benchmarks import hlo, plain, targets, workload
from experiments.cli import command, schema
from experiments.run.recipes import Recipe, all_options, resolve
from jaxgan import models, systems
from jaxgan.data.examples import Examples
from jaxgan.data.tags import CONDITION_NAMES
from jaxgan.host.errors import UserError
from jaxgan.systems import adversarial
from jaxgan.training import parallel

_TARGET = flags.DEFINE_string(
    "target", "h100", f"{', '.join(targets.TARGETS)}; of a TPU also the topology, as in v5e:4x4; default: one chip"
)
_PICTURES = flags.DEFINE_integer("resident_pictures", 30_000, "pictures in the device's memory", lower_bound=1)
_PLAIN = flags.DEFINE_bool("plain_flax", False, "with XLA's own convolutions, as flax.linen calls them")

STEPS_PER_CALL = 20  # of a command on an accelerator, where the recipe leaves it open
SHORT_STEPS_PER_CALL = 50
GREY = ("mnist", "fashion_mnist")


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training command compiles, and its inputs in one device's terms.

    Attributes:
      step: the body for one device.
      init: key -> state.
      batches: batches of a usual step.
      data: the arrays of all pictures, as shapes; of several sources, those of each by its name.
      kernels: the sides of the networks' convolution kernels.
      operations: multiplications and additions that a step needs.
      steps_per_call: steps in a call.
    """

    step: Callable[..., Any]
    init: Callable[[jax.Array], Any]
    batches: int
    data: dict[str, Any]
    kernels: set[int]
    operations: int
    steps_per_call: int

    def draws(self, batch_size: int) -> Any:
        """Returns the numbers of the examples of a call, as shapes: those of each source for itself."""
        numbers = jax.ShapeDtypeStruct((self.steps_per_call, self.batches, batch_size), jnp.int32)
        several = any(isinstance(part, dict) for part in self.data.values())
        return dict.fromkeys(self.data, numbers) if several else numbers


def training(recipe: Recipe, pictures: int) -> Training:
    """Builds what the training command would compile for a recipe; the one place that knows how."""
    from benchmarks.arithmetic import layers_of_step, step_operations
    from experiments.run.start import build_system

    size = recipe.picture_size
    examples = Examples.described((size, size, channels(recipe)), condition_names(recipe), "")
    system = build_system(recipe, examples)
    step = functools.partial(system.step, phase=0) if len(system.schedule.phases) > 1 else system.step
    batches = system.schedule.batches_per_step

    def shapes(*leading: int) -> dict[str, Any]:
        def shape(name: str) -> jax.ShapeDtypeStruct:
            array = examples.arrays.get(name, examples.images)
            return jax.ShapeDtypeStruct((*leading, *array.shape[1:]), jnp.uint8)

        found = {source: {name: shape(name) for name in names} for source, names in system.inputs.items()}
        return found[""] if set(found) == {""} else found

    layers = layers_of_step(step, jax.eval_shape(system.init, jax.random.key(0)), shapes(batches, recipe.batch_size))
    rules = system.step.keywords.get("rules")  # type: ignore[attr-defined]
    if isinstance(rules, adversarial.Rules):
        operations = step_operations(rules, recipe.batch_size)
    else:  # each pass, and two products for its gradients
        operations = 2 * 3 * sum(layer.products for layer in layers)
    return Training(
        step=step,
        init=system.init,
        batches=batches,
        data=shapes(pictures),
        kernels={side for layer in layers for side in layer.kernels},
        operations=operations,
        steps_per_call=recipe.steps_per_call or (SHORT_STEPS_PER_CALL if system.short_step else STEPS_PER_CALL),
    )


def channels(recipe: Recipe) -> int:
    """Returns the channels of the pictures: digits are grey, and so are those of the systems made for them."""
    if recipe.dataset in GREY:
        return 1
    return models.build(recipe.model).image_shape[-1] if recipe.model in models.names() else 3


def condition_names(recipe: Recipe) -> tuple[str, ...]:
    """Returns the names of the conditions or labels that a system is usually trained with: tags of faces, or digits."""
    if recipe.family.conditional and channels(recipe) == 3:
        return tuple(CONDITION_NAMES)
    return tuple(map(str, range(10))) if recipe.family.conditional or recipe.family.labelled else ()


def lower(what: Training, batch_size: int, devices: Sequence[Any]) -> Any:
    """Lowers the program of a call for these devices: the batch is split among them, everything else on each.

    Raises:
      UserError: where they cannot share the batch equally.
    """
    parallel.check_batch_size(batch_size, len(devices))
    if len(devices) == 1:
        whole = split = SingleDeviceSharding(devices[0])
        run = parallel.fuse(what.step, None)
    else:
        mesh = Mesh(np.array(devices), (parallel.AXIS,), axis_types=(AxisType.Auto,))
        examples = P(*([None] * parallel.EXAMPLES), parallel.AXIS)
        whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, examples)
        run = jax.shard_map(
            parallel.fuse(what.step, parallel.AXIS),
            mesh=mesh,
            in_specs=(P(), examples, P(), P()),
            out_specs=P(),
            check_vma=False,
        )

    def placed(tree: Any, sharding: Any = whole) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)

    state, draws = jax.eval_shape(what.init, jax.random.key(0)), what.draws(batch_size)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    jitted = jax.jit(run, donate_argnums=0)
    return jitted.lower(placed(state), placed(draws, split), placed(count), placed(what.data))


def compile_for(text: str, what: Training, batch_size: int) -> tuple[Any, str | None, int]:
    """Compiles a program for a target.

    Returns:
      The executable, XLA's list of what the host hands a GPU (None on a TPU), and how many chips it is for.
    """
    target, _ = targets.parse(text)
    devices = targets.devices(text)
    lowered = lower(what, batch_size, devices)
    if target.gpu is None:
        return lowered.compile(), None, len(devices)
    try:
        return (*_compile_for_gpu(lowered), len(devices))
    except jax.errors.JaxRuntimeError as error:
        if "tile sizes" not in str(error):
            raise
        # On a GPU the autotuner tries what is possible; without one XLA takes tiles that do not fit some products.
        return (*_compile_for_gpu(lowered, xla_gpu_enable_triton_gemm=False), len(devices))


def _compile_for_gpu(lowered: Any, **more: Any) -> tuple[Any, str | None]:
    with tempfile.TemporaryDirectory() as folder:
        options = {"xla_gpu_autotune_level": 0, "xla_dump_to": folder, "xla_dump_hlo_as_text": True, **more}
        compiled = lowered.compile(compiler_options=options)
        lists = sorted(Path(folder).glob("*thunk_sequence_after_thunk_passes.txt"))
        return compiled, lists[-1].read_text(encoding="utf-8") if lists else None


def report(text: str, recipe: Recipe, what: Training) -> dict[str, Any]:
    """Compiles a recipe's step for a target and says what came of it."""
    target, _ = targets.parse(text)
    began = time.perf_counter()
    compiled, thunks, chips = compile_for(text, what, recipe.batch_size)
    seconds = time.perf_counter() - began
    program = hlo.Program(compiled.as_text())
    kind = {"float32": "f32", "bfloat16": "bf16"}[recipe.precision]
    convolutions = hlo.convolutions(program, what.kernels, kind)
    transposed = hlo.transposes(program)
    launches = None if thunks is None else hlo.launches(thunks, hlo.inner_turns(program))
    memory = compiled.memory_analysis()
    arguments, temporary = memory.argument_size_in_bytes, memory.temp_size_in_bytes
    together = hlo.collectives(program)
    moved = hlo.bytes_moved(program)
    return {
        "compile_seconds": round(seconds, 1),
        "chips": chips,
        "steps_per_call": what.steps_per_call,
        "compiled": {
            "convolutions": sum(row["times"] for row in convolutions),
            "odd_convolutions": sum(row["times"] for row in convolutions if row["odd"]),
            **hlo.counts(program),
            **({} if launches is None else {"launches": launches, "kernels_for": hlo.purposes(program)}),
            "arguments_mb": round(arguments / 1e6),
            "temporaries_mb": round(temporary / 1e6, 1),
            "collectives": together,
        },
        "computed": {
            "largest_batch": largest_batch(target, arguments, temporary, recipe.batch_size // chips) * chips,
            "gflop": round(what.operations / 1e9, 2),
            "moved_mb": round(moved / 1e6, 1),
            **roofline(target, recipe, what.operations / chips, moved, launches, together),
        },
        "each_convolution": convolutions,
        "each_transpose": transposed,
    }


def largest_batch(target: targets.Target, arguments: float, temporary: float, share: int) -> int:
    """Returns how many examples fit a chip's memory, if all temporaries grow with the batch; 0 if none."""
    free = target.share * target.memory - arguments
    return max(0, math.floor(free / temporary * share)) if temporary else 0


def roofline(
    target: targets.Target,
    recipe: Recipe,
    operations: float,
    moved: float,
    launches: dict[str, int] | None,
    together: dict[str, dict[str, int]],
) -> dict[str, Any]:
    """Estimates the least time that a step takes on a chip by each of its limits, in µs, and names the limit.

    Arithmetic at the peak rate, memory as if nothing were cached, a GPU's host at 3 µs for each hand-over, and a ring's
    all-reduce, 2 (n − 1) / n of the bytes over the link of a chip, as 2.
    """
    limits = {
        "arithmetic": operations / target.rates[recipe.precision] * 1e6,
        "memory": moved / target.bandwidth * 1e6,
        "host": (launches or {}).get("submissions", 0) * targets.LAUNCH_SECONDS * 1e6,
        "link": 2 * sum(row["bytes"] for row in together.values()) / target.link * 1e6,
    }
    bound = max(limits, key=lambda name: limits[name])
    return {
        "microseconds": {name: round(value, 1) for name, value in limits.items()},
        "bound_by": bound,
        "images_per_second_at_most": round(recipe.batch_size / (limits[bound] * 1e-6)),
    }


def main() -> None:
    """Runs the command."""
    recipe = resolve(workload.grown_flags(schema.given_flags(all_options())), systems.names())
    lacking = targets.missing(_TARGET.value)
    if lacking is not None:
        raise UserError(f"--target={_TARGET.value}: {lacking}")
    if _PLAIN.value:
        plain.use_plain_convolutions(loops=True)
    what = training(recipe, _PICTURES.value)
    settings = {"target": _TARGET.value, "model": recipe.model, "batch_size": recipe.batch_size}
    settings |= {"precision": recipe.precision, "plain_flax": _PLAIN.value, "jax": jax.__version__}
    print(json.dumps({"benchmark": "compile", **settings, **report(_TARGET.value, recipe, what)}, indent=1))


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
