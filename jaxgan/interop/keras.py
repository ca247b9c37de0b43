"""Conversion from and to the lists of Keras' `get_weights()` and `set_weights()`.

Such a list holds, layer by layer, kernel and bias, or gamma, beta, moving mean and moving variance. This library uses
the layouts of Keras (a transposed convolution's kernel is (height, width, out, in) in both), so the arrays are passed
on unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan.host.errors import UserError
from jaxgan.interop import definition
from jaxgan.models import Network


def import_variables(module: Network, weights: Sequence[Any]) -> dict[str, Any]:
    """Returns the variables of a network from the weights of the same network in Keras.

    Args:
      module: the network, such as `models.build("mlp_keras").generator`.
      weights: the result of `keras_model.get_weights()`.

    Returns:
      {"params": …, "batch_stats": …}: copies as NumPy arrays, with the values and the dtype (float32 or float64) of the
      weights.

    Raises:
      UserError: if an array is missing, unexpected, of the wrong shape or dtype, or not finite; the message gives its
        index in the list.
    """
    if hasattr(weights, "get_weights"):
        raise UserError(f"weights are a list of arrays, and this is a {type(weights).__name__}; give its get_weights()")
    entries = [entry for layer in definition.layers(module) for entry in layer]
    for index, entry in enumerate(entries[len(weights) :], len(weights)):
        raise UserError(f"the list ends before weight {index}: {entry} {entry.shape} is missing")
    if len(weights) > len(entries):
        shapes = ", ".join(str(np.shape(weight)) for weight in weights[len(entries) :])
        raise UserError(f"the network has {len(entries)} arrays and no place for what the list goes on with: {shapes}")
    named = zip(entries, weights, strict=True)
    return definition.assemble({entry: _checked(weight, index, entry) for index, (entry, weight) in enumerate(named)})


def _checked(weight: Any, index: int, entry: definition.Entry) -> np.ndarray:
    return definition.checked(weight, f"weight {index} ({entry})", entry.shape).copy()


def export_weights(module: Network, variables: Mapping[str, Any]) -> list[np.ndarray]:
    """Returns the list that `keras_model.set_weights` takes; the exact inverse of `import_variables`.

    Args:
      module: the network.
      variables: {"params": …, "batch_stats": …} of that network, arrays of any framework.

    Returns:
      Copies as NumPy arrays, in the order of definition.

    Raises:
      UserError: if the variables do not belong to the network; the message names the array.
    """
    return [array.copy() for array in definition.take_apart(module, variables).values()]
