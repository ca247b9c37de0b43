"""Scores that agree with the eye: real pictures spoilt more and more must score worse and worse."""

import itertools

import jax
import numpy as np
import pytest
from commands import run_function

from jaxgan import data
from jaxgan.metrics import calibration, features, scores
from jaxgan.metrics.classifiers import ClassifierRecipe
from jaxgan.metrics.spoiling import KINDS, spoil, spoil_set
from jaxgan.ops import pixels

pytestmark = pytest.mark.slow

SCORES = ("fid", "precision")


def looks(images):
    """Features by hand: brightness, contrast, and how much neighbours differ, each of the three colours."""
    x = np.asarray(images, np.float32) / 255
    steps = [np.abs(np.diff(x, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    return np.concatenate([x.mean((1, 2)), x.std((1, 2)), *steps], axis=1)


@pytest.fixture(scope="module")
def faces():
    return data.load("avatars", image_size=32, num_examples=600, conditional=True)


def test_a_spoilt_set_has_equal_shares_of_every_kind(faces):
    images = faces.images[:210]  # two slabs, the second not full
    spoilt = spoil_set(images, 0.7)
    assert spoilt.shape == images.shape and spoilt.dtype == np.uint8
    assert (np.abs(spoilt.astype(int) - images).max(axis=(1, 2, 3)) > 20).all()
    np.testing.assert_array_equal(spoilt, spoil_set(images, 0.7))
    np.testing.assert_array_equal(spoil_set(images, 0.0), images)


def test_scores_are_kept_and_move_in_the_right_direction(faces, tmp_path):
    seen = []
    network = features.from_function(lambda images: seen.append(len(images)) or looks(images), name="looks", digest="1")
    reference = scores.make_reference(network, faces.images[:300], split="train")
    found = calibration.calibrate(reference, faces.images[300:], cache_dir=tmp_path)
    assert set(found) == set(calibration.CALIBRATED) - {"confidence"}  # this network has no classes
    kinds = ("real", "lightly_spoilt", "heavily_spoilt")
    for name, better in (("fid", 1), ("kid", 1), ("precision", -1), ("density", -1), ("coverage", -1)):
        values = [better * found[name][kind] for kind in kinds]
        assert values == sorted(values) and values[0] < values[2], (name, values)
    assert found["fid"]["n"] == 300
    calls = len(seen)
    assert calibration.calibrate(reference, faces.images[300:], cache_dir=tmp_path) == found
    assert len(seen) == calls
    calibration.calibrate(reference, faces.images[301:], cache_dir=tmp_path)  # other pictures are measured anew
    assert len(seen) > calls


def teach(cache):
    """A feature network, kept in a cache, and faces that it never saw."""
    train = data.load("avatars", image_size=32, num_examples=6000, conditional=True)
    test = data.load("avatars", image_size=32, num_examples=3000, conditional=True, split="test")
    recipe = ClassifierRecipe(epochs=12)
    return features.load("faces", train, test.part(0, 1000), recipe=recipe, cache_dir=cache, progress=False), test


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """What `teach` returns. Training takes minutes, so an optimised process does it, once for both proofs below."""
    cache = tmp_path_factory.mktemp("cache")
    done = run_function(teach, cache, timeout=1200)
    assert done.returncode == 0, done.stderr
    return teach(cache)


@pytest.mark.timeout(1500)
def test_a_trained_network_sees_every_way_to_spoil_pictures(taught):
    """The proof of `Scores that agree with the eye`: each kind, four strengths, on faces that the network never saw."""
    network, test = taught
    assert network.accuracy["spoiling"] > 0.75
    reference = scores.make_reference(network, test.images[:1500], split="test")
    others = test.images[1500:]

    def measured(pictures):
        found = scores.score_pictures(pictures, reference)
        return [found[name]["value"] for name in SCORES]

    real = measured(others)
    assert real[1] > 0.6
    for kind in KINDS[1:]:
        spoilt = [measured(_spoilt(others, kind, strength)) for strength in (0.15, 0.4, 0.7, 1.0)]
        distances, precisions = zip(real, *spoilt, strict=True)
        # Blur and noise beyond doubt are as far as these features can tell: then the distance may fall by a tenth.
        assert distances[0] < distances[1] < distances[2], (kind, distances)
        assert all(later > 0.9 * earlier for earlier, later in itertools.pairwise(distances)), (kind, distances)
        assert all(later <= earlier + 0.02 for earlier, later in itertools.pairwise(precisions)), kind
        assert max(precisions[3:]) <= 0.2, (kind, precisions)  # what everybody calls spoilt is not called real


def _spoilt(images, kind, strength):
    spoilt = jax.jit(spoil, static_argnames="kind")(jax.random.key(0), pixels.normalize(images), kind, strength)
    return np.asarray(pixels.quantize(spoilt))


@pytest.mark.timeout(1500)
def test_sets_that_lack_variety_score_worse(taught):
    """A class dropped, and half of the pictures the same: fewer of the real pictures are covered, and the FID grows."""
    network, test = taught
    reference = scores.make_reference(network, test.images[:1500], split="test")
    others, hair = test.images[1500:], test.conditions[1500:, :12].argmax(axis=1)
    sets = {
        "all": others,
        "three classes dropped": np.resize(others[hair >= 3], others.shape),
        "half the same": np.concatenate([others[:750], np.repeat(others[:1], 750, axis=0)]),
        "nearly all the same": np.concatenate([others[:150], np.repeat(others[:1], 1350, axis=0)]),
    }
    found = {name: scores.score_pictures(pictures, reference) for name, pictures in sets.items()}
    fid = {name: score["fid"]["value"] for name, score in found.items()}
    coverage = {name: score["coverage"]["value"] for name, score in found.items()}
    assert fid["all"] < fid["three classes dropped"] and fid["all"] < fid["half the same"] < fid["nearly all the same"]
    assert coverage["all"] > coverage["three classes dropped"]
    assert coverage["all"] > coverage["half the same"] > coverage["nearly all the same"]
