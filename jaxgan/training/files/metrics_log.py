"""Log of a run's metrics: one JSON object per line, readable while it is written and intact after a crash."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxgan.host.files import AppendedFile, replace_atomically

Line = dict[str, Any]

RATES = ("images_per_sec", "data_wait")
"""What a line has besides metrics and scores."""


class MetricsLog:
    """Appends lines to a file such as `metrics.jsonl`.

    Args:
      path: the file; created if it is missing.
      last_step: the step from which the run continues: later lines and an incomplete last one are cut off.
    """

    def __init__(self, path: str | Path, last_step: int) -> None:
        path = Path(path)
        whole = "".join(_format(line) for line in read(path) if line["step"] <= last_step).encode()
        if not path.exists() or path.read_bytes() != whole:
            replace_atomically(path, lambda file: file.write(whole))
        self._file = AppendedFile(path)

    def append(self, step: int, values: Mapping[str, float]) -> Line:
        """Appends the line that `make_line` builds, and returns it."""
        line = make_line(step, values)
        self._file.append(_format(line).encode())
        return line

    def sync(self) -> None:
        """Waits until everything is on disk, so that no later checkpoint is ahead of the log."""
        self._file.sync()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def plain_name(name: str) -> str:
    """Strips the head and the source of the classes from a score's name: "hair/measured_…" -> "…"."""
    return name.rpartition("/")[2].removeprefix("measured_")


def make_line(step: int, values: Mapping[str, float]) -> Line:
    """Builds the line of the log for a step.

    Args:
      step: the step of the values; it comes first.
      values: numbers by name. Those that are not finite are left out, and their names listed under `non_finite`.
    """
    finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
    line: Line = {"step": step, **finite}
    if len(finite) < len(values):
        line["non_finite"] = [name for name in values if name not in finite]
    return line


def read(path: str | Path) -> list[Line]:
    """Reads the lines of a log in order; incomplete lines, and those that `MetricsLog` did not write, are skipped.

    Returns:
      One dictionary per line, each with an integer `step`; none if there is no file.
    """
    path = Path(path)
    if not path.is_file():
        return []
    lines = map(_parse, path.read_bytes().split(b"\n"))
    return [line for line in lines if line is not None]


def _parse(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and _is_line(line) else None


def _is_line(line: Line) -> bool:
    """Whether a line holds a step, finite numbers, and the names of those that are not finite."""
    values = {name: value for name, value in line.items() if name not in ("step", "non_finite")}
    names = line.get("non_finite", [])
    return (
        type(line.get("step")) is int
        and 0 <= line["step"] < 1 << 63
        and all(type(value) is float and math.isfinite(value) for value in values.values())
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
    )


def _format(line: Line) -> str:
    return json.dumps(line, allow_nan=False) + "\n"
