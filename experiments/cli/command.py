"""What every command shares: flags, one-line errors, exit statuses, and what a process may set for itself."""

import ctypes
import dataclasses
import difflib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, get_args, get_type_hints

import jax
from absl import app, flags, logging

from experiments.cli.compiled import keep_compiled_programs
from jaxgan.errors import UserError, one_line, printable
from jaxgan.host.console import silence
from jaxgan.training.signals import Interrupted, stop_by_exceptions

FLAG_FILES = Path(__file__).resolve().parent.parent / "flags"
"""The flag files that come with the commands; `--flagfile=anime.flags` finds them from any folder."""


def define_flags(schema: type, defaults: Any = None, helps: Mapping[str, str] | None = None) -> None:
    """One flag for each field of a dataclass; unset unless given.

    Args:
      schema: the dataclass.
      defaults: one of them, whose values --help shows; None: those of its fields.
      helps: by name, what --help says of a field instead of its own help; None: nothing.
    """
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        define, extra = _definition(hints[field.name], field.metadata["choices"])
        value = field.default if defaults is None else getattr(defaults, field.name)
        default = "" if value is None else f" [{value}]"
        # Of the command's own module, so that --help shows them.
        said = (helps or {}).get(field.name, field.metadata["help"])
        define(field.name, None, *extra, said + default, module_name=sys.argv[0])


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
    """The fields of a dataclass whose flags were given, with their values; ~/ is the home directory, as in a shell.

    Raises:
      UserError: for a path that cannot be one.
    """
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(schema)}
    given = {name: value for name, value in values.items() if value is not None}
    paths = {name: value for name, value in given.items() if isinstance(value, str) and value.startswith("~/")}
    given |= {name: os.path.expanduser(path) for name, path in paths.items()}
    for field in dataclasses.fields(schema):
        if field.metadata["path"] and field.name in given:
            check_path(field.name, given[field.name])
    return given


def check_path(name: str, path: str) -> None:
    """Raises a UserError for a path that is none, or that flags.txt cannot carry: a flag a line, in UTF-8."""
    if not path:
        raise UserError(f"--{name}=: is empty (an unset variable of the shell?); name a path, or leave the flag out")
    fault = _fault(path)
    if fault is not None:
        raise UserError(f"--{name}={printable(path)}: {fault}; choose another")


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
    """The flags of a dataclass' fields alone, not parsed yet."""
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
        lines = path.read_text(encoding="utf-8").splitlines()
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not the flags of a run ({printable(error)})") from error
    values = [line.partition("=")[2] for line in lines if line.lstrip("-").partition("=")[0] == name]
    return values[-1] if values else None


def read_flag_lines(schema: type, path: Path) -> dict[str, Any]:
    """What a flag file written by ``flag_lines`` says, by the names of a dataclass' fields.

    Raises:
      UserError: where the file is not such a file.
    """
    values = flag_values(schema)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        lines = [line for line in lines if line.strip() and not line.startswith(("#", "//"))]
        if any(line.lstrip("-").startswith("flagfile") for line in lines):
            raise ValueError("it may not name another flag file")
        for word in values([sys.argv[0], *lines])[1:]:  # absl stops at the first
            raise ValueError(f"{word}: not a flag; every line begins with --")
    except (flags.Error, ValueError, OSError, RecursionError) as error:  # absl recurses on names of 1,000 characters
        raise UserError(f"{path}: not the flags of a run ({printable(error)})") from error
    found = {field.name: values[field.name].value for field in dataclasses.fields(schema)}
    return {name: value for name, value in found.items() if value is not None}


def run(main: Callable[[], None]) -> None:
    """Parses the flags and runs a command; a user's mistake is one line and status 2, an interruption 130 or 143."""

    def guarded(argv: Sequence[str]) -> None:
        if argv[1:]:
            _fail(f"{argv[1]}: not a flag; every argument begins with --")
        try:
            stop_by_exceptions()
            _set_up_process()
            main()
        except UserError as error:
            _fail(str(error))
        except Interrupted as interrupted:
            if str(interrupted):  # of several processes one speaks
                print(interrupted, file=sys.stderr)
            sys.exit(interrupted.status)
        except KeyboardInterrupt:
            print("Stopped by Ctrl-C.", file=sys.stderr)
            _leave(130)
        except SystemExit as leaving:  # SIGTERM, while no loop notes it
            _leave(leaving.code)
        except Exception as error:
            if _is_out_of_memory(error):
                _fail(f"out of memory: a smaller --batch_size, --image_size or width needs less ({printable(error)})")
            if not jax.distributed.is_initialized():
                raise
            traceback.print_exc()
            _leave(1)

    app.run(guarded, flags_parser=parse)


def answer(text: str) -> None:
    """Prints what a command was asked for. Its reader may be gone before the end, as behind ``… | head``.

    Raises:
      UserError: where it cannot be written: a full disk.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        silence(sys.stdout)  # When Python ends it would fail again.
        if not isinstance(error, BrokenPipeError):
            raise UserError(f"the answer cannot be written to the standard output ({error.strerror})") from error


def _is_out_of_memory(error: Exception) -> bool:
    from_jax = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return from_jax or isinstance(error, MemoryError)


def parse(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Parses the arguments and the flag files that they name; returns those that are no flags.

    What stands on the command line itself is preferred to what a flag file says, wherever it stands.
    """
    try:
        return values([*argv[:1], *_files_first(argv[1:])])
    except SystemExit:  # absl has shown the help, which was asked for, and leaves with 1
        sys.exit(0)
    except (flags.Error, ValueError, OSError, RecursionError) as error:  # the others for flag files of any content
        recursed = isinstance(error, RecursionError)
        _fail(f"the flags cannot be read ({printable(error)})" if recursed else _said(error, values))


def _files_first(arguments: Sequence[str]) -> list[str]:
    """Moves the arguments that name flag files before the others: of two values absl takes the later one."""
    files: list[str] = []
    others: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, value = argument.partition("=")
        if not argument.startswith("-") or name.lstrip("-") != "flagfile":
            others.append(argument)
        elif equals or left:
            files.append(f"--flagfile={_find_flag_file(value if equals else left.pop(0))}")
        else:
            files.append(argument)
    return files + others


def _find_flag_file(name: str) -> str:
    """Returns the path of a flag file: in the working directory, or else among those that come with the commands."""
    shipped = FLAG_FILES / name
    return str(shipped) if Path(name).name == name and not Path(name).exists() and shipped.is_file() else name


def _said(error: Exception, names: Iterable[str]) -> str:
    """What absl says of a flag, in words for people; the names are those of all flags."""
    text = re.sub(r"^(flag |ERROR:: )", "", str(error))
    if isinstance(error, flags.UnrecognizedFlagError):
        close = difflib.get_close_matches(error.flagname, [*names, "flagfile"], n=1)
        return f"--{error.flagname}: no such flag; {f'did you mean --{close[0]}? ' if close else ''}--help lists all"
    text = re.sub(r"^Unable to open flagfile: (\[Errno \d+\] )?(.*): '(.*)'$", r"--flagfile=\3: \2", text)
    text = re.sub(r"invalid literal for int\(\) with base \d+: .*", "must be a whole number", text)
    return re.sub(r"could not convert string to float: .*", "must be a number", text)


def _fail(message: str) -> NoReturn:
    print("error: " + one_line(message), file=sys.stderr)
    _leave(2)


def _leave(status: Any) -> NoReturn:
    """Ends a process that has failed or was asked to; the status is as in ``sys.exit``."""
    if jax.distributed.is_initialized():  # At its usual end JAX would wait for the other processes, and abort.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _set_up_process() -> None:
    """Settings that belong to a program, never to an import of the library."""
    logging.set_verbosity(logging.WARNING)  # Orbax tells every detail of a save
    _keep_freed_memory()
    keep_compiled_programs()


def _keep_freed_memory() -> None:
    """Lets glibc keep big freed buffers, else each step faults in the same pages again (9 to 25 % of it on a CPU)."""
    if sys.platform != "linux":
        return
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # mallopt's M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_max, 0)  # No threshold: XLA asks for what a step needs in one piece, of gigabytes in big batches.
        mallopt(trim_threshold, -1)
        mallopt(arena_max, 1)  # XLA's threads would have arenas, which give 64 MB back whatever the thresholds say
