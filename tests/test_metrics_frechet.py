import numpy as np
import pytest

from jaxgan.metrics import (
    feature_statistics,
    frechet_distance,
    frechet_distance_estimate,
    frechet_distance_infinity,
    gaussian_frechet_distance,
)

scipy_linalg = pytest.importorskip("scipy.linalg")


def waves(examples, features, phase):
    """Features from a formula, the same on every machine."""
    row, column = np.arange(1, examples + 1)[:, None], np.arange(1, features + 1)
    return np.sin(row * np.sqrt(column) + phase) * column / features + phase * np.cos(row * column)


def direct_distance(real, generated):
    """The textbook formula, with a general matrix root."""
    a, b = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = scipy_linalg.sqrtm(a @ b)
    shift = real.mean(0) - generated.mean(0)
    return shift @ shift + np.trace(a + b - 2 * root.real)


def distance(real, generated):
    return frechet_distance(feature_statistics(real), feature_statistics(generated))


@pytest.mark.parametrize(("n", "m", "d"), [(40, 50, 3), (300, 200, 16), (130, 140, 128)])
def test_agrees_with_a_general_matrix_root(n, m, d):
    real, generated = waves(n, d, 0.0), waves(m, d, 0.3)
    assert distance(real, generated) == pytest.approx(direct_distance(real, generated), rel=1e-6, abs=1e-6)


def test_golden_value():
    # scipy.linalg.sqrtm of the textbook formula gave these.
    assert distance(waves(200, 8, 0.0), waves(150, 8, 0.5)) == pytest.approx(0.247340747344, abs=1e-6)
    assert distance(waves(500, 32, 0.1), waves(400, 32, 0.2)) == pytest.approx(0.0421160654394, abs=1e-6)


def test_rounding_makes_no_distance_negative():
    sets = [np.random.default_rng(seed).normal(size=(20, 6)) for seed in range(20)]
    assert min(distance(features, features) for features in sets) == 0.0


def test_two_gaussians_in_closed_form():
    # Axis-aligned: |m - n|² + Σ (σ - τ)², by hand (3² + 4²) + (1 - 2)² + (5 - 3)² = 30.
    value = gaussian_frechet_distance([0, 0], np.diag([1.0, 25.0]), [3, 4], np.diag([4.0, 9.0]))
    assert value == pytest.approx(30.0, abs=1e-12)
    # The same turned by any rotation.
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))
    turned = gaussian_frechet_distance(
        np.zeros(2), turn @ np.diag([1.0, 25.0]) @ turn.T, turn @ [3, 4], turn @ np.diag([4.0, 9.0]) @ turn.T
    )
    assert turned == pytest.approx(30.0, abs=1e-10)


def test_covariances_that_do_not_commute():
    # tr (A^½ B A^½)^½ of 2×2 matrices is sqrt(tr(AB) + 2 sqrt(det A det B)).
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[4.0, -1.0], [-1.0, 1.0]])
    trace_of_root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    expected = np.trace(a) + np.trace(b) - 2 * trace_of_root
    assert gaussian_frechet_distance([1, 1], a, [1, 1], b) == pytest.approx(expected, abs=1e-12)


def test_the_same_set_is_at_zero_even_with_dead_features():
    features = waves(200, 16, 0.0)
    features[:, 5:9] = 0.0
    assert distance(features, features) == pytest.approx(0.0, abs=1e-6)


def test_a_shift_adds_its_square():
    features = waves(200, 6, 0.0)
    assert distance(features, features + 2.0) == pytest.approx(6 * 4.0, abs=1e-6)


def test_symmetric():
    real, generated = waves(90, 5, 0.0), waves(80, 5, 0.7)
    assert distance(real, generated) == pytest.approx(distance(generated, real), rel=1e-9)


@pytest.mark.parametrize(("real", "generated", "name"), [(7, 50, "7 real"), (50, 7, "7 generated")])
def test_refuses_fewer_examples_than_features(real, generated, name):
    with pytest.raises(ValueError, match=f"{name} examples.*at least 8"):
        distance(waves(real, 8, 0.0), waves(generated, 8, 0.0))
    assert distance(waves(8, 8, 0.0), waves(8, 8, 0.0)) == pytest.approx(0.0, abs=1e-6)


def test_refuses_sets_of_different_features():
    with pytest.raises(ValueError, match="8 features, generated ones 7"):
        distance(waves(50, 8, 0.0), waves(50, 7, 0.0))


def test_estimate_has_the_same_value_and_an_error_of_the_right_size():
    random = np.random.default_rng(0)
    real = feature_statistics(random.normal(size=(4000, 4)))
    estimates = [frechet_distance_estimate(real, random.normal(0.5, 1.0, size=(400, 4))) for _ in range(60)]
    sample = random.normal(0.5, 1.0, size=(403, 4))
    assert frechet_distance_estimate(real, sample).value == pytest.approx(
        frechet_distance(real, feature_statistics(sample)), abs=1e-9
    )
    spread = np.std([e.value for e in estimates], ddof=1)
    assert np.mean([e.standard_error for e in estimates]) == pytest.approx(spread, rel=0.3)


def test_extrapolation_removes_the_bias():
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(1500, 20)), random.normal(size=(1000, 20))
    biased = distance(real, generated)
    unbiased = frechet_distance_infinity(real, generated)
    assert biased > 0.1  # the distributions are equal
    assert abs(unbiased.value) < 4 * unbiased.standard_error < biased
    shifted = frechet_distance_infinity(real, generated + 0.5)
    assert shifted.value == pytest.approx(20 * 0.25, abs=4 * shifted.standard_error)


def test_extrapolation_is_the_line_through_the_averages():
    real, generated = waves(60, 3, 0.0), waves(80, 3, 0.4)
    whole = distance(real, generated)
    halves = (distance(real[:30], generated[:40]) + distance(real[30:], generated[40:])) / 2
    assert frechet_distance_infinity(real, generated, parts=(1, 2)).value == pytest.approx(2 * whole - halves)


def test_extrapolation_refuses_parts_smaller_than_the_dimension_and_a_line_through_a_point():
    features = waves(60, 16, 0.0)
    with pytest.raises(ValueError, match="cannot fix the covariance"):
        frechet_distance_infinity(features, features)
    with pytest.raises(ValueError, match="two different numbers of parts"):
        frechet_distance_infinity(features, features, parts=(1,))
