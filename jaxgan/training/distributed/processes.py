"""Processes of a run: all of them compute, the first also decides and writes, and the others follow.

They are the processes of `jax.distributed`, which the program joins before it computes anything. Decisions travel
through the key-value store of JAX's coordination service, which the first process hosts; arrays through the devices.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxgan.host.digest import is_key, key_data
from jaxgan.training.parallel import replicate

FOREVER = 100 * 365 * 24 * 3600 * 1000  # milliseconds
_DECISIONS = "jaxgan/decisions"
_KEPT = 100  # newest decisions that stay in the store; no process is that far behind


class Processes:
    """The processes that train one state together; with a single process, every method returns at once.

    Every process must call the same methods in the same order.

    Args:
      index: the index of this process; 0 is the first.
      count: the number of processes.
      store: the coordination service's client, see `store`; None for one process.
    """

    def __init__(self, index: int = 0, count: int = 1, store: Any = None) -> None:
        self.index, self.count = index, count
        self._store = store
        self._decisions = 0

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.index == 0

    def tell(self, decide: Callable[[], Any]) -> Any:
        """Returns the first process's decision in every process; the others wait for it.

        Args:
          decide: called only by the first process; returns anything that JSON can hold.
        """
        if self.count == 1:
            return decide()
        self._decisions += 1
        if self.writes:
            self._store.key_value_set(f"{_DECISIONS}/{self._decisions}", json.dumps(decide()))
            if self._decisions > _KEPT:
                self._store.key_value_delete(f"{_DECISIONS}/{self._decisions - _KEPT}")
        return json.loads(self._store.blocking_key_value_get(f"{_DECISIONS}/{self._decisions}", FOREVER))

    def largest(self, number: int) -> Any:
        """Returns the largest of the numbers (int32) that the processes pass in this call.

        Returns:
          A number or an array for `int` to read. The call does not wait for the devices; reading the array does.
        """
        if self.count == 1:
            return number
        compiled, sharding = self._maximum
        given = jax.make_array_from_callback(
            (jax.device_count(),), sharding, lambda index: np.full(1, number, np.int32)
        )
        return compiled(given).addressable_data(0)

    def hand_out(self, state: Any, template: Any) -> Any:
        """Sends the first process's state to all processes, bit for bit.

        Args:
          state: the first process's state, on any devices; ignored in the others.
          template: a state of the same structure, on the target devices.

        Returns:
          The state, on the devices of the template.
        """
        if self.count == 1:
            return state
        expected, structure = jax.tree.flatten(template)
        shapes = [jax.eval_shape(key_data, leaf) if is_key(leaf) else leaf for leaf in expected]
        if self.writes:
            leaves = [np.asarray(key_data(leaf)) for leaf in jax.tree.leaves(state)]
        else:
            leaves = [np.zeros(leaf.shape, leaf.dtype) for leaf in shapes]
        # Sent as bytes, because a broadcast is a sum over processes, in which −0.0 would become 0.0.
        flat = [np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves]
        received = np.asarray(multihost_utils.broadcast_one_to_all(np.concatenate(flat)))
        parts = np.split(received, np.cumsum([part.size for part in flat])[:-1])
        values = [part.view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        placed = [_replicated_like(value, leaf) for value, leaf in zip(values, expected, strict=True)]
        return jax.tree.unflatten(structure, placed)

    @functools.cached_property
    def _maximum(self) -> tuple[Callable[[jax.Array], jax.Array], NamedSharding]:
        mesh = Mesh(np.asarray(jax.devices()), ("device",), axis_types=(AxisType.Auto,))
        return jax.jit(jnp.max, out_shardings=NamedSharding(mesh, P())), NamedSharding(mesh, P("device"))


def store() -> Any:
    """Returns the client of JAX's coordination service, through which joined processes exchange text."""
    from jax._src import distributed  # There is no public name; Orbax imports it from here too.

    return distributed.global_state.client


def _replicated_like(value: np.ndarray, like: jax.Array) -> jax.Array:
    leaf = jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(like)) if is_key(like) else value
    return replicate(leaf, like.sharding)
