"""The feature networks on real pictures and on avatars: minutes each."""

import numpy as np
import pytest

from jaxgan.data import avatars, tfds
from jaxgan.metrics import features
from jaxgan.metrics.scores import make_reference, score_pictures

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("name", "least"), [("mnist", 0.99), ("fashion_mnist", 0.91)])
def test_real_pictures(name, least, real_data):
    train, test = (tfds.load(name, 28, data_dir=real_data / "tfds", split=split) for split in ("train", "test"))
    network = features.load(name, train, test)
    assert network.accuracy["class"] >= least
    scores = score_pictures(np.asarray(train.images[:10_000]), make_reference(network, test.images, split="test"))
    assert scores["fid"]["value"] < 1.0  # real pictures are close to real pictures
    assert scores["coverage"]["value"] > 0.9
    assert scores["mode_coverage"]["value"] == 1.0


def test_avatars():
    train, test = avatars.load(size=64, count=10_000), avatars.load(size=64, count=2000, seed=1)
    network = features.load("avatars", train, test)
    assert min(network.accuracy["hair"], network.accuracy["eyes"]) >= 0.99
