"""The other end of a worker: a side of a comparison that computes in a process of its own."""

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


class SideFailed(RuntimeError):
    """A side could not be built or broke off; its own message is on the standard error stream."""


class Process:
    """A side in a process of its own, started at once; its methods wait until it is built.

    Args:
      description: what ``benchmarks.worker`` is to build; of another checkout, if "checkout" names its folder.
      share: of an accelerator's memory, for sides that use JAX.
    """

    def __init__(self, description: dict[str, Any], share: float = 0.4) -> None:
        self._name = json.dumps(description)
        # JAX takes most of an accelerator's memory at once: it has to leave some to the other sides.
        environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": str(share), **os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", self._name],
            cwd=description.get("checkout", REPOSITORY),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """What the side says of itself once it is built; at least "images_per_call" and "device"."""
        return self._read()

    def run(self, calls: int) -> float:
        """Makes so many calls of the step, and returns the seconds that they took."""
        return self._ask("run", calls)

    def measure(self) -> dict[str, Any]:
        """Returns what else the side has measured: its peak memory, and more."""
        return self._ask("measure")

    def matmul_rate(self) -> float:
        """Measures what the device can do at best; only sides that use JAX know it."""
        return self._ask("matmul_rate")

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _ask(self, *question: Any) -> Any:
        _ = self.facts  # the first line that it writes
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SideFailed(self._name) from None
        return self._read()

    def _read(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise SideFailed(f"{self._name} ended with status {self._process.wait()}")
        return json.loads(line)


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Sets environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
