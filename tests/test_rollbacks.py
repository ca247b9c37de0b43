"""Where a run goes back to after an alarm, and what becomes of it then."""

import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import pytest
from test_storage import nobody, open_the_way_to  # noqa: F401  (a fixture)
from test_training import (
    REPORT,
    WATCH,
    Dies,
    bad_until_branched,
    files_of,
    first_state,
    lines_of,
    make_job,
    one_step,
    other_future,
    preview,
    run,
    several_steps,
)

from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.signals import Interrupted
from jaxgan.training.trainer import Collapsed, Job, Schedule, train
from jaxgan.training.watch import Watch


@pytest.mark.parametrize("lag", [0, 1])
def test_a_rollback_takes_another_way(tmp_path, capsys, monkeypatch, lag):
    monkeypatch.setattr(jax, "default_backend", lambda: ("cpu", "gpu")[lag])
    job = make_job(bad_until_branched(12))
    state = run(tmp_path, job=job, watch=WATCH, on_collapse="rollback")
    assert "Going back to step 7 (rollback 1 of at most 3)." in capsys.readouterr().err
    expected = first_state()
    for step in range(20):
        expected = other_future(expected, 1) if step == 7 else expected
        expected, _ = one_step(expected)
    assert digest(state) == digest(expected)
    assert [line["step"] for line in lines_of(tmp_path)] == [5, 10, 15, 20]
    assert not any("non_finite" in line for line in lines_of(tmp_path))
    assert Checkpoints(tmp_path / "checkpoints").read_latest().metadata["rollbacks"] == 1


def test_a_rollback_works_though_the_states_were_donated(tmp_path):
    donating = jax.jit(one_step, donate_argnums=0)
    first = jax.tree.map(jnp.copy, first_state())

    def step_fn(state, first_step, count):
        for _ in range(count):
            state, metrics = donating(state)
        bad = jnp.nan if not rolled_back else 0.0
        return state, jax.tree.map(lambda value: jnp.full(count, value + bad), metrics)

    rolled_back = []
    job = Job(
        "a", step_fn, preview, lambda step: step, REPORT, branch=lambda state, count: rolled_back.append(count) or state
    )
    with Workdir(tmp_path) as workdir:
        schedule = Schedule(4, log_every=1, on_collapse="rollback")
        state = train(first, job, schedule, workdir, watch=Watch(metrics_every=1))
    assert first["weights"].is_deleted() and rolled_back == [1]
    expected = first_state()
    for _ in range(4):
        expected, _ = one_step(expected)
    assert digest(state) == digest(expected)


def test_a_rollback_before_the_first_checkpoint_goes_to_the_start(tmp_path, capsys):
    job = make_job(bad_until_branched(2))
    run(tmp_path, job=job, watch=WATCH, on_collapse="rollback")
    assert "Going back to step 0 (rollback 1 of at most 3)." in capsys.readouterr().err
    assert len(lines_of(tmp_path)) == 4


def test_rollbacks_are_bounded(tmp_path, capsys):
    job = dataclasses.replace(make_job(bad_until_branched(1)), branch=lambda state, rollbacks: state)  # the same future
    with pytest.raises(Collapsed, match="Stopped: the run has gone back 2 times already"):
        run(tmp_path, job=job, watch=WATCH, on_collapse="rollback", max_rollbacks=2)
    assert capsys.readouterr().err.count("Going back to step 0 ") == 2


@pytest.mark.parametrize("death", [9, 13, 16, 19])
def test_a_run_that_dies_around_a_rollback_ends_as_without(tmp_path, death):
    options = {"watch": WATCH, "on_collapse": "rollback"}
    run(tmp_path / "whole", job=make_job(bad_until_branched(12)), **options)
    calls = 0

    def step_fn(state, first_step, count):
        nonlocal calls
        calls += 1
        if calls == death // 2:
            raise Dies
        return bad_until_branched(12)(state, first_step, count)

    with pytest.raises(Dies):
        run(tmp_path / "parts", job=make_job(step_fn), **options)
    run(tmp_path / "parts", job=make_job(bad_until_branched(12)), **options)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_a_rollback_needs_another_future(tmp_path):
    job = Job("a", several_steps, preview, 1, REPORT)
    with pytest.raises(ValueError, match=r"needs job\.branch"):
        run(tmp_path, job=job, on_collapse="rollback")


@pytest.mark.parametrize("then", ["stop", "rollback"])
def test_trouble_that_was_only_warned_of_is_told_again_to_who_wants_more(tmp_path, then):
    job = make_job(bad_until_branched(12))
    run(tmp_path, job=job, watch=WATCH, steps=21)
    if then == "stop":
        with pytest.raises(Collapsed, match="not finite: d_loss since step 10"):
            run(tmp_path, job=job, watch=WATCH, steps=40, on_collapse=then)
    else:
        run(tmp_path, job=job, watch=WATCH, steps=40, on_collapse=then)
        assert Checkpoints(tmp_path / "checkpoints").read_latest().metadata["rollbacks"] == 1
        assert not any("non_finite" in line for line in lines_of(tmp_path))


def ill_from(step):
    """Steps after which the parameters are not finite, unless the state was given another key before."""

    def step_fn(state, first_step, count):
        first_key = bool(jnp.all(jax.random.key_data(state["key"]) == jax.random.key_data(jax.random.key(0))))
        parts = []
        for current in range(first_step, first_step + count):
            state, metrics = several_steps(state, current, 1)
            if current + 1 == step and first_key:
                state = {**state, "weights": state["weights"] * jnp.nan}
            parts.append(metrics)
        return state, jax.tree.map(lambda *values: jnp.concatenate(values), *parts)

    return step_fn


def test_a_checkpoint_from_which_trouble_comes_again_is_gone_behind(tmp_path, capsys):
    """The update of step 14 spoils what is saved then, and the metrics, of before it, are fine still."""
    run(tmp_path, job=make_job(ill_from(14)), watch=dataclasses.replace(WATCH, metrics_every=1), on_collapse="rollback")
    said = [line.partition("Going")[2] for line in capsys.readouterr().err.splitlines() if "Going back" in line]
    assert said == [f" back to step {step} (rollback {count} of at most 3)." for count, step in ((1, 14), (2, 7))]
    assert not any("non_finite" in line for line in lines_of(tmp_path))


def test_where_no_checkpoint_is_before_it_is_gone_back_to_again(tmp_path, capsys):
    watch = dataclasses.replace(WATCH, metrics_every=1)
    with pytest.raises(Collapsed, match="3 times already"):
        run(tmp_path, job=make_job(ill_from(7)), watch=watch, on_collapse="rollback", keep=1)
    assert capsys.readouterr().err.count("Going back to step 7 ") == 3


def test_a_rollback_that_dies_before_it_saved_ends_as_without(tmp_path):
    options = {"watch": dataclasses.replace(WATCH, metrics_every=1), "on_collapse": "rollback"}
    run(tmp_path / "whole", job=make_job(ill_from(14)), **options)
    back = 0

    def dying_branch(state, rollbacks):
        nonlocal back
        back += 1
        if back == 2:
            raise Dies
        return other_future(state, rollbacks)

    with pytest.raises(Dies):
        run(tmp_path / "parts", job=dataclasses.replace(make_job(ill_from(14)), branch=dying_branch), **options)
    run(tmp_path / "parts", job=make_job(ill_from(14)), **options)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_a_rollback_goes_to_what_a_signal_saved(tmp_path, capsys):
    def step_fn(state, first_step, count):
        if first_step == 14:
            os.kill(os.getpid(), signal.SIGTERM)
        return bad_until_branched(17)(state, first_step, count)

    options = {"watch": WATCH, "on_collapse": "rollback", "steps_per_call": 1}
    with pytest.raises(Interrupted, match="Stopped at step 15"):
        run(tmp_path, job=make_job(step_fn), **options)
    run(tmp_path, job=make_job(bad_until_branched(17)), **options)
    assert "Going back to step 15 " in capsys.readouterr().err
    run(tmp_path / "without", job=make_job(bad_until_branched(17)), **options)
    assert "Going back to step 14 " in capsys.readouterr().err


def test_a_workdir_that_does_not_let_checkpoints_go_is_the_users_to_mend(tmp_path, nobody):  # noqa: F811
    """It happens at a rollback, and where one that is damaged is to be set aside."""
    job = make_job(bad_until_branched(12))
    run(tmp_path / "run", job=job, watch=WATCH, steps=21)
    checkpoints = tmp_path / "run" / "checkpoints"
    if not os.getuid():
        for path in [tmp_path / "run", *(tmp_path / "run").rglob("*")]:
            os.chown(path, 65534, 65534)
        os.chown(checkpoints, 0, 0)
        open_the_way_to(tmp_path)
    checkpoints.chmod(0o555)
    nobody()
    with pytest.raises(UserError, match=r"workdir=.*run cannot be written to \(Permission denied\)"):
        run(tmp_path / "run", job=job, watch=WATCH, steps=40, on_collapse="rollback")
    checkpoints.joinpath("21", "record").rename(tmp_path / "run" / "record")
    with pytest.raises(UserError, match=r"workdir=.*run cannot be written to \(Permission denied\)"):
        run(tmp_path / "run", job=job, steps=40)
