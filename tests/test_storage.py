"""Checkpoints and the system below them: power cuts, refusals, and another process that prunes meanwhile."""

import errno
import math
import os
import shutil
from pathlib import Path

import pytest
from test_checkpoints import make_state, open_checkpoints, save_steps
from test_training import make_job, run

from jaxgan.host.digest import host_leaves
from jaxgan.host.errors import UserError
from jaxgan.training.files import checkpoint_format, checkpoints

# When one array cannot be read, Orbax leaves the loop in which TensorStore still reads the others: noise, no harm.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_all_of_a_checkpoint_is_on_the_disk_before_an_older_one_goes(tmp_path, monkeypatch):
    saver, _ = open_checkpoints(tmp_path, keep=1)
    save_steps(saver, 1)
    deeds, fsync, remove = [], os.fsync, checkpoints._remove

    def noting_fsync(descriptor):
        deeds.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(checkpoints, "_remove", lambda path: (deeds.append(f"- {path.name}"), remove(path)))
    save_steps(saver, 2)
    assert saver.steps() == [2] and deeds[-1] == "- 1"
    new = saver.directory / "2"
    everything = [*new.rglob("*"), new, saver.directory, saver.directory.parent]
    assert len(everything) > 12 and set(everything) <= set(deeds)


def test_a_save_that_reached_no_disk_has_failed_and_nothing_older_goes(tmp_path, monkeypatch):
    saver, messages = open_checkpoints(tmp_path, keep=1)
    save_steps(saver, 1)

    def fail(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(UserError, match="saving failed again"):
            save_steps(saver, 2)
    assert saver.steps() == [1, 2] and len(messages) == 2
    save_steps(saver, 2)
    assert saver.steps() == [2]


def test_what_a_run_prunes_meanwhile_is_not_damaged_and_its_newest_is_found(tmp_path, monkeypatch):
    writer, _ = open_checkpoints(tmp_path, keep=1)
    save_steps(writer, 1)
    reader, messages = open_checkpoints(tmp_path)
    read = checkpoint_format.read

    def read_too_late(directory, step):
        if step < 3:
            save_steps(writer, step + 1)  # which removes this one
        return read(directory, step)

    monkeypatch.setattr(checkpoint_format, "read", read_too_late)
    assert reader.read_latest().step == 3
    assert messages == []


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError(),
        ValueError("INTERNAL: Failed to open: \"a\": I/O error [os_error_code='5'] [source='b.cc:1']"),
    ],
)
def test_what_cannot_be_read_is_tried_again_and_never_called_damaged(tmp_path, monkeypatch, error, times):
    run(tmp_path, steps=14)
    failures, read = [], checkpoint_format._read

    def refuse(directory, step):
        if step == 14 and len(failures) < times:
            failures.append(step)
            raise error
        return read(directory, step)

    monkeypatch.setattr(checkpoint_format, "_read", refuse)
    if times == 1:
        run(tmp_path, steps=15)
    else:
        with pytest.raises(UserError, match=r"workdir=.*: checkpoint 14 cannot be read \(.*\) and may be") as raised:
            run(tmp_path, steps=15, job=make_job())
        assert "\n" not in str(raised.value)
    assert (tmp_path / "checkpoints" / "14").is_dir() and not list(tmp_path.rglob("*.damaged"))


@pytest.fixture
def nobody():
    """For a while this process is not root, whom permissions do not stop."""
    if os.getuid():
        yield lambda: None
        return
    yield lambda: os.seteuid(65534)
    os.seteuid(0)


def open_the_way_to(path):
    """Lets everybody reach a temporary directory of pytest's."""
    ours = [path, *(parent for parent in path.parents if "pytest-of-" in str(parent))]
    for directory in ours:
        directory.chmod(0o755)


@pytest.mark.parametrize("place", ["record", "state", "state/manifest.ocdbt"])
def test_a_checkpoint_without_permission_is_named(tmp_path, nobody, place):
    saver, messages = open_checkpoints(tmp_path)
    save_steps(saver, 1, 2)
    open_the_way_to(tmp_path)
    (saver.directory / "2" / place).chmod(0)
    nobody()
    with pytest.raises(UserError, match=r"checkpoint 2 cannot be read \(Permission denied\)"):
        saver.read_latest()
    assert messages == []


def test_a_directory_without_permission_is_the_users_to_mend(tmp_path, nobody):
    saver, _ = open_checkpoints(tmp_path)
    save_steps(saver, 1)
    open_the_way_to(tmp_path)
    saver.directory.chmod(0)
    nobody()
    with pytest.raises(UserError, match=r"^workdir=.*run: cannot be read \(Permission denied\)$"):
        saver.steps()


def test_one_that_is_stored_with_a_number_that_is_none_is_not_damaged(tmp_path):
    saver, messages = open_checkpoints(tmp_path)
    for _ in range(2):
        saver.save(1, make_state(), {"sum": math.nan})
        saver.wait()
    assert os.listdir(saver.directory) == ["1"] and messages == []
    record = checkpoint_format.make_record(1, host_leaves(make_state()), {"sum": math.nan})
    record["metadata"]["sum"] = float("nan")  # another object: json makes one and the same of all
    assert checkpoint_format.is_saved(saver.directory, record)


def test_an_empty_directory_is_no_checkpoint_that_is_set_aside(tmp_path):
    run(tmp_path, steps=7)
    for step in (5, 70):
        (tmp_path / "checkpoints" / str(step)).mkdir()
    run(tmp_path, keep=2)
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["14", "20"]
    shutil.rmtree(tmp_path / "checkpoints" / "20" / "state")
    run(tmp_path)
    assert (tmp_path / "checkpoints" / "20.damaged").is_dir()
