"""What ``experiments.sample --show=features`` shows: units of a discriminator, and the pictures that excite them."""

import jax
import numpy as np

from experiments.run.references import reference_pictures, reference_split, training_pictures
from experiments.run.restore import TrainedRun
from jaxgan.data.conditions import in_turn
from jaxgan.host import console
from jaxgan.host.errors import UserError
from jaxgan.sampling.discriminator_features import excitements, find_layer, responses, shades, strongest
from jaxgan.systems.outputs import Exhibit

PICTURES = 8  # that excite a unit most, in a row above their guided backpropagation
LOOKED_AT = 1000  # pictures


def features(run: TrainedRun, count: int, seed: int, layer: str | None = None) -> Exhibit:
    """Shows the strongest units of a layer of the discriminator, two rows each.

    The first row has the pictures that excite the unit most, the second the guided backpropagation of each.

    Args:
      run: of a system with a discriminator.
      count: pictures in all, rounded down to whole units, but at least one.
      seed: chooses the pictures that are looked at: of the run's pictures, or where these are not at hand drawn by it.
      layer: a layer of the discriminator; None: its last convolution.

    Raises:
      UserError: if there is no discriminator, or no such layer; or neither are the pictures at hand, nor can it draw.
    """
    score = run.system.outputs.require("score", run.recipe.model)
    network, variables = score.network, score.variables(run.state)
    asked = find_layer(network, variables, layer)
    images, condition = _pictures(run, seed)
    condition = condition if network.condition_dim else None
    found = responses(network, variables, asked.name, images, condition)
    units, chosen = strongest(found, max(1, count // (2 * PICTURES)), PICTURES)
    places = chosen.reshape(-1)
    of_these = None if condition is None else condition[places]
    gradients = excitements(network, variables, asked.name, np.repeat(units, chosen.shape[1]), images[places], of_these)
    rows = [part.reshape(*chosen.shape, *images.shape[1:]) for part in (images[places], shades(gradients))]
    shown = np.stack(rows, axis=1).reshape(-1, *images.shape[1:])
    captions = [caption for unit in units for caption in (f"{asked.name}, unit {unit}", "guided")]
    return Exhibit(shown, np.zeros((len(shown), 0), np.uint8), chosen.shape[1], together=2, rows=tuple(captions))


def _pictures(run: TrainedRun, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns pictures to look at, uint8 (N, H, W, C), and their conditions, (N, c) or None."""
    try:
        split = reference_split(run.recipe)
        if split == "train":
            training_pictures(run.recipe, run.pictures_digest)  # another folder's would stand for them
        real = reference_pictures(run.recipe, split, LOOKED_AT, seed)
        return real.images, real.conditions
    except UserError as error:
        if run.system.outputs.latent is None:
            raise
        print(f"{error.as_flags}\nPictures that the run draws are looked at instead.", file=console.err, flush=True)
    condition = in_turn(run.condition_names, run.condition_dim, LOOKED_AT) if run.condition_dim else None
    return run.latent.images(run.state, run.latent.latents(jax.random.key(seed), LOOKED_AT), condition), condition
