"""The training step of a style transformer: state, rules, the step, and what it makes of pictures.

Everything here is a pure function of arrays and an explicit key. The feature network and the style picture are
constants of the step: a state has neither, so that a trained one paints without them.

Reference:
  Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxgan.models.feature_maps import FeatureMaps
from jaxgan.models.style_transformer import StyleTransformer
from jaxgan.ops import pixels
from jaxgan.systems.batches import check_batch, only_batch
from jaxgan.systems.players import Player, apply, mean_over_devices, new_player, update
from jaxgan.systems.style_losses import Objective

Metrics = dict[str, jax.Array]


class StyleState(struct.PyTreeNode):
    """Everything that a run must keep to go on exactly as if it had never stopped.

    Attributes:
      step: steps taken, int32.
      key: the key of the whole run. Nothing is drawn after the initial weights.
      transformer: the network and its optimiser.
    """

    step: jax.Array
    key: jax.Array
    transformer: Player


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a style transformer is trained by.

    Attributes:
      transformer: maps pictures to pictures.
      optimizer: an optax transformation.
      features: the network whose maps are compared.
      style: () -> the style picture, (1, H, W, C), uint8 or in [−1, 1]; read when a step is first traced.
      objective: what is minimised.
    """

    transformer: StyleTransformer
    optimizer: optax.GradientTransformation
    features: FeatureMaps
    style: Callable[[], np.ndarray]
    objective: Objective

    def constants(self) -> tuple[Any, jax.Array]:
        """Returns the variables of the feature network and the style picture in [−1, 1].

        Without the barrier XLA would compute what follows from them while it compiles, which takes longer.
        """
        fixed = self.features.variables(), pixels.normalize(jnp.asarray(self.style()))
        barred: tuple[Any, jax.Array] = jax.lax.optimization_barrier(fixed)
        return barred


def init_state(key: jax.Array, rules: Rules) -> StyleState:
    """Returns the state before the first step."""
    transformer_key, run_key = jax.random.split(key)
    return StyleState(
        jnp.zeros((), jnp.int32), run_key, new_player(transformer_key, rules.transformer, rules.optimizer)
    )


def train_step(
    state: StyleState, batch: Mapping[str, jax.Array], rules: Rules, axis_name: str | None = None
) -> tuple[StyleState, Metrics]:
    """Takes one step down the loss of what the transformer makes of the pictures.

    Args:
      state: the state before the step; the same on every device.
      batch: "image" with shape (1, N, H, W, C) or (N, H, W, C), uint8 or floating-point in [−1, 1]. N is this device's
        share.
      rules: what to train by.
      axis_name: the mapped axis over which the global batch is split, if any.

    Returns:
      The state after the step, and metrics, scalars of the whole global batch, from before the step: "loss", which is
      minimised, and its terms without their weights, "content", "style" and "total_variation".

    Raises:
      UserError: if the batch is not what the network takes.
      ValueError: for more than one batch.
    """
    check_batch(batch, rules.transformer.image_shape)
    images = pixels.normalize(only_batch(batch["image"], "style transfer"))

    def loss(params: Any) -> tuple[jax.Array, Metrics]:
        made, _ = apply(rules.transformer, {"params": params, "batch_stats": {}}, images)
        return losses_of(rules, made, images)

    gradient, metrics = jax.grad(loss, has_aux=True)(state.transformer.params)
    player = update(state.transformer, gradient, rules.optimizer, axis_name)
    return state.replace(step=state.step + 1, transformer=player), mean_over_devices(metrics, axis_name)


def losses_of(rules: Rules, made: jax.Array, images: jax.Array) -> tuple[jax.Array, Metrics]:
    """Computes what is minimised, and the metrics of `train_step`.

    Args:
      rules: for the features, the style and the objective.
      made: pictures in the style, (N, H, W, C).
      images: those that they were made of, in [−1, 1].
    """
    variables, style = rules.constants()
    objective, features = rules.objective, rules.features
    content = objective.content_of(features, variables, images)
    grams = objective.style_of(features, variables, style)
    maps = features.apply(variables, made, objective.layers)
    total, terms = objective(maps, made, content, grams)
    return total, {"loss": total, **terms}


def paint(transformer: StyleTransformer, params: Any, images: jax.Array) -> jax.Array:
    """Paints pictures (N, H, W, C), uint8 or in [−1, 1], in the style; returns the same shape, mostly in [−1, 1]."""
    made, _ = apply(transformer, {"params": params, "batch_stats": {}}, pixels.normalize(images))
    return made
