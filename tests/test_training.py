import contextlib
import dataclasses
import functools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError
from jaxgan.systems.adversarial_losses import two_player_report
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.tensorboard import read_records
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.signals import Interrupted
from jaxgan.training.trainer import Collapsed, Job, Schedule, train
from jaxgan.training.watch import Watch

TIMINGS = ("images_per_sec", "data_wait")
REPORT = two_player_report("minimax")
WATCH = Watch(REPORT.checks, metrics_every=5)


# A tiny game: a noisy walk of a vector, with the metrics of a GAN.


def first_state():
    return {"step": jnp.int32(0), "key": jax.random.key(0), "weights": jnp.zeros(64)}


@jax.jit
def one_step(state):
    key = jax.random.fold_in(state["key"], state["step"])
    weights = 0.9 * state["weights"] + jax.random.normal(key, (64,))
    loss = jnp.mean(weights**2)
    metrics = {"d_loss": loss, "g_loss": -loss, "d_real": jnp.mean(weights > 0), "d_fake": jnp.mean(weights < 0)}
    return {**state, "step": state["step"] + 1, "weights": weights}, metrics


def several_steps(state, first_step, count, delay=0.0):
    assert int(state["step"]) == first_step
    metrics = []
    for _ in range(count):
        state, values = one_step(state)
        metrics.append(values)
        time.sleep(delay)
    return state, jax.tree.map(lambda *values: jnp.stack(values), *metrics)


def preview(state):
    weights = np.asarray(state["weights"])
    return np.clip(128 + 40 * weights[:, None, None, None] * np.ones((1, 4, 4, 3)), 0, 255).astype(np.uint8)


def other_future(state, rollbacks):
    return {**state, "key": jax.random.fold_in(state["key"], rollbacks)}


def make_job(step_fn=several_steps, **changes):
    options = {"examples_before": lambda step: 64 * step, "report": REPORT, "branch": other_future}
    return Job("a tiny game", step_fn, preview, **options | changes)


def run(directory, *, steps=20, job=None, watch=None, **schedule):
    often = {"steps_per_call": 4, "log_every": 5, "sample_every": 8, "checkpoint_every": 7}
    with Workdir(directory) as workdir:
        return train(first_state(), job or make_job(), Schedule(steps, **often | schedule), workdir, watch=watch)


def lines_of(directory, timings=False):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if timings or name not in TIMINGS} for line in lines]


def files_of(directory):
    """What a run leaves, but for timings."""
    from tensorboardX.proto.event_pb2 import Event

    [events] = (directory / "tensorboard").iterdir()
    events = [Event.FromString(record) for record in read_records(events)]
    values = [(e.step, v.tag, v.simple_value, v.image.encoded_image_string) for e in events for v in e.summary.value]
    values = [value for value in values if not value[1].startswith("speed/")]
    return {"metrics": lines_of(directory), "events": values} | {
        "samples": {path.name: path.read_bytes() for path in (directory / "samples").iterdir()},
        "evolution": (directory / "evolution.gif").read_bytes(),
        "top": sorted(os.listdir(directory)),
        "digest": Checkpoints(directory / "checkpoints").read_latest().digest,
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("uninterrupted")
    run(directory)
    return directory


# What a run leaves


def test_a_run_leaves_what_is_promised(uninterrupted):
    assert sorted(os.listdir(uninterrupted)) == [
        ".lock", "checkpoints", "evolution.gif", "losses.png", "metrics.jsonl", "samples", "tensorboard",
    ]  # fmt: skip
    assert sorted(os.listdir(uninterrupted / "samples")) == ["00000008.png", "00000016.png", "00000020.png"]
    assert Checkpoints(uninterrupted / "checkpoints").steps() == [7, 14, 20]
    with Image.open(uninterrupted / "samples" / "00000008.png") as grid:
        assert grid.size == (32, 32)


def test_a_line_holds_the_means_since_the_last(uninterrupted):
    losses, state = [], first_state()
    for _ in range(20):
        state, metrics = one_step(state)
        losses.append(float(metrics["d_loss"]))
    lines = lines_of(uninterrupted, timings=True)
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    for index, line in enumerate(lines):
        assert line["d_loss"] == pytest.approx(np.mean(losses[5 * index : 5 * index + 5]), rel=1e-12)
        assert list(line) == ["step", "d_fake", "d_loss", "d_real", "g_loss", *TIMINGS]
        assert line["images_per_sec"] > 0 and line["data_wait"] == 0


def test_the_last_step_has_a_line_and_a_grid(tmp_path):
    run(tmp_path, steps=13)
    assert [line["step"] for line in lines_of(tmp_path)] == [5, 10, 13]
    assert Checkpoints(tmp_path / "checkpoints").steps() == [7, 13]


def test_tensorboard_has_the_lines_and_the_grids(uninterrupted):
    events = files_of(uninterrupted)["events"]
    assert [step for step, tag, _, _ in events if tag == "losses/d_loss"] == [5, 10, 15, 20]
    assert [step for step, tag, _, _ in events if tag == "samples"] == [8, 16, 20]


@pytest.mark.parametrize("steps_per_call", [1, 3, 100])
def test_calls_may_be_divided_in_any_way(uninterrupted, tmp_path, steps_per_call):
    run(tmp_path, steps_per_call=steps_per_call)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_calls_are_as_long_as_they_may_be(tmp_path):
    calls = []

    def step_fn(state, first_step, count):
        calls.append((first_step, count))
        return several_steps(state, first_step, count)

    run(tmp_path, job=make_job(step_fn))
    assert calls == [(0, 4), (4, 1), (5, 2), (7, 1), (8, 2), (10, 4), (14, 1), (15, 1), (16, 4)]


def test_metrics_may_be_read_one_call_later(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    run(tmp_path)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_says_what_it_does(tmp_path, capsys):
    run(tmp_path)
    out, err = capsys.readouterr()
    assert f"Training a tiny game: step 0 to 20, in {tmp_path}\n" in out
    assert f"Reached step 20: the pictures are in {tmp_path / 'samples'}\n" in out
    assert "20/20" in err


# Going on


def test_twenty_steps_are_ten_and_ten(tmp_path):
    """With stops that fall on step 10, as those of a run that was to end there."""
    whole = run(tmp_path / "whole", sample_every=10)
    run(tmp_path / "parts", steps=10, sample_every=10)
    parts = run(tmp_path / "parts", sample_every=10)
    assert digest(whole) == digest(parts)
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "parts")


def test_a_finished_run_says_so_and_changes_nothing(tmp_path, capsys):
    run(tmp_path)
    before, capsys_before = files_of(tmp_path), capsys.readouterr()
    assert "Training" in capsys_before.out
    (tmp_path / f".losses.png.{'0' * 32}.tmp").touch()  # of a drawing that a kill cut short, after the last save
    state = run(tmp_path, steps=15)
    assert f"{tmp_path} is already at step 20" in capsys.readouterr().out
    assert files_of(tmp_path) == before and digest(state) == before["digest"]


class Dies(Exception):
    pass


@pytest.mark.parametrize("death", range(1, 20))
def test_whenever_it_dies_the_files_are_the_same_in_the_end(uninterrupted, tmp_path, death):
    def step_fn(state, first_step, count):
        if first_step + count > death:
            raise Dies
        return several_steps(state, first_step, count)

    with pytest.raises(Dies):
        run(tmp_path, job=make_job(step_fn))
    run(tmp_path)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_what_lies_beyond_the_checkpoint_is_cut_off(tmp_path):
    run(tmp_path, steps=7)
    beyond = [tmp_path / "samples" / name for name in ("00000009.png", ".00000009.png." + "a" * 32 + ".tmp")]
    for path in beyond:
        path.write_bytes(b"of a future that was lost")
    (tmp_path / "samples" / "notes.png").write_bytes(b"not the run's")
    run(tmp_path)
    assert sorted(os.listdir(tmp_path / "samples")) == [
        "00000007.png", "00000008.png", "00000016.png", "00000020.png", "notes.png",
    ]  # fmt: skip


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(uninterrupted, tmp_path, capsys):
    run(tmp_path, steps=14)
    record = next(path for path in (tmp_path / "checkpoints" / "14" / "record").rglob("*") if path.stat().st_size > 200)
    record.write_bytes(record.read_bytes()[:-30])
    run(tmp_path)
    out, err = capsys.readouterr()
    assert "checkpoints/14 is damaged" in err and "step 7 to 20" in out
    assert files_of(tmp_path) == files_of(uninterrupted)
    assert (tmp_path / "checkpoints" / "14.damaged").is_dir()


def test_without_an_intact_checkpoint_nothing_is_thrown_away(tmp_path):
    run(tmp_path)
    before = files_of(tmp_path)
    for step in (7, 14, 20):
        (tmp_path / "checkpoints" / str(step) / "record").rename(tmp_path / f"kept{step}")
    with pytest.raises(UserError, match="has checkpoints, and none is intact"):
        run(tmp_path, steps=30)
    for step in (7, 14, 20):
        (tmp_path / f"kept{step}").rename(tmp_path / "checkpoints" / str(step) / "record")
    assert files_of(tmp_path) == before


def test_another_model_is_refused_and_nothing_is_changed(tmp_path):
    run(tmp_path)
    before = files_of(tmp_path)
    with pytest.raises(UserError, match="of another model"), Workdir(tmp_path) as workdir:
        train({"other": jnp.zeros(3)}, make_job(), Schedule(30), workdir)
    assert files_of(tmp_path) == before


def test_a_disk_that_fails_is_the_users_mistake(tmp_path):
    (tmp_path / "samples").write_text("in the way")
    with pytest.raises(UserError, match=r"workdir=.* saving failed again \(.*File exists"):
        run(tmp_path)


@pytest.mark.parametrize("flag", ["steps", "steps_per_call", "log_every", "sample_every", "checkpoint_every"])
def test_a_schedule_counts_from_one(flag):
    with pytest.raises(UserError, match=f"{flag} must be at least 1, not 0"):
        Schedule(**{"total_steps": 5} | {"total_steps" if flag == "steps" else flag: 0})


def test_early_samples_come_closer_together_until_the_usual_ones_take_over():
    early = Schedule(5000, sample_every=150, sample_early=True)
    assert [step for step in range(1, 460) if early.is_sample(step)] == [1, 2, 5, 10, 20, 50, 100, 150, 300, 450]
    assert [step for step in range(1, 5) if Schedule(5000).is_sample(step)] == []
    assert early.call_end(0, None) == 1 and dataclasses.replace(early, steps_per_call=50).call_end(2, None) == 5


# Signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_leaves(uninterrupted, tmp_path, number, status):
    def step_fn(state, first_step, count):
        if first_step <= 11 < first_step + count:
            os.kill(os.getpid(), number)
        return several_steps(state, first_step, count)

    former = signal.getsignal(number)
    with pytest.raises(Interrupted, match=rf"Stopped at step 14, saved in {tmp_path}/checkpoints/14;") as raised:
        run(tmp_path, job=make_job(step_fn))
    assert raised.value.status == status
    assert signal.getsignal(number) == former
    run(tmp_path)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_a_signal_between_the_stops_saves_the_unfinished_line(uninterrupted, tmp_path):
    def step_fn(state, first_step, count):
        if first_step == 11:
            os.kill(os.getpid(), signal.SIGTERM)
        return several_steps(state, first_step, count)

    with pytest.raises(Interrupted, match="Stopped at step 12"):
        run(tmp_path, job=make_job(step_fn), steps_per_call=1)
    run(tmp_path)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_under_nohup_a_closed_terminal_changes_nothing(uninterrupted, tmp_path):
    def step_fn(state, first_step, count):
        if first_step <= 11 < first_step + count:
            os.kill(os.getpid(), signal.SIGHUP)
        return several_steps(state, first_step, count)

    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(tmp_path, job=make_job(step_fn))
    finally:
        signal.signal(signal.SIGHUP, former)
    assert files_of(tmp_path) == files_of(uninterrupted)


def test_outside_the_main_thread_it_trains_without_signals(uninterrupted, tmp_path):
    thread = threading.Thread(target=run, args=(tmp_path,))
    thread.start()
    thread.join()
    assert files_of(tmp_path) == files_of(uninterrupted)


# The watch


def bad_until_branched(bad_from):
    """Steps whose losses are not finite from a step on, until the state is given another key."""
    key = jax.random.key_data(jax.random.key(0))

    def step_fn(state, first_step, count):
        same_key = bool(jnp.all(jax.random.key_data(state["key"]) == key))
        state, metrics = several_steps(state, first_step, count)
        steps = first_step + 1 + jnp.arange(count)
        return state, {**metrics, "d_loss": jnp.where(same_key & (steps >= bad_from), jnp.nan, metrics["d_loss"])}

    return step_fn


def test_a_warning_is_said_once_and_training_goes_on(tmp_path, capsys):
    run(tmp_path, job=make_job(bad_until_branched(12)), watch=WATCH)
    assert capsys.readouterr().err.count("Step 15: not finite: d_loss since step 10.") == 1
    assert [line.get("non_finite") for line in lines_of(tmp_path)] == [None, None, ["d_loss"], ["d_loss"]]
    assert all("NaN" not in line for line in (tmp_path / "metrics.jsonl").read_text().splitlines())


def test_the_last_good_checkpoint_outlives_the_bad_ones(tmp_path):
    run(tmp_path, job=make_job(bad_until_branched(12)), watch=WATCH, steps=60, keep=2)
    assert Checkpoints(tmp_path / "checkpoints").steps() == [7, 56, 60]


def test_an_alarm_can_stop_the_run(tmp_path):
    with pytest.raises(Collapsed, match=r"Step 15: not finite: d_loss since step 10\. .*Stopped; on_collapse=warn"):
        run(tmp_path, job=make_job(bad_until_branched(12)), watch=WATCH, on_collapse="stop")


# Other processes: `python test_training.py WORKDIR` runs `main`.


def main(directory, delay):
    job = make_job(functools.partial(several_steps, delay=float(delay)))
    try:
        run(Path(directory), job=job, steps=60)
    except Interrupted as interrupted:
        print(interrupted)
        sys.exit(interrupted.status)


@contextlib.contextmanager
def started(directory, delay=0.02):
    """Another process that trains, killed at the end of the block."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"}
    with open(f"{directory}.err", "w+") as errors:
        command = [sys.executable, __file__, str(directory), str(delay)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            begun = "Training", f"{directory} is already at step 60"  # killed after its last save
            assert process.stdout.readline().startswith(begun), Path(errors.name).read_text()
            yield process, Path(errors.name)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_a_second_interrupt_leaves_at_once_and_harms_nothing(tmp_path):
    with started(tmp_path / "parts", delay=60) as (process, errors):
        while process.poll() is None and "Finishing" not in errors.read_text():
            time.sleep(0.2)
            if "0/60" in errors.read_text():
                process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    run(tmp_path / "parts", steps=60)
    run(tmp_path / "whole", steps=60)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def kill_at_random(directory, kills, seed):
    """Runs to the end through a number of deaths; each is at a random moment of the time that a run takes."""
    moments = random.Random(seed)
    for _ in range(kills):
        with started(directory) as (process, _), contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0, 2.5))
            return  # It came to its end before.
    with started(directory) as (process, errors):
        assert process.wait() == 0, errors.read_text()


def check_kills(tmp_path, kills, seed):
    kill_at_random(tmp_path / "killed", kills, seed)
    run(tmp_path / "whole", steps=60)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_killed_it_ends_the_same(tmp_path):
    check_kills(tmp_path, kills=1, seed=0)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 6))
def test_killed_many_times_it_ends_the_same(tmp_path, seed):
    check_kills(tmp_path, kills=20, seed=seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
