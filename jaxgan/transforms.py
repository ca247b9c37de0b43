"""Optax gradient transformations that Optax itself does not have."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def clip_params(limit: float) -> optax.GradientTransformation:
    """Clips the parameters, not the updates: after `optax.apply_updates` every parameter lies in [−limit, limit].

    The transformation replaces an update u of a parameter p by clip(p + u) − p, so it must be the LAST in a chain and
    needs `params` in `update`. Rounding of this difference could leave p + u slightly outside, by a unit in the last
    place. Such updates are moved inwards, so that the bound holds exactly for any initial parameters. Use
    `optax.masked` to restrict it to some parameters.

    Args:
      limit: bound c > 0; 0.01 for the original WGAN.

    Raises:
      ValueError: if the limit is not positive, or `update` is called without params.

    Reference:
      Arjovsky et al., "Wasserstein GAN", 2017, algorithm 1, line 7.
    """
    if not limit > 0:
        raise ValueError(f"clip_params needs a limit above 0, got {limit}")

    def clip(update: jax.Array, param: jax.Array) -> jax.Array:
        bound = np.asarray(limit, param.dtype)
        if float(bound) > limit:  # rounded up
            bound = np.nextafter(bound, np.zeros_like(bound))
        update = (jnp.clip(param + update, -bound, bound) - param).astype(param.dtype)
        above, below = param + update - bound, -bound - (param + update)
        # Twice the overshoot suffices if |p| ≤ limit. If p starts far outside, the overshoot may be below the spacing
        # of floats near the update; then the next float is taken.
        lowered = jnp.minimum(update - 2 * above, jnp.nextafter(update, -jnp.inf))
        raised = jnp.maximum(update + 2 * below, jnp.nextafter(update, jnp.inf))
        return jnp.where(above > 0, lowered, jnp.where(below > 0, raised, update))

    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        if params is None:
            raise ValueError("clip_params needs the parameters: call update(updates, state, params)")
        return jax.tree.map(clip, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update_fn)


def replace_nonfinite(limit: float = 1e5) -> optax.GradientTransformation:
    """Replaces what is not finite in a gradient: NaN by 0, infinities by ±limit. It stands first in a chain.

    Args:
      limit: what takes the place of infinity.

    Reference:
      The authors' code of StyleGAN2-ADA.
    """

    def finite(update: jax.Array) -> jax.Array:
        return jnp.nan_to_num(update, nan=0.0, posinf=limit, neginf=-limit)

    return optax.stateless(lambda updates, params: jax.tree.map(finite, updates))
