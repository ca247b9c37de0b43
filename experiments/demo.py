"""Serves a web page for one or more runs: create pictures, explore the latent space, watch the training.

    python -m experiments.demo                                  # the models that come with the package
    python -m experiments.demo --workdir=W
    python -m experiments.demo --workdir=runs --port=8000

The page has no password, so only this machine can reach it unless --host says otherwise. It needs Gradio, but no
internet connection.
"""

import contextlib
import dataclasses
import errno
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

from experiments.cli import command, schema
from experiments.cli.ports import free_port, try_port
from experiments.page.shelf import Shelf
from experiments.run import pretrained
from experiments.run.restore import STEP_HELP
from jaxgan.host import progress
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import option

FIRST = "faces"  # of the models that come with the package


@dataclasses.dataclass(frozen=True)
class Demo:
    """The flags of this command."""

    workdir: str | None = option(
        None,
        "Directory of a run, or a folder of such directories; default: the models that come with the package",
        path=True,
    )
    step: str | None = option(None, STEP_HELP)
    port: int = option(7860, "Port of the page")
    host: str = option("127.0.0.1", "Address to listen on; 127.0.0.1 is this machine only, 0.0.0.0 the whole network")


def main() -> None:
    """Serves the page until it is stopped."""
    asked = Demo(**schema.given_flags(Demo))
    if not 1 <= asked.port <= 65535:
        raise UserError(f"--port={asked.port}: must be from 1 to 65535")
    shelf = Shelf(asked.workdir or str(pretrained.FOLDER), asked.step)
    try:
        try_port(asked.host, asked.port)  # Gradio reports every fault as an occupied port.
    except OSError as error:
        raise _unservable(asked, error) from error
    signal.signal(signal.SIGTERM, _leave)
    try:
        _serve(asked, shelf)
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C.", file=sys.stderr)
        _end(130)
    except SystemExit as leaving:
        _end(leaving.code)


def _serve(asked: Demo, shelf: Shelf) -> None:
    with tempfile.TemporaryDirectory(prefix="jaxgan-demo-") as scratch:
        layout = _layout(scratch)
        page = layout.build(shelf, Path(scratch) / "pictures", None if asked.workdir else FIRST)
        try:
            address = layout.serve(page, host=asked.host, port=asked.port)
        except OSError as error:  # another process has taken the port in the meantime
            raise _unservable(asked, error) from error
        try:
            print(f"{', '.join(shelf.names())}: {address} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
        finally:
            page.close(verbose=False)


def _unservable(asked: Demo, error: OSError) -> UserError:
    other = f"; --port={free_port()} is free" if error.errno == errno.EADDRINUSE else ""
    return UserError(f"--host={asked.host}, --port={asked.port}: the page cannot be served there ({error}){other}")


def _layout(scratch: str) -> Any:
    """Imports the page's layout, after setting Gradio to keep its files in a directory and to send no analytics."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = scratch
    try:
        with progress.ticking("loading the page"):
            from experiments.page import layout
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise UserError("experiments.demo needs Gradio: pip install 'jaxgan[demo]'") from error
    return layout


def _end(status: Any) -> NoReturn:
    """Ends at once: a picture may still be computed, and Python's own way to end would crash beneath that thread."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader is gone
            stream.flush()
    os._exit(status)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    command.run(main, schema.define_flags(Demo))
