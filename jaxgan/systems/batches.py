"""The check of a batch at the door of a training step, in words; what is traced costs the compiled step nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.host.errors import UserError, printable

FARTHEST = 2.0  # of floats in [−1, 1], with room for what an augmentation adds

Shape = tuple[int, ...]


def check_batch(
    batch: Any, image_shape: Shape, condition_dim: int = 0, *, pictures: Sequence[str] = ("image",)
) -> None:
    """Checks that a batch is what a step of these networks takes.

    Args:
      batch: "image" with shape (batches, N, H, W, C) or (N, H, W, C), uint8 or floating-point in [−1, 1]; with
        conditions also "condition", (batches, N, condition_dim) or (N, condition_dim).
      image_shape: (H, W, C) of the networks.
      condition_dim: length of their condition; 0 without.
      pictures: the arrays that are pictures of this shape, such as "image" and "input" of pairs.

    Raises:
      UserError: if it is not; the message says how it becomes one. The range of floats is known only outside of `jit`.
    """
    if not isinstance(batch, Mapping):
        found = f"an array of shape {np.shape(batch)}" if hasattr(batch, "shape") else f"a {type(batch).__name__}"
        raise UserError(f'batch: must be a dictionary, not {found}; give {{"image": pictures}}')
    for name in pictures:
        if name not in batch:
            keys = ", ".join(printable(repr(key)) for key in batch) or "nothing"
            raise UserError(f'batch: has no "{name}", but {keys}; give {{"{name}": pictures}}')
        _check_images(name, batch[name], image_shape)
    if condition_dim:
        _check_condition(batch, condition_dim)
    elif "condition" in batch:
        raise UserError(
            'batch: the networks take no condition; leave "condition" out, or build them with condition_dim'
        )


def check_sources(batch: Any, names: Sequence[str]) -> None:
    """Raises a UserError if a batch of several sources lacks one of them, or is no dictionary."""
    lacking = [name for name in names if not isinstance(batch, Mapping) or name not in batch]
    if lacking:
        parts = ", ".join(f'"{name}": {{"image": …}}' for name in names)
        raise UserError(f'batch: has no "{lacking[0]}"; give {{{parts}}}')


def only_batch(images: jax.Array, system: str) -> jax.Array:
    """Returns the batch of a step that takes one: (1, N, H, W, C) or (N, H, W, C) -> (N, H, W, C).

    Raises:
      ValueError: for more than one batch; the message names the system.
    """
    if images.ndim == 4:
        return images
    if len(images) != 1:
        raise ValueError(f"{system} takes one batch a step, got {len(images)}")
    return images[0]


def _check_images(name: str, images: Any, image_shape: Shape) -> None:
    dtype = getattr(images, "dtype", None)
    if dtype is None:
        raise UserError(f'batch["{name}"]: must be an array, not a {type(images).__name__}; give numpy.asarray of it')
    shape = tuple(images.shape)
    if shape[-3:] != image_shape or len(shape) not in (4, 5):
        raise UserError(f'batch["{name}"]: has the shape {shape}; {_way_to(image_shape, shape)}')
    if 0 in shape:
        raise UserError(f'batch["{name}"]: of shape {shape} has nothing in it; give at least one picture')
    if dtype != np.uint8 and not jnp.issubdtype(dtype, jnp.floating):
        raise UserError(f'batch["{name}"]: must be uint8, or floats in [-1, 1], not {dtype}; give astype(numpy.uint8)')
    if dtype != np.uint8 and not isinstance(images, jax.core.Tracer):
        largest = float(jnp.max(jnp.abs(images)))
        if largest > FARTHEST:
            way_out = "give uint8, or x / 127.5 - 1"
            raise UserError(f'batch["{name}"]: floats must be in [-1, 1], and these go to {largest:g}; {way_out}')


def _way_to(wanted: Shape, shape: Shape) -> str:
    """Says what would make pictures of a shape those that the networks take."""
    height, width, channels = wanted
    if len(shape) in (4, 5) and shape[-3:] == (channels, height, width):
        return "channels come last: give numpy.moveaxis(pictures, -3, -1)"
    if channels == 1 and shape[-2:] == (height, width):
        return "a grey picture has an axis for its one channel: give pictures[..., None]"
    if shape == wanted:
        return "this is one picture alone: give pictures[None]"
    if len(shape) in (4, 5):
        return f"the networks take pictures of shape {wanted}: resize these, or build networks for them"
    return f"give (N, {height}, {width}, {channels})"


def _check_condition(batch: Mapping[str, Any], condition_dim: int) -> None:
    if "condition" not in batch:
        raise UserError(f'batch: the networks take a condition; give "condition" too, of shape (N, {condition_dim})')
    wanted = (*batch["image"].shape[:-3], condition_dim)
    found = np.shape(batch["condition"])
    if found == wanted[:-1]:
        way_out = f"labels become numpy.eye({condition_dim})[labels]"
        raise UserError(f'batch["condition"]: has the shape {found}, not {wanted}; {way_out}')
    if found != wanted:
        raise UserError(f'batch["condition"]: has the shape {found}, and must have {wanted}, beside those pictures')
