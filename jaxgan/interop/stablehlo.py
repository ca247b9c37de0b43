"""Programs in StableHLO, for any number of pictures, on CPU, CUDA and TPU.

`jax.export.deserialize(content).call(latents)` runs one, with JAX alone: neither Flax nor jaxgan is needed.
"""

import jax

from jaxgan.interop.programs import Program

PLATFORMS = ("cpu", "cuda", "tpu")


def pack(program: Program) -> bytes:
    """Packs a program of a network, see `jaxgan.interop.programs`, with its weights.

    Raises:
      UserError: if the network needs to know the number of pictures.
    """
    inputs = program.symbolic_inputs()
    return bytes(jax.export.export(jax.jit(program.function), platforms=PLATFORMS)(*inputs).serialize())
