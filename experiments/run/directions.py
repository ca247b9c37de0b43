"""Directions in the styles of a run along which its pictures gain an attribute of the data set, such as blue hair."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.run.feature_network import feature_network_of
from experiments.run.restore import TrainedRun
from jaxgan.host.errors import UserError
from jaxgan.metrics.features import FeatureNetwork
from jaxgan.sampling.directions import Direction, find_direction
from jaxgan.systems.outputs import Exhibit

LABELLED = 4000  # pictures that are drawn and classified
AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # steps along a direction, in standard deviations of the styles


@dataclasses.dataclass(frozen=True)
class Named:
    """A direction and the attribute that it leads to.

    Attributes:
      name: of the attribute.
      direction: where to.
    """

    name: str
    direction: Direction


def find(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None, network: FeatureNetwork) -> list[Named]:
    """Finds a direction for each class of each kind that is drawn often enough, those that separate best first.

    Args:
      run: of a system with styles.
      z: latents whose pictures are classified, (N, latent_dim).
      conditions: that of each, uint8 (N, c); None without conditions.
      network: a classifier of such pictures.

    Raises:
      UserError: if the network has no classes, or too few of them are drawn.
    """
    if not network.heads:
        raise UserError("--show=directions: the run's pictures have no classes and no tags, to which directions lead")
    latent: Any = run.latent
    pictures = latent.images(run.state, z, conditions)
    styles = np.asarray(latent.single_styles(run.state, z, conditions))
    logits = network.apply(pictures).logits
    if logits is None:
        raise ValueError("a network with heads has logits")
    found = []
    for head in network.heads:
        chosen = logits[:, head.columns].argmax(axis=1)
        for number, name in enumerate(head.classes):
            direction = find_direction(styles, chosen == number)
            if direction is not None:
                found.append(Named(name, direction))
    if not found:
        raise UserError("--show=directions: the run draws no two classes often enough; train it for longer")
    return sorted(found, key=lambda named: -named.direction.separation)


def show(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None, found: list[Named], count: int) -> Exhibit:
    """Shows faces along directions: a row for each, with the face itself in the middle.

    Args:
      run: of a system with styles.
      z: latents of the faces, of which as many are taken as are needed.
      conditions: that of each; None without conditions.
      found: the directions, the first of which are shown.
      count: about how many pictures: rows of the first face, as many as there are directions, then of the next.
    """
    latent: Any = run.latent
    rows = max(1, count // len(AMOUNTS))
    shown = found[: min(rows, len(found))]
    faces = max(1, rows // len(shown))
    w = latent.single_styles(run.state, z[:faces], None if conditions is None else conditions[:faces])
    vectors = jnp.asarray(np.stack([named.direction.vector for named in shown]), jnp.float32)
    steps = jnp.asarray(AMOUNTS)[None, :, None] * vectors[:, None]
    swept = (w[:, None, None] + steps[None]).reshape(-1, w.shape[1])
    pictures = latent.images_of_styles(run.state, latent.for_layers(run.state, swept))
    return Exhibit(
        pictures,
        np.zeros((len(pictures), 0), np.uint8),
        len(AMOUNTS),
        together=len(shown),
        rows=tuple(named.name for named in shown),
        heads=tuple(f"{amount:+g}" if amount else "itself" for amount in AMOUNTS),
    )


def show_directions(run: TrainedRun, z: jax.Array, conditions: np.ndarray | None, count: int) -> Exhibit:
    """Finds directions from latents (N, latent_dim) and shows the first faces along them; see `find` and `show`."""
    return show(run, z, conditions, find(run, z, conditions, feature_network_of(run)), count)
