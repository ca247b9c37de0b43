"""Conversion from and to PyTorch's state dicts.

A state dict lists its arrays in the order in which the layers are defined. Arrays are matched by this order; the last
part of every name (`weight`, `bias`, `running_mean`, `running_var`) and every shape are checked. The names before the
last part may be anything.

| PyTorch                                 | here                               |
| --------------------------------------- | ---------------------------------- |
| `Linear` (out, in)                      | `Dense` (in, out)                  |
| `Conv2d` (out, in, h, w)                | `Conv` (h, w, in, out)             |
| `ConvTranspose2d` (in, out, h, w)       | `ConvTranspose` (h, w, out, in)    |
| `BatchNorm*` weight, bias               | `BatchNorm` scale, bias            |
| running_mean, running_var               | mean, var                          |
| num_batches_tracked                     | not needed; exported as it was     |

Axes are transposed, but nothing is flipped or permuted, because this library's networks from PyTorch sources flatten
pictures in PyTorch's order.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxgan.host.errors import UserError, printable
from jaxgan.interop import definition
from jaxgan.interop.definition import Entry
from jaxgan.models import Network

_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
_AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}  # axes of an array here, in PyTorch's order
_COUNTER = "num_batches_tracked"


def import_variables(module: Network, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the variables of a network from the weights of the same network in PyTorch.

    Args:
      module: the network, such as `models.build("mlp_b").generator`.
      state_dict: name -> values of each array, in the order of definition, as `torch.load(path, weights_only=True)`
        returns them from a saved state dict, or as NumPy arrays.

    Returns:
      {"params": …, "batch_stats": …}: copies as NumPy arrays, with the values and the dtype (float32 or float64) of the
      state dict.

    Raises:
      UserError: if an array is missing, unexpected, of the wrong shape or dtype, or not finite; the message names it.
    """
    arrays = {}
    for entry, name in _match(module, state_dict).items():
        array = definition.checked(state_dict[name], name, _torch_shape(entry))
        arrays[entry] = array.transpose(np.argsort(_AXES[array.ndim])).copy(order="C")
    return definition.assemble(arrays)


def export_state_dict(
    module: Network, variables: Mapping[str, Any], *, like: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Returns a PyTorch state dict; the exact inverse of `import_variables`.

    `torch_module.load_state_dict({name: torch.from_numpy(array) for name, array in exported.items()})` loads the
    result.

    Args:
      module: the network.
      variables: {"params": …, "batch_stats": …} of that network, arrays of any framework.
      like: a state dict of the same network in PyTorch, for the names and for `num_batches_tracked`; its weights are
        ignored.

    Returns:
      The names of `like`, in its order, with the values of the variables in PyTorch's layout, as NumPy arrays (copies).

    Raises:
      UserError: if the variables or `like` do not belong to the network; the message names the array.
    """
    arrays = definition.take_apart(module, variables)
    entries = {name: entry for entry, name in _match(module, like).items()}
    exported = {}
    for name, value in like.items():
        if name in entries:
            entry = entries[name]
            exported[name] = arrays[entry].transpose(_AXES[len(entry.shape)]).copy(order="C")
        else:
            exported[name] = np.asarray(value).copy()
    return exported


def _torch_shape(entry: Entry) -> tuple[int, ...]:
    return tuple(entry.shape[axis] for axis in _AXES[len(entry.shape)])


def _check_state_dict(given: Any) -> None:
    """Raises a UserError for what holds a state dict, or makes one, and says how it is got."""
    if not isinstance(given, Mapping):
        method = hasattr(given, "state_dict")
        remedy = "give its state_dict()" if method else "give what torch.load(path, weights_only=True) returns"
        raise UserError(f"a state dict maps names to arrays, and this is a {type(given).__name__}; {remedy}")
    inside = [key for key, value in given.items() if isinstance(value, Mapping) or hasattr(value, "state_dict")]
    if inside:
        places = list(_places(given)) or [f"[{printable(repr(key))}]" for key in inside]
        choice = " or ".join(f"checkpoint{place}" for place in places[:8])
        raise UserError(f"this holds a state dict among other things: take it out first, as {choice}")


def _places(given: Mapping[Any, Any], depth: int = 3) -> Iterator[str]:
    """Yields where state dicts are within nested mappings, or what makes one, such as "['model']"."""
    for key, value in given.items():
        place = f"[{printable(repr(key))}]"
        if hasattr(value, "state_dict"):
            yield f"{place}.state_dict()"
        elif isinstance(value, Mapping) and value and all(hasattr(array, "shape") for array in value.values()):
            yield place
        elif isinstance(value, Mapping) and depth > 1:
            yield from (place + further for further in _places(value, depth - 1))


def _match(module: Network, state_dict: Mapping[str, Any]) -> dict[Entry, str]:
    """Returns the name of each of the network's arrays in the state dict; batch counters are skipped."""
    _check_state_dict(state_dict)
    names = list(state_dict)
    for name in names:
        if not isinstance(name, str):
            raise UserError(
                f"{printable(repr(name))} is not the name of an array; the keys of a state dict are strings"
            )
    matched: dict[Entry, str] = {}
    for layer in definition.layers(module):
        prefix = names[0].rpartition(".")[0] if names else ""
        for entry in layer:
            shape = _torch_shape(entry)
            if not names:
                raise UserError(f"the state dict ends before the {_NAMES[entry.name]} {shape} of {entry}")
            name = names.pop(0)
            if name.rpartition(".")[::2] != (prefix, _NAMES[entry.name]):
                raise UserError(
                    f"{name} {np.shape(state_dict[name])} is in the state dict where the network needs the "
                    f"{_NAMES[entry.name]} {shape} of {entry}"
                )
            found = getattr(state_dict[name], "shape", shape)  # lists have no shape; they are checked when converted
            if found != shape:
                raise UserError(f"{name} has the shape {tuple(found)}, but {entry} needs {shape}")
            matched[entry] = name
        if names and layer[-1].name == "var" and names[0].rpartition(".")[::2] == (prefix, _COUNTER):
            names.pop(0)
    if names:
        raise UserError(f"the network has no place for {', '.join(names)}; leave it out of the state dict")
    return matched
