"""Pairs of an image and the input that is to be translated into it."""

import dataclasses

from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError, printable

_HELD_OUT_SHARE, _MOST_HELD_OUT = 20, 16


def check_pair(flag: str, value: str, known: tuple[str, ...]) -> None:
    """Raises a UserError that names a flag, for a value that is not among the known ones."""
    if value not in known:
        raise UserError(f"--{flag}={printable(value)}: choose one of {', '.join(known)}")


def split_pairs(stacked: Examples) -> Examples:
    """Returns examples with the arrays "image" and "input" from pictures of which the upper half is the image.

    The cache keeps one array of pictures, so the two of a pair lie above one another in it. Nothing is copied.
    """
    height = stacked.image_shape[0] // 2
    halves = {"image": stacked.images[:, :height], "input": stacked.images[:, height:]}
    return dataclasses.replace(stacked, arrays={**stacked.arrays, **halves})


def hold_out(pairs: Examples, split: str) -> Examples:
    """Returns a split of a set that has none of its own: a twentieth, at most 16 pairs, is kept out of training.

    Args:
      pairs: all examples, at least two.
      split: "train", with the others as `held_out`; "test"; or "all".
    """
    kept = len(pairs) - min(max(len(pairs) // _HELD_OUT_SHARE, 1), _MOST_HELD_OUT)
    if split == "all" or len(pairs) < 2:
        return pairs
    if split == "test":
        return pairs.part(kept, len(pairs))
    return dataclasses.replace(pairs.part(0, kept), held_out=pairs.part(kept, len(pairs)).arrays)
