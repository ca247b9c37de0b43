"""Checks that a system defines itself, and what the watch remembers of them."""

import dataclasses
import json
import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_training import make_job, run, several_steps
from test_watch import line, pictures

from jaxgan import data, systems
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES, two_player_report
from jaxgan.systems.checks import HopelessGenerator, SaturatedDiscriminator, UndecidedDiscriminator, Verdict
from jaxgan.systems.system import Panel, Report
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.trainer import Collapsed
from jaxgan.training.watch import Watch, diversity


@dataclass(frozen=True)
class PosteriorCollapse:
    """An encoder that says nothing: its divergence, summed over three windows, is too small."""

    low: float = 0.1
    kind: str = "posterior collapse"
    advice: str = "Give the divergence less weight."
    metrics: tuple[str, ...] = ("kl",)
    length: int = 2
    steps: int = 0

    def look(self, window, memory):
        average = 0.5 * memory + 0.5 * window.metrics["kl"]
        return Verdict(average < self.low, f"the latents carry {average:.4f} nats", memory=average)


WATCH = Watch((PosteriorCollapse(),), metrics_every=2)
REPORT = Report((Panel("loss", {"loss": "total", "kl": "divergence"}),), bar=("kl",), checks=WATCH.checks)


def encoder(step_fn=several_steps, collapses=11):
    """A system that is no game. In its first future, its divergence is 1 until a step, and 0 from it on."""
    first_key = jax.random.key_data(jax.random.key(0))

    def steps(state, first_step, count):
        state, metrics = step_fn(state, first_step, count)
        collapsed = jnp.all(jax.random.key_data(state["key"]) == first_key)
        collapsed &= first_step + 1 + jnp.arange(count) >= collapses
        return state, {"loss": metrics["d_loss"], "kl": jnp.where(collapsed, 0.0, 1.0)}

    return make_job(steps, report=REPORT)


# The averages are 31/32 at step 10, 0.061 at step 18 and 0.030 at step 20.
ALARM = "Step 20: the latents carry 0.0303 nats since step 16. What usually helps: Give the divergence less weight."


def test_the_alarm_of_a_systems_own_check_is_told_once(tmp_path, capsys):
    run(tmp_path, job=encoder(), watch=WATCH, steps=30)
    assert [said for said in capsys.readouterr().err.splitlines() if "What usually helps" in said] == [ALARM]
    run(tmp_path / "well", job=encoder(collapses=99), watch=WATCH, steps=30)
    assert "What usually helps" not in capsys.readouterr().err


def test_the_alarm_of_a_systems_own_check_stops_the_run(tmp_path):
    with pytest.raises(Collapsed, match=re.escape(f"{ALARM} Stopped; ")):
        run(tmp_path, job=encoder(), watch=WATCH, steps=30, on_collapse="stop")
    assert Checkpoints(tmp_path / "checkpoints").steps() == [7, 14]


def test_the_alarm_of_a_systems_own_check_makes_a_run_go_back(tmp_path, capsys):
    run(tmp_path, job=encoder(), watch=WATCH, steps=30, on_collapse="rollback")
    assert f"{ALARM} Going back to step 14 (rollback 1 of at most 3)." in capsys.readouterr().err


@pytest.mark.parametrize("first", [13, 18, 19])
def test_what_a_check_remembers_outlives_a_restart(tmp_path, capsys, first):
    for steps in (first, 30):
        run(tmp_path, job=encoder(), watch=dataclasses.replace(WATCH), steps=steps)
    assert [said for said in capsys.readouterr().err.splitlines() if "What usually helps" in said] == [ALARM]


def test_the_bar_shows_what_the_report_says(tmp_path, capsys):
    run(tmp_path, job=encoder())
    shown = capsys.readouterr().err
    assert "kl=1" in shown and "loss=" not in shown
    run(tmp_path / "game")
    shown = capsys.readouterr().err
    assert "d_loss=" in shown and "g_loss=" in shown and "d_real=" not in shown


def test_a_check_is_not_asked_where_a_metric_that_it_needs_is_missing():
    watch = Watch((PosteriorCollapse(),))
    assert watch.see_metrics({"step": 20, "loss": 1.0}) == []
    [alarm] = watch.see_metrics({"step": 40, "loss": 1.0, "non_finite": ["kl"]})
    assert (alarm.kind, alarm.since) == ("non-finite", 20)
    assert watch.memory()["checks"] == {"posterior collapse": 0.0}
    assert watch.memory()["streaks"]["posterior collapse"] == {"since": 0, "length": 0, "told": False}


def test_two_checks_have_each_a_streak_and_a_memory():
    generators = [HopelessGenerator(f"g_{name}_loss", first_step=0, kind=f"saturated {name}") for name in "ab"]
    watch = Watch(tuple(generators))
    found = []
    for step in range(20, 400, 20):
        found += watch.see_metrics({"step": step, "g_a_loss": 18.0 if step > 100 else 2.0, "g_b_loss": 13.0})
    assert [(alarm.kind, alarm.step, alarm.since) for alarm in found] == [
        ("saturated a", 200, 100),
        ("saturated b", 220, 0),
    ]


@pytest.mark.parametrize("kind", ["non-finite", "collapsed", "saturated"])
def test_each_check_has_a_kind_of_its_own(kind):
    with pytest.raises(ValueError, match="a kind of its own"):
        Watch((SaturatedDiscriminator(), PosteriorCollapse(kind=kind)))


def test_pictures_that_are_no_independent_samples_are_not_looked_at(tmp_path, capsys):
    job = dataclasses.replace(make_job(), preview=lambda state: np.full((4, 4, 4, 3), int(state["step"] > 5), np.uint8))
    alike = Watch(preview_every=1, real_diversity=1.0, patience=0)
    run(tmp_path / "samples", job=job, watch=alike, sample_every=20)
    assert "the samples are nearly alike" in capsys.readouterr().err
    run(tmp_path / "translations", job=job, watch=dataclasses.replace(alike, diverse_preview=False), sample_every=20)
    assert "What usually helps" not in capsys.readouterr().err


def test_where_pictures_are_not_looked_at_no_check_waits_for_them_to_vary():
    """20 · (13 − 9) = 80 a window: more than 800 after the eleventh; samples that do not vary are given 500."""
    found = {}
    for diverse in (True, False):
        watch = Watch((HopelessGenerator(first_step=0),), diverse_preview=diverse, real_diversity=0.3)
        alarms = [watch.see_metrics(line(step, g_loss=13.0)) for step in range(20, 400, 20)]
        found[diverse] = [alarm.step for some in alarms for alarm in some]
    assert found == {True: [100], False: [220]}


# What checkpoints held before systems chose their checks.


def former_memory(**saturated):
    return {
        "streaks": {
            "non-finite": {"since": 240, "length": 0, "told": False},
            "saturated": {"since": 60, "length": 9, "told": False, **saturated},
            "collapsed": {"since": 200, "length": 0, "told": False},
        },
        "most_diverse": 0.31,
        "varied": 10,
        "sums": {"d_loss": 5.0, "g_loss": 130.0, "d_real": 9.99, "d_fake": 0.01},
        "excess": 720.0,
    }


def test_a_run_that_was_begun_before_goes_on_with_its_memory():
    def resumed(memory):
        watch = Watch((HopelessGenerator(),), real_diversity=diversity(pictures(40)))
        watch.remember(json.loads(json.dumps(memory)))
        return watch

    watch = resumed(former_memory())
    assert watch.well_until(250) == 60
    ones = np.ones(10)
    metrics = {"d_loss": ones, "g_loss": 13 * ones, "d_real": ones, "d_fake": 0 * ones}
    assert watch.see_call(260, metrics) == []  # 13 · 20 − 9 · 20 = 80 more: 800, which is not above 800
    [alarm] = watch.see_metrics(line(280, g_loss=13.0))
    assert (alarm.kind, alarm.step, alarm.since) == ("saturated", 280, 60)
    assert resumed(watch.memory()).memory() == watch.memory()
    told = resumed(former_memory(told=True))
    assert [told.see_metrics(line(step, g_loss=13.0)) for step in (260, 280)] == [[], []]


def test_a_streak_of_mean_probabilities_that_was_begun_before_goes_on():
    watch = Watch((SaturatedDiscriminator(),))
    watch.remember(former_memory(since=100, length=7))
    assert watch.see_metrics(line(280, 0.999, 0.001)) == [] != watch.see_metrics(line(300, 0.999, 0.001))


def test_kinds_that_nobody_looks_for_any_more_are_forgotten():
    watch = Watch()
    watch.remember(former_memory())
    assert watch.memory()["checks"] == {} and set(watch.memory()["streaks"]) == {"non-finite", "collapsed"}
    assert watch.well_until(250) == 200


def undecided_at(opinions):
    """The steps at which the watch calls a discriminator undecided, by its opinions (D(x), D(G(z))) each 100 steps."""
    watch = Watch((UndecidedDiscriminator(most_steps=1000),), metrics_every=100)
    found = []
    for number, (real, fake) in enumerate(opinions, start=1):
        alarms = watch.see_metrics(line(100 * number, real, fake))
        found += [100 * number for alarm in alarms if alarm.kind == "undecided"]
    return found


def test_a_discriminator_that_cannot_tell_is_named_once_with_what_helps():
    assert undecided_at([(0.7, 0.3)] * 3 + [(0.505, 0.495)] * 30) == [1400]
    watch = Watch((UndecidedDiscriminator(most_steps=100),), metrics_every=100)
    [alarm] = [alarm for step in (100, 200, 300) for alarm in watch.see_metrics(line(step, 0.5, 0.5))]
    assert "cannot tell (D(x) = 0.500, D(G(z)) = 0.500)" in str(alarm) and "--spectral_norm" in str(alarm)


def test_a_discriminator_that_tells_wrong_conditions_alone_still_teaches():
    def kinds(d_loss, report):
        watch, alarms = Watch(report.checks, metrics_every=100), []
        for number in range(1, 40):
            alarms += watch.see_metrics(line(100 * number, 0.548, 0.537, d_loss=d_loss, g_loss=0.65))
        return [alarm.kind for alarm in alarms]

    aware = two_player_report("minimax", matching_aware=True)
    assert kinds(1.24, aware) == []
    assert kinds(1.38, aware) == ["undecided"]  # 2 log 2 = 1.386: the same of everything
    assert kinds(1.24, two_player_report("minimax")) == ["undecided"]
    faces = data.from_arrays(np.zeros((8, 32, 32, 3), np.uint8), np.zeros((8, 23), np.uint8))
    built = {aware: systems.build("cgan_anime", faces, matching_aware=aware).report for aware in (False, True)}
    assert kinds(1.24, built[True]) == [] and kinds(1.24, built[False]) == ["undecided"]


@pytest.mark.parametrize(
    "opinions",
    [
        [(0.55, 0.45)] * 50,  # a close game
        ([(0.51, 0.5)] * 4 + [(0.6, 0.4)]) * 20,  # a moment of success in five
        [(0.5, 0.5)] * 9 + [(0.7, 0.3)] * 30,  # it takes long to learn
    ],
)
def test_a_discriminator_that_tells_now_and_then_is_left_alone(opinions):
    assert undecided_at(opinions) == []


def test_every_loss_but_that_of_critics_has_a_check_for_it():
    kinds = {loss: {check.kind for check in two_player_report(loss).checks} for loss in ADVERSARIAL_LOSSES}
    assert {loss for loss in kinds if "undecided" not in kinds[loss]} == {"wasserstein"}
