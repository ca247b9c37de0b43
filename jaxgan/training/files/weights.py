"""Weights of a run in one file: what draws, scores and can be trained further, without the rest of a training state."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.host.errors import UserError, one_line
from jaxgan.host.files import replace_atomically
from jaxgan.systems.players import Player, shapes

STEP = "step"


def write_weights(path: str | Path, state: Any, step: int, *, half: bool = False) -> None:
    """Writes the variables of all networks of a state as a .npz, complete or not at all.

    An array's name is its network and its place there: `generator.params.Dense_0.kernel`. Where the state keeps a
    moving average of a network, that is the network of the file.

    Args:
      path: the file.
      state: a dataclass some of whose fields are players.
      step: the step of the state.
      half: whether to round weights to half precision, at a quarter of the bytes of a checkpoint or less.

    Raises:
      OSError: if the file cannot be written.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _named(_networks(state)).items()}
    if half:
        arrays = {name: array.astype(np.float16) for name, array in arrays.items()}
    content: dict[str, Any] = {STEP: np.int64(step), **arrays}
    replace_atomically(path, lambda file: np.savez_compressed(file, **content))


def read_weights(path: str | Path, state: Any) -> tuple[int, Any]:
    """Gives a state the networks of a file that `write_weights` made; its optimisers stay as they are.

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
    networks = _networks(state)
    expected = {name: leaf.shape for name, leaf in _named(networks).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise UserError(f"{path}: the weights of other networks than flags.txt describes; the first is {wrong[0]}")
    loaded = jax.tree_util.tree_map_with_path(
        lambda place, leaf: jnp.asarray(arrays[_name(place)], leaf.dtype), networks
    )
    changes: dict[str, Any] = {name: _with(getattr(state, name), variables) for name, variables in loaded.items()}
    for average, (name, part) in _averages(state).items():
        changes[average] = loaded[name] if part is None else loaded[name][part]
    return step, state.replace(**changes)


def _networks(state: Any) -> dict[str, Any]:
    """Returns name of a player -> its variables, or their moving average if the state keeps one."""
    networks = {name: player.variables for name, player in _players(state).items()}
    for average, (name, part) in _averages(state).items():
        value = getattr(state, average)
        networks[name] = value if part is None else {**networks[name], part: value}
    return networks


def _players(state: Any) -> dict[str, Player]:
    fields = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    return {name: value for name, value in fields.items() if isinstance(value, Player)}


def _averages(state: Any) -> dict[str, tuple[str, str | None]]:
    """Returns field -> the player of which it is a moving average, and the collection; None: of all its variables."""
    players = _players(state)
    found: dict[str, tuple[str, str | None]] = {}
    for field in {field.name for field in dataclasses.fields(state)} - players.keys():
        mine = shapes(getattr(state, field))
        for name, player in players.items():
            if mine == shapes(player.variables):
                found[field] = (name, None)
            elif mine == shapes(player.params):
                found[field] = (name, "params")
    return found


def _with(player: Player, variables: dict[str, Any]) -> Player:
    extra = {name: value for name, value in variables.items() if name not in ("params", "batch_stats")}
    return player.replace(params=variables["params"], batch_stats=variables["batch_stats"], extra=extra)


def _named(networks: dict[str, Any]) -> dict[str, Any]:
    return {_name(place): leaf for place, leaf in jax.tree_util.tree_leaves_with_path(networks)}


def _name(place: Any) -> str:
    return jax.tree_util.keystr(place, simple=True, separator=".")
