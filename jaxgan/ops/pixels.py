"""Pixels: bytes 0..255 on disk and on their way to the device, numbers in [−1, 1] inside the networks."""

import jax
import jax.numpy as jnp


def normalize(images: jax.Array) -> jax.Array:
    """Pixels 0..255 to float32 in [−1, 1], (x − 127.5) / 127.5; floating-point images are taken as normalised."""
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    if images.dtype != jnp.uint8:
        raise TypeError(f"images must be uint8 or floating-point in [-1, 1], got {images.dtype}")
    return (images.astype(jnp.float32) - 127.5) / 127.5


def quantize(images: jax.Array) -> jax.Array:
    """Numbers in [−1, 1] to uint8, rounded to the nearest; the inverse of `normalize` on every byte."""
    scaled = jnp.round(images.astype(jnp.float32) * 127.5 + 127.5)
    return jnp.clip(scaled, 0, 255).astype(jnp.uint8)
