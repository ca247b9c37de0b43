"""Order of definition of a network's variables, in which other frameworks list their weights."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.host.errors import UserError
from jaxgan.models import Network


@dataclasses.dataclass(frozen=True)
class Entry:
    """An array of a network's variables.

    Attributes:
      path: its location: the collection, the layers from the outside in, and its own name, such as ("params",
        "Dense_0", "kernel").
      shape: its shape in this library's layout.
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its own name: kernel, bias, scale, mean or var."""
        return self.path[-1]

    def __str__(self) -> str:
        return "/".join(self.path)


Layer = tuple[Entry, ...]


def layers(module: Network) -> list[Layer]:
    """Returns the arrays of each layer, in the order in which the network defines its layers.

    Parameters come before statistics. JAX sorts the keys of every dictionary that passes through it. The order is
    therefore recorded while the network is initialised, when the dictionary is still in the order of creation. Nothing
    is computed.
    """
    noted: list[Layer] = []

    def init(key: jax.Array) -> None:
        inputs = [jnp.zeros((2, *shape), jnp.float32) for shape in module.input_shapes]
        variables = module.init(key, *inputs, train=False)
        statistics = dict(_by_layer(variables.get("batch_stats", {})))
        for path, params in _by_layer(variables["params"]):
            entries = [Entry(("params", *path, name), value.shape) for name, value in params.items()]
            moving = statistics.pop(path, {})
            entries += [Entry(("batch_stats", *path, name), value.shape) for name, value in moving.items()]
            noted.append(tuple(entries))
        if statistics:
            raise ValueError(f"statistics without parameters cannot be ordered: {sorted(statistics)}")

    jax.eval_shape(init, jax.random.key(0))
    return noted


def _by_layer(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yields the path and the own arrays of each layer of a tree, in the tree's order."""
    own = {name: value for name, value in tree.items() if not isinstance(value, Mapping)}
    if own:
        yield path, own
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _by_layer(value, (*path, name))


def checked(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a value as a finite float32 or float64 array.

    Args:
      value: the array.
      name: its name in the messages.
      shape: its expected shape.

    Raises:
      UserError: if the value is not such an array.
    """
    try:
        array = np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"{name} is no array ({error}); pass arrays on the host, such as tensor.detach().cpu()"
        ) from error
    if array.dtype not in (np.float32, np.float64):
        raise UserError(f"{name} has the type {array.dtype}; convert it to float32 or float64")
    if array.shape != shape:
        raise UserError(f"{name} has the shape {array.shape}, but the network needs {shape}")
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds numbers that are not finite")
    return array


def assemble(arrays: Mapping[Entry, np.ndarray]) -> dict[str, Any]:
    """Builds the variables {"params": …, "batch_stats": …} from their arrays."""
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for entry, array in arrays.items():
        node = variables
        for name in entry.path[:-1]:
            node = node.setdefault(name, {})
        node[entry.name] = array
    return variables


def take_apart(module: Network, variables: Mapping[str, Any]) -> dict[Entry, np.ndarray]:
    """Returns the arrays of a network's variables in the order of definition; the inverse of `assemble`.

    Args:
      module: the network.
      variables: {"params": …, "batch_stats": …} of that network.

    Raises:
      UserError: if an array is missing, unexpected, of the wrong shape or not finite; the message names it.
    """
    for collection, tree in variables.items():
        if not isinstance(tree, Mapping):
            raise UserError(f"the variables' {collection} are {type(tree).__name__}, not a dictionary of arrays")
    found = {
        (collection, *path, name): value
        for collection, tree in variables.items()
        for path, own in _by_layer(tree)
        for name, value in own.items()
    }
    arrays = {}
    for entry in (entry for layer in layers(module) for entry in layer):
        if entry.path not in found:
            raise UserError(f"the variables lack {entry}, which the network needs")
        arrays[entry] = checked(found.pop(entry.path), str(entry), entry.shape)
    if found:
        raise UserError(
            f"the network has no {', '.join('/'.join(path) for path in found)}; leave it out of the variables"
        )
    return arrays
