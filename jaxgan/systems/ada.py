"""ADA: how often pictures are augmented follows from how sure the discriminator is of the real ones."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct


@dataclasses.dataclass(frozen=True)
class AdaptiveAugmentation:
    """How the probability of augmentations is adjusted.

    Attributes:
      target: of the mean sign of the logits of real pictures; above it, the probability rises.
      images: number of real pictures, in thousands, in which it may rise from 0 to 1.
      every: steps between two adjustments.
    """

    target: float = 0.6
    images: float = 500.0
    every: int = 4


class ADAState(struct.PyTreeNode):
    """The probability, and what has been seen since it was last adjusted.

    Attributes:
      probability: of each augmentation, float32 in [0, 1].
      signs: sum of the signs of the logits of real pictures, float32.
      count: number of these logits, float32.
    """

    probability: jax.Array
    signs: jax.Array
    count: jax.Array

    @classmethod
    def start(cls) -> "ADAState":
        """Returns the state before the first step: no augmentation."""
        return cls(*(jnp.zeros((), jnp.float32) for _ in range(3)))


def adjusted(
    state: ADAState, rule: AdaptiveAugmentation, mean_sign: jax.Array, count: int, step: jax.Array
) -> ADAState:
    """Counts what the discriminator said of real pictures in a step; adjusts the probability when its turn has come.

    The probability stays in [0, 1]. In the authors' code it may grow further, which changes no picture, but keeps it
    from coming back in time.

    Args:
      state: before the step.
      rule: how it is adjusted.
      mean_sign: mean sign of the logits of the real pictures of the global batch.
      count: number of these pictures.
      step: the number of the step, from 0.

    Returns:
      The state after the step.

    Reference:
      Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, section 3.1 (r_t).
    """
    signs, total = state.signs + mean_sign * count, state.count + count
    move = jnp.sign(signs / total - rule.target) * total / (rule.images * 1000)
    now = (step + 1) % rule.every == 0
    return ADAState(
        probability=jnp.where(now, jnp.clip(state.probability + move, 0, 1), state.probability),
        signs=jnp.where(now, 0.0, signs),
        count=jnp.where(now, 0.0, total),
    )
