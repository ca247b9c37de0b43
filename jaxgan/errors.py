"""The one exception that stands for a user's mistake, and how errors are told in one line."""


class UserError(ValueError):
    """A mistake that the user can mend: one line that names the flag or the file and the way out.

    The commands print the message and leave with status 2, without a traceback.
    """


class NoSuchSplit(UserError):
    """A data set has no split of this name; the message lists those that it has."""


def printable(text: object) -> str:
    """A path or a stranger's text as it may stand in a message: one line, at most 200 characters, all printable."""
    line = "".join(character if character.isprintable() else "?" for character in str(text).strip())
    return line if len(line) <= 200 else line[:197] + "..."


def one_line(message: object, length: int = 1000) -> str:
    """A message as it may be shown: one line, all printable; of a longer one the beginning and the end."""
    line = "".join(character if character.isprintable() else "?" for character in " ".join(str(message).split()))
    half = length // 2
    return line if len(line) <= length else f"{line[:half]} ... {line[5 - half :]}"


def named(error: BaseException) -> str:
    """An error that is nobody's message, in a line: its kind, and what it says."""
    return f"{type(error).__name__}: {one_line(error, 300)}".removesuffix(": ")
