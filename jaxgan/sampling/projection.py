"""Latent projection: the search for the latent whose picture is closest to a given one.

Reference:
  Zhu, Krähenbühl, Shechtman and Efros, "Generative Visual Manipulation on the Natural Image Manifold", 2016, §3.1; here
  with several starts, and with the distance of the pixels only.
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

_REPORTED = 25  # steps between reports


class Projection(NamedTuple):
    """Result of a projection.

    Attributes:
      z: (latent_dim,) float32.
      candidate: index of the candidate from which the descent started, and whose condition it has.
      picture: uint8 (H, W, C), the generator's picture of z.
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
    """Finds the latent whose picture is closest to the target, by gradient descent (Adam) from the best candidates.

    The same arguments give the same latent. Every point of a descent is evaluated except the last, and the best is
    kept, so the result is never worse than the best candidate. If pictures depend on their batch (`wgan_anime` always
    normalises by its batch), the final picture, made alone, may differ from the one that was evaluated.

    Args:
      generator: the generator.
      variables: the generator's variables.
      target: uint8 (H, W, C), of the generator's shape.
      z: candidates, (N, latent_dim).
      condition: (N, condition_dim) for conditional networks; each candidate keeps its own.
      starts: number of candidates, the closest ones, from which to descend.
      steps: number of descent steps.
      learning_rate: initial learning rate; it falls to 0 along a cosine.
      report: called with the number of steps since its last call.

    Raises:
      ValueError: if the target has another shape, or there are no starts, steps or candidates.
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
    """Learning rate as numbers, which are hashable, so that a descent is compiled once per rate."""

    first: float
    steps: int

    def adam(self) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.first, self.steps))


class _Descent(NamedTuple):
    """State of the descents: their latents, Adam's state, the best latents so far and their losses."""

    z: jax.Array
    optimizer_state: Any
    nearest: jax.Array
    least: jax.Array


@functools.partial(jax.jit, static_argnums=0)
def _losses(
    generator: Network, variables: Any, target: jax.Array, z: jax.Array, condition: jax.Array | None
) -> jax.Array:
    """Returns the mean square difference of each latent's picture from the target, (N,)."""
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
        return jnp.sum(losses), losses  # the gradient of the sum is, for each start, that of its own loss

    def step(_: int, state: _Descent) -> _Descent:
        gradient, losses = jax.grad(loss, has_aux=True)(state.z)
        better = losses < state.least
        nearest = jnp.where(better[:, None], state.z, state.nearest)
        updates, optimizer_state = rate.adam().update(gradient, state.optimizer_state)
        moved: Any = optax.apply_updates(state.z, updates)
        return _Descent(moved, optimizer_state, nearest, jnp.where(better, losses, state.least))

    return jax.lax.fori_loop(0, count, step, state)
