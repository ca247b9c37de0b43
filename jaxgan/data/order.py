"""Order of the training examples, computed arithmetically, so that a run can resume at any position.

The stream of example numbers is endless. Epoch e is a permutation of all examples that depends on (seed, e): a Feistel
network on a sufficient number of bits, applied repeatedly until the result is in range (cycle walking). Nothing is
stored, and any part of the stream costs only its own length.

Reference:
  Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002.
"""

import hashlib

import numpy as np

_ROUNDS = 10
_LEAST_BITS = 6  # with fewer, the permutations of a handful of examples would not be equally likely
_GOLDEN = 0x9E3779B97F4A7C15  # the constants of splitmix64 (Steele, Lea and Flood, 2014)
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def indices(seed: int, first: int, count: int, size: int) -> np.ndarray:
    """Computes the examples at positions `first` to `first + count - 1` of the endless shuffled stream.

    The result is the same on every machine and in every version of this library.

    Args:
      seed: any integer; taken modulo 2^64.
      first: first position, counted from 0.
      count: number of positions.
      size: number of examples; position p lies in epoch p // size.

    Returns:
      (count,) int64 in [0, size).

    Raises:
      ValueError: if a position or count is negative, or there are no examples.
    """
    if first < 0 or count < 0 or size < 1:
        raise ValueError(f"first and count must not be negative and size must be positive: {first}, {count}, {size}")
    positions = np.arange(first, first + count, dtype=np.uint64)
    epochs, values = np.divmod(positions, np.uint64(size))
    keys = _mixed(_mixed(np.full(1, seed & _MASK, np.uint64)) + epochs * np.uint64(_GOLDEN))
    bits = max((size - 1).bit_length(), _LEAST_BITS)
    values = _permuted(values, keys, bits)
    outside = np.flatnonzero(values >= size)  # cycle walking ends soon: except for tiny sets, 2^bits < 2 · size
    while outside.size:
        values[outside] = _permuted(values[outside], keys[outside], bits)
        outside = outside[values[outside] >= size]
    return values.astype(np.int64)


def seed_of(seed: int, source: str) -> int:
    """Returns the seed of a source's order: `seed` itself if the source has no name, else a hash of both.

    The result is the same on every machine and in every version of this library.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {source}".encode()).digest()[:8]) if source else seed


def _permuted(values: np.ndarray, keys: np.ndarray, bits: int) -> np.ndarray:
    """Applies a permutation of range(2^bits) per key; the two halves of the bits change one another alternately."""
    low_bits = np.uint64(bits // 2)
    low_mask = np.uint64((1 << bits // 2) - 1)
    high_mask = np.uint64((1 << bits - bits // 2) - 1)
    low, high = values & low_mask, values >> low_bits
    for number in range(_ROUNDS):
        round_keys = keys + np.uint64(number * _GOLDEN & _MASK)
        if number % 2:
            low = low ^ (_mixed(high ^ round_keys) & low_mask)
        else:
            high = high ^ (_mixed(low ^ round_keys) & high_mask)
    return (high << low_bits) | low


def _mixed(values: np.ndarray) -> np.ndarray:
    """Applies the finaliser of splitmix64: every bit of the result depends on every bit of the value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))
