"""The frame of every command: it parses the flags, runs, and ends with an answer or a one-line error and a status."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
from absl import app, flags

from experiments.cli.messages import in_words
from experiments.cli.process import set_up_process
from jaxgan.errors import UserError, one_line, printable
from jaxgan.host.console import silence
from jaxgan.training.signals import Interrupted, stop_by_exceptions

FLAG_FILES = Path(__file__).resolve().parent.parent / "flags"
"""The flag files that come with the commands; `--flagfile=anime.flags` finds them from any folder."""


def run(main: Callable[[], None]) -> None:
    """Parses the flags and runs a command; a user's mistake is one line and status 2, an interruption 130 or 143."""

    def guarded(argv: Sequence[str]) -> None:
        if argv[1:]:
            _fail(f"{argv[1]}: not a flag; every argument begins with --")
        try:
            stop_by_exceptions()
            set_up_process()
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
        _fail(f"the flags cannot be read ({printable(error)})" if recursed else in_words(error, values))


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
