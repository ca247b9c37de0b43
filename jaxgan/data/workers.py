"""Parallel work in processes, with results in order.

The processes are fresh interpreters that import only the module of the function to run. Forking would be unsafe beside
JAX's threads, and the other start methods of `multiprocessing` import the user's main script again, including JAX. The
pipes carry JSON and raw bytes. A process whose parent has died reads the end of its input and exits.
"""

import functools
import importlib
import json
import math
import operator
import os
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import IO, Any, NamedTuple

import numpy as np


class Chunk(NamedTuple):
    """A few finished examples.

    Attributes:
      images: (n, height, width, channels) uint8.
      conditions: (n, c) uint8, or None.
      notes: JSON-compatible remarks on these examples, such as the names of unreadable files.
    """

    images: np.ndarray
    conditions: np.ndarray | None = None
    notes: tuple = ()


def cpu_count() -> int:
    """Returns the number of cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reference(function: Callable[..., Any]) -> dict[str, Any]:
    """Describes a function as JSON, so that another process can import it.

    Args:
      function: a function at the top level of an importable module, or a `functools.partial` of one with
        JSON-compatible keyword arguments.

    Raises:
      TypeError: if it is neither.
    """
    keywords: dict[str, Any] = {}
    if isinstance(function, functools.partial):
        if function.args:
            raise TypeError("a partial function for worker processes takes keyword arguments only")
        keywords, function = function.keywords, function.func
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or "<" in name:
        raise TypeError(f"{name} must be at the top level of an importable module to run in worker processes")
    return json.loads(json.dumps({"module": module, "name": name, "keywords": keywords}))


def resolve(description: dict[str, Any]) -> Callable[..., Any]:
    """Imports the function that `reference` described."""
    function = _imported(description["module"], description["name"])
    return functools.partial(function, **description["keywords"])


@functools.cache
def _imported(module: str, name: str) -> Callable[..., Any]:
    return operator.attrgetter(name)(importlib.import_module(module))


def ordered_map(function: Callable[[Any], Chunk], tasks: Sequence[Any]) -> Generator[Chunk, None, None]:
    """Yields `function(task)` for each task in order, computed by one process per core.

    At most two tasks per process are in flight, so memory does not grow with the number of tasks. A single task, or a
    single core, is handled in this process. Close the generator to stop early.

    Args:
      function: see `reference`.
      tasks: JSON-compatible values.

    Raises:
      RuntimeError: if the function raised in a worker process, or the process died.
    """
    call = reference(function)
    count = min(cpu_count(), len(tasks))
    if count <= 1:
        yield from map(resolve(call), tasks)
        return
    with ExitStack() as stack:
        idle = deque(stack.enter_context(_Worker(call)) for _ in range(count))
        threads = stack.enter_context(ThreadPoolExecutor(count))  # as many as workers: a running task finds an idle one
        pending: deque[Future[Chunk]] = deque()
        stack.callback(lambda: [future.cancel() for future in pending])

        def run(task: Any) -> Chunk:
            worker = idle.popleft()
            try:
                return worker.run(task)
            finally:
                idle.append(worker)

        for task in tasks:
            if len(pending) == 2 * count:
                yield pending.popleft().result()
            pending.append(threads.submit(run, task))
        while pending:
            yield pending.popleft().result()


class _Worker:
    """A process that runs one function on the tasks it receives."""

    def __init__(self, call: dict[str, Any]):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
        command = [sys.executable, "-P", "-c", "from jaxgan.data.workers import main; main()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._tasks, self._answers = self._process.stdin, self._process.stdout
        self._call = call

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._tasks, self._answers):
            with suppress(BrokenPipeError):
                pipe.close()

    def run(self, task: Any) -> Chunk:
        try:
            _write_json(self._tasks, {"call": self._call, "task": task})
            reply = _read_json(self._answers)
            if "error" in reply:
                raise RuntimeError(f"a worker process failed:\n{reply['error']}")
            images = _read_array(self._answers, reply["images"])
            conditions = _read_array(self._answers, reply["conditions"]) if reply["conditions"] else None
        except (BrokenPipeError, EOFError):
            status = self._process.wait()
            raise RuntimeError(f"a worker process died (status {status}); is the memory full?") from None
        return Chunk(images, conditions, tuple(reply["notes"]))


def main() -> None:
    """Runs a worker process: answers the tasks on its standard input until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function prints must not land among the answers
    while True:
        try:
            request = _read_json(source)
        except EOFError:
            return
        try:
            chunk = resolve(request["call"])(request["task"])
        except Exception:
            _write_json(target, {"error": traceback.format_exc()})
            continue
        arrays = [chunk.images] if chunk.conditions is None else [chunk.images, chunk.conditions]
        shapes = [list(array.shape) for array in arrays] + [None]
        _write_json(target, {"images": shapes[0], "conditions": shapes[1], "notes": list(chunk.notes)})
        for array in arrays:
            target.write(np.ascontiguousarray(array, np.uint8).data)
        target.flush()


def _write_json(pipe: IO[bytes], value: Any) -> None:
    pipe.write(json.dumps(value).encode() + b"\n")
    pipe.flush()


def _read_json(pipe: IO[bytes]) -> Any:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


def _read_array(pipe: IO[bytes], shape: list[int]) -> np.ndarray:
    size = math.prod(shape)
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError
    return np.frombuffer(data, np.uint8).reshape(shape)
