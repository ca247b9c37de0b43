"""Interpolated conditions: what no picture of the data has, between what two of them have.

The generator also learns from means of two examples' conditions, for which there are no real pictures. In its own step
the discriminator does not see them. Every third example of the generator's step is such a one, so that an example's
place in the global batch does not depend on the number of devices.

Reference:
  Reed et al., "Generative Adversarial Text to Image Synthesis", 2016, section 4.3 (GAN-INT), with β = ½ and, as in the
  authors' code, half as many interpolated conditions as given ones, which weigh as much.
"""

import jax
import jax.numpy as jnp

from jaxgan.host.errors import UserError
from jaxgan.systems import negatives


def means(key: jax.Array, conditions: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Returns the mean of every second example's condition and that of another example.

    Args:
      key: of the choice of the others.
      conditions: this device's share, (n, c), n even.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      (n / 2, c).

    Raises:
      UserError: if n is odd, or the batch has a single example.
    """
    if len(conditions) % 2:
        raise UserError(
            f"--interpolate_conditions: takes every second picture of a device's share, which is {len(conditions)};"
            " change --batch_size"
        )
    return 0.5 * (conditions + negatives.rotated(key, conditions, axis_name))[::2]


def joined(given: jax.Array, between: jax.Array) -> jax.Array:
    """Puts one of `between` (n / 2, …) behind every two of `given` (n, …): (3 n / 2, …)."""
    pairs = given.reshape(len(between), 2, *given.shape[1:])
    return jnp.concatenate([pairs, between[:, None]], axis=1).reshape(-1, *given.shape[1:])


def given_of(examples: jax.Array) -> jax.Array:
    """Returns the first two of every three of `joined`: (3 n / 2, …) -> (n, …)."""
    return examples.reshape(-1, 3, *examples.shape[1:])[:, :2].reshape(-1, *examples.shape[1:])
