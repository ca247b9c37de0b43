"""Networks as StableHLO programs with their weights inside, for any number of pictures, on CPU, CUDA and TPU.

`jax.export.deserialize(content).call(latents)` runs one, with JAX alone: neither Flax nor jaxgan is needed.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.models import Network, inference
from jaxgan.ops import pixels

PLATFORMS = ("cpu", "cuda", "tpu")


def pack_generator(network: Network, variables: Any, *, pixel_type: str = "float") -> bytes:
    """Packs a generator: latents float32 (n, latent_dim), and a condition (n, condition_dim) -> pictures (n, H, W, C).

    Args:
      network: the generator.
      variables: its variables, which become constants of the program.
      pixel_type: "float" for pictures in [−1, 1], float32; "bytes" for 0 to 255, uint8.
    """

    def generate(z: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        images = inference.apply(network, variables, z, condition)
        return pixels.quantize(images) if pixel_type == "bytes" else images.astype(jnp.float32)

    return _packed(generate, network, jnp.float32)


def pack_discriminator(network: Network, variables: Any, *, pixel_type: str = "float") -> bytes:
    """Packs a discriminator: pictures (n, H, W, C), and a condition (n, condition_dim) -> logits float32 (n,).

    Args:
      network: the discriminator.
      variables: its variables, which become constants of the program.
      pixel_type: "float" if it is to take pictures in [−1, 1], float32; "bytes" for 0 to 255, uint8.
    """

    def judge(images: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        x = pixels.normalize(images) if pixel_type == "bytes" else images
        return inference.apply(network, variables, x, condition).astype(jnp.float32)

    return _packed(judge, network, jnp.uint8 if pixel_type == "bytes" else jnp.float32)


def _packed(function: Any, network: Network, dtype: Any) -> bytes:
    (count,) = jax.export.symbolic_shape("n")
    first, *conditions = network.input_shapes
    inputs = [jax.ShapeDtypeStruct((count, *first), dtype)]
    inputs += [jax.ShapeDtypeStruct((count, *shape), jnp.float32) for shape in conditions]
    return bytes(jax.export.export(jax.jit(function), platforms=PLATFORMS)(*inputs).serialize())
