"""Scores as JSON-compatible dictionaries."""

from typing import Any

import numpy as np

from jaxgan.data.heads import Head
from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.metrics.modes import mode_coverage

Scores = dict[str, dict[str, Any]]
"""Entries by score name: `value`, `standard_error`, and the context needed to compare them."""


def entry(estimate: Estimate) -> dict[str, Any]:
    """Returns {"value": ..., "standard_error": ...} of an estimate."""
    return {"value": estimate.value, "standard_error": estimate.standard_error}


def class_entries(head: Head, found: np.ndarray, asked: np.ndarray | None) -> Scores:
    """Computes which classes the pictures have, and how often they are the requested ones.

    Args:
      head: the head whose classes are counted.
      found: (n,) class number of each picture.
      asked: (n,) requested class number of each picture, -1 where none was requested; None if there were no requests.

    Returns:
      `mode_coverage` (a class counts as present with at least half of its fair share of the pictures), `class_shares`,
      and `conditional_accuracy` if a class was requested for at least two pictures.
    """
    histogram = np.bincount(found, minlength=len(head.classes))
    threshold = 0.5 / len(head.classes)
    shares = [mean_estimate(found == number) for number in range(len(head.classes))]
    entries: Scores = {
        "mode_coverage": {"value": mode_coverage(histogram, threshold=threshold), "threshold": threshold},
        "class_shares": {
            "value": {name: share.value for name, share in zip(head.classes, shares, strict=True)},
            "standard_error": {name: share.standard_error for name, share in zip(head.classes, shares, strict=True)},
        },
    }
    if asked is not None and np.count_nonzero(asked >= 0) > 1:
        entries["conditional_accuracy"] = entry(mean_estimate(found[asked >= 0] == asked[asked >= 0]))
    return entries
