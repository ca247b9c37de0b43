"""Latent projection: the noise whose picture comes nearest to a given one.

Source: Zhu, Krähenbühl, Shechtman and Efros, "Generative Visual Manipulation on the Natural Image Manifold" (2016),
§3.1; here from several starts, and in pixels alone.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxgan.models import Network
from jaxgan.models.inference import apply, chunks, generate
from jaxgan.ops import pixels

_REPORTED = 25  # steps to a report


class Projection(NamedTuple):
    """What was found.

    Attributes:
      z: (latent_dim,) float32.
      candidate: which of the candidates it began as, and whose condition it has.
      picture: uint8 (H, W, C), what the generator makes of z.
      difference: root mean square difference from the target, of pixels in [−1, 1].
    """

    z: np.ndarray
    candidate: int
    picture: np.ndarray
    difference: float


def project(
    generator: Network,
    variables: Any,
    target: np.ndarray,
    z: jax.Array,
    condition: ArrayLike | None = None,
    *,
    starts: int = 8,
    steps: int = 300,
    learning_rate: float = 0.1,
    report: Callable[[int], object] = lambda steps: None,
) -> Projection:
    """Looks for the latent whose picture is nearest to the target, by gradient descent (Adam) from the best candidates.

    The same arguments find the same latent. Every point that a start leaves is looked at, and the best is kept, so that
    the result is never worse than the best candidate; but where a picture depends on those that are made with it
    (`wgan_anime` always normalises by its batch), the picture alone may differ from the one that was looked at.

    Args:
      generator: the network that draws.
      variables: the generator's variables.
      target: uint8 (H, W, C), of the generator's shape.
      z: candidates, (N, latent_dim).
      condition: (N, condition_dim) for conditional networks; a candidate keeps its own.
      starts: how many of the candidates, the nearest, are descended from.
      steps: of descent.
      learning_rate: at the first step; it falls to 0 along a cosine.
      report: told of every so many steps taken.

    Raises:
      ValueError: if the target has another shape, or there is nothing to start from or no step to take.
    """
    if starts < 1 or steps < 1 or len(z) < 1:
        raise ValueError(f"starts, steps and candidates must be at least 1: {starts}, {steps}, {len(z)}")
    if target.shape != generator.image_shape:
        raise ValueError(f"the target has shape {target.shape}, and the generator makes {generator.image_shape}")
    wanted = pixels.normalize(jnp.asarray(target))
    conditions = None if condition is None else jnp.asarray(condition, jnp.float32)
    losses = [_losses(generator, variables, wanted, *part) for part in chunks(z, conditions)]
    chosen = np.argsort(np.concatenate(losses), kind="stable")[:starts]
    begun = z[chosen]
    its_condition = None if conditions is None else conditions[chosen]
    rate = _Rate(learning_rate, steps)
    state = _Descent(begun, rate.adam().init(begun), begun, jnp.full(len(chosen), jnp.inf))
    for done in range(0, steps, _REPORTED):
        count = min(_REPORTED, steps - done)
        state = _descend(generator, rate, variables, wanted, its_condition, state, count)
        report(count)
    winner = int(np.argmin(state.least))
    found = state.nearest[winner : winner + 1]
    picture = generate(generator, variables, found, None if its_condition is None else its_condition[winner, None])
    return Projection(np.asarray(found[0]), int(chosen[winner]), picture[0], float(np.sqrt(state.least[winner])))


class _Rate(NamedTuple):
    """The learning rate, as numbers, by which a compiled descent is found again."""

    first: float
    steps: int

    def adam(self) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.first, self.steps))


class _Descent(NamedTuple):
    """Where the descents are: their latents, Adam's memory, the best latents so far and their losses."""

    z: jax.Array
    optimizer_state: Any
    nearest: jax.Array
    least: jax.Array


@functools.partial(jax.jit, static_argnums=0)
def _losses(
    generator: Network, variables: Any, target: jax.Array, z: jax.Array, condition: jax.Array | None
) -> jax.Array:
    """Mean square difference of each latent's picture from the target, (N,)."""
    images = apply(generator, variables, z, condition)
    return jnp.mean((images.astype(jnp.float32) - target) ** 2, axis=(1, 2, 3))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _descend(
    generator: Network,
    rate: _Rate,
    variables: Any,
    target: jax.Array,
    condition: jax.Array | None,
    state: _Descent,
    count: jax.Array,
) -> _Descent:
    def loss(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        losses = _losses(generator, variables, target, z, condition)
        return jnp.sum(losses), losses  # a start's gradient is that of its own loss

    def step(_: int, state: _Descent) -> _Descent:
        gradient, losses = jax.grad(loss, has_aux=True)(state.z)
        better = losses < state.least
        nearest = jnp.where(better[:, None], state.z, state.nearest)
        updates, optimizer_state = rate.adam().update(gradient, state.optimizer_state)
        moved: Any = optax.apply_updates(state.z, updates)
        return _Descent(moved, optimizer_state, nearest, jnp.where(better, losses, state.least))

    return jax.lax.fori_loop(0, count, step, state)
