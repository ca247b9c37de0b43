import numpy as np
import pytest

from jaxgan.metrics import manifold_scores
from jaxgan.metrics.distances import neighbour_radii, slabs, squared_distances


def direct_scores(real, generated, k):
    """The definitions, point by point."""

    def distance(x, y):
        return np.sqrt(np.sum((x - y) ** 2))

    def radius(points, i):
        return sorted(distance(points[i], points[j]) for j in range(len(points)) if j != i)[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    generated_radii = [radius(generated, j) for j in range(len(generated))]
    hits = np.array([[distance(x, y) <= r for y in generated] for x, r in zip(real, real_radii, strict=True)])
    recalls = np.array([[distance(x, y) <= r for y, r in zip(generated, generated_radii, strict=True)] for x in real])
    return (
        hits.any(axis=0).mean(),
        recalls.any(axis=1).mean(),
        hits.sum() / (k * len(generated)),
        hits.any(axis=1).mean(),
    )


@pytest.mark.parametrize(("n", "m", "d", "k"), [(40, 30, 2, 1), (35, 50, 3, 3), (60, 60, 8, 5)])
@pytest.mark.parametrize("chunk_size", [7, 500])
def test_agrees_with_the_direct_formula(n, m, d, k, chunk_size):
    random = np.random.default_rng(n)
    real, generated = random.normal(5.0, 1.0, (n, d)), random.normal(5.5, 0.8, (m, d))
    scores = manifold_scores(real, generated, neighbours=k, chunk_size=chunk_size)
    expected = direct_scores(real, generated, k)
    np.testing.assert_allclose([score.value for score in scores], expected, atol=1e-12)
    assert 0 < expected[0] < 1 or k == 5  # the case is no trivial one


def test_by_hand_on_a_line():
    real = np.array([[0.0], [1.0], [3.0], [10.0]])  # radii 1, 1, 2, 7
    generated = np.array([[0.5], [4.0], [20.0]])  # radii 3.5, 3.5, 16
    scores = manifold_scores(real, generated, neighbours=1)
    assert scores.precision.value == pytest.approx(2 / 3)  # 20 is outside
    assert scores.recall.value == 1.0  # 10 lies within 16 of 20
    assert scores.density.value == pytest.approx((2 + 2 + 0) / 3)
    assert scores.coverage.value == 1.0


def test_a_set_against_itself_is_perfect():
    points = np.random.default_rng(0).normal(size=(100, 3))
    scores = manifold_scores(points, points)
    assert (scores.precision.value, scores.recall.value, scores.coverage.value) == (1.0, 1.0, 1.0)


def test_disjoint_sets_score_zero():
    random = np.random.default_rng(0)
    scores = manifold_scores(random.normal(size=(50, 3)), random.normal(100.0, 1.0, size=(60, 3)))
    assert [score.value for score in scores] == [0.0, 0.0, 0.0, 0.0]


def test_one_mode_of_ten_covers_a_tenth():
    random = np.random.default_rng(0)
    modes = np.arange(10)[:, None] * np.array([100.0, 0.0])
    real = np.concatenate([mode + random.normal(size=(50, 2)) for mode in modes])
    scores = manifold_scores(real, random.normal(size=(2000, 2)))
    assert scores.coverage.value == pytest.approx(0.1, abs=0.002)
    assert scores.recall.value <= 0.1
    assert scores.precision.value > 0.9


def test_equal_distributions_have_density_near_one():
    random = np.random.default_rng(0)
    density = manifold_scores(random.normal(size=(500, 4)), random.normal(size=(500, 4))).density
    assert density.value == pytest.approx(1.0, abs=4 * density.standard_error + 0.05)


def test_a_ball_holds_its_boundary():
    # Each point is 2 from its nearest: 5 lies on the border of the ball around 3, and 3 on that of the ball around 5.
    scores = manifold_scores([[-3.0], [-1.0], [1.0], [3.0]], [[5.0], [7.0]], neighbours=1)
    assert [score.value for score in scores] == [0.5, 0.25, 0.5, 0.25]


def test_far_from_the_origin_the_scores_are_the_same():
    random = np.random.default_rng(0)
    real, generated = (np.round(1024 * random.normal(shift, size=(60, 3))) / 1024 for shift in (0.0, 0.5))
    assert manifold_scores(real + 1e8, generated + 1e8) == manifold_scores(real, generated)


def test_refuses_too_few_points_and_different_features():
    with pytest.raises(ValueError, match="no neighbour number 5"):
        manifold_scores(np.eye(5), np.eye(5))
    with pytest.raises(ValueError, match="5 features, generated ones 6"):
        manifold_scores(np.eye(5), np.eye(6))


def test_squared_distances_are_exact_on_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3000)).astype(np.float64)
    expected = [[np.sum((x - y) ** 2) for y in pixels] for x in pixels]
    np.testing.assert_array_equal(squared_distances(pixels, pixels), expected)


def test_radii_by_hand_and_slabs():
    np.testing.assert_allclose(
        neighbour_radii([[0.0], [1.0], [3.0], [10.0]], neighbours=2, chunk_size=3), [9, 4, 9, 81]
    )
    assert list(slabs(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    with pytest.raises(ValueError, match="at least one row"):
        slabs(5, 0)
