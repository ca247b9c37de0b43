"""The same run on 1, 2, 4 and 8 devices, and a checkpoint of each resumed on each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"


@pytest.mark.slow
def test_one_two_four_and_eight_devices_train_alike(tmp_path):
    done = subprocess.run(
        [sys.executable, "tests/eight_devices.py", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        # Queued collectives of eight devices deadlock on few cores.
        env={**os.environ, "PYTHONPATH": ".", "XLA_FLAGS": FLAGS, "JAX_CPU_ENABLE_ASYNC_DISPATCH": "0"},
        timeout=550,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["order"]) == 7 and all(found["order"].values()), found["order"]
    assert max(found["trained"].values()) < 1e-5, found["trained"]
    assert len(found["resumed"]) == 49 and max(found["resumed"].values()) < 1e-5, found["resumed"]
    assert all(found["to the bit"].values()), found["to the bit"]
