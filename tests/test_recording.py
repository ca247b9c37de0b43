"""The files of a run at its beginning and at its end."""

import contextlib
import errno
import os
import shutil
import time

import numpy as np
import pytest
from test_training import REPORT, bad_until_branched, files_of, lines_of, make_job, run, several_steps

from jaxgan.host.errors import UserError
from jaxgan.host.files import AppendedFile
from jaxgan.systems.schedule import BatchSchedule, Phase
from jaxgan.training import trainer
from jaxgan.training.files import checkpoint_format, recording
from jaxgan.training.files.checkpoints import CheckpointError, Checkpoints
from jaxgan.training.files.recording import Recorder
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.trainer import Collapsed
from jaxgan.training.watch import Watch


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def recorder(tmp_path):
    with Workdir(tmp_path) as workdir:
        yield Recorder(
            workdir, 0, {}, examples_before=lambda step: step, data_wait=lambda: 0.0, report=REPORT, settings={}
        )


def test_the_pictures_of_another_run_in_its_place_are_left_alone(tmp_path, monkeypatch):
    wait = Checkpoints.wait

    def wait_and_replace(saver):
        wait(saver)
        shutil.rmtree(tmp_path / "run")
        with Workdir(tmp_path / "run"):
            (tmp_path / "run" / "losses.png").write_bytes(b"theirs")

    monkeypatch.setattr(Checkpoints, "wait", wait_and_replace)
    with pytest.raises(UserError, match=r"workdir=.*run cannot be written to"):
        run(tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == [".lock", "losses.png"]
    assert (tmp_path / "run" / "losses.png").read_bytes() == b"theirs"


def test_a_save_under_way_is_not_tried_again_in_the_place_of_another_run(tmp_path, monkeypatch):
    def vanish(directory, step):
        shutil.rmtree(tmp_path / "run")
        with Workdir(tmp_path / "run"):
            monkeypatch.undo()
        raise FileNotFoundError

    monkeypatch.setattr(checkpoint_format, "sync_all", vanish)
    with pytest.raises(UserError, match=r"workdir=.*run: saving failed again"):
        run(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == [".lock"]


def test_what_cannot_be_drawn_costs_no_state_and_is_drawn_by_the_next_start(tmp_path, monkeypatch):
    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(recording.images, "save_evolution", full_disk)
        with pytest.raises(UserError, match=r"workdir=.* cannot be written to \(No space left on device\)"):
            run(tmp_path / "run")
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1] == 20
    run(tmp_path / "run")
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")


def test_a_finished_run_that_is_drawn_is_not_drawn_again(tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setattr(trainer, "draw_summary", full_disk)
    run(tmp_path)
    os.utime(tmp_path / "losses.png", (1, 1))  # of a run that ended at fewer steps
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path)


def test_a_grid_is_not_written_into_another_directory_in_the_runs_place(tmp_path, recorder):
    shutil.rmtree(tmp_path)
    (tmp_path / "samples").mkdir(parents=True)
    (tmp_path / ".lock").touch()
    recorder.save_grid(1, np.zeros((2, 4, 4, 3), np.uint8), 2)
    with pytest.raises(FileNotFoundError, match="not the directory that it was"):
        recorder.sync()
    recorder.close()
    assert os.listdir(tmp_path / "samples") == []


def test_lines_and_events_are_on_the_disk_once_they_are_synced(recorder, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    recorder.sync()
    assert synced == [recorder._log._file._file.fileno(), recorder._events._file._file.fileno()]
    recorder.close()


def test_what_is_half_written_goes_from_the_run_and_from_its_samples(tmp_path):
    half = [tmp_path / f".a.{'0' * 32}.tmp", tmp_path / "samples" / f".a.{'0' * 32}.tmp"]
    for path in half:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with Workdir(tmp_path) as workdir:
        Recorder(
            workdir, 0, {}, examples_before=lambda step: step, data_wait=lambda: 0.0, report=REPORT, settings={}
        ).close()
    assert not any(path.exists() for path in half)


def test_the_share_of_waiting_is_of_the_steps_since_the_last_line(monkeypatch):
    seconds, waited = [0.0], [0.0]
    monkeypatch.setattr(recording.time, "perf_counter", lambda: seconds[0])
    clock = recording.Clock(lambda: waited[0])

    def lap(lasted, waiting):
        seconds[0] += lasted
        waited[0] += waiting
        clock.lap(16)

    assert clock.rates() == {}
    lap(4.0, 1.0)
    lap(4.0, 1.0)
    assert clock.rates() == {"images_per_sec": 4.0, "data_wait": 0.25}
    lap(4.0, 2.0)
    assert clock.rates() == {"images_per_sec": 4.0, "data_wait": 0.5}
    lap(4.0, 5.0)  # two threads may wait at once
    assert clock.rates()["data_wait"] == 1.0
    seconds[0] += 100.0  # a pause, as a grid's
    clock.start()
    lap(4.0, 0.0)
    assert clock.worked == 20.0


def test_the_rate_counts_the_examples_that_passed(tmp_path, monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr(recording.time, "perf_counter", lambda: seconds[0])
    schedule = BatchSchedule(4, 5, warmup=True, later_phases=(Phase(30, 2),))
    with Workdir(tmp_path) as workdir:
        examples_before = schedule.examples_before
        recorder = Recorder(
            workdir, 20, {}, examples_before=examples_before, data_wait=lambda: 0.0, report=REPORT, settings={}
        )
        with contextlib.closing(recorder):
            for count in (4, 6):  # to step 24, all in the warm-up, and to step 30
                seconds[0] += 5.0
                recorder.add({"d_loss": np.zeros(count)})
            assert recorder.write_line(30)["images_per_sec"] == (5 * 400 + 5 * 20) / 10
            seconds[0] += 5.0
            recorder.add({"d_loss": np.zeros(2)})
            assert recorder.write_line(32)["images_per_sec"] == 2 * 10 / 5


def test_both_files_are_closed_though_the_first_cannot_be_written(recorder, monkeypatch):
    files = [recorder._log._file._file, recorder._events._file._file]
    monkeypatch.setattr(AppendedFile, "_write", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        recorder.close()
    assert all(file.closed for file in files)


def test_why_a_run_ends_is_not_hidden_by_files_that_cannot_be_written(tmp_path, monkeypatch):
    watch = Watch(metrics_every=5)
    with monkeypatch.context() as patch:
        patch.setattr(AppendedFile, "_write", full_disk)
        with pytest.raises(Collapsed, match="not finite: d_loss"):
            run(tmp_path / "a", job=make_job(bad_until_branched(3)), watch=watch, on_collapse="stop")
        with pytest.raises(CheckpointError, match="saving failed again"):
            run(tmp_path / "b", job=make_job(several_steps))


def test_only_the_grids_of_the_run_are_cut_off(tmp_path):
    names = [
        "000051.png",
        "00000051.png",
        "51.png",
        "0000000051.png",
        "123456789.png",
        "0123456789.png",
        "00000002.png",
    ]
    (tmp_path / "samples").mkdir()
    for name in names:
        (tmp_path / "samples" / name).write_bytes(b"")
    with Workdir(tmp_path) as workdir:
        recorder = Recorder(
            workdir, 10, {}, examples_before=lambda step: step, data_wait=lambda: 0.0, report=REPORT, settings={}
        )
        recorder.save_grid(12, np.zeros((2, 4, 4, 3), np.uint8), 2)
        recorder.close()
    kept = {*names, "00000012.png"} - {"00000051.png", "123456789.png"}
    assert set(os.listdir(tmp_path / "samples")) == kept


def test_every_line_has_the_share_of_waiting_and_the_speed_without_compiling(tmp_path):
    waited = [0.0]

    def compile(state, first_step):
        assert int(state["step"]) == first_step
        time.sleep(1.5)
        waited[0] += 100.0
        return state

    def step_fn(state, first_step, count):
        time.sleep(0.02)
        waited[0] += 0.01
        return several_steps(state, first_step, count)

    job = make_job(step_fn, data_wait=lambda: waited[0], compile=compile)
    run(tmp_path, job=job, steps=3, steps_per_call=1, log_every=1)
    for line in lines_of(tmp_path, timings=True):
        assert 0.02 <= 64 / line["images_per_sec"] < 1.5
        assert 0 < line["data_wait"] <= 0.5
