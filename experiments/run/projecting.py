"""The picture of a run that comes closest to one that a user gives."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from experiments.run.restore import TrainedRun
from jaxgan.data.conditions import name_of
from jaxgan.sampling import projection

CANDIDATES = 512  # latents among which a projection chooses its starting points
DESCENT = 300  # steps of a projection


class Found(NamedTuple):
    """What a projection has found.

    Attributes:
      projection: the latent and its picture.
      condition: that of the picture, uint8 (c,); None without conditions.
      words: how near it comes, and its condition.
    """

    projection: projection.Projection
    condition: np.ndarray | None
    words: str


def project(
    run: TrainedRun,
    target: np.ndarray,
    z: jax.Array,
    conditions: np.ndarray | None,
    report: Callable[[int], object] = lambda steps: None,
) -> Found:
    """Finds the latent whose picture is closest to a given one.

    Args:
      run: of a system that draws from latents.
      target: uint8 (H, W, C), of the size of the run.
      z: the latents to begin with, (N, latent_dim).
      conditions: that of each, uint8 (N, c); None without conditions.
      report: called now and then with the number of steps, of DESCENT, since its last call.

    Raises:
      UserError: if the system draws nothing from latents.
    """
    latent = run.latent
    found = projection.project(
        latent.network, latent.variables(run.state), target, z, conditions, steps=DESCENT, report=report
    )
    condition = None if conditions is None else conditions[found.candidate]
    drawn = "" if condition is None else f", as {name_of(condition, run.condition_names)}"
    words = f"root mean square difference {found.difference:.3f}, of pixels in [-1, 1]{drawn}"
    return Found(found, condition, words)
