"""The best checkpoint of a run: by which score, in which direction, and what a checkpoint remembers of it."""

import math
from collections.abc import Mapping
from typing import Any, TypedDict

from jaxgan.host.errors import UserError
from jaxgan.training.files.metrics_log import plain_name

LOWEST = ("fid", "kid", "reconstruction_error")
HIGHEST = ("coverage", "mode_coverage", "conditional_accuracy", "elbo", "active_units")
SCORES = (*LOWEST, *HIGHEST)
"""The scores by which a checkpoint can be the best, of the lowest and of the highest value."""

BEST = "best"
"""What names the best checkpoint where a step is asked for."""


class Best(TypedDict):
    """The best step so far, as a checkpoint remembers it."""

    score: str
    value: float
    step: int


def better(best: Best | None, score: str, step: int, scores: Mapping[str, float]) -> Best | None:
    """Returns the best step after those of a step are known; of equals the first.

    Args:
      best: the best before, or None; one of another score counts as none.
      score: one of `SCORES`. Of a score with several heads, such as "hair/mode_coverage", their mean counts.
      step: of the scores.
      scores: by name; those that are not finite are never the best.

    Raises:
      UserError: if there is no such score.
    """
    values = [value for name, value in scores.items() if plain_name(name) == score]
    if not values:
        there = ", ".join(dict.fromkeys(plain_name(name) for name in scores if plain_name(name) in SCORES))
        raise UserError(f"--keep_best={score}: this run has no such score; choose one of {there or 'none'}")
    value = sum(values) / len(values)
    best = best if best is not None and best["score"] == score else None
    if not math.isfinite(value):
        return best
    sign = 1 if score in LOWEST else -1
    if best is not None and sign * value >= sign * best["value"]:
        return best
    return {"score": score, "value": value, "step": step}


def best_step(metadata: Mapping[str, Any]) -> int | None:
    """Returns the best step that the metadata of a checkpoint remembers; None without one."""
    best = metadata.get("best")
    return None if best is None else best["step"]
