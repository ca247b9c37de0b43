"""Weights of a run in one file: what draws, scores and can be trained further, without the optimisers' states."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.host.errors import UserError, one_line
from jaxgan.host.files import replace_atomically

STEP = "step of the run"
OPTIMIZER = "opt_state"


def write_weights(path: str | Path, state: Any, step: int, *, half: bool = False) -> None:
    """Writes a state without its optimisers' states and its key as a .npz, complete or not at all.

    An array's name is its place in the state: `generator.params.Dense_0.kernel`.

    Args:
      path: the file.
      state: of any system.
      step: the step of the state.
      half: whether to round numbers to half precision.

    Raises:
      UserError: if a number is too large for half precision.
      OSError: if the file cannot be written.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _kept(state).items()}
    if half:
        with np.errstate(over="ignore"):  # told below
            arrays = {
                name: array.astype(np.float16) if jnp.issubdtype(array.dtype, jnp.floating) else array
                for name, array in arrays.items()
            }
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise UserError("half: a weight is above 65,504, the largest number of half precision; leave it out")
    content: dict[str, Any] = {STEP: np.int64(step), **arrays}
    replace_atomically(path, lambda file: np.savez_compressed(file, **content))


def read_weights(path: str | Path, state: Any) -> tuple[int, Any]:
    """Gives a state the arrays of a file that `write_weights` made; its optimisers and its key stay as they are.

    Args:
      path: the file.
      state: an initial state of the same system.

    Returns:
      The step of the weights, and the state.

    Raises:
      UserError: if the file cannot be read, or holds other networks.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
        step = int(arrays.pop(STEP))
    except Exception as error:  # NumPy, zipfile and zlib raise almost anything for a damaged file
        raise UserError(f"{path}: not the weights of a run ({one_line(error)})") from error
    expected = {name: leaf.shape for name, leaf in _kept(state).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise UserError(f"{path}: the weights of other networks than flags.txt describes; the first is {wrong[0]}")
    return step, jax.tree_util.tree_map_with_path(
        lambda place, leaf: (
            # NumPy converts: JAX would compile a program for each shape.
            jax.device_put(arrays[_name(place)].astype(leaf.dtype)) if _name(place) in arrays else leaf
        ),
        state,
    )


def _kept(state: Any) -> dict[str, Any]:
    """Returns the arrays of a state by name, but for those of optimisers and keys."""
    named = {_name(place): leaf for place, leaf in jax.tree_util.tree_leaves_with_path(state)}
    return {
        name: leaf
        for name, leaf in named.items()
        if OPTIMIZER not in name.split(".") and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    }


def _name(place: Any) -> str:
    return jax.tree_util.keystr(place, simple=True, separator=".")
