"""The arithmetic of batches agrees with counting them."""

import pytest

from jaxgan.systems.schedule import Rounds


@pytest.mark.parametrize("rounds", [Rounds(), Rounds(5), Rounds(5, warmup=True), Rounds(1, warmup=True)])
def test_before_counts_what_at_takes(rounds):
    total = 0
    for step in range(1600):
        assert rounds.before(step) == total
        total += rounds.at(step)


def test_warmup_of_the_reference():
    rounds = Rounds(5, warmup=True)
    assert [rounds.at(step) for step in (0, 24, 25, 499, 500, 501, 1000)] == [100, 100, 5, 5, 100, 5, 100]
