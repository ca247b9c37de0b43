"""What can happen to a run from outside, on real file systems: it says so, waits, and loses nothing."""

import contextlib
import os
import shutil
import subprocess
import time
from unittest import mock

import jax
import numpy as np
import pytest
from PIL import Image
from test_training import files_of, first_state, make_job, several_steps

from jaxgan.data import decode, folder
from jaxgan.host.errors import UserError
from jaxgan.training import trainer
from jaxgan.training.files.checkpoints import CheckpointError, Checkpoints
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.trainer import Schedule, train
from jaxgan.training.watch import Watch

# When one array cannot be written, Orbax leaves the loop in which TensorStore still writes the others: noise, no harm.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CARGO = 100_000  # numbers in the state beside the tiny game's: a save that takes room


@pytest.fixture
def said(monkeypatch):
    """What a run reports, line by line."""
    lines = []
    monkeypatch.setattr(trainer, "say", lines.append)
    return lines


def after_two_failures(said, action):
    """Does something as soon as both attempts to save checkpoint 14 have failed."""

    def wait_and_act():
        deadline = time.monotonic() + 60
        while sum("Saving checkpoint 14 failed" in line for line in said) < 2:
            assert time.monotonic() < deadline, said
            time.sleep(0.01)
        action()

    return wait_and_act


def run(directory, happens=None, *, steps=30):
    """Trains with saves at 7, 14, 21, 28 and 30; `happens` maps a step to what is done before its call."""

    savers = []

    class Noted(Checkpoints):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            savers.append(self)

    def step_fn(state, first_step, count):
        if first_step == 9 and savers[0]._saving is not None:
            savers[0]._saving.result()  # What happens then does not happen to a save that is still under way.
        (happens or {}).get(first_step, lambda: None)()
        return several_steps(state, first_step, count)

    state = {**first_state(), "cargo": jax.random.normal(jax.random.key(1), (CARGO,))}
    schedule = Schedule(steps, steps_per_call=1, log_every=5, sample_every=8, checkpoint_every=7)
    with mock.patch.object(trainer, "Checkpoints", Noted), Workdir(directory) as workdir:
        return train(state, make_job(step_fn), schedule, workdir, watch=Watch())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    run(directory)
    return files_of(directory)


def mount(*arguments):
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


@contextlib.contextmanager
def unmounted_after(path):
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=False, capture_output=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with room for five checkpoints and the other files."""
    path = tmp_path / "disk"
    path.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", path)
    with unmounted_after(path):
        yield path


def fill(disk, leave):
    """Takes all room but so many bytes."""
    free = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(bytes(max(0, free - leave)))


# The disk


@pytest.mark.parametrize("leave", [0, 150_000], ids=["full", "full in the middle of a save"])
def test_a_disk_that_is_full_for_a_while_costs_nothing(small_disk, undisturbed, said, leave):
    happens = {9: lambda: fill(small_disk, leave), 17: after_two_failures(said, (small_disk / "ballast").unlink)}
    run(small_disk / "run", happens)
    assert len(said) == 2
    assert files_of(small_disk / "run") == undisturbed


def test_a_disk_that_stays_full_ends_the_run_and_harms_no_checkpoint(small_disk, undisturbed):
    with pytest.raises(CheckpointError, match=r"workdir=.*run: saving failed again .*resumes from step 7$"):
        run(small_disk / "run", {9: lambda: fill(small_disk, 150_000)})
    assert Checkpoints(small_disk / "run" / "checkpoints").steps() == [7]
    (small_disk / "ballast").unlink()
    run(small_disk / "run")
    assert files_of(small_disk / "run") == undisturbed


def test_a_disk_that_is_full_at_the_start_is_the_users_to_mend(small_disk):
    (small_disk / "run").mkdir()
    fill(small_disk, 0)
    with pytest.raises(UserError, match=r"workdir=.*run cannot be written to \(No space left on device\); choose"):
        run(small_disk / "run")
    (small_disk / "ballast").unlink()
    with Workdir(small_disk / "run"):  # the refused start has not kept its lock
        pass


@contextlib.contextmanager
def made_read_only(directory):
    """Root is not stopped by permissions, so a file system that cannot be written to is laid over."""
    if os.getuid():
        directory.chmod(0o555)
        yield
        directory.chmod(0o755)
        return
    mount("--bind", directory, directory)
    with unmounted_after(directory):
        mount("-o", "remount,bind,ro", directory)
        yield


def test_a_workdir_that_is_read_only_is_the_users_to_mend(tmp_path):
    (tmp_path / "run").mkdir()
    with (
        made_read_only(tmp_path / "run"),
        pytest.raises(UserError, match=r"workdir=.*run cannot be written to \((Read-only|Permission).*\); choose"),
    ):
        run(tmp_path / "run")


def test_checkpoints_that_are_read_only_for_a_while_cost_nothing(tmp_path, undisturbed, said):
    with contextlib.ExitStack() as stack:
        happens = {
            9: lambda: stack.enter_context(made_read_only(tmp_path / "run" / "checkpoints")),
            17: after_two_failures(said, stack.close),
        }
        run(tmp_path / "run", happens)
    assert len(said) == 2
    assert files_of(tmp_path / "run") == undisturbed


def test_a_workdir_that_is_away_for_a_while_costs_nothing(tmp_path, undisturbed, said):
    happens = {
        9: lambda: (tmp_path / "run").rename(tmp_path / "away"),
        17: after_two_failures(said, lambda: (tmp_path / "away").rename(tmp_path / "run")),
    }
    run(tmp_path / "run", happens)
    assert len(said) == 2
    assert files_of(tmp_path / "run") == undisturbed


@pytest.mark.parametrize("another", [False, True])
def test_a_workdir_that_is_gone_ends_the_run_and_nothing_is_written_in_its_place(tmp_path, another):
    def vanish():
        shutil.rmtree(tmp_path / "run")
        if another:
            with Workdir(tmp_path / "run"):  # another run has been started there
                pass

    with pytest.raises(UserError, match=r"workdir=.*run(: saving failed again| cannot be written to)"):
        run(tmp_path / "run", {9: vanish})
    assert not another or os.listdir(tmp_path / "run") == [".lock"]
    assert another or not (tmp_path / "run").exists()


def test_the_clock_may_jump(tmp_path, undisturbed, monkeypatch):
    now, jumps = time.time, iter(range(10**9))
    years = [0, 40, -30, 0.001, -0.001]

    def jumping():
        return now() + 3e7 * years[next(jumps) % len(years)]

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * jumping()))
    run(tmp_path / "run")
    found = files_of(tmp_path / "run")
    assert next(jumps) > 5 and found == undisturbed
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert all('"images_per_sec"' in line and "-" not in line.partition("images_per_sec")[2] for line in lines)


def test_checkpoints_do_not_grow_with_the_run(tmp_path):
    sizes = {}
    for steps in (7, 70):
        run(tmp_path / str(steps), steps=steps)
        saved = Checkpoints(tmp_path / str(steps) / "checkpoints")
        assert len(saved.steps()) <= 3
        sizes[steps] = sum(path.stat().st_size for path in (saved.directory / str(steps)).rglob("*") if path.is_file())
    assert abs(sizes[70] - sizes[7]) < 0.01 * sizes[7]


# The pictures


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "pictures"
    root.mkdir()
    for value in range(12):
        Image.new("L", (4, 4), value).save(root / f"{value:02}.png")
    return root


def load(root):
    return folder.load(root, 4, cache_dir=root.parent / "cache")


def values_of(found):
    return found.images[:, 0, 0, 0].tolist()


def test_a_folder_that_vanishes_is_missed_at_the_next_start_only(pictures):
    found = load(pictures)
    shutil.rmtree(pictures)
    shutil.rmtree(pictures.parent / "cache")
    assert values_of(found) == list(range(12))  # what is open stays
    with pytest.raises(UserError, match=r"data_dir=.*pictures: there is no such folder"):
        load(pictures)


def test_a_picture_that_changes_later_does_not_change_the_run_and_is_noticed_at_the_next_start(pictures):
    found = load(pictures)
    Image.new("L", (4, 4), 200).save(pictures / "03.png")
    assert values_of(found)[3] == 3
    again = load(pictures)
    assert values_of(again)[3] == 200 and again.digest != found.digest  # which a workdir refuses: test_commands.py


@pytest.mark.parametrize("change", ["content", "vanishes"])
def test_a_picture_that_changes_while_it_is_read_is_not_kept(pictures, monkeypatch, change):
    def decode_and_change(path, *arguments):
        if path.endswith("05.png"):
            (pictures / "02.png").unlink()
            if change == "content":
                Image.new("L", (4, 4), 99).save(pictures / "02.png")
        return decode.decode(path, *arguments)

    monkeypatch.setattr(folder, "decode", decode_and_change)
    with pytest.raises(UserError, match=r"data_dir=.*: 02\.png changed while the pictures were read"):
        load(pictures)
    assert os.listdir(pictures.parent / "cache") == []


def test_a_link_that_leads_out_is_not_read(pictures, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.new("L", (4, 4), 250).save(secret / "0.png")
    (pictures / "out").symlink_to(secret)
    (pictures / "loop").symlink_to(pictures)
    (pictures / "a line\nbreak 猫.png").symlink_to(secret / "0.png")
    assert 250 not in np.asarray(values_of(load(pictures)))
