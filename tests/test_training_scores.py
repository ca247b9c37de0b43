"""Scores in the log: at their steps, in one line with the losses, the same after any interruption."""

import math
import os
import signal

import numpy as np
import pytest
from test_training import REPORT, files_of, lines_of, make_job, run, several_steps

from jaxgan.host.errors import UserError
from jaxgan.training import loop
from jaxgan.training.best import better
from jaxgan.training.files import plots, recording
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.signals import Interrupted


def evaluate(state):
    return {"fid": float(np.mean(np.asarray(state["weights"]) ** 2)), "kid": float(state["step"])}


def scored(directory, **changes):
    job = make_job(**{"evaluate": evaluate, **changes.pop("job", {})})
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
    assert [step for step, tag, _, _ in events if tag == "scores/fid"] == [6, 12, 18, 20]


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


# The best checkpoint

FID = {6: 3.0, 12: 1.0, 18: 2.0, 20: float("nan")}
ACCURACY = {6: 0.3, 12: 0.5, 18: 0.5, 20: 0.4}


def by_table(state):
    step = int(state["step"])
    heads = {"hair/conditional_accuracy": ACCURACY[step], "eyes/measured_conditional_accuracy": ACCURACY[step]}
    return {"fid": FID[step], **heads}


def keeping(directory, score="fid", **changes):
    job = make_job(evaluate=by_table, **changes.pop("job", {}))
    run(directory, job=job, **{"evaluate_every": 6, "keep": 1, "checkpoint_every": 9, "keep_best": score, **changes})
    return Checkpoints(directory / "checkpoints")


@pytest.mark.parametrize("score", ["fid", "conditional_accuracy"])
def test_the_best_checkpoint_is_saved_and_never_removed(tmp_path, score):
    checkpoints = keeping(tmp_path, score)
    assert checkpoints.steps() == [12, 20]  # 12 is no multiple of 9, and was the first with the best value
    value = {"fid": 1.0, "conditional_accuracy": 0.5}[score]
    assert checkpoints.read_latest().metadata["best"] == {"score": score, "value": value, "step": 12}
    assert int(checkpoints.read_latest(at_most=12).leaves["step"]) == 12


@pytest.mark.parametrize("last", [6, 11, 12, 13, 18])
def test_an_interrupted_run_keeps_the_same_best(tmp_path, last):
    def stopping(state, first_step, count):
        if first_step <= last - 1 < first_step + count:
            os.kill(os.getpid(), signal.SIGTERM)
        return several_steps(state, first_step, count)

    with pytest.raises(Interrupted):
        keeping(tmp_path, steps_per_call=1, job={"step_fn": stopping})
    assert keeping(tmp_path).steps() == [12, 20]


def test_without_the_flag_nothing_is_kept_and_nothing_remembered(tmp_path):
    checkpoints = keeping(tmp_path, None)
    assert checkpoints.steps() == [20] and "best" not in checkpoints.read_latest().metadata


def test_another_score_begins_anew(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FID, 12, 9.0)
        keeping(tmp_path, steps=12)
    assert keeping(tmp_path, "conditional_accuracy").read_latest().metadata["best"]["step"] == 18


def test_a_score_that_the_run_does_not_have_is_named_with_those_there(tmp_path):
    with pytest.raises(UserError, match=r"keep_best=kid: .* no such score; choose one of fid, conditional_acc"):
        keeping(tmp_path, "kid")


def test_better_is_lower_or_higher_and_never_infinite():
    best = better(None, "fid", 1, {"fid": 5.0})
    assert best == {"score": "fid", "value": 5.0, "step": 1}
    assert better(best, "fid", 2, {"fid": 6.0}) == better(best, "fid", 2, {"fid": -math.inf}) == best
    assert better(best, "fid", 2, {"fid": 4.0})["step"] == 2
    best = better(None, "coverage", 1, {"coverage": 0.5})
    assert better(best, "coverage", 2, {"coverage": 0.4})["step"] == 1
    assert better(best, "coverage", 2, {"a/coverage": 0.4, "b/coverage": 0.8})["value"] == pytest.approx(0.6)


# Where the scores are shown


def test_the_bar_shows_the_last_scores(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(loop.tqdm, "set_postfix", lambda self, values: shown.append(dict(values)))
    scored(tmp_path, job={"evaluate": lambda state: {**evaluate(state), "hair/mode_coverage": 1.0}})
    assert not any("hair/mode_coverage" in values for values in shown)
    assert "fid" not in shown[0] and list(shown[0]) == list(REPORT.bar)
    assert [values["kid"] for values in shown[1:]] == ["6", "6", "12", "12", "18", "20"]


def test_the_plot_has_a_panel_for_each_score():
    lines = [{"step": 1, "d_loss": 1.0, "images_per_sec": 5.0, "data_wait": 0.1, "non_finite": ["kid"]}]
    assert plots.score_panels(lines, REPORT) == ()
    lines += [{"step": 2, "fid": 3.0, "hair/mode_coverage": 0.2, "eyes/mode_coverage": 0.3}, {"step": 3, "fid": 2.0}]
    fid, modes = plots.score_panels(lines, REPORT)
    assert fid.curves == {"fid": "fid"} and modes.label == "mode coverage"
    assert modes.curves == {"hair/mode_coverage": "hair/mode coverage", "eyes/mode_coverage": "eyes/mode coverage"}
    axes = plots.draw_metrics(lines, REPORT, title="a").axes
    assert len(axes) == len(REPORT.panels) + 2
    assert axes[-2].lines[0].get_xydata().tolist() == [[2, 3.0], [3, 2.0]]
    many = [{"step": 1} | {f"score{number}": 1.0 for number in range(20)}]
    assert len(plots.score_panels(many, REPORT)) == plots.MOST_SCORES
