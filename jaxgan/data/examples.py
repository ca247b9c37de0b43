"""What every source of pictures gives."""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Examples:
    """A set of pictures, decoded once and memory-mapped.

    Attributes:
        images: (N, height, width, channels) uint8, read-only.
        conditions: (N, c) uint8 multi-hot, or None.
        condition_names: The c names, such as "blue hair"; () without conditions.
        digest: sha256 of the pixels and conditions, as hexadecimal.
    """

    images: np.ndarray
    conditions: np.ndarray | None
    condition_names: tuple[str, ...]
    digest: str

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.images)

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
        """The pictures from `start` up to `stop`, as a set of its own."""
        conditions = None if self.conditions is None else self.conditions[start:stop]
        digest = hashlib.sha256(f"{self.digest} {start} {stop}".encode()).hexdigest()
        return Examples(self.images[start:stop], conditions, self.condition_names, digest)
