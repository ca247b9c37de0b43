"""Stylisation: the search for a picture with the content of one picture and the style of another.

features = feature_maps.build("random_vgg", content.shape)
objective = Objective(features.content, features.style, style_weight=10.0)
found = stylise(content, style, features, objective)

Reference:
  Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks", 2016.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.host.errors import UserError
from jaxgan.models.feature_maps import FeatureMaps
from jaxgan.ops import pixels
from jaxgan.systems.style_losses import Maps, Objective

INITS = ("content", "noise", "style")
OPTIMIZERS = ("lbfgs", "adam")
MEMORY = 20  # former gradients that L-BFGS keeps

_DIVERGED = "--style_weight: the picture is not finite after {} steps; give smaller weights, or --normalize_layers"


class Stylisation(NamedTuple):
    """Result of a search.

    Attributes:
      picture: uint8 (H, W, C).
      losses: what was minimised, before each step, (steps,).
      before: the losses of the picture that the search began with, by name: "loss", the weighted sum, and its terms
        "content", "style" and "total_variation".
      after: those of the result.
    """

    picture: np.ndarray
    losses: np.ndarray
    before: Mapping[str, float]
    after: Mapping[str, float]


def stylise(
    content: np.ndarray,
    style: np.ndarray,
    features: FeatureMaps,
    objective: Objective,
    *,
    init: str = "content",
    optimizer: str = "lbfgs",
    steps: int = 200,
    learning_rate: float = 0.02,
    seed: int = 0,
    report: Callable[[float], object] = lambda loss: None,
) -> Stylisation:
    """Finds the picture by going down the objective's gradient. The same arguments give the same picture.

    Pixels are free to leave [−1, 1] on the way, and are cut off at the end: a bound inside of the objective would have
    no gradient beyond it, which leads L-BFGS astray.

    Args:
      content: uint8 (H, W, C).
      style: uint8 (h, w, C), of any size.
      features: the network whose maps are compared.
      objective: what is minimised.
      init: the picture to begin with: "content"; "noise", uniform in [−1, 1]; or "style", resized.
      optimizer: "lbfgs", with a line search, or "adam".
      steps: of the optimiser. One of L-BFGS looks at the objective once or several times.
      learning_rate: of Adam, of pixels in [−1, 1].
      seed: of the noise.
      report: called after each step with the loss before it.

    Raises:
      UserError: if the objective or the picture becomes infinite.
      ValueError: for an unknown word, or pictures of other shapes.
    """
    if init not in INITS or optimizer not in OPTIMIZERS or steps < 1:
        raise ValueError(f"init {init!r}, optimizer {optimizer!r}, steps {steps}: see INITS and OPTIMIZERS")
    if content.ndim != 3 or style.ndim != 3 or content.shape[-1] != style.shape[-1]:
        raise ValueError(f"pictures must have the shape (H, W, C) with the same C: {content.shape}, {style.shape}")
    variables = features.variables()
    wanted = pixels.normalize(jnp.asarray(content))[None]
    targets = _targets(features, objective, variables, wanted, pixels.normalize(jnp.asarray(style))[None])
    image = _beginning(wanted, pixels.normalize(jnp.asarray(style)), init, seed)
    before = _terms(features, objective, image, variables, targets)
    state, losses = _optimizer(optimizer, learning_rate).init(image), []
    for _ in range(steps):
        image, state, loss = _step(features, objective, optimizer, learning_rate, image, state, variables, targets)
        losses.append(float(loss))
        if not np.isfinite(losses[-1]):
            raise UserError(_DIVERGED.format(len(losses) - 1))
        report(losses[-1])
    if not bool(jnp.isfinite(image).all()):
        raise UserError(_DIVERGED.format(steps))
    picture = np.asarray(pixels.quantize(image[0]))
    after = _terms(features, objective, pixels.normalize(jnp.asarray(picture))[None], variables, targets)
    return Stylisation(
        picture, np.array(losses), *({name: float(term) for name, term in terms.items()} for terms in (before, after))
    )


def image_loss(
    image: jax.Array, features: FeatureMaps, objective: Objective, variables: Any, targets: tuple[Maps, Maps]
) -> tuple[jax.Array, Maps]:
    """Computes the objective of a picture, and its terms.

    Args:
      image: (1, H, W, C) in [−1, 1].
      features: the network whose maps are compared.
      objective: what is computed.
      variables: of the network.
      targets: the maps of the content picture, and the Gram matrices of the style picture, by layer.
    """
    maps = features.apply(variables, image, objective.layers)
    total, terms = objective(maps, image, *targets)
    return total, {"loss": total, **terms}


@functools.partial(jax.jit, static_argnums=(0, 1))
def _targets(
    features: FeatureMaps, objective: Objective, variables: Any, content: jax.Array, style: jax.Array
) -> tuple[Maps, Maps]:
    return objective.content_of(features, variables, content), objective.style_of(features, variables, style)


def _beginning(content: jax.Array, style: jax.Array, init: str, seed: int) -> jax.Array:
    if init == "noise":
        return jax.random.uniform(jax.random.key(seed), content.shape, content.dtype, -1.0, 1.0)
    return jax.image.resize(style[None], content.shape, "cubic") if init == "style" else content


def _optimizer(name: str, learning_rate: float) -> Any:
    return optax.lbfgs(memory_size=MEMORY) if name == "lbfgs" else optax.adam(learning_rate)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _step(
    features: FeatureMaps,
    objective: Objective,
    optimizer: str,
    learning_rate: float,
    image: jax.Array,
    state: Any,
    variables: Any,
    targets: tuple[Maps, Maps],
) -> tuple[jax.Array, Any, jax.Array]:
    """Takes a step; returns the picture, the state, and the loss before the step."""
    method = _optimizer(optimizer, learning_rate)

    def loss(image: jax.Array) -> jax.Array:
        return image_loss(image, features, objective, variables, targets)[0]

    if optimizer == "lbfgs":  # its line search has looked at the picture already
        value, gradient = optax.value_and_grad_from_state(loss)(image, state=state)
        updates, state = method.update(gradient, state, image, value=value, grad=gradient, value_fn=loss)
    else:
        value, gradient = jax.value_and_grad(loss)(image)
        updates, state = method.update(gradient, state, image)
    return optax.apply_updates(image, updates), state, value


@functools.partial(jax.jit, static_argnums=(0, 1))
def _terms(
    features: FeatureMaps, objective: Objective, image: jax.Array, variables: Any, targets: tuple[Maps, Maps]
) -> Maps:
    return image_loss(image, features, objective, variables, targets)[1]
