import numpy as np
import pytest

from jaxgan.metrics import feature_statistics, merge_statistics
from jaxgan.metrics.estimate import jackknife_standard_error, mean_estimate


def test_statistics_agree_with_numpy():
    features = np.random.default_rng(0).normal(3.0, 2.0, (50, 4))
    statistics = feature_statistics(features.astype(np.float32))
    assert statistics.count == 50 and statistics.mean.dtype == np.float64
    features = features.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(statistics.mean, features.mean(0), rtol=1e-13)
    np.testing.assert_allclose(statistics.covariance, np.cov(features, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize("cuts", [[10], [1, 2, 30], [25, 49]])
def test_merged_parts_equal_the_whole_even_far_from_zero(cuts):
    features = np.random.default_rng(1).normal(1e6, 1.0, (50, 3))
    merged = merge_statistics(feature_statistics(part) for part in np.split(features, cuts))
    whole = feature_statistics(features)
    assert merged.count == 50
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-8)


@pytest.mark.parametrize("features", [np.zeros(3), np.zeros((0, 3)), [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_refuses_what_is_no_feature_matrix(features):
    with pytest.raises(ValueError, match="features"):
        feature_statistics(features)


def test_refuses_to_merge_nothing_or_different_features():
    with pytest.raises(ValueError, match="no statistics"):
        merge_statistics([])
    with pytest.raises(ValueError, match="2 and 3 features"):
        merge_statistics([feature_statistics(np.ones((4, 2))), feature_statistics(np.ones((4, 3)))])


def test_one_example_has_no_covariance():
    with pytest.raises(ValueError, match="at least two"):
        _ = feature_statistics([[1.0, 2.0]]).covariance


def test_mean_estimate_by_hand():
    estimate = mean_estimate([1.0, 2.0, 6.0])
    assert estimate.value == 3.0
    assert estimate.standard_error == pytest.approx(np.sqrt(7.0 / 3.0))
    with pytest.raises(ValueError, match="two values"):
        mean_estimate([1.0])


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.array([1.0, 2.0, 6.0, 7.0])
    without_one = [np.delete(values, i).mean() for i in range(4)]
    assert jackknife_standard_error(without_one) == pytest.approx(mean_estimate(values).standard_error)
    with pytest.raises(ValueError, match="two groups"):
        jackknife_standard_error([1.0])
