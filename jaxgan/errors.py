"""The one exception that stands for a user's mistake, and how it quotes what it was given."""


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
