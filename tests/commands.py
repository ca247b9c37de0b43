"""Commands as a user runs them, each in a process of its own, which begins with everything imported.

Importing takes longer than most of what the tests ask of a command. So a server that has imported the commands once
forks for each of them. What concerns the start itself, such as the environment or signals, is tested with `python -m`.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *("experiments.run.start", "experiments.run.exhibits", "experiments.run.evaluation", "experiments.run.dry_run"),
        *("jaxgan.sampling", "jaxgan.training.loop", "matplotlib.figure", "optax", "tensorboardX"),
    ]
)


def run(command, *arguments, timeout=300):
    """The finished process of `python -m experiments.COMMAND`, on one device."""
    with tempfile.TemporaryDirectory() as directory:
        streams = [os.path.join(directory, name) for name in ("stdout", "stderr")]
        environment = {**os.environ, "XLA_FLAGS": ""}
        process = SERVER.Process(target=_run, args=(command, list(map(str, arguments)), environment, *streams))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        texts = [Path(path).read_text() for path in streams]
        return subprocess.CompletedProcess([command, *arguments], process.exitcode, *texts)


def _run(command, arguments, environment, *streams):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(REPOSITORY)
    for descriptor, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = [f"experiments.{command}", *arguments]
    try:
        runpy.run_module(f"experiments.{command}", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves without
