import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from test_training import make_job, run, several_steps

from jaxgan.systems.checks import HopelessGenerator, SaturatedDiscriminator
from jaxgan.training.watch import Watch, diversity


def line(step, d_real=0.7, d_fake=0.3, **more):
    return {"step": step, "d_loss": 0.5, "g_loss": 1.0, "d_real": d_real, "d_fake": d_fake} | more


def pictures(spread, seed=0):
    noise = np.random.default_rng(seed).normal(128, spread, (16, 8, 8, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def saturation_watch(saturation_steps=200, **options):
    return Watch((SaturatedDiscriminator(steps=saturation_steps),), **options)


def hopeless_watch(first_step=200, **options):
    return Watch((HopelessGenerator(first_step=first_step),), **options)


def test_diversity_is_the_mean_distance_of_all_pairs():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 2), np.uint8)
    numbers = images / 127.5 - 1
    expected = [np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.combinations(numbers, 2)]
    assert diversity(images) == pytest.approx(np.mean(expected), rel=1e-5)


def test_diversity_from_none_to_most():
    black_and_white = np.stack([np.zeros((4, 4, 1), np.uint8), np.full((4, 4, 1), 255, np.uint8)])
    assert diversity(black_and_white) == pytest.approx(2.0)
    assert diversity(np.full((9, 4, 4, 1), 200, np.uint8)) == 0.0
    with pytest.raises(ValueError, match="at least two"):
        diversity(black_and_white[:1])


def test_losses_that_are_not_finite_alarm_at_once_and_once():
    watch = saturation_watch()
    assert watch.see_metrics(line(10)) == []
    [alarm] = watch.see_metrics({"step": 20, "non_finite": ["d_loss", "g_loss"]})
    assert (alarm.kind, alarm.step, alarm.since) == ("non-finite", 20, 10)
    assert str(alarm).startswith("Step 20: not finite: d_loss, g_loss since step 10. What usually helps: Lower")
    assert watch.see_metrics({"step": 30, "non_finite": ["d_loss"]}) == []


def test_a_saturated_discriminator_alarms_after_its_window():
    watch = saturation_watch(saturation_steps=200)
    watch.see_metrics(line(100))
    alarms = {step: watch.see_metrics(line(step, 0.999, 0.001)) for step in range(120, 400, 20)}
    [(step, [alarm])] = [(step, found) for step, found in alarms.items() if found]
    assert (step, alarm.kind, alarm.since) == (300, "saturated", 100)
    assert "D(x) = 0.9990, D(G(z)) = 0.0010" in str(alarm)


def test_rare_lines_need_three_in_a_row():
    watch = saturation_watch(saturation_steps=200)
    found = [bool(watch.see_metrics(line(step, 0.999, 0.001))) for step in (1000, 2000, 3000, 4000)]
    assert found == [False, False, True, False]


def test_a_moment_of_doubt_starts_the_window_anew():
    watch = saturation_watch(saturation_steps=200)
    for step in range(10, 5000, 10):
        doubtful = step % 190 == 0
        assert watch.see_metrics(line(step, 0.9 if doubtful else 0.999, 0.001)) == []


def test_an_alarm_can_be_raised_again_after_it_was_over():
    watch = saturation_watch(saturation_steps=20)
    found = [bool(watch.see_metrics(line(step, 0.9 if step == 60 else 0.999, 0.0))) for step in range(10, 110, 10)]
    assert found == [False, False, True, False, False, False, False, False, True, False]


def test_a_critics_scores_are_never_saturated():
    watch = Watch()
    assert not any(watch.see_metrics(line(step, 50.0, -50.0)) for step in range(0, 5000, 100))


def steps_of(d_fake, first, last):
    """The metrics of steps `first` to `last`."""
    steps = np.arange(first, last + 1)
    ones = np.ones(len(steps), np.float32)
    return {"d_real": 0.999 * ones, "d_fake": d_fake(steps) * ones, "d_loss": ones, "g_loss": ones}


def test_metrics_are_averaged_over_windows_however_they_were_divided_into_calls():
    def d_fake(steps):  # in doubt at two of ten steps
        return np.where(steps % 10 < 2, 0.5, 0.001)

    found = {}
    for length in (1, 7, 50):
        watch, lines = saturation_watch(metrics_every=10), []
        watch.see_metrics = lambda line, lines=lines: lines.append(line) or []
        for first in range(1, 101, length):
            watch.see_call(min(first + length - 1, 100), steps_of(d_fake, first, min(first + length - 1, 100)))
        found[length] = lines
    assert found[1] == found[7] == found[50]
    assert [line["step"] for line in found[1]] == list(range(10, 101, 10))
    assert all(line["d_fake"] == pytest.approx(0.1008) for line in found[1])


@pytest.mark.parametrize("nonsaturating", [False, True])
def test_a_resumed_watch_goes_on_in_the_middle_of_a_window(nonsaturating):
    def fresh():
        return hopeless_watch(0, metrics_every=10) if nonsaturating else saturation_watch(metrics_every=10)

    steady, resumed, alarms = fresh(), fresh(), []
    for first in range(1, 400, 7):
        metrics = steps_of(lambda steps: 0.0 * steps, first, first + 6)
        metrics["g_loss"] = metrics["g_loss"] * 12
        again = fresh()
        again.remember(json.loads(json.dumps(resumed.memory())))
        resumed = again
        expected = steady.see_call(first + 6, metrics)
        assert resumed.see_call(first + 6, metrics) == expected
        assert resumed.memory() == steady.memory()
        alarms += expected
    assert [alarm.kind for alarm in alarms] == ["saturated"]


def test_what_was_not_looked_at_yet_is_not_called_well():
    watch = saturation_watch(metrics_every=10)
    watch.see_call(14, steps_of(lambda steps: 0.3 + 0.0 * steps, 1, 14))
    assert watch.well_until(14) == 10
    watch.see_call(20, {"d_loss": np.array([1.0, 1.0, np.nan, 1.0, 1.0, 1.0])})
    assert watch.well_until(20) == 10


def test_before_the_first_window_is_full_nothing_is_known_to_be_well():
    watch = saturation_watch(metrics_every=10)
    watch.see_call(4, steps_of(lambda steps: 0.3 + 0.0 * steps, 1, 4))
    assert watch.well_until(4) == 0
    bad = saturation_watch(metrics_every=10)
    bad.see_metrics({"step": 10, "non_finite": ["d_loss"]})  # from the very first window on
    assert bad.well_until(10) == 0


def test_samples_that_grow_alike_alarm_after_three_previews():
    watch = saturation_watch()
    for step in range(100, 600, 100):
        assert watch.see_preview(step, pictures(40, step)) == []
    found = [watch.see_preview(step, pictures(2, step)) for step in (600, 700, 800, 900)]
    assert [len(alarms) for alarms in found] == [0, 0, 1, 0]
    [alarm] = found[2]
    assert (alarm.kind, alarm.step, alarm.since) == ("collapsed", 800, 500)


def test_a_generator_that_was_overtaken_early_is_given_longer():
    # dcgan_anime_a in batches of 16: nearly alike at steps 583 to 750 after 0.27 of the diversity of real faces.
    def alarms(varied_until):
        watch = saturation_watch(real_diversity=diversity(pictures(40)))
        for step in range(100, varied_until + 1, 100):
            watch.see_preview(step, pictures(30, step))
        found = [watch.see_preview(varied_until + later, pictures(2)) for later in range(100, 3000, 100)]
        return [(alarm.step, alarm.since) for some in found for alarm in some]

    assert alarms(varied_until=900) == [(1900, 900)]
    assert alarms(varied_until=1000) == [(1300, 1000)]


def test_a_generator_that_has_not_begun_is_not_collapsed_until_patience_ends():
    watch = saturation_watch(real_diversity=diversity(pictures(40)), patience=1000)
    found = {step: watch.see_preview(step, pictures(2)) for step in range(100, 2000, 100)}
    [alarm] = [alarm for alarms in found.values() for alarm in alarms]
    assert (alarm.step, alarm.since) == (1300, 1000)


def test_wild_first_samples_do_not_set_the_measure():
    watch = saturation_watch(real_diversity=diversity(pictures(10)))
    watch.see_preview(100, pictures(100))
    assert not any(watch.see_preview(step, pictures(8)) for step in range(200, 6000, 100))


def test_well_until_the_first_streak_began():
    watch = saturation_watch(saturation_steps=1000)
    watch.see_metrics(line(100))
    assert watch.well_until(110) == 100  # what came since has not been looked at
    watch.see_metrics(line(200, 0.999, 0.001))
    assert watch.well_until(210) == 100
    watch.see_metrics(line(300))
    assert watch.well_until(310) == 300


def test_well_until_the_last_preview_that_was_fine():
    watch = saturation_watch()
    for step in range(20, 340, 20):
        watch.see_metrics(line(step))
        if step % 100 == 0:
            watch.see_preview(step, pictures(40, step))
        assert watch.well_until(step) == (step if step < 100 else step - step % 100)
    found = []
    for step in range(400, 700, 100):
        found += watch.see_preview(step, pictures(2, step))
        assert watch.well_until(step) == 300
    assert [alarm.since for alarm in found] == [300]


def test_a_resumed_watch_raises_the_same_alarms():
    def see(watch, step):
        watch_line = line(step, 0.999, 0.001) if step > 150 else line(step)
        return watch.see_metrics(watch_line) + watch.see_preview(step, pictures(40 if step < 250 else 2, step))

    def fresh():
        return saturation_watch(real_diversity=diversity(pictures(40)), varied_previews=4)

    steady, expected = fresh(), []
    for step in range(50, 700, 50):
        expected += see(steady, step)
    assert {alarm.kind for alarm in expected} == {"saturated", "collapsed"}
    resumed, found = fresh(), []
    for step in range(50, 700, 50):
        found += see(resumed, step)
        memory = json.loads(json.dumps(resumed.memory()))
        resumed = fresh()
        resumed.remember(memory)
    assert found == expected
    resumed.remember({})
    assert resumed == fresh()


def test_a_resumed_run_raises_the_alarm_that_it_would_have_raised(tmp_path, capsys):
    def step_fn(state, first_step, count):
        state, metrics = several_steps(state, first_step, count)
        won = first_step + 1 + jnp.arange(count) > 4
        return state, {**metrics, "d_real": jnp.where(won, 1.0, 0.6), "d_fake": jnp.where(won, 0.0, 0.4)}

    for steps in (7, 20):
        watch = saturation_watch(metrics_every=2, saturation_steps=12)
        run(tmp_path, steps=steps, job=make_job(step_fn), watch=watch)
    [alarm] = [line for line in capsys.readouterr().err.splitlines() if "never in doubt" in line]
    assert alarm.startswith("Step 16: ") and " since step 4. " in alarm


# A generator whose loss is −log D(G(z)).


def generator_losses(*losses, **options):
    """The alarms of windows of 20 steps, by step."""
    watch = hopeless_watch(**{"first_step": 0, **options})
    found = {20 * number: watch.see_metrics(line(20 * number, g_loss=loss)) for number, loss in enumerate(losses, 1)}
    return {step: alarms for step, alarms in found.items() if alarms}


def test_a_hopeless_generator_is_told_by_its_loss():
    """20 · (13 − 9) = 80 a window: more than 800 after the eleventh."""
    [(step, [alarm])] = generator_losses(*[5.0] * 3, *[13.0] * 20).items()
    assert (step, alarm.kind, alarm.since) == (60 + 220, "saturated", 60)
    assert "the generator's loss is 13.0" in str(alarm)


def test_the_first_steps_of_a_wide_network_are_not_counted():
    # dcgan_64 at full width, batches of 16: means of 50 steps, of which 20 to 30 at first.
    losses = [28.45] * 2 + [20.87] * 3 + [9.58] * 2 + [10.49] * 3 + [10.63] * 2 + [7.42] * 3 + [6.64] * 5
    assert list(generator_losses(*losses)) == [100]
    assert generator_losses(*losses, first_step=200) == {}
    [(step, [alarm])] = generator_losses(*[2.0] * 3, *[18.0] * 20, first_step=200).items()
    assert (step, alarm.since) == (300, 60)  # What came before was not well either: no place to go back to.
    assert HopelessGenerator().first_step == 200


def test_better_windows_make_good_for_worse_ones():
    assert generator_losses(*[13.0, 13.0, 1.0] * 50) == {}
    assert list(generator_losses(*[13.0, 13.0, 13.0, 7.0] * 50)) == [300]  # 200 in 4 windows, 840 after 15


def test_a_generator_that_has_learned_to_vary_its_samples_is_given_more_time():
    """20 · (13 − 7) = 120 a window: more than 500 after the fifth. Then 80, more than 800 after the eleventh."""
    varied, alike = pictures(40), pictures(2)

    def alarms_after(previews, *losses, **options):
        known = {"real_diversity": diversity(varied), **options}
        watch = hopeless_watch(0, **known)
        for number, images in enumerate(previews, 1):
            watch.see_preview(number, images)
        return [step for step, loss in enumerate(losses, 1) if watch.see_metrics(line(20 * step, g_loss=loss))]

    lost, hard = [13.0] * 20, [8.5] * 200
    assert alarms_after([varied] * 10, *lost) == alarms_after([varied] * 10 + [alike] * 5, *lost) == [11]
    assert alarms_after([varied] * 9, *lost) == alarms_after([varied] * 9 + [alike] * 5, *lost) == [5]
    assert alarms_after([alike], *lost, real_diversity=None) == alarms_after([alike], *lost, patience=0) == [11]
    assert alarms_after([varied] * 10, *hard) == []
    assert alarms_after([varied] * 9, *hard) == [17]  # 20 · 1.5 = 30 a window


def test_a_spike_is_no_alarm_however_high():
    assert generator_losses(2.0, 1e9, *[3.0] * 5, 1e9, 1e9, *[3.0] * 9) == {}


def test_the_mean_of_d_does_not_hide_a_hopeless_generator_nor_make_one():
    watch = hopeless_watch()
    assert not any(watch.see_metrics(line(step, 0.999, 0.001, g_loss=7.0)) for step in range(20, 2000, 20))
