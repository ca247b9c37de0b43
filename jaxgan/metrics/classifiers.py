"""A small convolutional classifier whose last hidden layer provides features of pictures, and its training."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from jaxgan.data import order
from jaxgan.data.heads import Head
from jaxgan.host.progress import bar
from jaxgan.metrics.spoiling import KINDS, spoil_some
from jaxgan.models import layers
from jaxgan.ops import pixels

Variables = Mapping[str, Any]

FEATURES = 128
"""Number of features of a classifier."""


class Classifier(nn.Module):
    """Strided convolutions down to 8×8 or less, a hidden layer of features and a linear layer of logits.

    Attributes:
      classes: number of logits, over all heads.
      features: number of features.
      widths: channels after each halving of the picture; the last entry is used for all further halvings.
    """

    classes: int
    features: int = FEATURES
    widths: Sequence[int] = (32, 64)

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Maps pictures to features and logits.

        Args:
          images: (N, H, W, C), uint8 or floats in [-1, 1].
          train: whether batch normalisation uses the statistics of the batch and updates the running ones.

        Returns:
          Non-negative features (N, features) and logits (N, classes).
        """
        x = pixels.normalize(images)
        stage = 0
        while max(x.shape[1:3]) > 8 or stage == 0:
            x = self._block(x, self.widths[min(stage, len(self.widths) - 1)], train, kernel_size=4, stride=2)
            stage += 1
        x = self._block(x, self.widths[-1], train, kernel_size=3, stride=1)
        x = layers.Dense(self.features, use_bias=False, name="hidden")(x.reshape(len(x), -1))
        features = nn.relu(layers.BatchNorm()(x, train=train))
        return features, layers.Dense(self.classes, name="logits")(features)

    def _block(self, x: jax.Array, width: int, train: bool, *, kernel_size: int, stride: int) -> jax.Array:
        x = layers.Conv(width, kernel_size=kernel_size, stride=stride, padding=1, use_bias=False)(x)
        return nn.relu(layers.BatchNorm()(x, train=train))


@dataclass(frozen=True)
class ClassifierRecipe:
    """Training settings of a classifier: AdamW on the cross-entropy of each head, with randomly shifted pictures.

    Attributes:
      epochs: passes over the training pictures.
      batch_size: pictures per step.
      learning_rate: peak learning rate, reached after a fifth of the steps; it then falls to 0 along a cosine.
      weight_decay: weight decay of AdamW.
      shift: maximum shift of a picture along each axis, in pixels.
      spoil: whether half of the pictures are spoilt, each in one of several ways, and a further head learns to tell
        how: the features then see how well pictures are drawn, and not only what they show.
      seed: random seed of the initial weights, the order and the shifts.
    """

    epochs: int = 4
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    shift: int = 1
    spoil: bool = True
    seed: int = 0


class TrainingState(NamedTuple):
    """State that a training step updates."""

    key: jax.Array
    variables: Variables
    optimizer_state: optax.OptState


def train_classifier(
    images: np.ndarray,
    conditions: np.ndarray,
    heads: Sequence[Head],
    recipe: ClassifierRecipe,
    *,
    progress: bool = True,
) -> Variables:
    """Trains a classifier. The same arguments give bitwise identical weights on the same machine.

    Args:
      images: (N, H, W, C) uint8.
      conditions: (N, c) uint8 multi-hot. An example with no class in a head does not train that head.
      heads: the heads of the classifier.
      recipe: the training settings.
      progress: whether to show a progress bar.

    Returns:
      {"params": ..., "batch_stats": ...} of a `Classifier` with c classes, or with `recipe.spoil` c + 7: the last ones
      are the kinds of `jaxgan.metrics.spoiling`.

    Raises:
      ValueError: if there are fewer pictures than a batch holds.
    """
    steps = recipe.epochs * len(images) // recipe.batch_size
    if not steps:
        raise ValueError(f"{len(images)} pictures do not fill a batch of {recipe.batch_size}")
    module = Classifier(conditions.shape[1] + (len(KINDS) if recipe.spoil else 0))
    init_key, key = jax.random.split(jax.random.key(recipe.seed))
    variables = _init(module, init_key, images[:1])
    optimizer_state = _optimizer(recipe.weight_decay).init(variables["params"])
    state = TrainingState(key, variables, optimizer_state)
    learning_rate = _learning_rate(recipe, steps)
    batches = _batches(images, conditions, recipe, steps)
    with bar(batches, "training the feature network", total=steps, shown=progress) as watched:
        for number, batch in enumerate(watched):
            rate = np.float32(learning_rate(number))
            state = _train_step(module, tuple(heads), recipe, state, number, rate, *batch)
    return jax.device_get(state.variables)


@partial(jax.jit, static_argnums=0)
def _init(module: Classifier, key: jax.Array, images: jax.Array) -> Variables:
    return module.init(key, images, train=False)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _train_step(
    module: Classifier,
    heads: tuple[Head, ...],
    recipe: ClassifierRecipe,
    state: TrainingState,
    number: jax.Array,
    learning_rate: jax.Array,
    images: jax.Array,
    conditions: jax.Array,
) -> TrainingState:
    key = jax.random.fold_in(state.key, number)
    shown, targets = _shift(key, images, recipe.shift), conditions
    if recipe.spoil:
        shown, kinds = spoil_some(jax.random.fold_in(key, 1), pixels.normalize(shown))
        heads += (Head("spoiling", KINDS, conditions.shape[1]),)
        targets = jnp.concatenate([conditions.astype(kinds.dtype), kinds], axis=1)

    def loss_of(params: Any) -> tuple[jax.Array, Variables]:
        variables = {**state.variables, "params": params}
        (_, logits), updated = module.apply(variables, shown, train=True, mutable=["batch_stats"])
        losses = [_cross_entropy(logits[:, head.columns], targets[:, head.columns]) for head in heads]
        return jnp.sum(jnp.stack(losses)), updated

    params = state.variables["params"]
    gradients, updated = jax.grad(loss_of, has_aux=True)(params)
    updates, optimizer_state = _optimizer(recipe.weight_decay).update(gradients, state.optimizer_state, params)
    params = jax.tree.map(lambda param, update: param - learning_rate * update, params, updates)
    return TrainingState(state.key, {"params": params, **updated}, optimizer_state)


def _optimizer(weight_decay: float) -> optax.GradientTransformation:
    """Returns AdamW without its learning rate, which varies from step to step."""
    return optax.chain(optax.scale_by_adam(), optax.add_decayed_weights(weight_decay))


def _cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Returns the mean cross-entropy over the batch. A row of zeros names no class and contributes nothing."""
    return jnp.mean(optax.softmax_cross_entropy(logits, targets.astype(logits.dtype)))


def _shift(key: jax.Array, images: jax.Array, limit: int) -> jax.Array:
    """Shifts each picture by up to `limit` pixels along each axis, repeating the border pixels."""
    if limit == 0:
        return images
    padded = jnp.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)), mode="edge")
    starts = jax.random.randint(key, (len(images), 2), 0, 2 * limit + 1)
    cut = jax.vmap(lambda image, start: jax.lax.dynamic_slice(image, (start[0], start[1], 0), images.shape[1:]))
    return cut(padded, starts)


def _batches(
    images: np.ndarray, conditions: np.ndarray, recipe: ClassifierRecipe, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for step in range(steps):
        chosen = order.indices(recipe.seed, step * recipe.batch_size, recipe.batch_size, len(images))
        chosen.sort()  # a memory map is read faster in ascending order
        yield images[chosen], conditions[chosen]


def _learning_rate(recipe: ClassifierRecipe, steps: int) -> Callable[[int], float]:
    """Returns a schedule that rises linearly over a fifth of the steps, then falls along a cosine."""
    rise = max(steps // 5, 1)

    def rate(step: int) -> float:
        if step < rise:
            return recipe.learning_rate * (step + 1) / rise
        return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))

    return rate
