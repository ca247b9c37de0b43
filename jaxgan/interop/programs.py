"""Networks as functions of arrays alone, with their weights inside: what the formats of programs are made of."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.host.errors import UserError
from jaxgan.models import Network, inference
from jaxgan.ops import pixels


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of arrays with a batch axis.

    Attributes:
      function: takes the inputs in their order, returns one array.
      inputs: of each input the name, the shape without the batch axis, and the dtype.
      output: the name of what it returns.
    """

    function: Callable[..., jax.Array]
    inputs: tuple[tuple[str, tuple[int, ...], Any], ...]
    output: str

    def symbolic_inputs(self) -> list[jax.ShapeDtypeStruct]:
        """Returns what the function takes, for any number n of pictures.

        Raises:
          UserError: if the function needs to know the number.
        """
        (count,) = jax.export.symbolic_shape("n")
        inputs = [jax.ShapeDtypeStruct((count, *shape), dtype) for _, shape, dtype in self.inputs]
        try:
            jax.eval_shape(self.function, *inputs)
        except jax.errors.InconclusiveDimensionOperation as error:
            raise UserError(
                "this network compares the pictures of a batch with each other, so no program of it takes any number of"
                " them; export its weights, by --format=safetensors"
            ) from error
        return inputs


def generator(network: Network, variables: Any, *, pixel_type: str = "float") -> Program:
    """Makes a program of a generator: latents (n, latent_dim), and conditions if it has any -> pictures (n, H, W, C).

    Args:
      network: the generator.
      variables: its variables, which become constants of the program.
      pixel_type: "float" for pictures in [−1, 1], float32; "bytes" for 0 to 255, uint8.
    """

    def generate(z: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        images = inference.apply(network, variables, z, condition)
        return pixels.quantize(images) if pixel_type == "bytes" else images.astype(jnp.float32)

    return Program(generate, _inputs(network, "latents", jnp.float32), "images")


def discriminator(network: Network, variables: Any, *, pixel_type: str = "float") -> Program:
    """Makes a program of a discriminator: pictures (n, H, W, C), and conditions if it has any -> logits float32 (n,).

    Args:
      network: the discriminator.
      variables: its variables, which become constants of the program.
      pixel_type: "float" if it is to take pictures in [−1, 1], float32; "bytes" for 0 to 255, uint8.
    """

    def judge(images: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        x = pixels.normalize(images) if pixel_type == "bytes" else images
        return inference.apply(network, variables, x, condition).astype(jnp.float32)

    return Program(judge, _inputs(network, "images", jnp.uint8 if pixel_type == "bytes" else jnp.float32), "logits")


def translator(
    translate: Callable[..., jax.Array],
    image_shape: tuple[int, int, int],
    condition_dim: int = 0,
    *,
    pixel_type: str = "float",
) -> Program:
    """Makes a program of a translation: pictures (n, H, W, C), and conditions if it has any -> pictures (n, H, W, C).

    Args:
      translate: maps pictures in [−1, 1], and conditions (n, condition_dim) if there are any, to pictures in [−1, 1].
      image_shape: (H, W, C).
      condition_dim: numbers in a condition; 0 for no conditions.
      pixel_type: "float" for pictures in [−1, 1], float32; "bytes" for 0 to 255, uint8: of those given and returned.
    """

    def translated(images: jax.Array, *condition: jax.Array) -> jax.Array:
        result = translate(pixels.normalize(images) if pixel_type == "bytes" else images, *condition)
        return pixels.quantize(result) if pixel_type == "bytes" else result.astype(jnp.float32)

    conditions = (("condition", (condition_dim,), jnp.float32),) if condition_dim else ()
    dtype = jnp.uint8 if pixel_type == "bytes" else jnp.float32
    return Program(translated, (("images", image_shape, dtype), *conditions), "translated")


def _inputs(network: Network, name: str, dtype: Any) -> tuple[tuple[str, tuple[int, ...], Any], ...]:
    first, *conditions = network.input_shapes
    return ((name, first, dtype), *(("condition", shape, jnp.float32) for shape in conditions))
