"""The convolutions of a trained `Classifier`, as a network whose maps tell the content and the style of a picture."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxgan.models.feature_maps import FeatureMaps, Maps
from jaxgan.models.frozen import frozen_conv

EPSILON = 1e-5  # of its batch normalisation


def classifier_maps(arrays: Mapping[str, np.ndarray]) -> FeatureMaps:
    """Makes feature maps of a classifier's arrays; see `features.trained_arrays`.

    Its layers are `relu1`, `relu2` and so on, of pictures of any size: what follows the convolutions is left out.
    """
    variables = traverse_util.unflatten_dict(dict(arrays), sep="/")
    count = sum(name.startswith("Conv_") for name in variables["params"])
    layers = tuple(f"relu{number}" for number in range(1, count + 1))
    return FeatureMaps("a classifier", _maps, lambda: variables, layers, layers[min(1, count - 1) :][:1], layers)


def _maps(variables: Any, x: jax.Array, layers: tuple[str, ...]) -> Maps:
    found: Maps = {}
    count = sum(name.startswith("Conv_") for name in variables["params"])
    for number in range(count):
        kernel = jnp.asarray(variables["params"][f"Conv_{number}"]["kernel"])
        norm, statistics = (variables[part][f"BatchNorm_{number}"] for part in ("params", "batch_stats"))
        x = frozen_conv(x, kernel.astype(x.dtype), stride=2 if number < count - 1 else 1, padding=1)
        scale = norm["scale"] / jnp.sqrt(statistics["var"] + EPSILON)
        x = jax.nn.relu((x - statistics["mean"]) * scale + norm["bias"])
        found[f"relu{number + 1}"] = x
    return {layer: found[layer] for layer in layers}
