"""Random weights to compare networks with."""

import numpy as np


def draw(rng: np.random.Generator, kind: str, shape: tuple[int, ...], inputs: float) -> np.ndarray:
    """Values for a "kernel" (of so many ``inputs`` to one output), a "bias", or one of the four of batch normalisation.

    Every layer stays alive, and statistics are away from 0 and 1.
    """
    match kind:
        case "kernel":
            return rng.standard_normal(shape) * np.sqrt(1.5 / inputs)
        case "bias":
            return 0.1 * rng.standard_normal(shape)
        case "scale" | "variance":
            return rng.uniform(0.5, 1.5, shape)
        case "shift" | "mean":
            return 0.3 * rng.standard_normal(shape)
    raise ValueError(f"nothing is called {kind}")
