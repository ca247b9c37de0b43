"""A terminal is never silent for long: while a command imports, compiles, draws and measures, something moves on it."""

import io
import os
import pty
import select
import subprocess
import sys
import termios
import time

import pytest
from conftest import REPOSITORY

from jaxgan.host import progress

LONGEST = 2.0  # seconds
TINY = [
    *("--model=dcgan_64", "--image_size=16", "--num_examples=300", "--batch_size=8", "--generator_width=8"),
    *("--discriminator_width=8", "--steps=12", "--checkpoint_every=10", "--sample_every=10"),
]


def longest_silence(command, home):
    """The longest time for which a command writes nothing to its terminal, and all that it writes."""
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 100))
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "XLA_FLAGS": "", "TERM": "xterm"}
    environment.pop("JAXGAN_CACHE_DIR", None)
    silence, told = 0.0, []
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, stdout=inner, stderr=inner, stdin=inner
    ) as process:
        os.close(inner)
        last = time.monotonic()
        while True:
            ready, _, _ = select.select([outer], [], [], 1)
            try:
                part = os.read(outer, 65536) if ready else b""
            except OSError:  # the other end is closed
                break
            now = time.monotonic()
            if part:
                told.append((now - last, part))
                silence, last = max(silence, now - last), now
            elif process.poll() is not None:
                break
        assert process.wait(timeout=60) == 0, told[-5:]  # an end after the last word is no silence
    os.close(outer)
    return silence, told


@pytest.mark.alone
def test_no_command_is_silent_for_two_seconds(tmp_path):
    workdir = tmp_path / "run"
    commands = [
        ["experiments.dcgan", *TINY, f"--workdir={workdir}"],
        ["experiments.sample", f"--workdir={workdir}", "--num=9", f"--out={tmp_path / 'a.png'}"],
        ["experiments.evaluate", f"--workdir={workdir}", "--num=200", "--features=thumbnails", "--format=table"],
    ]
    again = {"experiments.dcgan": [f"--workdir={tmp_path / 'again'}"]}
    for command in commands:
        silence, told = longest_silence(command, tmp_path / "cache")
        if silence > LONGEST:  # a machine that is busy with other things holds a command up: once more
            silence, told = longest_silence([*command, *again.get(command[0], [])], tmp_path / "another cache")
        before = max(range(len(told)), key=lambda index: told[index][0])
        context = [part for _, part in told[max(0, before - 3) : before + 2]]
        assert silence <= LONGEST, (command[0], round(silence, 1), context)
    assert (workdir / "samples" / "00000001.png").is_file()  # the first pictures are those of the first step


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal_of(monkeypatch):
    """A terminal in the place of the standard error stream; within a fixture pytest would put its own back."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(progress, "TICK", 0.02)
    return found


def test_a_bar_moves_while_its_first_item_takes_long(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress.bar(what="counting", total=3, delay=0.05) as bar:
        _wait_for(lambda: terminal.getvalue().count("counting") > 2)
        bar.update(3)
    assert "3/3" in terminal.getvalue()


def test_work_of_unknown_length_ticks_and_leaves_nothing(monkeypatch):
    terminal = terminal_of(monkeypatch)
    with progress.ticking("compiling"):
        _wait_for(lambda: terminal.getvalue().count("compiling") > 2)
    shown = terminal.getvalue()
    assert shown.rpartition("\r")[0].rpartition("\r")[2].strip() == ""  # the last thing was to wipe it out


def test_a_log_file_gets_no_ticks(capsys, monkeypatch):
    monkeypatch.setattr(progress, "TICK", 0.005)
    with progress.ticking("compiling"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""
    with progress.bar(what="counting", total=3, delay=0.005):
        time.sleep(0.1)
    assert capsys.readouterr().err.count("counting") <= 2  # its beginning and its end


def _wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
