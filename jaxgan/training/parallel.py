"""Compilation of a step for one device or several, with several steps per call.

A step is the body for one device, `step(state, batch, axis_name=…) -> (state, metrics)`. The compiled program takes the
batches of K steps and the number `count` ≤ K of steps to run. `count` is an argument, not a constant, so that the loop
over steps is the same program for every K and for every shorter call. A run is therefore the same bit for bit however
its steps are grouped.

The state is the same on every device and never has a device axis; batches are split along their examples. The devices
may belong to several processes (`jax.distributed`). Each process then passes the share of a batch that belongs to its
own devices, and holds its own devices' copies of everything else.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxgan.host.errors import UserError

AXIS = "batch"
MODES = ("jit", "pmap", "shard_map")
EXAMPLES = 2  # the axis of examples in (K, batches, N, …)

Step = Callable[..., tuple[Any, Any]]
Inspect = Callable[[Any], None]


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled step.

    Attributes:
      mode: "jit" (one device), "pmap" or "shard_map".
      devices: the devices that share a batch, those of a process side by side.
    """

    mode: str
    devices: tuple[jax.Device, ...]
    _run: Callable[..., tuple[Any, Any]]

    def __call__(self, state: Any, draws: Any, count: int, data: Any = None) -> tuple[Any, Any]:
        """Runs `count` steps; donates `state`.

        Args:
          state: the state pytree.
          draws: with `data`, example numbers (K, batches, N), or a tree of them whose structure is a prefix of that of
            `data`, with separate numbers for each part. Without `data`, the batches themselves, leaves
            (K, batches, N, …). If there are several processes, each passes its own share of the N examples; see
            `share`.
          count: number of steps to run, 0 to K; 0 compiles the program and leaves the state unchanged.
          data: all examples, resident on the devices (see `place_data`), or None.

        Returns:
          The state after the steps, and their metrics, leaves (K,) on one device of this process; entries from `count`
          on are zero.
        """
        state, metrics = self._run(state, draws, np.int32(count), data)
        return state, local(metrics)

    @property
    def local_devices(self) -> tuple[jax.Device, ...]:
        """The devices of this process."""
        return local_devices(self.devices)

    def share(self, batch_size: int) -> slice:
        """Returns the part of a global batch's examples that belongs to this process."""
        check_batch_size(batch_size, len(self.devices))
        each = batch_size // len(self.devices)
        first = self.devices.index(self.local_devices[0])
        return slice(first * each, (first + len(self.local_devices)) * each)

    def place_data(self, data: Any) -> Any:
        """Copies all examples to every device of the program; every process passes them to its own devices."""
        if self.mode == "jit":
            return jax.device_put(data, self.devices[0])
        # pmap takes what this process has; shard_map takes arrays of all devices.
        sharding = NamedSharding(_mesh(self.local_devices if self.mode == "pmap" else self.devices), P())
        if sharding.is_fully_addressable:
            return jax.device_put(data, sharding)
        return jax.tree.map(lambda leaf: replicate(leaf, sharding), data)

    def place_state(self, state: Any) -> Any:
        """Copies the state to every device of the program; the caller's arrays are never donated."""
        return self.place_data(jax.tree.map(jnp.copy, state))


def local(tree: Any) -> Any:
    """Returns replicated arrays as arrays on one device of this process, without copying."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def replicate(leaf: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    """Places an array that every process has on all devices of a sharding; no process waits for another."""
    return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])


def local_devices(devices: tuple[jax.Device, ...]) -> tuple[jax.Device, ...]:
    """Returns the devices that belong to this process."""
    return tuple(device for device in devices if device.process_index == jax.process_index())


def compile_step(
    step: Step,
    *,
    mode: str | None = None,
    devices: Sequence[jax.Device] | None = None,
    inspect: Inspect = lambda jaxpr: None,
) -> Program:
    """Compiles a step.

    Args:
      step: the body for one device, `(state, batch, axis_name=…) -> (state, metrics)`.
      mode: one of `MODES`; None: "jit" for one device, "pmap" for several.
      devices: the devices that share a batch; None: all devices of all processes, or the first one for "jit".
      inspect: called with the jaxpr of one step whenever the step is traced.

    Raises:
      UserError: for an unknown mode, or one device for several processes.
    """
    devices = tuple(sorted(jax.devices() if devices is None else devices, key=lambda device: device.process_index))
    mode = mode or ("jit" if len(devices) == 1 else "pmap")
    if mode not in MODES:
        raise UserError(f"--parallel={mode}: choose one of {', '.join(MODES)}")
    if mode == "jit":
        if jax.process_count() > 1:
            raise UserError(f"--parallel=jit: uses one device; {jax.process_count()} processes need pmap or shard_map")
        return Program(mode, devices[:1], jax.jit(fuse(step, None, inspect), donate_argnums=0))
    fused = fuse(step, AXIS, inspect)
    return Program(mode, devices, {"pmap": _pmap, "shard_map": _shard_map}[mode](fused, devices))


def check_batch_size(batch_size: int, devices: int) -> None:
    """Raises a UserError if the devices cannot share the batch equally."""
    if batch_size < 1 or batch_size % devices:
        raise UserError(
            f"--batch_size={batch_size}: must be a positive multiple of the {devices} devices that share it"
        )


def fuse(step: Step, axis_name: str | None, inspect: Inspect = lambda jaxpr: None) -> Step:
    """Fuses steps into one loop on the device: `(state, draws, count, data) -> (state, metrics)`."""
    # Jitted so that it is traced only once, for the shapes of its metrics and for the loop: when the compiled program
    # comes from the cache, tracing is most of the start-up time.
    one_step = jax.jit(functools.partial(step, axis_name=axis_name), inline=True)

    def run(state: Any, draws: Any, count: jax.Array, data: Any) -> tuple[Any, Any]:
        def batch(index: Any) -> Any:
            drawn = jax.tree.map(lambda leaf: leaf[index], draws)
            if data is None:
                return drawn
            return jax.tree.map(lambda numbers, part: jax.tree.map(lambda leaf: leaf[numbers], part), drawn, data)

        def body(index: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            state, log = carry
            # The barrier ties the batch to the index. In a call of one step XLA would otherwise see that the batch is
            # constant, hoist it out of the loop, and round differently from a call of several steps.
            with jax.named_scope("batch"):
                drawn, _ = jax.lax.optimization_barrier((batch(index), index))
            state, metrics = one_step(state, drawn)
            with jax.named_scope("metrics"):
                log = jax.tree.map(lambda column, value: column.at[index].set(value), log, metrics)
            return state, log

        length = jax.tree.leaves(draws)[0].shape[0]
        jaxpr, (_, shapes) = jax.make_jaxpr(one_step, return_shape=True)(state, batch(0))
        inspect(jaxpr)
        log = jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), shapes)
        return jax.lax.fori_loop(0, count, body, (state, log))

    return run


def _pmap(fused: Step, devices: tuple[jax.Device, ...]) -> Step:
    # `draws` is wrapped in a list because JAX 0.10 mistakes in_axes for the axes of the leaves if there are as many
    # leaves as arguments.
    run = jax.pmap(
        lambda state, draws, count, data: fused(state, *draws, count, data),
        AXIS,
        in_axes=(None, [EXAMPLES], None, None),
        out_axes=None,
        devices=devices,
        donate_argnums=0,
    )

    here = len(local_devices(devices))

    def split(leaf: Any) -> Any:
        check_batch_size(leaf.shape[EXAMPLES], here)
        return leaf.reshape(*leaf.shape[:EXAMPLES], here, -1, *leaf.shape[EXAMPLES + 1 :])

    return lambda state, draws, count, data: run(state, [jax.tree.map(split, draws)], count, data)


def _shard_map(fused: Step, devices: tuple[jax.Device, ...]) -> Step:
    examples = P(*([None] * EXAMPLES), AXIS)
    # With check_vma=True, gradients of replicated parameters arrive already summed over devices, and pmean would leave
    # them too large.
    run = jax.shard_map(
        fused,
        mesh=_mesh(devices),
        in_specs=(P(), examples, P(), P()),
        out_specs=P(),
        check_vma=False,
    )
    compiled = jax.jit(run, donate_argnums=0)
    here, sharding = len(local_devices(devices)), NamedSharding(_mesh(devices), examples)

    def join(leaf: Any) -> Any:
        """Builds the global batch from the part that this process holds."""
        examples_in_all = leaf.shape[EXAMPLES] // here * len(devices)
        shape = (*leaf.shape[:EXAMPLES], examples_in_all, *leaf.shape[EXAMPLES + 1 :])
        return jax.make_array_from_process_local_data(sharding, leaf, shape)

    def checked(state: Any, draws: Any, count: Any, data: Any) -> tuple[Any, Any]:
        check_batch_size(jax.tree.leaves(draws)[0].shape[EXAMPLES], here)
        draws = draws if here == len(devices) else jax.tree.map(join, draws)
        return compiled(state, draws, count, data)

    return checked


def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    # Auto axes, because Explicit ones (the default of make_mesh) would compile the program twice.
    return Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))
