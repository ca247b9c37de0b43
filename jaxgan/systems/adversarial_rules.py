"""The rules of the two-player game: everything in which the systems that play it differ."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax

from jaxgan import models, transforms
from jaxgan.systems.ada import AdaptiveAugmentation

Augmentation = Callable[[jax.Array, jax.Array, str | None], jax.Array]
Judge = Callable[[jax.Array], jax.Array]
Penalty = Callable[[Judge, jax.Array, jax.Array, jax.Array, str | None], jax.Array]


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules of the game: everything in which the systems differ.

    Attributes:
      gan: the two networks.
      discriminator_loss: (real, fake) logits -> scalar; with `matching_aware` (real, wrong_condition, wrong_image,
        fake) logits -> scalar.
      generator_loss: logits of generated examples -> scalar.
      generator_optimizer: an optax transformation.
      discriminator_optimizer: an optax transformation; the bound `clip` is chained after it.
      critic_steps: discriminator steps per generator step.
      new_batch_each_critic_step: whether each discriminator step takes new pictures and noise (WGAN); otherwise all
        share one batch.
      reuse_noise: whether the generator's step uses the discriminator's noise too, which saves a forward pass of the
        generator.
      joint_batch: whether the discriminator sees real and generated examples as one batch, so that batch statistics are
        taken over both.
      matching_aware: whether the discriminator also sees real pictures under wrong conditions, and wrong pictures.
      wrong_attributes: the number of columns of each attribute of a condition, such as (12, 11) for hair and eyes: a
        wrong condition then differs in exactly one attribute. None: a wrong condition is another example's.
      interpolate: whether the generator also learns from means of two examples' conditions; see `interpolated`.
      class_weight: of the loss of the discriminator's auxiliary classifier in both players' losses; 0: it has none.
        Its metrics are "d_class", of real and generated examples together, and "g_class".
      class_kinds: as `losses.class_loss` takes them, for that loss.
      clip: bound of the discriminator's parameters, initially and after every step, or None.
      clip_normalization: whether the scales and biases of batch normalisation are clipped too.
      average_decay: decay of the moving average of the generator, or None for no average.
      augment: augmentation of the real pictures, (key, images in [−1, 1], axis_name) -> images, or None.
      augment_both: augmentation of all pictures that the discriminator sees, real and generated, in both players'
        steps: (key, images in [−1, 1], axis_name) -> images, differentiable, or None.
      discriminator_penalty: added to the discriminator's loss: (judge, real, fake, key, axis_name) -> scalar, or None.
        `judge` maps images (N, H, W, C) to logits (N,) under the real examples' conditions; both sets of pictures are
        passed as the discriminator sees them. Its metric is "d_penalty".
      penalty_every: critic steps between two evaluations of the penalty. Above 1 (a lazy penalty) it is multiplied by
        this number, and the optimiser takes a step of its own on it, after that of the critic step: with k steps
        between two, k + 1 updates take the place of k.
      ada: how the probability of an adaptive augmentation of all pictures is adjusted, or None. Its metric is "ada_p".
      instance_noise: standard deviation at first of the noise on all pictures that the discriminator sees; 0 for none.
      instance_noise_steps: steps in which it falls to 0 linearly.
      replay: number of former generated examples to keep, every second of which takes the place of a new one; or 0.
      top_k: share of generated examples, the best ones, from which the generator learns in the end; 1 for all.
      top_k_steps: steps in which that share falls from 1, geometrically.
      sync_batch_norm: whether batch statistics are taken over the global batch, or by each device over its own share.
      score: maps logits to the logged score: a probability (default), or the identity for critics.
    """

    gan: models.GAN
    discriminator_loss: Callable[..., jax.Array]
    generator_loss: Callable[[jax.Array], jax.Array]
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    critic_steps: int = 1
    new_batch_each_critic_step: bool = False
    reuse_noise: bool = False
    joint_batch: bool = False
    matching_aware: bool = False
    wrong_attributes: tuple[int, ...] | None = None
    interpolate: bool = False
    class_weight: float = 0.0
    class_kinds: tuple[int, ...] = ()
    clip: float | None = None
    clip_normalization: bool = True
    average_decay: float | None = None
    augment: Augmentation | None = None
    augment_both: Augmentation | None = None
    discriminator_penalty: Penalty | None = None
    penalty_every: int = 1
    ada: AdaptiveAugmentation | None = None
    instance_noise: float = 0.0
    instance_noise_steps: int = 1
    replay: int = 0
    top_k: float = 1.0
    top_k_steps: int = 1
    sync_batch_norm: bool = True
    score: Callable[[jax.Array], jax.Array] = jax.nn.sigmoid

    def __post_init__(self) -> None:
        if self.reuse_noise and self.new_batch_each_critic_step:
            raise ValueError("reuse_noise and new_batch_each_critic_step: noise of one batch cannot serve another")
        if self.matching_aware and not self.gan.condition_dim:
            raise ValueError("matching_aware: these networks take no condition")
        if self.interpolate and not self.gan.condition_dim:
            raise ValueError("interpolate: these networks take no condition")
        if self.class_weight and (self.matching_aware or not self.gan.condition_dim):
            raise ValueError("class_weight: the classifier learns from examples under their own conditions")

    @property
    def bounded_discriminator_optimizer(self) -> optax.GradientTransformation:
        """The discriminator's optimiser, followed by the bound if there is one."""
        if self.clip is None:
            return self.discriminator_optimizer
        bound = transforms.clip_params(self.clip)
        return optax.chain(
            self.discriminator_optimizer, bound if self.clip_normalization else optax.masked(bound, not_normalization)
        )


def not_normalization(params: Any) -> Any:
    """Returns a tree like `params`: True for every parameter outside batch normalisation."""
    return jax.tree_util.tree_map_with_path(lambda path, _: "BatchNorm" not in jax.tree_util.keystr(path), params)
