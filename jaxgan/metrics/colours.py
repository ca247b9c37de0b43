"""Hair and eye colours of cartoon faces, measured from pixels without a network.

See `jaxgan.data.avatars.measure`.
"""

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
    """Computes mode coverage, class shares and conditional accuracy of the measured colours.

    Args:
      generated: (n, H, W, 3) uint8.
      conditions: (n, 23) uint8 multi-hot conditions of the generated pictures, if any.
      real: (m, H, W, 3) uint8, drawn faces of the same size.
      real_conditions: (m, 23), the true conditions of `real`. The accuracy of the measurement on them is reported
        beside each score as `accuracy_on_real`; no conditional accuracy can be trusted beyond it.

    Returns:
      The entries of `entries.class_entries`, with names prefixed by "hair/measured_" or "eyes/measured_".
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
