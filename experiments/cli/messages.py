"""The messages of absl's flags, in words for people."""

import difflib
import re
from collections.abc import Iterable

from absl import flags


def in_words(error: Exception, names: Iterable[str]) -> str:
    """Puts what absl says of a flag in words for people.

    Args:
      error: the exception that absl raised.
      names: the names of all flags.
    """
    text = re.sub(r"^(flag |ERROR:: )", "", str(error))
    if isinstance(error, flags.UnrecognizedFlagError):
        close = difflib.get_close_matches(error.flagname, [*names, "flagfile"], n=1)
        return f"--{error.flagname}: no such flag; {f'did you mean --{close[0]}? ' if close else ''}--help lists all"
    text = re.sub(r"^Unable to open flagfile: (\[Errno \d+\] )?(.*): '(.*)'$", r"--flagfile=\3: \2", text)
    text = re.sub(r"invalid literal for int\(\) with base \d+: .*", "must be a whole number", text)
    return re.sub(r"could not convert string to float: .*", "must be a number", text)
