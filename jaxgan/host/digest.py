"""Digest of a training state, equal on all devices and machines."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def host_leaves(state: Any) -> dict[str, np.ndarray]:
    """Copies every array of a state to the host.

    Args:
      state: any pytree of arrays. Typed PRNG keys are returned as their uint32 data.

    Returns:
      An array for each leaf by its path, such as `generator/params/Dense_0/kernel`. The arrays are copies, so the state
      may be donated to the next step at once.

    Raises:
      ValueError: if two leaves have the same path.
    """
    paths_and_leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    leaves = {path_name(path): np.array(key_data(leaf)) for path, leaf in paths_and_leaves}
    if len(leaves) != len(paths_and_leaves):
        raise ValueError("Two leaves of the state have the same path.")
    return leaves


def path_name(path: tuple[Any, ...]) -> str:
    """Returns the name of a leaf: the keys of its path, joined by slashes."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def is_key(leaf: Any) -> bool:
    """Whether a leaf holds typed PRNG keys."""
    return jax.dtypes.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key)


def key_data(leaf: Any) -> Any:
    """Returns the uint32 data of typed PRNG keys, and any other leaf unchanged."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def digest(state: Any) -> str:
    """Computes the sha256 of a state: of the path, dtype, shape and bytes of every leaf.

    It depends neither on the devices of the arrays nor on the number of copies.

    Args:
      state: any pytree of arrays.

    Returns:
      64 hexadecimal digits.
    """
    return digest_leaves(host_leaves(state))


def digest_leaves(leaves: Mapping[str, np.ndarray]) -> str:
    """Computes the digest of a state whose leaves are on the host; see `host_leaves`."""
    total = hashlib.sha256()
    for name in sorted(leaves):
        leaf = leaves[name]
        total.update(f"{name}\0{leaf.dtype.name}\0{leaf.shape}\0".encode())
        total.update(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data)
    return total.hexdigest()
