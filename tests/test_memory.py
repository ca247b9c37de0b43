"""That a command keeps the memory which one step frees for the next step."""

import subprocess
import sys

import pytest

# As XLA does: buffers made and freed by a thread that is not the main one, together larger than a heap of glibc's.
STEPS = """
import ctypes, resource, sys, threading
from experiments import command

library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    buffers = [library.malloc(40 << 20) for _ in range(2)]
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

if "keep" in sys.argv:
    command._keep_freed_memory()
thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


def page_faults(*arguments):
    """Pages that the system had to give to a step."""
    done = subprocess.run([sys.executable, "-c", STEPS, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the settings are those of Linux' C library")
def test_freed_buffers_are_kept():
    assert page_faults() > 10_000  # 80 MB in pages of 4 kB: without the settings all are new at each step
    assert page_faults("keep") < 100
