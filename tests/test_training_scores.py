"""Scores in the log: at their steps, in one line with the losses, the same after any interruption."""

import os
import signal

import numpy as np
import pytest
from test_training import files_of, lines_of, make_job, run, several_steps

from jaxgan.host.errors import UserError
from jaxgan.training.files import recording
from jaxgan.training.signals import Interrupted


def evaluate(state):
    return {"fid": float(np.mean(np.asarray(state["weights"]) ** 2)), "kid": float(state["step"])}


def scored(directory, **changes):
    job = make_job(evaluate=evaluate, **changes.pop("job", {}))
    return run(directory, job=job, **{"evaluate_every": 6, **changes})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scored")
    scored(directory)
    return directory


def test_scores_stand_in_the_line_of_their_step(uninterrupted):
    lines = lines_of(uninterrupted)
    assert [line["step"] for line in lines] == [5, 6, 10, 12, 15, 18, 20]
    assert [line["step"] for line in lines if "fid" in line] == [6, 12, 18, 20]  # the last step has them always
    assert all(line["kid"] == line["step"] for line in lines if "kid" in line)
    assert all({"d_loss", "g_loss", "d_real", "d_fake"} < set(line) for line in lines)
    events = files_of(uninterrupted)["events"]
    assert [step for step, tag, _, _ in events if tag == "fid"] == [6, 12, 18, 20]


def test_they_change_nothing_else(uninterrupted, tmp_path):
    run(tmp_path)
    assert files_of(tmp_path)["digest"] == files_of(uninterrupted)["digest"]
    assert files_of(tmp_path)["samples"] == files_of(uninterrupted)["samples"]


@pytest.mark.parametrize("steps_per_call", [1, 100])
def test_calls_may_be_divided_in_any_way(uninterrupted, tmp_path, steps_per_call):
    scored(tmp_path, steps_per_call=steps_per_call)
    assert files_of(tmp_path) == files_of(uninterrupted)


@pytest.mark.parametrize("last", [6, 7, 12, 13])
def test_an_interrupted_run_has_each_line_once(uninterrupted, tmp_path, last):
    def stopping(state, first_step, count):
        if first_step <= last - 1 < first_step + count:
            os.kill(os.getpid(), signal.SIGTERM)
        return several_steps(state, first_step, count)

    with pytest.raises(Interrupted):
        scored(tmp_path, steps_per_call=1, job={"step_fn": stopping})
    scored(tmp_path)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_lines_beyond_the_checkpoint_are_cut_and_written_again(uninterrupted, tmp_path):
    class Killed(Exception):
        pass

    def dying(state):
        if int(state["step"]) == 18:
            raise Killed
        return evaluate(state)

    with pytest.raises(Killed):
        run(tmp_path, job=make_job(evaluate=dying), evaluate_every=6)
    scored(tmp_path)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_a_score_that_is_not_finite_is_named_and_left_out(tmp_path):
    run(tmp_path, job=make_job(evaluate=lambda state: {"fid": float("nan"), "kid": 1.0}), evaluate_every=20)
    line = lines_of(tmp_path)[-1]
    assert line["kid"] == 1.0 and "fid" not in line and line["non_finite"] == ["fid"]


def test_speed_is_that_of_training_alone(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(recording.time, "perf_counter", lambda: clock[0])

    def step_fn(state, first_step, count):
        clock[0] += count
        return several_steps(state, first_step, count)

    def slow(state):
        clock[0] += 1000
        return {"fid": 1.0}

    run(tmp_path, job=make_job(step_fn, evaluate=slow), evaluate_every=4)
    speeds = [line["images_per_sec"] for line in lines_of(tmp_path, timings=True) if "images_per_sec" in line]
    assert speeds == [64.0] * len(lines_of(tmp_path))


def test_an_interval_below_one_is_refused(tmp_path):
    with pytest.raises(UserError, match="evaluate_every"):
        scored(tmp_path, evaluate_every=0)
