"""Signals, and words that nobody can read: neither costs a run anything."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import test_training
from test_training import files_of, run

from jaxgan.host import console
from jaxgan.training.files.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of 60 steps that nothing disturbed."""
    directory = tmp_path_factory.mktemp("whole")
    run(directory, steps=60)
    return files_of(directory)


def start(directory, delay=0.02):
    """Another process that trains; everything that it says can be read from its pipes."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(
        [sys.executable, test_training.__file__, str(directory), str(delay)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout.readline().startswith(b"Training")
    return process


def finish(process):
    """The exit status, and what can still be read of the two streams."""
    try:
        said = [stream.read() for stream in (process.stdout, process.stderr) if not stream.closed]
        return process.wait(timeout=60), b"".join(said).decode()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


TERMINATED = pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), TERMINATED])
def test_a_signal_saves_though_nobody_reads_the_errors(whole, tmp_path, number, status):
    process = start(tmp_path, delay=0.1)
    while not (tmp_path / "checkpoints" / "7").exists():
        time.sleep(0.01)
    process.stderr.close()  # as in `… 2>&1 | tee log`, whose tee dies of the same Ctrl-C
    process.send_signal(number)
    found, said = finish(process)
    assert found == status and "saved in" in said, said
    assert 0 < Checkpoints(tmp_path / "checkpoints").steps()[-1] < 60
    run(tmp_path, steps=60)
    assert files_of(tmp_path) == whole


@pytest.mark.parametrize("name", ["stdout", pytest.param("stderr", marks=pytest.mark.slow)])
def test_a_run_goes_on_though_nobody_reads_what_it_says(whole, tmp_path, name):
    process = start(tmp_path)
    getattr(process, name).close()
    status, said = finish(process)
    assert status == 0 and "Traceback" not in said
    assert files_of(tmp_path) == whole


@pytest.mark.parametrize("stream", ["out", "err"])
def test_a_stream_that_is_closed_or_was_never_there_takes_every_word(monkeypatch, tmp_path, stream):
    found = getattr(console, stream)
    with open(tmp_path / "words", "w") as closed:
        pass
    for there in (closed, None):
        monkeypatch.setattr(sys, f"std{stream}", there)
        print("words", file=found, flush=True)
        assert not found.isatty()


def test_a_stream_whose_disk_is_full_is_heard_again_later(monkeypatch):
    class FullDisk:
        said = ""
        full = True

        def write(self, text):
            if self.full:
                raise OSError(28, "No space left on device")
            self.said += text

    disk = FullDisk()
    monkeypatch.setattr(sys, "stderr", disk)
    console.err.write("lost")
    disk.full = False
    console.err.write("heard")
    assert disk.said == "heard"


@pytest.mark.parametrize(("number", "status", "said"), [(signal.SIGINT, 0, "stopped"), (signal.SIGTERM, 143, "")])
def test_a_signal_that_falls_into_a_callback_of_the_garbage_collector_is_not_lost(number, status, said):
    program = f"""
import gc, os, signal, time
from jaxgan.training.signals import stop_by_exceptions

def callback(phase, info):
    gc.callbacks.remove(callback)
    os.kill(os.getpid(), {int(number)})
    for _ in range(1000):
        pass  # the handler runs here, and Python drops what it raises

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
stop_by_exceptions()
gc.callbacks.append(callback)
try:
    gc.collect()
    time.sleep(30)
    print("went on")
except KeyboardInterrupt:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (status, said)
    assert "Traceback" not in done.stderr
    assert ("Stopped by SIGTERM." in done.stderr) == (number == signal.SIGTERM)
