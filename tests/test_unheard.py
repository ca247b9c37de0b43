"""Words that nobody reads any more end no run: behind a `tee` that Ctrl-C ends first, in a terminal that was closed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from test_commands import REPOSITORY, TINY, inspected, run


def start(workdir, *flags, stdout, stderr):
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.dcgan", *TINY, "--log_every=1", f"--workdir={workdir}", *flags],
        stdout=stdout,
        stderr=stderr,
        cwd=REPOSITORY,
        env={**os.environ, "XLA_FLAGS": "", "PYTHONUNBUFFERED": ""},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_although_nobody_reads(tmp_path, number, status):
    process = start(tmp_path / "run", "--steps=100000", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process.stderr.close()
    log = tmp_path / "run" / "metrics.jsonl"
    while not (log.exists() and log.stat().st_size > 1000):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(timeout=120) == status
    assert inspected(tmp_path / "run")["step"] > 1


@pytest.mark.slow
def test_a_run_reaches_its_end_although_nobody_reads(tmp_path):
    process = start(tmp_path / "run", "--steps=12", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=300) == 0
    assert inspected(tmp_path / "run")["step"] == 12
    assert run("dcgan", *TINY, f"--workdir={tmp_path / 'run'}", "--steps=13").returncode == 0
