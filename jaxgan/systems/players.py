"""A player: one network and its optimiser, and the helpers that every system's step is made of."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from jaxgan import models
from jaxgan.host.errors import UserError


class Player(struct.PyTreeNode):
    """One network and its optimiser.

    Attributes:
      params: the network's parameters.
      batch_stats: its running statistics; empty where nothing is normalised.
      opt_state: the optimiser's state.
      extra: further collections of the network's variables by name, such as the vectors of spectral normalisation.
        Empty, it has no leaves, so that states without any keep their digest.
    """

    params: Any
    batch_stats: Any
    opt_state: Any
    extra: Any = struct.field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Any]:
        """What the network's `apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats, **self.extra}

    def with_collections(self, collections: Mapping[str, Any]) -> "Player":
        """Returns the player with the collections that a training pass has updated; see `apply`."""
        extra = {name: value for name, value in collections.items() if name != "batch_stats"}
        return self.replace(batch_stats=collections["batch_stats"], extra=extra)


def new_player(key: jax.Array, network: models.Network, optimizer: optax.GradientTransformation) -> Player:
    """Initialises a network and its optimiser.

    Args:
      key: of the initial weights.
      network: a Linen module with `input_shapes`.
      optimizer: an optax transformation.
    """
    variables = models.init(network, key)
    extra = {name: value for name, value in variables.items() if name not in ("params", "batch_stats")}
    return Player(variables["params"], variables["batch_stats"], optimizer.init(variables["params"]), extra)


def with_networks_of(state: Any, other: Any) -> Any:
    """Gives the players of a state the networks of another state; their optimisers stay as they are.

    A moving average begins at that of the other state, or at its generator where it has none.

    Args:
      state: a dataclass some of whose fields are players.
      other: a state of the same networks, of any settings besides.

    Raises:
      UserError: if the networks are others; the message names the first.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(state):
        mine, theirs = getattr(state, field.name), getattr(other, field.name, None)
        if isinstance(mine, Player):
            if not isinstance(theirs, Player) or shapes(mine.variables) != shapes(theirs.variables):
                raise UserError(f"the {field.name} there is another network, or of other sizes, than this run's")
            changes[field.name] = mine.replace(params=theirs.params, batch_stats=theirs.batch_stats, extra=theirs.extra)
    if getattr(state, "average", None) is not None:
        average = getattr(other, "average", None)
        changes["average"] = other.generator.variables if average is None else average
    return state.replace(**changes)


def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each array of a tree by its path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves}


def apply(network: models.Network, variables: Mapping[str, Any], *inputs: Any, **options: Any) -> tuple[Any, Any]:
    """Applies a network in training mode.

    Args:
      network: a Linen module.
      variables: its variables; every collection but "params" may be updated.
      *inputs: the network's inputs.
      **options: further arguments of `apply`, such as `rngs`.

    Returns:
      The output, and the collections after the pass, by name; a collection that the network does not touch is empty
      or as it was.
    """
    mutable = [name for name in variables if name != "params"]
    output, updates = network.apply(dict(variables), *inputs, train=True, mutable=mutable, **options)
    kept = {name: variables[name] for name in mutable if name != "batch_stats"}
    return output, {"batch_stats": {}, **kept, **updates}


def update(player: Player, gradient: Any, optimizer: optax.GradientTransformation, axis_name: str | None) -> Player:
    """Takes one step of a player's optimiser along the gradient averaged over all devices."""
    gradient = mean_over_devices(gradient, axis_name)
    with jax.named_scope("optimizer"):  # for profiles and for benchmarks.compile; it computes nothing
        updates, opt_state = optimizer.update(gradient, player.opt_state, player.params)
        params = optax.apply_updates(player.params, updates)
    return player.replace(params=params, opt_state=opt_state)


def mean_over_devices(tree: Any, axis_name: str | None) -> Any:
    """Averages each leaf over the devices of a mapped axis, if there is one."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def moving_average(average: Any, variables: Any, decay: float, step: jax.Array) -> Any:
    """Moves an average towards new variables; quickly at first, so that it forgets the random start.

    Args:
      average: the average before.
      variables: the new values, a tree of the same structure.
      decay: the decay that is reached in the end, in [0, 1).
      step: steps taken so far, int32; the decay is at most (1 + step) / (10 + step).
    """
    steps = step.astype(jnp.float32)
    bounded = jnp.minimum(decay, (1.0 + steps) / (10.0 + steps))
    return optax.incremental_update(variables, average, 1.0 - bounded)
