"""Flags from dataclasses: each field is a flag, and a flag file repeats the values of an instance."""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_type_hints

from absl import flags

from experiments.cli.flag_files import check_names, is_flag, read_text
from jaxgan.host.errors import UserError, printable
from jaxgan.systems.settings import unquote


@dataclasses.dataclass(frozen=True)
class FlagTable:
    """The flags of a dataclass, as `--help` shows them.

    Attributes:
      schema: the dataclass.
      defaults_of: from the name of a model, or None, to an instance whose values are the defaults.
      helps: by name, what is said of a field instead of its own help.
    """

    schema: type
    defaults_of: Callable[[str | None], Any]
    helps: Mapping[str, str]

    def fields(self) -> list[dataclasses.Field]:
        """Returns the fields, those that the dataclass adds to its bases first."""
        bases = (base for base in self.schema.__mro__[1:] if dataclasses.is_dataclass(base))
        inherited = {field.name for base in bases for field in dataclasses.fields(base)}
        return sorted(dataclasses.fields(self.schema), key=lambda field: field.name in inherited)

    def help_of(self, field: dataclasses.Field) -> str:
        """Returns what is said of a field."""
        return self.helps.get(field.name, field.metadata["help"])


def define_flags(
    schema: type,
    defaults: Any = None,
    helps: Mapping[str, str] | None = None,
    *,
    defaults_of: Callable[[str | None], Any] | None = None,
) -> FlagTable:
    """Defines one flag for each field of a dataclass; unset unless given.

    Args:
      schema: the dataclass.
      defaults: an instance, whose values `--help` shows; None: the defaults of the fields.
      helps: by name, what `--help` says of a field instead of its own help; None: nothing.
      defaults_of: instead of `defaults`, a function from the model that was asked for to an instance; the default
        model's where it is given None, or a model that it does not know.

    Returns:
      What `command.run` needs for `--help`.
    """
    if defaults is None:
        defaults = SimpleNamespace(**{field.name: field.default for field in dataclasses.fields(schema)})
    table = FlagTable(schema, defaults_of or (lambda model: defaults), helps or {})
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        define, extra = _definition(hints[field.name], field.metadata["choices"])
        # Of the command's own module, which absl takes for the one that declares them.
        define(field.name, None, *extra, table.help_of(field), module_name=sys.argv[0])
    return table


def _definition(hint: Any, choices: Sequence[str]) -> tuple[Callable[..., Any], list[Any]]:
    """The absl function that defines a flag of this type, and its further arguments."""
    kind = next(arg for arg in get_args(hint) if arg is not type(None)) if isinstance(hint, UnionType) else hint
    if choices:
        return flags.DEFINE_enum, [choices]
    by_type: dict[type, Callable[..., Any]] = {
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        bool: flags.DEFINE_bool,
        str: flags.DEFINE_string,
    }
    return by_type[kind], []


def given_flags(schema: type) -> dict[str, Any]:
    """Returns the fields of a dataclass whose flags were given; ~ in a path is the home directory, as in a shell.

    Raises:
      UserError: for an empty text, or a path that cannot be one.
    """
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(schema)}
    given = {name: value for name, value in values.items() if value is not None}
    paths = [field.name for field in dataclasses.fields(schema) if field.metadata["path"]]
    given |= {name: os.path.expanduser(given[name]) for name in paths if name in given}
    for field in dataclasses.fields(schema):
        if field.metadata["path"] and field.name in given:
            check_path(field.name, given[field.name])
        elif given.get(field.name) == "":
            raise _empty(field.name, "give it a value")
    return given


def check_path(name: str, path: str) -> None:
    """Raises a UserError for a path that is none, or that flags.txt cannot carry: a flag a line, in UTF-8."""
    if not path:
        raise _empty(name, "name a path")
    fault = _fault(path)
    if fault is not None:
        raise UserError(f"--{name}={printable(path)}: {fault}; choose another")


def _empty(name: str, remedy: str) -> UserError:
    return UserError(f"--{name}=: is empty (an unset variable of the shell?); {remedy}, or leave the flag out")


def _fault(path: str) -> str | None:
    """What is wrong with a path; nothing if it only leads nowhere yet."""
    if path.splitlines() != [path] or "\0" in path:
        return "has a line break or a NUL in it"
    try:
        inside = os.path.join(os.path.abspath(path), "checkpoints")  # may be too long where the path alone is not
        inside.encode()
        os.stat(inside)
    except UnicodeEncodeError:
        return "its full name is not UTF-8"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    return None


def given_directly(name: str) -> bool:
    """Whether a flag stands on the command line itself, and not only in a flag file."""
    return any(argument.lstrip("-").partition("=")[0] == name for argument in sys.argv[1:])


def check_readable(name: str, path: str) -> None:
    """Raises a UserError for a file that cannot be read, before hours are spent on what is not about it."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise UserError(f"--{name}={printable(path)}: cannot be read ({error.strerror})") from error


def flag_values(schema: type) -> flags.FlagValues:
    """Returns the flags of a dataclass' fields alone, not parsed yet."""
    values = flags.FlagValues()
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        define, extra = _definition(hints[field.name], field.metadata["choices"])
        define(field.name, None, *extra, "", flag_values=values)
    return values


def find_value(path: Path, name: str) -> str | None:
    """Returns the value that a flag file gives a flag, the last if there are several; None without one.

    Raises:
      UserError: where the file cannot be read.
    """
    try:
        lines = [unquote(line) for line in read_text(path).splitlines()]
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not the flags of a run ({printable(error)})") from error
    values = [line.partition("=")[2] for line in lines if line.lstrip("-").partition("=")[0] == name]
    return values[-1] if values else None


def read_flag_lines(schema: type, path: Path) -> dict[str, Any]:
    """Reads a flag file written by `jaxgan.systems.settings.flag_lines`, by the names of a dataclass' fields.

    Raises:
      UserError: where the file is not such a file.
    """
    values = flag_values(schema)
    try:
        lines = [unquote(line) for line in read_text(path).splitlines() if is_flag(line)]
        if any(line.lstrip("-").startswith("flagfile") for line in lines):
            raise ValueError("it may not name another flag file")
        check_names(lines)
        for word in values([sys.argv[0], *lines])[1:]:  # absl stops at the first
            raise ValueError(f"{word}: not a flag; every line begins with --")
    except (flags.Error, ValueError, OSError, RecursionError) as error:  # absl recurses on names of 1,000 characters
        raise UserError(f"{path}: not the flags of a run ({printable(error)})") from error
    found = {field.name: values[field.name].value for field in dataclasses.fields(schema)}
    return {name: value for name, value in found.items() if value is not None}
