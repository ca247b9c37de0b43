"""Scores as JSON can hold them."""

from typing import Any

import numpy as np

from jaxgan.data.heads import Head
from jaxgan.metrics.estimate import Estimate, mean_estimate
from jaxgan.metrics.modes import mode_coverage

Scores = dict[str, dict[str, Any]]
"""By name of the score: `value`, `standard_error`, and what makes it comparable."""


def entry(estimate: Estimate) -> dict[str, Any]:
    """A number and its standard error."""
    return {"value": estimate.value, "standard_error": estimate.standard_error}


def class_entries(head: Head, found: np.ndarray, asked: np.ndarray | None) -> Scores:
    """What classes the pictures have, and whether they are the right ones.

    Args:
      head: the choice.
      found: (n,) the class number of each picture.
      asked: (n,) the class number that each was to have, -1 where none was; None if none had.

    Returns:
      `mode_coverage` (a class is there with half of its fair share of the pictures), `class_shares`, and
      `conditional_accuracy` where at least two pictures were to have a class.
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
