"""What a score is for real pictures and for spoilt ones, so that a reader can place the score of generated pictures."""

from pathlib import Path

import numpy as np

from jaxgan.host.digest import digest_leaves
from jaxgan.metrics import store
from jaxgan.metrics.scores import Reference, score_pictures
from jaxgan.metrics.spoiling import HEAVY, LIGHT, spoil_set

CALIBRATED = ("fid", "kid", "precision", "recall", "density", "coverage", "confidence")
"""The scores that are calibrated: those that compare two sets of features, and that of each head's classifier."""

_FORMAT = 2  # raised when kept calibrations must no longer be used

Calibration = dict[str, dict[str, float]]


def calibrate(
    reference: Reference, others: np.ndarray, *, seed: int = 0, cache_dir: str | Path | None = None
) -> Calibration:
    """Scores real pictures against other real pictures: as they are, lightly spoilt, and heavily spoilt.

    Spoilt sets have equal shares of blur, noise, faded colours, jitter, chequers and mixtures of two pictures. The
    result is kept in the cache of feature networks.

    Args:
      reference: the real pictures that generated ones are measured against.
      others: other real pictures, uint8 (n, H, W, C); as many as there are generated ones, if there are so many.
      seed: random seed.
      cache_dir: see `jaxgan.data.cache.cache_directory`.

    Returns:
      score -> {"real", "lightly_spoilt", "heavily_spoilt", "n"}.
    """
    settings = {
        "format": _FORMAT,
        "network": reference.network.digest,
        "reference": digest_leaves({"features": reference.features}),
        "others": digest_leaves({"images": others}),
        "strengths": [LIGHT, HEAVY],
        "seed": seed,
    }
    entry = store.path_of(f"{reference.network.name}-calibration", settings, cache_dir)
    found = store.read(entry)
    if found is not None:
        return found[1]["scores"]
    sets = {
        "real": others,
        "lightly_spoilt": spoil_set(others, LIGHT, seed),
        "heavily_spoilt": spoil_set(others, HEAVY, seed),
    }
    scores: Calibration = {}
    for kind, pictures in sets.items():
        for name, score in score_pictures(pictures, reference, seed=seed).items():
            if name.rpartition("/")[2] in CALIBRATED:
                scores.setdefault(name, {"n": len(others)})[kind] = float(score["value"])
    return store.write(entry, {}, {"scores": scores, **settings})[1]["scores"]
