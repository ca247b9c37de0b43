"""Which hair and eyes cartoon faces have, by votes of pixels, without a network: see `jaxgan.data.avatars.measure`."""

from collections.abc import Callable

import numpy as np

from jaxgan.data import avatars
from jaxgan.data.heads import heads_of
from jaxgan.metrics.entries import Scores, class_entries

MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hair": avatars.measure_hair_colour,
    "eyes": avatars.measure_eye_colour,
}


def measured_colours(
    generated: np.ndarray,
    *,
    conditions: np.ndarray | None = None,
    real: np.ndarray,
    real_conditions: np.ndarray,
) -> Scores:
    """Mode coverage, shares and conditional accuracy of the colours that are read off the pictures.

    Args:
      generated: (n, H, W, 3) uint8.
      conditions: (n, 23) uint8 multi-hot that the generator was given, if any.
      real: (m, H, W, 3) uint8, drawn faces of the same size.
      real_conditions: (m, 23), what they were drawn with: how often the measure is right there, the most that an
        accuracy can be trusted to, stands beside each score as `accuracy_on_real`.

    Returns:
      As `entries.class_entries`, each name with "hair/measured_" or "eyes/measured_" before it.
    """
    entries: Scores = {}
    for head in heads_of(avatars.CONDITION_NAMES):
        measure = MEASURES[head.name]
        context = {
            "n": len(generated),
            "resolution": list(generated.shape[1:]),
            "method": "votes of pixels, no network",
            "accuracy_on_real": float(np.mean(measure(real) == head.labels(real_conditions))),
        }
        labels = None if conditions is None else head.labels(conditions)
        for name, entry in class_entries(head, measure(generated), labels).items():
            entries[f"{head.name}/measured_{name}"] = entry | context
    return entries
