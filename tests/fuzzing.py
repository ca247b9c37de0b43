"""Inputs damaged in a thousand ways, always the same ones, and the bounds within which they must be survived."""

import contextlib
import itertools
import random
import re
import resource
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

SECONDS = 20  # of the processor's time for one input; a picture of 64 megapixels takes one or two
ADDRESS_SPACE = 4 << 30  # more than the process has already: threads reserve much and use little
RESIDENT = 1536 << 20

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
TOKENS = [
    *("nan", "inf", "-1", "0", "1e999", "99999999999999999999", "0.5", "true", "null", "None", "{}", "[]", '"', "'"),
    *("\0", "\n", "\r\n", "\t", ",", ":", "=", "--", "..", "/", "../../x", "~", "$HOME", "%s", "{0}", "\ufeff", "é"),
    *(
        "猫",
        "\u202e",
        "\U0001f3a8",
        "blue hair",
        "--flagfile=",
        "--steps=",
        "--help",
        "[" * 3000,
        "9" * 5000,
        "x" * 9000,
    ),
]
NO_NUMBERS = [
    b"nan",
    b"NaN",
    b"-inf",
    b"Infinity",
    b"1e999",
    b"-1e-999",
    b"0x10",
    b"1_000",
    b"1,5",
    "٣".encode(),
    b"-0",
]
PATHS = [
    "/",
    ".",
    "..",
    "/dev/null",
    "/dev/zero",
    "/proc/self/mem",
    "~",
    "~nobody/x",
    "a/" * 300,
    "x" * 300,
    "\udcff",
    "C:\\x",
]
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp037", "shift_jis"]


class TookTooLong(BaseException):
    """An input held the program up; no `except Exception` swallows it."""


def mutated(seed: int, count: int, corpus: Sequence[bytes]) -> Iterator[bytes]:
    """So many damaged copies of the members of a corpus."""
    chance = random.Random(seed)
    for index in range(count):
        data = bytearray(corpus[index % len(corpus)])
        for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
            chance.choice(MUTATIONS)(data, chance, corpus)
        yield bytes(data)


def flip(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def zero(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    part = span(data, chance)
    data[part] = bytes(len(data[part]))


def remove(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    del data[span(data, chance)]


def repeat(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    part = span(data, chance)
    data[part] = data[part] * chance.choice((2, 2, 50))


def insert(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    place = chance.randint(0, len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 64))


def overwrite(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    size = chance.choice((1, 2, 4, 8))
    number = chance.choice(NUMBERS) % 256**size
    place = chance.randint(0, max(0, len(data) - size))
    data[place : place + size] = number.to_bytes(size, chance.choice(("big", "little")))


def put_token(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    part = span(data, chance) if chance.random() < 0.5 else slice(chance.randint(0, len(data)), 0)
    data[part.start : max(part.start, part.stop)] = chance.choice(TOKENS).encode("utf-8", "surrogatepass")


def splice(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    other = chance.choice(corpus)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


def put_no_number(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    """Puts what is no finite number in the place of a number of a text."""
    replace_match(rb"-?\d+(?:\.\d+)?", chance.choice(NO_NUMBERS), data, chance)


def empty_value(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    """Takes the value away between two separators of a text, and leaves these."""
    replace_match(rb"(?<=[=:,\[{])[^=:,\]}\r\n]+", chance.choice((b"", b" ", b'""')), data, chance)


def put_path(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    """Puts a path in the place of a word of a text."""
    replace_match(rb"[\w./]+", chance.choice(PATHS).encode("utf-8", "surrogatepass"), data, chance)


def encode_otherwise(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    """Writes a text in another encoding, the whole or a part of it."""
    part = chance.choice((slice(0, len(data)), span(data, chance)))
    text = bytes(data[part]).decode("utf-8", "replace")
    data[part] = text.encode(chance.choice(ENCODINGS), "replace")


def replace_match(pattern: bytes, by: bytes, data: bytearray, chance: random.Random) -> None:
    found = list(itertools.islice(re.finditer(pattern, bytes(data)), 200))
    if found:
        match = chance.choice(found)
        data[match.start() : match.end()] = by


MUTATIONS = (
    *(flip, cut, zero, remove, repeat, insert, overwrite, put_token, splice),
    *(put_no_number, empty_value, put_path, encode_otherwise),
)


def span(data: bytearray, chance: random.Random) -> slice:
    start = chance.randint(0, len(data))
    return slice(start, min(len(data), start + chance.choice((1, 4, 32, 1000))))


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Within the block, a process that asks for too much memory does not get it; and it must not have used it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    reserved = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (reserved + ADDRESS_SPACE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) << 10 < RESIDENT


@contextlib.contextmanager
def in_time(seconds: int = SECONDS) -> Iterator[None]:
    """Raises TookTooLong in the block after so many seconds of computing; pytest's own limit is for all else."""

    def interrupt(*_: object) -> None:
        raise TookTooLong

    former = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
