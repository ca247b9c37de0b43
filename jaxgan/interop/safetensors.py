"""Weights as safetensors: arrays with names, and text that describes them, for programs that know nothing of jaxgan.

An array's name is its network, its collection, its layers from the outside in, and its own name:
`generator.params.Dense_0.kernel`. Layouts are Flax's: `Dense` (in, out), `Conv` (height, width, in, out),
`ConvTranspose` (height, width, out, in). The library `safetensors` reads and writes the bytes; nothing is unpickled.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from jaxgan.host.errors import UserError, one_line

LAYOUT = "Dense (in, out); Conv (height, width, in, out); ConvTranspose (height, width, out, in); pictures NHWC"


def pack(networks: Mapping[str, Mapping[str, Any]], description: Mapping[str, Any]) -> bytes:
    """Packs the variables of networks into the bytes of a safetensors file.

    Args:
      networks: name of a network -> its variables, {"params": …, "batch_stats": …}, arrays of any framework.
      description: facts for the reader, of JSON's types; those that are no text are written as JSON.

    Raises:
      UserError: if the library safetensors is not installed.
    """
    arrays = {
        f"{network}.{name}": np.ascontiguousarray(array)
        for network, variables in networks.items()
        for name, array in traverse_util.flatten_dict(dict(variables), sep=".").items()
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in description.items()}
    packed: bytes = _library().save(arrays, {"layout": LAYOUT, **texts})
    return packed


def unpack(content: bytes) -> dict[str, dict[str, Any]]:
    """Returns name of a network -> its variables, nested, from the bytes of a file that `pack` made.

    Raises:
      UserError: if the bytes are no safetensors file, or the library is not installed.
    """
    library = _library()
    try:
        arrays = library.load(content)
    except Exception as error:
        raise UserError(f"not a safetensors file ({one_line(error)})") from error
    nested: dict[str, dict[str, Any]] = traverse_util.unflatten_dict(arrays, sep=".")
    return nested


def _library() -> Any:
    try:
        from safetensors import numpy as library
    except ModuleNotFoundError as error:
        raise UserError("safetensors is not installed: pip install 'jaxgan[export]'") from error
    return library
