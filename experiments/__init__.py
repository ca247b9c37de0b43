"""The commands that train, draw and measure: `python -m experiments` lists them."""

import os
import signal
import sys

from experiments.cli import loading


def leave(number: int, frame: object) -> None:
    """Ends the program at once, while it is still importing: an exception would show where, which helps nobody."""
    os.write(2, b"\r\033[KStopped by Ctrl-C.\n" if os.isatty(2) else b"Stopped by Ctrl-C.\n")
    os._exit(128 + number)


# Python runs this file first for `python -m experiments.COMMAND`, and puts "-m" here until it has found the command.
if sys.argv[:1] == ["-m"] or os.path.basename("".join(sys.argv[:1])) == "jaxgan":
    if sys.platform == "win32":  # Runs are locked by the kernel, which Windows does in another way.
        sys.exit("error: jaxgan runs on Linux and macOS; on Windows: in WSL2")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)  # before the first thread, whose start can be interrupted too
    loading.begin()
