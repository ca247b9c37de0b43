import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxgan.host.errors import UserError
from jaxgan.host.files import AppendedFile, remove_temporaries, replace_atomically, sync, write_text
from jaxgan.training.files.workdir import Workdir

HOLDER = """
import sys, time
from jaxgan.training.files.workdir import Workdir
with Workdir(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


def start_holder(path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"locked\n"
    return process


def test_paths(tmp_path):
    workdir = Workdir(tmp_path / "a b")
    names = [workdir.flags, workdir.metrics, workdir.sample(1000), workdir.evolution, workdir.losses]
    assert [str(path.relative_to(workdir.path)) for path in names] == [
        "flags.txt",
        "metrics.jsonl",
        "samples/00001000.png",
        "evolution.gif",
        "losses.png",
    ]


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workdir("~/run").path == tmp_path / "run"
    assert Workdir("a/~").path == Path.cwd() / "a" / "~"


@pytest.fixture
def deeds(monkeypatch):
    """The names of the calls that make files last, in their order."""
    done = []

    def noting(name):
        original = getattr(os, name)
        return lambda *arguments: (done.append(name), original(*arguments))[1]

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noting(name))
    return done


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, deeds):
    write_text(tmp_path / "file", "text")
    assert deeds == ["fsync", "replace", "fsync"]  # and its name, before anybody relies on it


def test_names_that_a_file_system_cannot_sync_are_no_fault_and_a_failing_disk_is(tmp_path, monkeypatch):
    number = errno.EINVAL

    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    sync(tmp_path)
    number = errno.EIO
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        sync(tmp_path)


def test_an_appended_file_is_on_the_disk_once_it_is_synced(tmp_path, deeds):
    (tmp_path / "log").touch()
    log = AppendedFile(tmp_path / "log")
    log.append(b"line")
    assert not deeds
    log.sync()
    log.close()
    assert deeds == ["fsync"]


def test_the_second_process_is_refused_and_a_dead_one_leaves_no_lock(tmp_path):
    process = start_holder(tmp_path)
    try:
        with (
            pytest.raises(UserError, match=f"workdir={tmp_path} is in use by process {process.pid}:"),
            Workdir(tmp_path),
        ):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with Workdir(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_called_that(tmp_path, monkeypatch, number):
    def refuse(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    said = rf"workdir={tmp_path} cannot be locked \({os.strerror(number)}\): its file system has no locks; choose"
    with pytest.raises(UserError, match=said), Workdir(tmp_path):
        pass


def test_the_lock_ends_with_the_block(tmp_path):
    for _ in range(2):
        with Workdir(tmp_path), pytest.raises(UserError, match="in use"), Workdir(tmp_path):
            pass


def test_a_place_that_cannot_be_written_is_the_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"workdir=.*file/run cannot be written to \(Not a directory\)"):
        Workdir(tmp_path / "file" / "run").__enter__()


def test_replaces_whole_files(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "ü")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xbc"

    def fail(file):
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_atomically(tmp_path / "new" / "a.txt", fail)
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xbc"
    assert os.listdir(tmp_path / "new") == ["a.txt"]


@pytest.mark.parametrize("inside", [".", "samples", "tensorboard"])
def test_what_a_dead_process_left_half_written_is_gone_once_it_is_locked(tmp_path, inside):
    left = tmp_path / inside / (".losses.png." + "0" * 32 + ".tmp")
    left.parent.mkdir(exist_ok=True)
    left.write_text("half")
    with Workdir(tmp_path):
        assert not left.exists()
        left.write_text("of a living process")
        with pytest.raises(UserError, match="is in use"), Workdir(tmp_path):
            pass
        assert left.exists()


def test_removes_only_its_own_temporaries(tmp_path):
    names = [".a.png." + "0" * 32 + ".tmp", ".mine.tmp", "a.tmp"]
    for name in names:
        (tmp_path / name).write_text("")
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(names[1:])


class FullDisk:
    """A file that takes only half of what is written, then nothing, while the disk is full."""

    def __init__(self, file):
        self.file, self.full, self.half_written = file, False, False

    def write(self, data):
        if not self.full:
            return self.file.write(data)
        if self.half_written:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.half_written = True
        return self.file.write(data[: len(data) // 2])

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_records_wait_for_space_and_stay_whole(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    log = AppendedFile(path)
    disk = log._file = FullDisk(log._file)
    log.append(b"two\n")
    disk.full = True
    log.append(b"three\n")
    assert path.read_bytes() == b"one\ntwo\n"
    with pytest.raises(OSError, match="No space left"):
        log.sync()
    log.append(b"four\n")
    assert path.read_bytes() == b"one\ntwo\n"
    disk.full = False
    log.append(b"five\n")
    log.sync()
    assert path.read_bytes() == b"one\ntwo\nthree\nfour\nfive\n"
    disk.full, disk.half_written = True, True
    log.append(b"six\n")
    with pytest.raises(OSError, match="No space left"):
        log.close()
    assert disk.file.closed and Path(path).read_bytes().endswith(b"five\n")
