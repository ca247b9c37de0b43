"""What a number was measured on, and what its device can do at best."""

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "numpy", "tensorflow", "tensorflow-cpu")


def describe() -> dict[str, Any]:
    """Describes the machine and the versions; loads no framework."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def busy_share(seconds: float) -> float:
    """Sleeps so long, and says which share of the processors was busy in the second half of it; 0 if unknown."""
    time.sleep(seconds / 2)
    before = _processor_times()
    time.sleep(seconds / 2)
    idle, total = (after - then for after, then in zip(_processor_times(), before, strict=True))
    return 1 - idle / total if total else 0.0


def _processor_times() -> tuple[int, int]:
    """Idle and all clock ticks of all processors since the start."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:9]]
    except OSError:
        return 0, 0
    return ticks[3] + ticks[4], sum(ticks)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def peak_memory_mb() -> float:
    """Returns the most memory that this process ever held, in megabytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return round(int(kilobytes) / 1000, 1)
    except (OSError, StopIteration):
        import resource

        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, 1)


def matmul_rate(precision: str, repeats: int = 5) -> float:
    """Multiplications and additions a second of a large matrix product in JAX: what the device can do at best."""
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.default_backend() == "cpu" else 8192
    chained = 1 if jax.default_backend() == "cpu" else 10  # launched together, so that launches do not count
    matrix = jax.random.normal(jax.random.key(0), (size, size), jnp.dtype(precision))
    product = jax.jit(lambda a, b: a @ b)
    product(matrix, matrix).block_until_ready()
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        result = matrix
        for _ in range(chained):
            result = product(matrix, result)
        result.block_until_ready()
        best = min(best, (time.perf_counter() - began) / chained)
    return 2 * size**3 / best
