"""Exceptions for errors of the user, and formatting of errors in one line."""


class UserError(ValueError):
    """Error that the user can correct; its one-line message names the flag or the file and the remedy.

    The commands print the message and exit with status 2, without a traceback.
    """


class NoSuchSplit(UserError):
    """Raised when a data set has no split of this name; the message lists its splits."""


def printable(text: object) -> str:
    """Formats a path or untrusted text for a message: one line of printable characters, at most 200."""
    line = "".join(character if character.isprintable() else "?" for character in str(text).strip())
    return line if len(line) <= 200 else line[:197] + "..."


def one_line(message: object, length: int = 1000) -> str:
    """Formats a message as one line of printable characters.

    Args:
      message: the message.
      length: maximum length; of a longer message the beginning and the end are kept.
    """
    line = "".join(character if character.isprintable() else "?" for character in " ".join(str(message).split()))
    half = length // 2
    return line if len(line) <= length else f"{line[:half]} ... {line[5 - half :]}"


def named(error: BaseException) -> str:
    """Formats an exception as one line, "Type: message"."""
    return f"{type(error).__name__}: {one_line(error, 300)}".removesuffix(": ")
