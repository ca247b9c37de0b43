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
from jaxgan.ops.augment import bilinear


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
        _scaling(1 - 2 * gated("flip"), jnp.ones_like(scale)),
        _rotation(0.5 * np.pi * gated("quarter_turns")),
        _translation(-jnp.round(gated("whole_shift") * side)),
        _scaling(1 / scale, 1 / scale),
        _rotation(gated("rotation_before", turning)),
        _scaling(1 / stretch, stretch),
        _rotation(gated("rotation_after", turning)),
        _translation(-0.125 * gated("shift") * side),
    )
    return functools.reduce(_product, steps)


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
    return functools.reduce(lambda before, after: _product(_linear(after), before), steps, brighter)


def warp(images: jax.Array, matrices: jax.Array) -> jax.Array:
    """Reads each pixel of the result where it comes from, bilinearly, with mirrors at the edges.

    Args:
      images: (N, H, W, C).
      matrices: (N, 3, 3), from (x, y, 1) in the result to where it is in the image; both about the centre, in pixels.

    Returns:
      (N, H, W, C), in the dtype of the images.
    """
    height, width = images.shape[1:3]
    rows, columns = (jnp.arange(side, dtype=matrices.dtype) - (side - 1) / 2 for side in (height, width))
    y, x = jnp.meshgrid(rows, columns, indexing="ij")

    def one(image: jax.Array, matrix: jax.Array) -> jax.Array:
        source_x, source_y = (line[0] * x + line[1] * y + line[2] for line in matrix[:2])
        return bilinear(
            image, _mirrored(source_y + (height - 1) / 2, height), _mirrored(source_x + (width - 1) / 2, width)
        )

    return jax.vmap(one)(images, matrices)


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


def _mirrored(position: jax.Array, length: int) -> jax.Array:
    """Reflects positions about the first and the last pixel, until they are from 0 to length − 1."""
    if length == 1:
        return jnp.zeros_like(position)
    position = jnp.mod(position, 2 * (length - 1))
    return jnp.minimum(position, 2 * (length - 1) - position)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiplies matrices (N, n, n) without the rounding that some accelerators do by default."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _linear(matrices: jax.Array) -> jax.Array:
    """Puts linear maps of colours (N, 3, 3) into matrices (N, 4, 4)."""
    return jnp.pad(matrices, ((0, 0), (0, 1), (0, 1))).at[:, 3, 3].set(1.0)


def _rotation(angle: jax.Array) -> jax.Array:
    """Returns where the pixels of pictures come from that are turned anticlockwise by angles (N,): (N, 3, 3)."""
    cos, sin, zero, one = jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle), jnp.ones_like(angle)
    return _stacked([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])


def _scaling(x: jax.Array, y: jax.Array) -> jax.Array:
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    return _stacked([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def _translation(shift: jax.Array) -> jax.Array:
    x, y = shift[:, 0], shift[:, 1]
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    return _stacked([[one, zero, x], [zero, one, y], [zero, zero, one]])


def _stacked(rows: list[list[jax.Array]]) -> jax.Array:
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
