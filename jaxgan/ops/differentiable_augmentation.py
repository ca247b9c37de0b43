"""DiffAugment: augmentation of all that the discriminator sees, through which the generator still learns.

Every operation is a differentiable function of the pictures (N, H, W, C) and of its draws, one an example. Nothing is
clipped to [−1, 1]: the gradient would stop there. Pictures keep their dtype.

The policy "affine" is not of the paper: it is for shapes that stay what they are when they are turned a little, leant
or stretched, such as digits.

Reference:
  Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, and its code.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgan.host.errors import UserError
from jaxgan.ops import noise
from jaxgan.ops.affine_maps import leaning, product, rotation, scaling, translation, warp
from jaxgan.ops.augment import Augmentation

Change = Callable[[jax.Array, jax.Array], jax.Array]


def policies_of(text: str | None) -> tuple[str, ...]:
    """Reads policies with commas between, such as "color,cutout"; () of None.

    Raises:
      UserError: for one that there is not.
    """
    policies = tuple(policy.strip() for policy in text.split(",")) if text is not None else ()
    for policy in policies:
        if policy not in POLICIES:
            raise UserError(f"--diffaugment={text}: {policy!r} is none of {', '.join(POLICIES)}")
    return policies


def build(policies: Sequence[str]) -> Augmentation | None:
    """Returns the augmentation that applies some policies in order, or None without any.

    Args:
      policies: keys of `POLICIES`, such as ("color", "translation", "cutout").

    Returns:
      (key, images (N, H, W, C), axis_name) -> images; each call has draws of its own.

    Raises:
      KeyError: for another policy.
    """
    changes = [POLICIES[policy] for policy in policies]
    if not changes:
        return None

    def augment(key: jax.Array, images: jax.Array, axis_name: str | None) -> jax.Array:
        keys = noise.example_keys(key, images.shape[0], axis_name)
        for index, change in enumerate(changes):
            images = change(images, jax.vmap(lambda one, index=index: jax.random.fold_in(one, index))(keys))
        return images

    return augment


def brightness(images: jax.Array, shift: jax.Array) -> jax.Array:
    """Adds a number to each picture: x + shift, shift (N,)."""
    return images + _of_example(shift, images)


def saturation(images: jax.Array, factor: jax.Array) -> jax.Array:
    """Scales the distance of each pixel from its mean over the channels: factor (N,)."""
    return _scale_about(images, jnp.mean(images, axis=3, keepdims=True), factor)


def contrast(images: jax.Array, factor: jax.Array) -> jax.Array:
    """Scales the distance of each picture from its mean over all pixels and channels: factor (N,)."""
    return _scale_about(images, jnp.mean(images, axis=(1, 2, 3), keepdims=True), factor)


def translate(images: jax.Array, shifts: jax.Array, *, limits: tuple[int, int]) -> jax.Array:
    """Moves each picture by whole pixels, and fills with zeros.

    Args:
      images: (N, H, W, C).
      shifts: pixels downwards and to the right, int32 (N, 2).
      limits: the largest shift along each axis, as absolute values.
    """
    (down, right), (height, width, channels) = limits, images.shape[1:]
    padded = jnp.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))

    # A slice an example is a copy of long runs in both directions of differentiation; an index a pixel would not be.
    def cut(image: jax.Array, shift: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (down - shift[0], right - shift[1], 0), (height, width, channels))

    return jax.vmap(cut)(padded, shifts)


def cutout(images: jax.Array, centers: jax.Array, *, size: tuple[int, int]) -> jax.Array:
    """Sets a rectangle of each picture to zero.

    Args:
      images: (N, H, W, C).
      centers: int32 (N, 2). The rectangle begins half of its size (rounded down) above and to the left of it; what lies
        outside of the picture is ignored.
      size: height and width of the rectangle.
    """

    def inside(center: jax.Array, side: int, length: int) -> jax.Array:
        distance = jnp.arange(length) - (center[:, None] - side // 2)
        return (distance >= 0) & (distance < side)

    rows, columns = (inside(centers[:, axis], size[axis], images.shape[1 + axis]) for axis in (0, 1))
    return jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], 0, images)


def _color(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Draws and applies brightness U(−½, ½), then saturation U(0, 2), then contrast U(½, 3/2)."""
    keys = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
    for one, change, bounds in zip(
        keys, (brightness, saturation, contrast), ((-0.5, 0.5), (0.0, 2.0), (0.5, 1.5)), strict=True
    ):
        images = change(images, uniform(one, *bounds))
    return images


def _translation(images: jax.Array, keys: jax.Array, share: float = 0.125) -> jax.Array:
    """Draws and applies a translation of up to an eighth of each side, in whole pixels."""
    limits = (_part(images.shape[1], share), _part(images.shape[2], share))
    shifts = _integers(keys, (-limits[0], -limits[1]), (limits[0] + 1, limits[1] + 1))
    return translate(images, shifts, limits=limits)


def _cutout(images: jax.Array, keys: jax.Array, share: float = 0.5) -> jax.Array:
    """Draws and cuts out a rectangle of half of each side, whose centre may lie at the edge."""
    size = (_part(images.shape[1], share), _part(images.shape[2], share))
    ends = (images.shape[1] + 1 - size[0] % 2, images.shape[2] + 1 - size[1] % 2)
    return cutout(images, _integers(keys, (0, 0), ends), size=size)


def affine(images: jax.Array, draws: jax.Array) -> jax.Array:
    """Turns, leans, stretches and shifts each picture, read bilinearly, with mirrors at the edges.

    Args:
      images: (N, H, W, C).
      draws: (N, 6), from −1 to 1: of the turn, of up to 20 degrees; of the lean, by up to 0.3 pixels a row; of the
        stretch of width and of height, by up to 20 percent; of the shift to the right and downwards, by up to a
        sixteenth of each side.
    """
    height, width = images.shape[1:3]
    wider, higher = 1.2 ** draws[:, 2:4].T
    steps = (
        translation(-draws[:, 4:] * jnp.array([width, height], draws.dtype) / 16),
        rotation(jnp.deg2rad(20.0) * draws[:, 0]),
        leaning(0.3 * draws[:, 1]),
        scaling(1 / wider, 1 / higher),
    )
    # Where a pixel comes from: the shift is undone first, the stretch last.
    return warp(images, functools.reduce(lambda before, step: product(step, before), steps))


def _affine(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Draws and applies `affine`."""
    return affine(images, jax.vmap(lambda key: jax.random.uniform(key, (6,), minval=-1.0, maxval=1.0))(keys))


POLICIES: dict[str, Change] = {"color": _color, "translation": _translation, "cutout": _cutout, "affine": _affine}
"""What each policy does: (images, a key an example) -> images."""


def uniform(keys: jax.Array, low: float, high: float) -> jax.Array:
    """Draws one number of U(low, high) for each key: float32 (N,)."""
    return jax.vmap(functools.partial(jax.random.uniform, minval=low, maxval=high))(keys)


def _integers(keys: jax.Array, low: tuple[int, int], end: tuple[int, int]) -> jax.Array:
    """Draws two integers from low to end − 1 for each key: int32 (N, 2)."""
    return jax.vmap(lambda key: jax.random.randint(key, (2,), jnp.array(low), jnp.array(end)))(keys)


def _part(length: int, share: float) -> int:
    return int(length * share + 0.5)


def _of_example(values: jax.Array, images: jax.Array) -> jax.Array:
    return values[:, None, None, None].astype(images.dtype)


def _scale_about(images: jax.Array, center: jax.Array, factor: jax.Array) -> jax.Array:
    return (images - center) * _of_example(factor, images) + center
