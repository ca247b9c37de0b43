"""The arithmetic of batches agrees with counting them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.run import recipes
from experiments.run.recipes import resolve
from jaxgan import systems
from jaxgan.host.errors import UserError
from jaxgan.systems.schedule import Batches, BatchSchedule, Phase


@st.composite
def schedules(draw):
    begins = sorted(draw(st.sets(st.integers(1, 1200), max_size=4)))
    sizes = [draw(st.integers(1, 64)) for _ in range(len(begins) + 1)]
    phases = tuple(map(Phase, begins, sizes[1:]))
    return BatchSchedule(sizes[0], draw(st.sampled_from([1, 5])), draw(st.booleans()), phases)


@given(schedules())
def test_examples_before_counts_what_at_takes(schedule):
    total = 0
    for step in range(1600):
        assert schedule.examples_before(step) == total
        number, size, _ = schedule.at(step)
        total += number * size


@given(schedules(), st.integers(0, 200_000))
def test_steps_within_a_number_of_examples_are_as_many_as_fit(schedule, examples):
    steps = schedule.steps_within(examples)
    assert schedule.examples_before(steps) <= examples < schedule.examples_before(steps + 1)


def test_warmup_of_the_reference():
    schedule = BatchSchedule(2, 5, warmup=True)
    assert [schedule.at(step).number for step in (0, 24, 25, 499, 500, 501, 1000)] == [100, 100, 5, 5, 100, 5, 100]


def test_a_phase_begins_at_its_first_step():
    schedule = BatchSchedule(8, 1, warmup=True, later_phases=(Phase(10, 4), Phase(500, 2)))
    assert schedule.phases == (Phase(0, 8), Phase(10, 4), Phase(500, 2))
    assert [schedule.at(step) for step in (9, 10, 499, 500, 501)] == [
        Batches(100, 8, 0),
        Batches(100, 4, 1),
        Batches(1, 4, 1),
        Batches(100, 2, 2),
        Batches(1, 2, 2),
    ]


@pytest.mark.parametrize("begins", [(0,), (5, 5), (9, 3)])
def test_phases_out_of_order_are_refused(begins):
    with pytest.raises(ValueError, match="each after the one before"):
        BatchSchedule(8, later_phases=tuple(Phase(step, 4) for step in begins))


@pytest.mark.parametrize(
    ("epochs", "examples", "schedule", "steps"),
    [
        (2.0, 3200, BatchSchedule(64, 5), 20),  # 2 passes over 50 batches of 64, five to a step
        (2.01, 60_000, BatchSchedule(100), 1206),
        (0.29, 6_400, BatchSchedule(64), 29),
        (0.1, 30, BatchSchedule(1), 3),
        (1e-9, 30, BatchSchedule(1), 1),
        (50.0, 33_431, BatchSchedule(128), 13_058),  # 13,058.98 steps, as before
        (1.0, 100 * 64, BatchSchedule(64, 5, warmup=True), 1),  # the first step alone takes 100 batches
        (20.0, 100 * 64, BatchSchedule(64, 5, warmup=True), 20),
        (26.0, 100 * 64, BatchSchedule(64, 5, warmup=True), 45),  # 25 of 100 batches, and 20 of 5
    ],
)
def test_passes_over_the_pictures_are_counted_exactly(epochs, examples, schedule, steps):
    recipe = resolve({"model": "mlp_b", "epochs": epochs}, systems.names())
    assert recipes.total_steps(recipe, examples, schedule) == steps


def test_more_steps_than_can_be_counted_are_refused():
    recipe = resolve({"model": "mlp_b", "epochs": 1e9}, systems.names())
    assert recipes.total_steps(recipe, 200, BatchSchedule(100)) == 2 * 10**9
    with pytest.raises(UserError, match=r"epochs=1000000000\.0: 6,000,000,000 steps"):
        recipes.total_steps(recipe, 600, BatchSchedule(100))


def test_so_are_more_critic_steps_than_can_be_counted():
    recipe = resolve({"model": "wgan_anime", "critic_steps": 5, "steps": 429_496_729}, systems.names())
    assert recipes.total_steps(recipe, 200, BatchSchedule(100)) == 429_496_729
    recipe = resolve({"model": "wgan_anime", "critic_steps": 5, "steps": 429_496_730}, systems.names())
    with pytest.raises(
        UserError, match=r"steps=429496730: with this many critic steps to each, a run has at most 429,496,729"
    ):
        recipes.total_steps(recipe, 200, BatchSchedule(100))
