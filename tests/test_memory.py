"""That a command keeps the memory which one step frees for the next step."""

import subprocess
import sys

import pytest

# As XLA does: buffers made and freed by a thread that is not the main one, together larger than a heap of glibc's. Of
# each, 40 MB are written: the system gives no page before that.
STEPS = """
import ctypes, resource, sys, threading
from experiments.cli import process

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
library.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: where pages of 2 MB are the rule, too few are new to tell

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    buffers = [library.malloc(size << 20) for _ in range(2)]
    assert all(buffers)
    for buffer in buffers:
        library.memset(buffer, 1, 40 << 20)
    for buffer in buffers:
        library.free(buffer)

def steps():
    for _ in range(2):
        step()
    before = faults()
    for _ in range(5):
        step()
    print((faults() - before) // 5)

size = int(sys.argv[1])
if "keep" in sys.argv:
    process._keep_freed_memory()
thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


def page_faults(*arguments):
    """Pages that the system had to give to a step."""
    command = [sys.executable, "-c", STEPS, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# In big batches XLA asks for more than a gigabyte in one piece, for which a threshold would not do.
@pytest.mark.parametrize("megabytes", [40, 1200])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the settings are those of Linux' C library")
def test_freed_buffers_are_kept(megabytes):
    assert page_faults(megabytes) > 10_000  # 80 MB in pages of 4 kB: without the settings all are new at each step
    assert page_faults(megabytes, "keep") < 100
