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


COMPILED_FAST = "--xla_backend_optimization_level=0"


def run(command, *arguments, xla_flags="", timeout=300):
    """The finished process of `python -m experiments.COMMAND`, on one device.

    Where a test trains a few small steps, most of the time is compilation: pass `COMPILED_FAST` as XLA's flags.
    """
    arguments = (f"experiments.{command}", *map(str, arguments))
    return _finished(_run_command, *arguments, folder=REPOSITORY, xla_flags=xla_flags, timeout=timeout)


def run_file(path, *, xla_flags="", timeout=300):
    """The finished process of `python PATH` in the file's own folder, on one device."""
    return _finished(runpy.run_path, str(path), folder=path.parent, xla_flags=xla_flags, timeout=timeout)


def run_function(function, *arguments, timeout=300):
    """The finished process of a function of a test's module, on one device.

    Its programs are optimised, as a user's are. Those of the tests' own processes are compiled fast instead, and take
    several times as long to run.
    """
    return _finished(function, *arguments, folder=REPOSITORY, timeout=timeout)


def _finished(target, *arguments, folder, timeout, xla_flags=""):
    with tempfile.TemporaryDirectory() as directory:
        streams = [os.path.join(directory, name) for name in ("stdout", "stderr")]
        environment = {**os.environ, "XLA_FLAGS": xla_flags}
        process = SERVER.Process(target=_begin, args=(target, arguments, environment, folder, streams))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        return subprocess.CompletedProcess(arguments, process.exitcode, *(Path(path).read_text() for path in streams))


def _run_command(module, *arguments):
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _begin(target, arguments, environment, folder, streams):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for descriptor, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    try:
        target(*arguments)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves without
