"""ADA's augmentation: flips, rotations, scales, shifts and colours, each of which happens with probability p.

All geometry of a picture is one affine map, read bilinearly where it comes from; beyond its edges the picture is
mirrored. All colours are one matrix. So a picture is resampled once, and the generator's gradient comes through.

It differs from the authors' in the resampling, which they do at twice the size with wavelet filters, and leaves out the
filters, noise and cutout that they found to be of little use.

Reference:
  Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.ops import noise
from jaxgan.ops.affine_maps import product, rotation, scaling, translation, warp


class Draw(NamedTuple):
    """The random numbers of one operation.

    Attributes:
      gate: the operation happens where this is below its probability; U(0, 1), (N,).
      value: how strong it is, (N,) or (N, 2).
    """

    gate: jax.Array
    value: jax.Array


_ANGLE = functools.partial(jax.random.uniform, minval=-np.pi, maxval=np.pi)

OPERATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "flip": jax.random.bernoulli,
    "quarter_turns": lambda key: jax.random.randint(key, (), 0, 4),
    "whole_shift": lambda key: jax.random.uniform(key, (2,), minval=-0.125, maxval=0.125),
    "scale": jax.random.normal,
    "rotation_before": _ANGLE,
    "stretch": jax.random.normal,
    "rotation_after": _ANGLE,
    "shift": lambda key: jax.random.normal(key, (2,)),
    "brightness": jax.random.normal,
    "contrast": jax.random.normal,
    "luma_flip": jax.random.bernoulli,
    "hue": _ANGLE,
    "saturation": jax.random.normal,
}
"""How the value of each operation is drawn, in the order in which they are applied."""


def augment(key: jax.Array, images: jax.Array, axis_name: str | None, *, probability: jax.Array) -> jax.Array:
    """Augments images (N, H, W, C) of one or three channels, each operation with a probability; none at 0.

    Nothing is clipped to [−1, 1]. The dtype is kept.

    Raises:
      ValueError: for another number of channels.
    """
    if images.shape[3] not in (1, 3):
        raise ValueError(f"colours are turned in pictures of 1 or 3 channels, not of {images.shape[3]}")

    def change(images: jax.Array) -> jax.Array:
        draws = draw(noise.example_keys(key, images.shape[0], axis_name))
        moved = warp(images, geometry(draws, probability, (images.shape[1], images.shape[2])))
        return recolor(moved, colors(draws, probability))

    return jax.lax.cond(probability > 0, change, lambda images: images, images)


def draw(keys: jax.Array) -> dict[str, Draw]:
    """Draws the random numbers of every operation for each of the keys (N,)."""

    def one(key: jax.Array) -> dict[str, Draw]:
        found = {}
        for index, (name, value) in enumerate(OPERATIONS.items()):
            gate_key, value_key = jax.random.split(jax.random.fold_in(key, index))
            found[name] = Draw(jax.random.uniform(gate_key), value(value_key))
        return found

    return jax.vmap(one)(keys)


def geometry(draws: dict[str, Draw], probability: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Returns where each pixel of the result comes from: matrices (N, 3, 3) on (x, y, 1) about the centre, in pixels.

    Args:
      draws: of the operations.
      probability: of each; of a rotation before and one after the stretch, at least one happens with this probability.
        Turns and rotations are anticlockwise.
      size: height and width of the pictures.
    """
    height, width = size
    side = np.array([width, height])
    # The two rotations are independent, and at least one of them happens with the probability p.
    turning = 1 - jnp.sqrt(1 - jnp.clip(probability, 0, 1))

    def gated(name: str, chance: jax.Array = probability) -> jax.Array:
        gate, value = draws[name]
        return _where(gate < chance, value)

    scale, stretch = jnp.exp2(0.2 * gated("scale")), jnp.exp2(0.2 * gated("stretch"))
    steps = (
        scaling(1 - 2 * gated("flip"), jnp.ones_like(scale)),
        rotation(0.5 * np.pi * gated("quarter_turns")),
        translation(-jnp.round(gated("whole_shift") * side)),
        scaling(1 / scale, 1 / scale),
        rotation(gated("rotation_before", turning)),
        scaling(1 / stretch, stretch),
        rotation(gated("rotation_after", turning)),
        translation(-0.125 * gated("shift") * side),
    )
    return functools.reduce(product, steps)


def colors(draws: dict[str, Draw], probability: jax.Array) -> jax.Array:
    """Returns matrices (N, 4, 4) on (red, green, blue, 1); the axis of grey is the luma axis."""

    def gated(name: str) -> jax.Array:
        gate, value = draws[name]
        return _where(gate < probability, value)[:, None, None]

    grey = np.full((3, 3), 1 / 3)  # the projection onto the luma axis v: v vᵀ
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)  # v ×
    unit, hue = np.eye(3), gated("hue")
    brighter = _linear(0 * hue + unit).at[:, :3, 3:].set(0.2 * gated("brightness"))
    steps = (
        jnp.exp2(0.5 * gated("contrast")) * unit,
        unit - 2 * grey * gated("luma_flip"),
        grey + jnp.cos(hue) * (unit - grey) + jnp.sin(hue) * across,
        grey + jnp.exp2(gated("saturation")) * (unit - grey),
    )
    return functools.reduce(lambda before, after: product(_linear(after), before), steps, brighter)


def recolor(images: jax.Array, matrices: jax.Array) -> jax.Array:
    """Applies matrices (N, 4, 4) on (red, green, blue, 1) to images (N, H, W, C); to grey ones what is left of them."""
    matrices = matrices.astype(images.dtype)[:, None, None]
    if images.shape[3] == 1:
        mean = jnp.mean(matrices[..., :3, :], axis=-2, keepdims=True)
        return images * jnp.sum(mean[..., :3], axis=-1) + mean[..., 3]
    parts = [images[..., channel : channel + 1] * matrices[..., :3, channel] for channel in range(3)]
    return parts[0] + parts[1] + parts[2] + matrices[..., :3, 3]


def _where(happens: jax.Array, value: jax.Array) -> jax.Array:
    """Returns values (N, …) where something happens (N,), and zeros elsewhere, as floats."""
    value = value.astype(jnp.promote_types(value.dtype, jnp.result_type(float)))
    return jnp.where(happens.reshape(happens.shape + (1,) * (value.ndim - 1)), value, 0)


def _linear(matrices: jax.Array) -> jax.Array:
    """Puts linear maps of colours (N, 3, 3) into matrices (N, 4, 4)."""
    return jnp.pad(matrices, ((0, 0), (0, 1), (0, 1))).at[:, 3, 3].set(1.0)
