"""Exceptions for errors of the user, and formatting of errors in one line."""

import re

_FLAG = re.compile(r"(?<![^\s(])--(\[no\])?([a-z]\w*)")


class UserError(ValueError):
    """Error that the user can correct; its one-line message names the flag or the file and the remedy.

    The message is written with flags: `--batch_size=3: must …; give --[no]reuse_noise`. A program sees the arguments
    that they stand for, `batch_size=3: must …; give reuse_noise=False`. The commands print `flag_form` of it,
    `--batch_size=3: must …; give --noreuse_noise`, and exit with status 2, without a traceback.
    """

    def __str__(self) -> str:
        return _FLAG.sub(lambda flag: f"{flag[2]}=False" if flag[1] else flag[2], super().__str__())

    @property
    def as_flags(self) -> str:
        """The message with the flags of a command."""
        return super().__str__().replace("--[no]", "--no")


class NoSuchSplit(UserError):
    """Raised when a data set has no split of this name; the message lists its splits."""


def flag_form(error: BaseException) -> str:
    """Returns the message of an exception as a command prints it: that of a `UserError` names flags."""
    return error.as_flags if isinstance(error, UserError) else str(error)


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
    return f"{type(error).__name__}: {one_line(flag_form(error), 300)}".removesuffix(": ")
