"""Examples: named arrays, the common format of all sources."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxgan.host.errors import UserError, printable

_MOST_CLASSES = 10_000  # a larger label is an identifier, and one-hot conditions of it would fill the memory


@dataclass(frozen=True)
class Examples:
    """A set of decoded examples; memory-mapped if it comes from the cache.

    Attributes:
      arrays: name -> (N, …), read-only: "image", uint8 (N, height, width, channels); optionally "condition", uint8 (N,
        c) multi-hot, and "input", uint8 of the images' shape: pictures to be translated into the images.
      condition_names: the c names, such as "blue hair"; () without conditions.
      digest: hexadecimal sha256 of the pixels and conditions.
      held_out: arrays of a few examples that are not among these, by the same names, for previews; may be empty.
    """

    arrays: Mapping[str, np.ndarray]
    condition_names: tuple[str, ...] = ()
    digest: str = ""
    held_out: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if "image" not in lengths or len(set(lengths.values())) != 1:
            raise ValueError(f"examples need an image each, and arrays of one length: {lengths}")

    @classmethod
    def described(cls, image_shape: Sequence[int], condition_names: Sequence[str], digest: str) -> "Examples":
        """Returns a set without examples that has only a description.

        Args:
          image_shape: (height, width, channels).
          condition_names: names of its conditions; () without conditions.
          digest: digest of the set that is described.
        """
        arrays = {"image": np.zeros((0, *image_shape), np.uint8)}
        if condition_names:
            arrays["condition"] = np.zeros((0, len(condition_names)), np.uint8)
        return cls(arrays, tuple(condition_names), digest)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.images)

    @property
    def images(self) -> np.ndarray:
        """The pictures, uint8 (N, height, width, channels)."""
        return self.arrays["image"]

    @property
    def conditions(self) -> np.ndarray | None:
        """The conditions, uint8 (N, c) multi-hot, or None."""
        return self.arrays.get("condition")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def condition_dim(self) -> int:
        """Length of a condition vector; 0 without conditions."""
        return len(self.condition_names)

    def part(self, start: int, stop: int) -> "Examples":
        """Returns the examples from `start` to `stop`, exclusive, as a new set."""
        arrays = {name: array[start:stop] for name, array in self.arrays.items()}
        digest = hashlib.sha256(f"{self.digest} {start} {stop}".encode()).hexdigest()
        return Examples(arrays, self.condition_names, digest)


def digest_of(images: Mapping[str, Any], conditions: Mapping[str, Any] | None) -> str:
    """Returns the digest of a set of examples.

    Args:
      images: "shape" (a list) and "sha256" of its images.
      conditions: the same of its conditions, or None.
    """
    return hashlib.sha256(json.dumps([images, conditions], sort_keys=True).encode()).hexdigest()


def from_arrays(
    images: Any, labels: Any = None, *, condition_names: Sequence[str] | None = None, inputs: Any = None
) -> Examples:
    """Makes a set of examples from arrays in memory. Contiguous arrays are not copied.

    Args:
      images: uint8 (N, height, width, channels), or (N, height, width) for one channel.
      labels: None; or integers (N,), the class of each image, counted from 0; or zeros and ones (N, c), with several
        classes per image.
      condition_names: a name for each class; "0", "1", … by default.
      inputs: pictures to be translated into the images, uint8 of the same shape.

    Returns:
      The examples, with the labels as conditions, uint8 (N, c). Their digest equals that of the same arrays from any
      source.

    Raises:
      UserError: if an argument has the wrong type, shape or values; the message names it and says what to do.
    """
    images = _checked_images(np.asarray(images))
    if labels is None:
        if condition_names is not None:
            raise UserError("condition_names: name the classes of labels; give labels too, or leave them out")
        return _examples(images, None, (), _checked_inputs(inputs, images))
    names = None if condition_names is None else _checked_names(condition_names)
    conditions = _checked_conditions(np.asarray(labels), len(images), names)
    names = names or tuple(map(str, range(conditions.shape[1])))
    return _examples(images, conditions, names, _checked_inputs(inputs, images))


def _examples(
    images: np.ndarray, conditions: np.ndarray | None, names: tuple[str, ...], inputs: np.ndarray | None
) -> Examples:
    arrays = {"image": _read_only(images)}
    if conditions is not None:
        arrays["condition"] = _read_only(conditions)
    described = {
        name: {"shape": list(array.shape), "sha256": hashlib.sha256(array.reshape(-1).data).hexdigest()}
        for name, array in arrays.items()
    }
    digest = digest_of(described["image"], described.get("condition"))
    if inputs is not None:
        arrays["input"] = _read_only(inputs)
        digest = hashlib.sha256(digest.encode() + arrays["input"].reshape(-1).data).hexdigest()
    return Examples(arrays, names, digest)


def _read_only(array: np.ndarray) -> np.ndarray:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _checked_images(images: np.ndarray) -> np.ndarray:
    if np.issubdtype(images.dtype, np.floating):
        way_out = "bring floats to the range 0 to 255, then images.round().astype(numpy.uint8)"
        raise UserError(f"images: must be uint8, not {images.dtype}; {way_out}")
    if images.dtype != np.uint8:
        raise UserError(f"images: must be uint8, not {images.dtype}; give images.astype(numpy.uint8)")
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise UserError(f"images: must be (N, height, width) or (N, height, width, channels), not {images.shape}")
    return images if images.ndim == 4 else images[..., None]


def _checked_inputs(inputs: Any, images: np.ndarray) -> np.ndarray | None:
    if inputs is None:
        return None
    inputs = np.asarray(inputs)
    inputs = inputs[..., None] if inputs.ndim == 3 else inputs
    if inputs.dtype != np.uint8 or inputs.shape != images.shape:
        raise UserError(f"inputs: must be uint8 {images.shape} as the images, not {inputs.dtype} {inputs.shape}")
    return inputs


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise UserError(f"condition_names: must be a sequence of strings, not {printable(names)}")
    if len(set(names)) != len(names):
        raise UserError("condition_names: has the same name twice; give each class a name of its own")
    return tuple(names)


def _checked_conditions(labels: np.ndarray, count: int, names: tuple[str, ...] | None) -> np.ndarray:
    """Converts labels to conditions, uint8 (count, c)."""
    if labels.dtype.kind not in "iub":
        raise UserError(f"labels: must be integers, not {labels.dtype}; number the classes from 0")
    if labels.ndim not in (1, 2) or len(labels) != count or 0 in labels.shape:
        raise UserError(f"labels: must be ({count},) or ({count}, classes), one for each image, not {labels.shape}")
    if labels.ndim == 1:
        return _one_hot(labels, names)
    if names is not None and len(names) != labels.shape[1]:
        raise UserError(f"condition_names: has {len(names)} names, and labels {labels.shape[1]} classes")
    if labels.min() < 0 or labels.max() > 1:
        raise UserError(f"labels: of shape {labels.shape} must be 0 or 1, not {labels.min()} to {labels.max()}")
    return labels.astype(np.uint8)


def _one_hot(labels: np.ndarray, names: tuple[str, ...] | None) -> np.ndarray:
    least, greatest = int(labels.min()), int(labels.max())
    classes = greatest + 1 if names is None else len(names)
    if least < 0 or greatest >= classes:
        last = f" to {classes - 1}, as condition_names has {classes}" if names is not None else ""
        raise UserError(f"labels: must count the classes from 0{last}, not {least} to {greatest}")
    if classes > _MOST_CLASSES:
        raise UserError(f"labels: {classes} classes are too many (at most {_MOST_CLASSES}); number those there from 0")
    conditions = np.zeros((len(labels), classes), np.uint8)
    conditions[np.arange(len(labels)), labels.astype(np.int64)] = 1
    return conditions
