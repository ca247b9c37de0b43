"""Flag files: text with a flag a line, named by `--flagfile`, or written by a run to repeat it."""

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxgan.host.errors import UserError, printable
from jaxgan.systems.settings import unquote

SHIPPED = Path(__file__).resolve().parent.parent / "flags"
"""The flag files that come with the commands; `--flagfile=anime.flags` finds them from any folder."""

_LARGEST = 1_000_000  # bytes; /dev/zero has no end
LONGEST_NAME = 100  # of a flag, in characters
_COMMENTS = ("#", "//")


def expand(arguments: Sequence[str]) -> list[str]:
    """Puts the lines of flag files in the place of the arguments that name the files.

    They come before all other arguments: of two values absl takes the later one, and what stands on the command line
    itself is preferred to what a file says.

    Raises:
      UserError: where a file cannot be read, is not text in UTF-8, or names itself.
    """
    files: list[str] = []
    others: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, value = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            others.append(argument)
        elif equals or left:
            files += _lines_of(value if equals else left.pop(0), ())
        else:
            raise UserError("--flagfile: name a file, as in --flagfile=anime.flags")
    return files + others


def read_text(path: str | Path) -> str:
    """Reads a flag file; a byte-order mark of UTF-8 is left out.

    Raises:
      OSError: where the file cannot be read.
      ValueError: where it is no text in UTF-8, or longer than any flag file.
    """
    with open(path, "rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"it is no flag file: it has more than {_LARGEST:,} bytes")
    # No flag file begins with NUL or has it in the second place, but each in UTF-16 that begins with an ASCII letter.
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        raise ValueError("it is in UTF-16 (as PowerShell's > writes it); save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save it as UTF-8") from error


def is_flag(line: str) -> bool:
    """Whether a line of a flag file is neither blank nor a comment."""
    return bool(line.strip()) and not line.startswith(_COMMENTS)


def check_names(words: Iterable[str]) -> None:
    """Raises a UserError for a flag whose name is too long: absl would look for similar ones for seconds."""
    for word in words:
        name = word.lstrip("-").partition("=")[0]
        if word.startswith("-") and len(name) > LONGEST_NAME:
            raise UserError(f"--{printable(name[:40])}...: no such flag; --help lists all")


def _lines_of(name: str, above: tuple[str, ...]) -> list[str]:
    """Returns the flags of a file and of the files that it names.

    Args:
      name: of the file.
      above: the files that led to it.
    """
    if not name.strip():
        raise UserError("--flagfile=: is empty (an unset variable of the shell?); name a file, or leave the flag out")
    try:
        path = _find(os.path.expanduser(name.strip()))
        if path in above:
            raise ValueError(f"{printable(above[-1])} names it again, and it would be read without end")
        lines = [line.strip() for line in read_text(path).splitlines() if is_flag(line)]
    except FileNotFoundError as error:
        raise UserError(f"--flagfile={printable(name)}: {error.strerror}{_similar(name)}") from error
    except OSError as error:
        raise UserError(f"--flagfile={printable(name)}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"--flagfile={printable(name)}: {error}") from error
    found: list[str] = []
    for line in lines:
        flag, _, value = unquote(line).partition("=")
        found += _lines_of(value, (*above, path)) if flag in ("--flagfile", "-flagfile") else [unquote(line)]
    return found


def _similar(name: str) -> str:
    """Returns a question for a file that comes with the commands and has a similar name; "" without one."""
    names = {path.stem: path.name for path in SHIPPED.glob("*.flags")}
    close = difflib.get_close_matches(Path(name[-LONGEST_NAME:]).stem, sorted(names), n=1)
    return f"; did you mean --flagfile={names[close[0]]}?" if close else ""


def _find(name: str) -> str:
    """Returns the path of a flag file: in the working directory, or else among those that come with the commands."""
    shipped = SHIPPED / name
    return str(shipped) if Path(name).name == name and not Path(name).exists() and shipped.is_file() else name
