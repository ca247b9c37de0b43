r"""Each convolution of the models against XLA's own: value and both gradients, inside a loop on the device.

    python -m benchmarks.ops --batch_size=16 --layers=k4

Prints one JSON object. A row's "ratio" is how many times faster `jaxgan.ops` is. Inside a loop, where fused training
steps run, XLA:CPU computes most gradients of its own convolutions naively: the larger layers take minutes.
"""

import functools
import json
import time
from collections.abc import Callable

import jax
from absl import flags
from jax import lax

from benchmarks import machine, turns
from benchmarks.plain import conv, conv_transpose
from experiments.cli import command
from jaxgan import ops

# name: (kernel, stride, padding, height of the big side, its channels, height of the small side, its channels)
LAYERS = {
    "k4 s2, 96 x 3": (4, 2, 1, 96, 3, 48, 64),
    "k4 s2, 48 x 64": (4, 2, 1, 48, 64, 24, 128),
    "k4 s2, 32 x 64": (4, 2, 1, 32, 64, 16, 128),
    "k4 s2, 24 x 128": (4, 2, 1, 24, 128, 12, 256),
    "k4 s2, 12 x 256": (4, 2, 1, 12, 256, 6, 512),
    "k4 s2, 6 x 512": (4, 2, 1, 6, 512, 3, 1024),
    "k4 s2, 14 x 64": (4, 2, 1, 14, 64, 7, 128),
    "k5 s3, 96 x 3": (5, 3, 1, 96, 3, 32, 64),
    "k5 s2 same, 14 x 64": (5, 2, ((1, 2), (1, 2)), 14, 64, 7, 128),
    "k5 s2 same, 28 x 1": (5, 2, ((1, 2), (1, 2)), 28, 1, 14, 64),
    "k3 s1, 7 x 128": (3, 1, 1, 7, 128, 7, 256),
    "k3 s2 valid, 13 x 64": (3, 2, 0, 13, 64, 6, 128),
    "k6 head": (6, 2, 0, 6, 512, 1, 100),
    "k4 tail": (4, 1, 0, 4, 512, 1, 1),
    "k1, 4 x 384": (1, 1, 0, 4, 384, 4, 384),
}

_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "pictures in a batch", lower_bound=1)
_LAYERS = flags.DEFINE_string("layers", "", "only the layers whose names contain this")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "timed turns of each side", lower_bound=1)
_TURN_SECONDS = flags.DEFINE_float("turn_seconds", 0.5, "about how long a turn is", lower_bound=0.0)


class Gradients:
    """The value and both gradients of an operation, several times in one call of the device."""

    def __init__(self, operation: Callable, x: jax.Array, kernel: jax.Array, cotangent: jax.Array, times: int = 2):
        def once(carry, _):  # each pass needs the one before
            x, kernel, cotangent = carry
            y, pull = jax.vjp(operation, x, kernel)
            dx, dkernel = pull(cotangent)
            return (x + 1e-9 * dx, kernel + 1e-9 * dkernel, cotangent + 1e-9 * y), None

        self._call = jax.jit(lambda *arrays: lax.scan(once, arrays, length=times)[0])
        self._arrays, self._times = (x, kernel, cotangent), times

    def run(self, calls: int) -> float:
        """Measures the seconds of so many passes."""
        start = time.perf_counter()
        for _ in range(calls):
            jax.block_until_ready(self._call(*self._arrays))
        return (time.perf_counter() - start) / self._times


def compare(layer: tuple, batch_size: int, transposed: bool) -> dict:
    """Measures one row: the two sides take turns."""
    size, stride, padding, height, channels, small_height, features = layer
    keys = jax.random.split(jax.random.key(0), 3)
    big = jax.random.normal(keys[0], (batch_size, height, height, channels))
    small = jax.random.normal(keys[1], (batch_size, small_height, small_height, features))
    kernel = jax.random.normal(keys[2], (size, size, channels, features))
    ours, theirs = (ops.conv_transpose, conv_transpose) if transposed else (ops.conv, conv)
    arrays = (small, kernel, big) if transposed else (big, kernel, small)
    sides = {
        name: Gradients(functools.partial(operation, stride=stride, padding=padding), *arrays)
        for name, operation in (("jaxgan", ours), ("lax", theirs))
    }
    result = turns.take_turns(sides, rounds=_ROUNDS.value, turn_seconds=_TURN_SECONDS.value)
    milliseconds = {name: float(f"{1e3 * sorted(s)[len(s) // 2]:.4g}") for name, s in result.seconds.items()}
    return {
        "milliseconds": milliseconds,
        **turns.ratios(result.seconds["lax"], result.seconds["jaxgan"]),
        "busy": result.busy,
    }


def main() -> None:
    """Runs the command."""
    rows = {
        f"{'transposed ' if transposed else ''}{name}": compare(layer, _BATCH_SIZE.value, transposed)
        for name, layer in LAYERS.items()
        if _LAYERS.value in name
        for transposed in (False, True)
    }
    result = {"benchmark": "ops", "batch_size": _BATCH_SIZE.value, "layers": rows, "machine": machine.describe()}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    command.run(main)
