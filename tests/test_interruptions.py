"""What ends a command before and around its work: signals while it imports, devices that are not there."""

import importlib
import os
import signal
import subprocess
import sys

import jax
import pytest
from conftest import REPOSITORY

import experiments
from experiments.cli import command, loading
from jaxgan.training import signals


def test_ctrl_c_while_jax_is_imported_is_a_line(tmp_path):
    (tmp_path / "jax.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    # A shell's background job ignores SIGINT, and so would all that it begins: here the signal counts again.
    heed = "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.executable, sys.orig_argv[3:])"
    process = subprocess.Popen(
        [sys.executable, "-c", heed, sys.executable, "-m", "experiments.inspect"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
    )
    with process:
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"Stopped by Ctrl-C.\n"
        assert process.wait(timeout=60) == 130


@pytest.mark.parametrize(("number", "status"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_closed_terminal_ends_a_command_anywhere(number, status, monkeypatch, capfd):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    formers = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGHUP, signal.SIGTERM)}
    try:
        signals.stop_by_exceptions()
        with pytest.raises(SystemExit) as leaving:
            os.kill(os.getpid(), number)
            signal.pause()
    finally:
        for one, former in formers.items():
            signal.signal(one, former)
    assert leaving.value.code == status
    assert f"Stopped by {number.name}." in capfd.readouterr().err


def test_a_hangup_that_is_ignored_stays_so():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signals.stop_by_exceptions()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_devices_that_are_not_there_are_a_line(monkeypatch, capsys):
    def missing():
        raise AssertionError  # what JAX raises for cuda where there is none

    def main():
        jax.devices()

    monkeypatch.setattr(command.jax, "devices", missing)
    monkeypatch.setattr(command.app, "run", lambda guarded, flags_parser: guarded(["command"]))
    for name in ("set_up_process", "stop_by_exceptions", "accept_any_character"):
        monkeypatch.setattr(command, name, lambda: None)
    with pytest.raises(SystemExit) as leaving:
        command.run(main)
    assert leaving.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: JAX_PLATFORMS=cpu: JAX finds no such device here; choose another, such as cpu")
    assert said.count("\n") == 1


@pytest.mark.parametrize("program", ["-m", "/usr/bin/jaxgan"])
def test_ctrl_c_is_a_line_before_the_first_thread_is_started(monkeypatch, program):
    handlers = []
    monkeypatch.setattr(sys, "argv", [program])
    monkeypatch.setattr(loading, "begin", lambda: handlers.append(signal.getsignal(signal.SIGINT)))
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        importlib.reload(experiments)
        assert handlers == [experiments.leave]
    finally:
        signal.signal(signal.SIGINT, former)


def test_windows_is_told_what_to_take(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["-m"])
    with pytest.raises(SystemExit, match="in WSL2"):
        importlib.reload(experiments)


@pytest.mark.parametrize(
    ("stop", "status", "said"), [("SystemExit(143)", 143, b""), ("KeyboardInterrupt", 130, b"Stopped by Ctrl-C.\n")]
)
def test_a_page_that_is_stopped_does_not_wait_for_a_picture_that_is_still_computed(stop, status, said):
    # As of JAX in another thread: beneath it, Python's own way to end would crash, or here wait for a minute.
    program = f"""
import sys, threading, time
from experiments import demo
from experiments.cli import command, schema
def served(asked, shelf):
    threading.Thread(target=time.sleep, args=(60,)).start()
    raise {stop}
demo._serve = served
sys.argv = ["demo"]
command.run(demo.main, schema.define_flags(demo.Demo))
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (status, said)
