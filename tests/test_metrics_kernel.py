import numpy as np
import pytest

from jaxgan.metrics import kernel_distance, polynomial_kernel, squared_maximum_mean_discrepancy
from jaxgan.metrics.kernel import _subsets


def waves(examples, features, phase):
    row, column = np.arange(1, examples + 1)[:, None], np.arange(1, features + 1)
    return np.sin(row * np.sqrt(column) + phase) * column / features + phase


def direct_discrepancy(a, b):
    """The definition, pair by pair."""

    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    within_a = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(kernel(x, y) for x in a for y in b) / (n * m)
    return within_a + within_b - 2 * between


def test_kernel_by_hand():
    np.testing.assert_allclose(polynomial_kernel([[1.0, 2.0]], [[3.0, 1.0], [0.0, 0.0]]), [[3.5**3, 1.0]])


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (7, 9, 3), (12, 6, 20)])
def test_agrees_with_the_double_loop(n, m, d):
    a, b = waves(n, d, 0.0), waves(m, d, 0.4)
    assert squared_maximum_mean_discrepancy(a, b) == pytest.approx(direct_discrepancy(a, b), rel=1e-9, abs=1e-9)


def test_golden_value():
    # The double loop gave this.
    assert squared_maximum_mean_discrepancy(waves(40, 5, 0.0), waves(30, 5, 0.5)) == pytest.approx(
        0.901837340971, abs=1e-9
    )


def test_one_subset_of_everything_is_the_whole_discrepancy():
    real, generated = waves(30, 4, 0.0), waves(30, 4, 0.3)
    estimate = kernel_distance(real, generated, seed=0, subsets=2, subset_size=30)
    assert estimate.value == pytest.approx(squared_maximum_mean_discrepancy(real, generated), rel=1e-9)
    assert estimate.standard_error == pytest.approx(0.0, abs=1e-12)


def test_unbiased_at_small_subsets_with_an_error_of_the_right_size():
    random = np.random.default_rng(0)
    same = [kernel_distance(random.normal(size=(200, 4)), random.normal(size=(200, 4)), seed=i) for i in range(40)]
    values = np.array([e.value for e in same])
    assert abs(values.mean()) < 3 * values.std(ddof=1) / np.sqrt(40)
    assert np.mean([e.standard_error for e in same]) == pytest.approx(values.std(ddof=1), rel=0.35)
    shifted = kernel_distance(random.normal(size=(200, 4)), random.normal(0.7, 1.0, size=(200, 4)), seed=0)
    assert shifted.value > 5 * shifted.standard_error


def test_the_seed_alone_chooses_the_subsets():
    real, generated = waves(90, 4, 0.0), waves(80, 4, 0.3)
    first = kernel_distance(real, generated, seed=3)
    assert first == kernel_distance(real, generated, seed=3)
    assert first != kernel_distance(real, generated, seed=4)


def test_default_subsets_are_disjoint():
    drawn = np.concatenate(list(_subsets(np.random.default_rng(0), 103, 10, 10)))
    assert len(set(drawn.tolist())) == 100
    again = list(_subsets(np.random.default_rng(0), 103, 21, 10))
    assert not np.array_equal(again[0], again[10])  # a new permutation, not the same subsets once more
    assert len(again) == 21 and all(len(set(s.tolist())) == 10 for s in again)


def test_subsets_have_at_most_a_thousand_examples_by_default():
    real, generated = waves(2100, 2, 0.0), waves(2200, 2, 0.3)
    usual = kernel_distance(real, generated, seed=0, subsets=2)
    assert usual == kernel_distance(real, generated, seed=0, subsets=2, subset_size=1000)


def test_refuses_sets_too_small_or_of_different_features():
    with pytest.raises(ValueError, match="cannot fill 10 subsets"):
        kernel_distance(waves(15, 4, 0.0), waves(90, 4, 0.0), seed=0)
    with pytest.raises(ValueError, match="cannot fill"):
        kernel_distance(waves(15, 4, 0.0), waves(90, 4, 0.0), seed=0, subset_size=16)
    with pytest.raises(ValueError, match="4 features, generated ones 5"):
        kernel_distance(waves(50, 4, 0.0), waves(50, 5, 0.0), seed=0)
    with pytest.raises(ValueError, match="at least two examples"):
        squared_maximum_mean_discrepancy(waves(1, 4, 0.0), waves(5, 4, 0.0))
