"""Random choices that are reproducible across versions of NumPy.

The streams of `numpy.random` may change from version to version. The faces must not, so their choices come from
splitmix64, a small integer hash: a uniform number is a pure function of (seed, index, purpose).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
Choice = TypeVar("Choice")


def mix(value: int) -> int:
    """Returns the splitmix64 hash of a 64-bit integer, which is a bijection of 64-bit integers.

    Reference:
      Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
    """
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


@lru_cache(maxsize=4096)
def _word(purpose: str) -> int:
    """Returns the 64-bit FNV-1a hash of a purpose's name."""
    value = 0xCBF29CE484222325
    for byte in purpose.encode():
        value = ((value ^ byte) * 0x100000001B3) & _MASK
    return value


@dataclass(frozen=True)
class Dice:
    """Named random numbers of one picture.

    A number depends on its name only, so a new choice leaves all others unchanged.

    Attributes:
      seed: random seed of the set, 0 <= seed < 2**64.
      index: number of the picture in the set, 0 <= index < 2**64.
    """

    seed: int
    index: int
    _key: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("seed", "index"):
            value = getattr(self, name)
            if not 0 <= value < 1 << 64:
                raise ValueError(f"{name} must be an integer from 0 to 2**64 - 1, not {value!r}")
        object.__setattr__(self, "_key", mix(mix(int(self.seed)) ^ int(self.index)))

    def unit(self, purpose: str) -> float:
        """Returns a uniform number in [0, 1) with 53 random bits."""
        return (mix(self._key ^ _word(purpose)) >> 11) / (1 << 53)

    def uniform(self, purpose: str, low: float, high: float) -> float:
        """Returns a uniform number in [low, high).

        Args:
          purpose: name of the number.
          low: lower bound, inclusive.
          high: upper bound, exclusive.
        """
        return low + (high - low) * self.unit(purpose)

    def chance(self, purpose: str, probability: float) -> bool:
        """Returns True with the given probability."""
        return self.unit(purpose) < probability

    def pick(self, purpose: str, options: Sequence[Choice]) -> Choice:
        """Returns one of the options with equal probability; an option listed twice is twice as likely."""
        return options[int(self.unit(purpose) * len(options))]
