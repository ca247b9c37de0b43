import numpy as np
import pytest

from jaxgan.metrics import authenticity, nearest_neighbours


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("chunk_size", [4, 7, 1000])
def test_agrees_with_the_direct_search(count, chunk_size):
    random = np.random.default_rng(0)
    queries, references = random.normal(size=(9, 2, 3)), random.normal(size=(20, 2, 3))
    found = nearest_neighbours(queries, references, count=count, chunk_size=chunk_size)
    direct = np.array([[np.linalg.norm(q - r) for r in references] for q in queries])
    np.testing.assert_array_equal(found.indices, direct.argsort(axis=1)[:, :count])
    np.testing.assert_allclose(found.distances, np.sort(direct, axis=1)[:, :count], atol=1e-6)


def test_finds_copies_among_memory_mapped_pictures(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
    np.save(tmp_path / "pictures.npy", pictures)
    stored = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    wanted = [41, 3, 17]
    near = pictures[wanted].astype(np.int64)
    near[:, 0, 0, 0] ^= 1
    found = nearest_neighbours(near, stored, chunk_size=8)
    np.testing.assert_array_equal(found.indices[:, 0], wanted)
    np.testing.assert_array_equal(found.distances[:, 0], 1.0)  # exact: whole numbers in float64


def test_refuses_other_shapes_and_too_few_references():
    with pytest.raises(ValueError, match="do not compare"):
        nearest_neighbours(np.zeros((2, 4, 1)), np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="do not have 3"):
        nearest_neighbours(np.zeros((2, 4)), np.zeros((2, 4)), count=3)


def test_authenticity_limits():
    random = np.random.default_rng(0)
    training = random.normal(size=(400, 2))
    assert authenticity(training, training[:50]).value == 0.0
    assert authenticity(training, training[:50] + 1e-6).value == 0.0
    assert authenticity(training, random.normal(50.0, 1.0, size=(50, 2))).value == 1.0
    assert 0.35 < authenticity(training, random.normal(size=(400, 2)), chunk_size=90).value < 0.65


def test_a_copy_of_a_picture_that_is_there_twice_is_a_copy():
    training = np.array([[0.0], [0.0], [6.0], [9.0]])  # 0 is at no distance from its own neighbour; 9 at 3 from its
    assert authenticity(training, [[0.0], [0.0], [13.0], [12.0]]).value == 0.25  # 13 alone is farther than that


def test_authenticity_agrees_with_the_direct_formula():
    random = np.random.default_rng(1)
    training, generated = random.normal(size=(30, 3)), random.normal(size=(25, 3))

    def distances(x, points):
        return np.linalg.norm(points - x, axis=1)

    expected = []
    for x in generated:
        nearest = distances(x, training).argmin()
        own = distances(training[nearest], np.delete(training, nearest, axis=0)).min()
        expected.append(distances(x, training).min() > own)
    assert authenticity(training, generated).value == pytest.approx(np.mean(expected))
