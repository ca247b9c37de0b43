"""What the networks are really given while a compiled step runs."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgan.models import GAN


class Calls(dict):
    """By player, the inputs of each call since the last ``take``, and the greatest weight at each call."""

    def take(self) -> dict[str, list]:
        """What was noted so far; the notes start anew."""
        jax.effects_barrier()
        taken = {player: list(calls) for player, calls in self.items()}
        for calls in self.values():
            calls.clear()
        return taken


@contextlib.contextmanager
def recorded(gan: GAN, *, grid: float | None = None):
    """Steps compiled inside the context note their networks' inputs and greatest weights every time they run.

    A call with several conditions for each picture is noted as one call for each of them.

    With ``grid`` the noise is rounded to multiples of it before the generator gets it, which makes it the same on every
    machine.
    """
    calls = Calls(generator=[], discriminator=[], generator_bound=[], discriminator_bound=[])
    players = {type(gan.generator): "generator", type(gan.discriminator): "discriminator"}

    def note(player, bound, *inputs):
        x, *y = [np.array(values) for values in inputs]
        several = np.moveaxis(y[0], 1, 0) if y and y[0].ndim == 3 else None
        calls[player] += [[x, *y]] if several is None else [[x, condition] for condition in several]
        calls[f"{player}_bound"].append(np.array(bound))

    def intercept(call, arguments, options, context):
        player = players.get(type(context.module))
        if player is None or context.method_name != "__call__":
            return call(*arguments, **options)
        if grid is not None and player == "generator":
            arguments = (jnp.round(arguments[0] / grid) * grid, *arguments[1:])
        weights = jax.tree.leaves(context.module.variables["params"])
        bound = functools.reduce(jnp.maximum, [jnp.abs(weight).max() for weight in weights])
        jax.debug.callback(functools.partial(note, player), bound, *arguments, ordered=True)
        return call(*arguments, **options)

    with nn.intercept_methods(intercept):
        yield calls
