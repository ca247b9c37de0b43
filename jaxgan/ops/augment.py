"""Random augmentation of images on the device, with one PRNG key per example."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgan.ops import noise

Augmentation = Callable[[jax.Array, jax.Array, str | None], jax.Array]


def build(*, flip: bool = False, rotation: float = 0.0) -> Augmentation | None:
    """Returns an augmentation, or None if it would change nothing.

    Args:
      flip: whether to mirror left and right with probability ½.
      rotation: bound of the rotation in degrees; angles are drawn from U(−rotation, rotation).

    Returns:
      (key, images (N, H, W, C) in [−1, 1], axis_name) -> images.
    """
    if not flip and not rotation:
        return None

    def augment(key: jax.Array, images: jax.Array, axis_name: str | None) -> jax.Array:
        keys = noise.example_keys(key, images.shape[0], axis_name)
        flip_keys, angle_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        if flip:
            mirrored = jax.vmap(jax.random.bernoulli)(flip_keys)
            images = jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
        if rotation:
            dtype = jnp.promote_types(images.dtype, jnp.float32)
            draw = functools.partial(jax.random.uniform, dtype=dtype, minval=-rotation, maxval=rotation)
            images = jax.vmap(rotate)(images, jax.vmap(draw)(angle_keys))
        return images

    return augment


def rotate(image: jax.Array, degrees: jax.Array) -> jax.Array:
    """Rotates an image (H, W, C) anticlockwise about its centre, bilinearly, repeating the nearest edge outside.

    The dtype of the image is kept. Coordinates are computed in the dtype of the angle, which must be floating-point.
    """
    height, width = image.shape[:2]
    angle = jnp.deg2rad(degrees)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rows, columns = (jnp.arange(side, dtype=degrees.dtype) - (side - 1) / 2 for side in (height, width))
    y, x = jnp.meshgrid(rows, columns, indexing="ij")
    source_y = jnp.clip(cos * y + sin * x + (height - 1) / 2, 0, height - 1)
    source_x = jnp.clip(cos * x - sin * y + (width - 1) / 2, 0, width - 1)
    return bilinear(image, source_y, source_x)


def bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Reads an image (H, W, C) at coordinates y from 0 to H − 1 and x from 0 to W − 1, between pixels bilinearly.

    Args:
      image: (H, W, C).
      y: rows, of any shape (h, w).
      x: columns, of the same shape.

    Returns:
      (h, w, C), in the dtype of the image.
    """
    height, width, channels = image.shape
    top = jnp.clip(jnp.floor(y), 0, max(height - 2, 0)).astype(jnp.int32)
    left = jnp.clip(jnp.floor(x), 0, max(width - 2, 0)).astype(jnp.int32)
    down, right = (y - top)[..., None], (x - left)[..., None]
    flat = image.reshape(-1, channels)

    def at(row: jax.Array, column: jax.Array) -> jax.Array:
        return flat[jnp.minimum(row, height - 1) * width + jnp.minimum(column, width - 1)]

    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return (upper * (1 - down) + lower * down).astype(image.dtype)


def add_noise(key: jax.Array, images: jax.Array, axis_name: str | None, *, std: jax.Array) -> jax.Array:
    """Adds N(0, std²) to every value of the images (N, H, W, C), a draw of its own an example; nothing where std is 0.

    Reference:
      Sønderby et al., "Amortised MAP Inference for Image Super-resolution", 2017, section 3.2 (instance noise);
      Arjovsky and Bottou, "Towards Principled Methods for Training Generative Adversarial Networks", 2017.
    """

    def noisy(images: jax.Array) -> jax.Array:
        keys = noise.example_keys(key, images.shape[0], axis_name)
        drawn = jax.vmap(lambda one: jax.random.normal(one, images.shape[1:], jnp.float32))(keys)
        return images + (std * drawn).astype(images.dtype)

    return jax.lax.cond(std > 0, noisy, lambda images: images, images)


def chain(augmentations: Sequence[Augmentation]) -> Augmentation | None:
    """Returns the augmentation that applies several in order, each with a key of its own; None for none."""
    if len(augmentations) < 2:
        return augmentations[0] if augmentations else None

    def augment(key: jax.Array, images: jax.Array, axis_name: str | None) -> jax.Array:
        for index, one in enumerate(augmentations):
            images = one(jax.random.fold_in(key, index), images, axis_name)
        return images

    return augment
