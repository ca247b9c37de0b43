"""Projection into styles: the search for the styles whose picture is closest to a given one.

Reference:
  Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, appendix D, for one style of all layers
  (w); Abdal, Qin and Wonka, "Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?", 2019, for one of
  each layer (w+). Here the noise of the layers stays the generator's fixed one, where the former searches for it too,
  and the features are those of any network.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxgan.models.stylegan2 import Generator
from jaxgan.ops import pixels

SPACES = ("w", "w+")
NOISE = 0.05  # of the styles, at the first step, as a share of their spread
NOISY = 0.75  # share of the steps that have noise
RISE, FALL = 0.05, 0.25  # shares of the steps in which the learning rate rises and falls

Features = Callable[[jax.Array], jax.Array]
"""Pictures (N, H, W, C) in [−1, 1] -> features (N, d), with gradients."""


class StyleProjection(NamedTuple):
    """Result of a projection.

    Attributes:
      ws: the style of each layer, (styles, latent_dim) float32.
      picture: uint8 (H, W, C), the generator's picture of them.
      difference: root mean square difference from the target, of pixels in [−1, 1].
    """

    ws: np.ndarray
    picture: np.ndarray
    difference: float


def steps_of(space: str, steps: int) -> int:
    """Returns how many steps `project` takes in all: into w+ it goes by way of w."""
    return steps * (1 + SPACES.index(space))


def project(
    generator: Generator,
    variables: Any,
    target: np.ndarray,
    styles: ArrayLike,
    key: jax.Array,
    *,
    space: str = "w",
    features: Features | None = None,
    feature_weight: float = 0.1,
    steps: int = 300,
    learning_rate: float = 0.1,
    report: Callable[[int], object] = lambda steps: None,
) -> StyleProjection:
    """Finds the styles whose picture is closest to the target, by Adam from the average style. Arguments decide it all.

    In w noise that dies out is added to the style, which helps it out of shallow local minima. In w+ the descent
    begins at what was found in w, without noise. Points without noise are compared, the average style among them, and
    the closest is kept: w+ is never worse than w, and w no worse than the average.

    Args:
      generator: of StyleGAN2.
      variables: the generator's variables.
      target: uint8 (H, W, C), of the generator's shape.
      styles: many of the generator's, (N, latent_dim): their average is where it begins, their spread the noise's unit.
      key: of the noise.
      space: "w", one style for all layers, or "w+", one for each.
      features: what is compared beside the pixels; None: nothing.
      feature_weight: of the mean square difference of features, relative to the mean square of the target's.
      steps: in each of the spaces.
      learning_rate: the highest; it rises in the first twentieth of the steps and falls in the last quarter.
      report: called with the number of steps since its last call.

    Raises:
      ValueError: for another shape or space, or without steps or styles.
    """
    styles = jnp.asarray(styles, jnp.float32)
    if space not in SPACES or steps < 1 or len(styles) < 1:
        raise ValueError(f"space {space!r} of {SPACES}, steps {steps} and styles {len(styles)}: at least 1 each")
    if target.shape != generator.image_shape:
        raise ValueError(f"the target has shape {target.shape}, and the generator makes {generator.image_shape}")
    average = jnp.mean(styles, axis=0)
    spread = jnp.sqrt(jnp.mean(jnp.sum((styles - average) ** 2, axis=1)))
    descent = _Descent(generator, features, feature_weight, learning_rate, steps)
    wanted = descent.aim(pixels.normalize(jnp.asarray(target))[None])
    found = average[None]
    for kind in SPACES[: 1 + SPACES.index(space)]:
        noise = NOISE * spread if kind == "w" else jnp.zeros(())
        start = found if kind == "w" else jnp.broadcast_to(found, (generator.styles, found.shape[1]))
        state = _State(start, descent.adam().init(start), start, jnp.inf)
        for done in range(0, steps, _REPORTED):
            count = min(_REPORTED, steps - done)
            state = _descend(descent, variables, wanted, key, noise, state, done, count)
            report(count)
        found = _last(descent, variables, wanted, state)
    ws = jnp.broadcast_to(found, (generator.styles, found.shape[1]))
    image = descent.draw(variables, ws)
    difference = float(jnp.sqrt(jnp.mean((image - wanted[0]) ** 2)))
    return StyleProjection(np.asarray(ws), np.asarray(pixels.quantize(image[0])), difference)


def noise_at(share: ArrayLike) -> jax.Array:
    """Returns the factor of the noise after this share of the steps: falls from 1 along a parabola to 0 at NOISY."""
    return jnp.maximum(0.0, 1.0 - jnp.asarray(share) / NOISY) ** 2


def rate_at(share: ArrayLike) -> jax.Array:
    """Returns the factor of the learning rate after this share of the steps: up a line, and down a cosine to 0."""
    rising = jnp.minimum(1.0, jnp.asarray(share) / RISE)
    left = jnp.clip((1.0 - jnp.asarray(share)) / FALL, 0.0, 1.0)
    return rising * (0.5 - 0.5 * jnp.cos(jnp.pi * left))


_REPORTED = 25  # steps between reports

Target = tuple[jax.Array, jax.Array | None]
"""A picture, (1, H, W, C) in [−1, 1], and its features, (1, d), if any are compared."""


class _State(NamedTuple):
    """State of a descent: the styles, (1 or styles, latent_dim), Adam's state, the closest styles and their loss."""

    ws: jax.Array
    optimizer_state: Any
    nearest: jax.Array
    least: Any


class _Descent(NamedTuple):
    """What a descent goes by; hashable, so that it is compiled once."""

    generator: Generator
    features: Features | None
    feature_weight: float
    learning_rate: float
    steps: int

    def adam(self) -> optax.GradientTransformation:
        # Counted from 1, so that the first step has a rate already.
        return optax.adam(lambda step: self.learning_rate * rate_at((step + 1) / (self.steps + 1)))

    def aim(self, picture: jax.Array) -> Target:
        return picture, None if self.features is None else self.features(picture)

    def draw(self, variables: Any, ws: jax.Array) -> jax.Array:
        every = jnp.broadcast_to(ws, (self.generator.styles, ws.shape[1]))[None]
        image: Any = self.generator.apply(variables, every, method="synthesize")
        return jnp.clip(image.astype(jnp.float32), -1.0, 1.0)

    def loss(self, ws: jax.Array, variables: Any, wanted: Target) -> jax.Array:
        every = jnp.broadcast_to(ws, (self.generator.styles, ws.shape[1]))[None]
        drawn: Any = self.generator.apply(variables, every, method="synthesize")
        image = drawn.astype(jnp.float32)  # not cut off at ±1, where a gradient would end
        loss = jnp.mean((image - wanted[0]) ** 2)
        if self.features is None or wanted[1] is None:
            return loss
        distance = jnp.mean((self.features(image) - wanted[1]) ** 2)
        return loss + self.feature_weight * distance / (jnp.mean(wanted[1] ** 2) + 1e-8)


@functools.partial(jax.jit, static_argnums=0)
def _descend(
    descent: _Descent,
    variables: Any,
    wanted: Target,
    key: jax.Array,
    noise: jax.Array,
    state: _State,
    done: jax.Array,
    count: jax.Array,
) -> _State:
    def step(number: jax.Array, state: _State) -> _State:
        amount = noise * noise_at(number / descent.steps)
        moved = state.ws + amount * jax.random.normal(jax.random.fold_in(key, number), state.ws.shape)
        loss, gradient = jax.value_and_grad(descent.loss)(moved, variables, wanted)
        # The loss under noise is not that of the style itself; only the first, before any step, is looked at apart.
        better = (loss < state.least) & (amount == 0.0)
        updates, optimizer_state = descent.adam().update(gradient, state.optimizer_state)
        return _State(
            optax.apply_updates(state.ws, updates),
            optimizer_state,
            jnp.where(better, state.ws, state.nearest),
            jnp.where(better, loss, state.least),
        )

    state = state._replace(least=jnp.where(done == 0, descent.loss(state.nearest, variables, wanted), state.least))
    return jax.lax.fori_loop(done, done + count, step, state)


@functools.partial(jax.jit, static_argnums=0)
def _last(descent: _Descent, variables: Any, wanted: Target, state: _State) -> jax.Array:
    """Returns the closest styles, those after the last step among them."""
    return jnp.where(descent.loss(state.ws, variables, wanted) < state.least, state.ws, state.nearest)
