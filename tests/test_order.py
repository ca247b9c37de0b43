import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan.data import order

sizes = st.one_of(st.integers(1, 300), st.integers(300, 70_000))
seeds = st.integers(-(2**70), 2**70)

GOLDEN_START = [560, 836, 851, 187, 408, 133, 803, 828, 210, 993]
GOLDEN_EPOCH_BOUNDARY = [34883, 9008, 33302, 2318, 40057, 5755, 29787, 28517, 54786, 29066]
GOLDEN_SMALL = [6, 4, 0, 1, 5, 5, 0, 1, 6, 2]
GOLDEN_POWER_OF_TWO = [2113, 3999, 2337, 432, 2921, 2527, 3620, 1159, 2106, 3815]  # its last example fills its bits


@pytest.mark.parametrize("size", [1, 2, 3, 7, 63, 64, 65, 1000, 4096, 60_000])
@pytest.mark.parametrize("epoch", [0, 1, 10**9])
def test_every_epoch_uses_every_example_once(size, epoch):
    numbers = order.indices(seed=5, first=epoch * size, count=size, size=size)
    assert numbers.dtype == np.int64
    np.testing.assert_array_equal(np.sort(numbers), np.arange(size))


@given(seeds, sizes, st.integers(0, 10**12), st.integers(0, 200), st.integers(0, 200))
def test_any_part_of_the_stream_is_found_by_its_position(seed, size, first, skipped, count):
    whole = order.indices(seed, first, skipped + count, size)
    np.testing.assert_array_equal(order.indices(seed, first + skipped, count, size), whole[skipped:])


def test_the_order_never_changes():
    np.testing.assert_array_equal(order.indices(0, 0, 10, 1000), GOLDEN_START)
    np.testing.assert_array_equal(order.indices(1, 59_995, 10, 60_000), GOLDEN_EPOCH_BOUNDARY)
    np.testing.assert_array_equal(order.indices(-1, 2**40, 10, 7), GOLDEN_SMALL)
    np.testing.assert_array_equal(order.indices(5, 0, 10, 4096), GOLDEN_POWER_OF_TWO)


def test_epochs_and_seeds_have_orders_of_their_own():
    first, second = order.indices(3, 0, 2000, 1000).reshape(2, 1000)
    other = order.indices(4, 0, 1000, 1000)
    for one, two in [(first, second), (first, other), (first, np.arange(1000))]:
        assert (one == two).sum() < 10  # 1 is expected
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.12  # standard deviation 0.032


@pytest.mark.parametrize("size", [3, 4, 5, 6])
def test_all_permutations_of_few_examples_are_equally_likely(size):
    permutations, expected = math.factorial(size), 200
    epochs = order.indices(7, 0, permutations * expected * size, size).reshape(-1, size)
    _, counts = np.unique(epochs @ size ** np.arange(size), return_counts=True)
    assert len(counts) == permutations
    excess = ((counts - expected) ** 2 / expected).sum() - (permutations - 1)  # of chi-squared over its mean
    assert abs(excess) < 4 * math.sqrt(2 * (permutations - 1))


@pytest.mark.slow
def test_every_example_comes_equally_often_at_the_start_of_an_epoch():
    size, epochs = 100, 20_000
    firsts = [order.indices(seed, epoch * size, 1, size)[0] for seed in range(2) for epoch in range(epochs // 2)]
    counts = np.bincount(firsts, minlength=size)
    expected = epochs / size
    assert abs(((counts - expected) ** 2 / expected).sum() - (size - 1)) < 4 * math.sqrt(2 * (size - 1))


def test_neighbours_of_an_example_are_not_related():
    numbers = order.indices(11, 0, 60_000, 60_000)
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.02  # standard deviation 0.004
    assert abs(np.corrcoef(numbers, np.arange(60_000))[0, 1]) < 0.02
    assert np.abs(np.diff(numbers)).mean() == pytest.approx(20_000, rel=0.02)  # a third of the size


@pytest.mark.parametrize(("first", "count", "size"), [(-1, 1, 10), (0, -1, 10), (0, 1, 0)])
def test_impossible_positions_are_refused(first, count, size):
    with pytest.raises(ValueError, match="must"):
        order.indices(0, first, count, size)
