"""The picture of a run that comes closest to one that a user gives."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.run.feature_network import feature_network_of
from experiments.run.restore import TrainedRun
from jaxgan.data.conditions import name_of
from jaxgan.host.errors import UserError
from jaxgan.sampling import projection, style_projection
from jaxgan.sampling.style_projection import StyleProjection

CANDIDATES = 512  # latents among which a projection chooses its starting points
DESCENT = 300  # steps of a projection, in each space


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


def project_styles(
    run: TrainedRun,
    target: np.ndarray,
    z: jax.Array,
    conditions: np.ndarray | None,
    *,
    space: str,
    perceptual: bool,
    seed: int,
    report: Callable[[int], object] = lambda steps: None,
) -> tuple[StyleProjection, str]:
    """Finds the styles whose picture is closest to a given one.

    Args:
      run: of a system with styles.
      target: uint8 (H, W, C), of the size of the run.
      z: latents whose styles the search begins at the average of, (N, latent_dim).
      conditions: that of each, uint8 (N, c); None without conditions.
      space: "w", one style for all layers, or "w+", one for each.
      perceptual: whether the features of the run's feature network are compared beside the pixels.
      seed: of the noise of the search.
      report: called now and then with the number of steps, of DESCENT in each space, since its last call.

    Returns:
      The projection, and how near it comes, in words.

    Raises:
      UserError: if the features cannot be had.
    """
    latent: Any = run.latent
    features = None
    if perceptual:
        try:
            features = feature_network_of(run).trace
        except UserError as error:
            raise UserError(f"{error.as_flags}; or compare the pixels alone: --noperceptual") from None
    found = style_projection.project(
        latent.network,
        latent.variables(run.state),
        target,
        latent.single_styles(run.state, z, conditions),
        jax.random.key(seed),
        space=space,
        features=features,
        steps=DESCENT,
        report=report,
    )
    return found, f"root mean square difference {found.difference:.3f}, of pixels in [-1, 1], in {space}"
