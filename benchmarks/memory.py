"""The memory of a process and all that it started, while it runs."""

import threading
from pathlib import Path


class PeakMemory:
    """Looks at a process every few milliseconds, and remembers the most memory that it and its descendants held.

    Pages that several of them share count once. Linux only; elsewhere the peak stays 0.

    Attributes:
      megabytes: the peak so far.
    """

    def __init__(self, pid: int, interval: float = 0.05) -> None:
        self.megabytes = 0.0
        self._pid, self._interval, self._stop = pid, interval, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.megabytes = max(self.megabytes, sum(map(_proportional_megabytes, family(self._pid))))


def family(pid: int) -> list[int]:
    """Lists a process and its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _proportional_megabytes(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1000
