"""The frame of every command: it parses the flags, runs, and ends with an answer or a one-line error and a status."""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
from absl import app, flags

import experiments
from experiments.cli import flag_files, help_page, loading
from experiments.cli.messages import in_words
from experiments.cli.process import accept_any_character, set_up_process
from experiments.cli.schema import FlagTable
from jaxgan.host.console import silence
from jaxgan.host.errors import UserError, named, one_line, printable
from jaxgan.training import compile_ahead
from jaxgan.training.signals import Interrupted, stop_by_exceptions


def run(main: Callable[[], None], *tables: FlagTable) -> None:
    """Parses the flags and runs a command; a user's mistake is one line and status 2, an interruption 130, 143 or 129.

    Args:
      main: the command.
      *tables: what `define_flags` returned, for the page of `--help`.
    """

    def guarded(argv: Sequence[str]) -> None:
        if argv[1:]:
            _fail(f"{argv[1]}: not a flag; every argument begins with --")
        try:
            if signal.getsignal(signal.SIGINT) is experiments.leave:  # from here on it can be told in order
                signal.signal(signal.SIGINT, signal.default_int_handler)
            stop_by_exceptions()
            set_up_process()
            main()
        except UserError as error:
            _fail(error.as_flags)
        except Interrupted as interrupted:
            if str(interrupted):  # of several processes one speaks
                print(interrupted, file=sys.stderr)
            if compile_ahead.is_under_way():
                _leave(interrupted.status)
            sys.exit(interrupted.status)
        except KeyboardInterrupt:
            print("Stopped by Ctrl-C.", file=sys.stderr)
            _leave(130)
        except SystemExit as leaving:  # SIGTERM, while no loop notes it
            _leave(leaving.code)
        except Exception as error:
            if _is_out_of_memory(error):
                _fail(f"out of memory: a smaller --batch_size, --image_size or width needs less ({printable(error)})")
            if not _has_devices():
                _fail(f"{_no_device()} ({named(error)})")
            if not jax.distributed.is_initialized():
                raise
            traceback.print_exc()
            _leave(1)

    loading.end()
    accept_any_character()
    doc = sys.modules["__main__"].__doc__ or ""
    app.run(guarded, flags_parser=functools.partial(parse, tables=tables, doc=doc))


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


def _has_devices() -> bool:
    try:
        jax.devices()
    except Exception:  # an AssertionError for cuda, a RuntimeError for others
        return False
    return True


def _no_device() -> str:
    asked = printable(getattr(jax.config, "jax_platforms", None) or "")
    return f"JAX_PLATFORMS={asked}: JAX finds no such device here; choose another, such as cpu, or leave it unset"


def _is_out_of_memory(error: Exception) -> bool:
    from_jax = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return from_jax or isinstance(error, MemoryError)


def parse(
    argv: Sequence[str], values: flags.FlagValues = flags.FLAGS, tables: Sequence[FlagTable] = (), doc: str = ""
) -> list[str]:
    """Parses the arguments and the flag files that they name; returns those that are no flags.

    What stands on the command line itself is preferred to what a flag file says, wherever it stands. Where the command
    line asks for help, the page is shown and the process left with status 0, whatever else is asked for.

    Args:
      argv: the program and its arguments.
      values: the flags that are set.
      tables: what `define_flags` returned, for the page of `--help`.
      doc: the docstring of the command's module, for that page.
    """
    try:
        if help_page.is_asked(argv[1:]):
            _show_help(argv, values, tables, doc)
        arguments = flag_files.expand(argv[1:])
        flag_files.check_names(arguments)
        return values([*argv[:1], *arguments])
    except SystemExit:  # after help, ours or absl's, which leaves with 1
        sys.exit(0)
    except UserError as error:
        _fail(error.as_flags)
    except (flags.Error, ValueError, OSError, RecursionError) as error:  # the others for flag files of any content
        recursed = isinstance(error, RecursionError)
        _fail(f"the flags cannot be read ({printable(error)})" if recursed else in_words(error, values))


def _show_help(argv: Sequence[str], values: flags.FlagValues, tables: Sequence[FlagTable], doc: str) -> NoReturn:
    """Shows the page of `--help`, with the defaults of the model that the flags name, and leaves."""
    try:
        arguments = flag_files.expand(argv[1:])
    except UserError:  # Help is needed the most by those who made a mistake.
        arguments = list(argv[1:])
    others = values.flags_by_module_dict().get(argv[0], [])
    answer(help_page.page(doc, tables, help_page.asked_model(arguments), others))
    sys.exit(0)


def _fail(message: str) -> NoReturn:
    print("error: " + one_line(message), file=sys.stderr)
    _leave(2)


def _leave(status: Any) -> NoReturn:
    """Ends a process that has failed or was asked to; the status is as in ``sys.exit``."""
    # At its usual end JAX would wait for the other processes, and abort; Python would wait for the thread that compiles
    # the next program in vain.
    if jax.distributed.is_initialized() or compile_ahead.is_under_way():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
