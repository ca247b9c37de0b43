"""Every condition that the pictures of a run can have, and those of its preview."""

import numpy as np

from jaxgan.data import tags

FACES = (  # in the preview of tagged faces
    "blue hair red eyes",
    "blonde hair green eyes",
    "pink hair purple eyes",
    "black hair brown eyes",
    "green hair blue eyes",
)


def every(names: tuple[str, ...], condition_dim: int) -> np.ndarray:
    """Uint8 (k, condition_dim): the classes, or of tagged faces hair by hair each eye colour."""
    if names != tags.CONDITION_NAMES:
        return np.eye(condition_dim, dtype=np.uint8)
    hair, eyes = np.indices((len(tags.HAIR), len(tags.EYES))).reshape(2, -1)
    conditions = np.zeros((len(hair), len(names)), np.uint8)
    conditions[np.arange(len(hair)), hair] = 1
    conditions[np.arange(len(hair)), len(tags.HAIR) + eyes] = 1
    return conditions


def by_turns(names: tuple[str, ...], condition_dim: int, count: int) -> np.ndarray:
    """Uint8 (count, condition_dim): all of them, one after the other."""
    conditions = every(names, condition_dim)
    stride = 7 if names == tags.CONDITION_NAMES else 1  # few pictures have many colours of hair too
    return conditions[np.arange(count) * stride % len(conditions)]
