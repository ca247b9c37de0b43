"""Conversion of pixels between uint8, as stored and transferred, and floats in [−1, 1], as inside the networks."""

import jax
import jax.numpy as jnp


def normalize(images: jax.Array) -> jax.Array:
    """Maps pixels 0..255 to float32 in [−1, 1], as (x − 127.5) / 127.5. Floating-point images are returned unchanged.

    Raises:
      TypeError: if the images are neither uint8 nor floating-point.
    """
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    if images.dtype != jnp.uint8:
        raise TypeError(f"images must be uint8 or floating-point in [-1, 1], got {images.dtype}")
    return (images.astype(jnp.float32) - 127.5) / 127.5


def quantize(images: jax.Array) -> jax.Array:
    """Rounds floats in [−1, 1] to uint8; the inverse of `normalize` on every byte."""
    scaled = jnp.round(images.astype(jnp.float32) * 127.5 + 127.5)
    return jnp.clip(scaled, 0, 255).astype(jnp.uint8)
