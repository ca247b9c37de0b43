import numpy as np
import pytest

from jaxgan.metrics import class_histogram, conditional_accuracy, confidence, inception_score, mode_coverage

scipy_special = pytest.importorskip("scipy.special")


def direct_inception_score(logits):
    given = scipy_special.softmax(logits, axis=1)
    overall = given.mean(axis=0)
    return np.exp(np.mean([scipy_special.rel_entr(row, overall).sum() for row in given]))


def test_inception_score_agrees_with_scipy():
    logits = np.random.default_rng(0).normal(0, 3, (90, 10))
    parts = [direct_inception_score(part) for part in np.split(logits, 3)]
    score = inception_score(logits.astype(np.float64), splits=3)
    assert score.value == pytest.approx(np.mean(parts), abs=1e-9)
    assert score.standard_error == pytest.approx(np.std(parts, ddof=1) / np.sqrt(3), abs=1e-9)


def test_inception_score_golden_value():
    logits = 3 * np.sin(np.arange(200)[:, None] * np.sqrt(np.arange(1, 11)))
    assert inception_score(logits, splits=4).value == pytest.approx(2.26582650748, abs=1e-9)


def test_inception_score_limits():
    sure = 1e4 * np.eye(10)[np.arange(100) % 10]
    assert inception_score(sure, splits=2).value == pytest.approx(10.0)
    assert inception_score(1e4 * np.eye(10)[np.zeros(100, int)], splits=2).value == pytest.approx(1.0)
    assert inception_score(np.zeros((100, 10)), splits=2).value == pytest.approx(1.0)


def test_inception_score_refuses_fewer_pictures_than_splits():
    with pytest.raises(ValueError, match="10 splits"):
        inception_score(np.zeros((9, 10)))


def test_confidence_is_the_mean_probability_of_the_likeliest_class():
    logits = np.log([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]]) + 1e3  # a softmax without care would overflow
    score = confidence(logits)
    assert score.value == pytest.approx(0.6)
    assert score.standard_error == pytest.approx(0.1)
    assert confidence(np.zeros((3, 4))).value == 0.25


def test_class_histogram_counts_every_class():
    logits = [[0.0, 1.0, 0.5], [2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]
    np.testing.assert_array_equal(class_histogram(logits), [1, 2, 0])


@pytest.mark.parametrize(
    ("histogram", "threshold", "expected"),
    [
        ([100] + [0] * 9, 0.05, 0.1),  # one mode
        ([10] * 10, 0.05, 1.0),
        ([91] + [1] * 9, 0.05, 0.1),
        ([5, 95], 0.05, 1.0),  # exactly the threshold
        ([4, 96], 0.05, 0.5),
        ([29, 271], 29 / 300, 1.0),
        ([25, 75], 0.3, 0.5),
    ],
)
def test_mode_coverage(histogram, threshold, expected):
    assert mode_coverage(histogram, threshold=threshold) == expected


def test_mode_coverage_refuses_nonsense():
    with pytest.raises(ValueError, match="empty"):
        mode_coverage([0, 0])
    with pytest.raises(ValueError, match="share"):
        mode_coverage([1, 2], threshold=5)


def test_conditional_accuracy_by_hand():
    logits = np.eye(3)[[0, 1, 2, 2]]
    accuracy = conditional_accuracy(logits, [0, 1, 2, 0])
    assert accuracy.value == 0.75
    assert accuracy.standard_error == pytest.approx(np.sqrt(0.75 * 0.25 / 3))
    with pytest.raises(ValueError, match="do not match"):
        conditional_accuracy(logits, [0, 1, 2])
