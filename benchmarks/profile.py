r"""Which operations a training step spends its time in.

    python -m benchmarks.profile --model=dcgan_anime_a --batch_size=64

Prints one JSON object: the seconds of a step, and the share that each layer, each kind of operation and each operation
has of the time that operations take, the largest first. On a CPU several run side by side: it is all threads' time.
"""

import collections
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import flags

from experiments.cli import command, process, schema
from experiments.run.recipes import all_options, resolve
from jaxgan import systems

_CALLS = flags.DEFINE_integer("calls", 3, "calls of the step to look at", lower_bound=1)
_ROWS = flags.DEFINE_integer("rows", 25, "rows of each table", lower_bound=1)
_NETWORKS = {"Generator", "Discriminator"}


def main() -> None:
    """Runs the command."""
    import jax

    from benchmarks.jax_side import JaxSide

    process.set_up_process()
    recipe = resolve(schema.given_flags(all_options()), systems.names())
    with tempfile.TemporaryDirectory() as folder:
        side = JaxSide(recipe)
        text = side.compiled_text()
        side.run(2)
        jax.profiler.start_trace(folder)
        seconds = side.run(_CALLS.value)
        jax.profiler.stop_trace()
        events = list(operations(next(Path(folder).rglob("*.xplane.pb"))))
    steps = _CALLS.value * side.facts()["steps_per_call"]
    sources = source_of(text)
    table = {
        "by_layer": shares(events, lambda name: layer_of(sources.get(name, ""))),
        "by_kind": shares(events, lambda name: kind_of(name, sources.get(name, ""))),
        "by_operation": shares(events, lambda name: f"{name} {layer_of(sources.get(name, ''))}"),
    }
    largest = {name: dict(list(rows.items())[: _ROWS.value]) for name, rows in table.items()}
    settings = {"model": recipe.model, "batch_size": recipe.batch_size, "precision": recipe.precision}
    print(json.dumps({"benchmark": "profile", **settings, "seconds_per_step": seconds / steps, **largest}, indent=1))


def operations(path: Path) -> Iterator[tuple[str, float]]:
    """Yields (name, seconds) of every operation in a trace, but loops: their time is that of their bodies."""
    import jax

    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        on_device = plane.name.startswith("/device:")
        for line in plane.lines:
            if on_device and not line.name.startswith("Stream"):
                continue  # the same kernels again, by module or by step
            for event in line.events:
                name = dict(event.stats).get("hlo_op") or (event.name if on_device else "")
                if name and not re.match(r"(while|call|conditional)\b", str(name)):
                    yield str(name), event.duration_ns / 1e9


def source_of(text: str) -> dict[str, str]:
    """Maps the name of each instruction of a compiled program to the path of the layer that it comes from."""
    return dict(re.findall(r'%?([\w.\-]+) = .*metadata=\{.*?op_name="([^"]*)"', text))


def layer_of(source: str) -> str:
    """Finds the layer in an operation's path, and whether it belongs to a gradient; "other" if in no layer."""
    parts = re.split(r"[/()]", source)
    network = next(
        (part for part in parts if part.endswith(tuple(_NETWORKS)) or part.startswith(tuple(_NETWORKS))), None
    )
    if network is None:
        return "other"
    after = parts[parts.index(network) + 1 :]
    layer = next((part for part in after if re.fullmatch(r"[A-Z]\w*_\d+", part)), "activations")
    return f"{network}/{layer}" + (", gradient" if "transpose" in parts else "")


def kind_of(name: str, source: str) -> str:
    """Returns the kind of an instruction: its name without the number."""
    del source
    return re.sub(r"[.\d]+$", "", name)


def shares(events: list[tuple[str, float]], key: Any) -> dict[str, float]:
    """Computes the share of all seconds that belongs to each key, the largest first."""
    seconds: dict[str, float] = collections.defaultdict(float)
    for name, duration in events:
        seconds[key(name)] += duration
    total = sum(seconds.values()) or 1.0
    return {name: round(value / total, 4) for name, value in sorted(seconds.items(), key=lambda item: -item[1])}


if __name__ == "__main__":
    command.run(main, schema.define_flags(all_options()))
