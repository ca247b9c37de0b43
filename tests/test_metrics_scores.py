import json

import numpy as np
import pytest

from jaxgan.data.heads import Head
from jaxgan.metrics import confidence, feature_statistics, frechet_distance, kernel_distance
from jaxgan.metrics.calibration import calibrate
from jaxgan.metrics.features import Embedding, FeatureNetwork, from_function
from jaxgan.metrics.scores import make_reference, score_pictures


def embed(images):
    """Two features and logits from the pictures' own numbers."""
    flat = np.asarray(images, np.float32).reshape(len(images), -1)
    return Embedding(np.stack([flat.mean(1), flat.std(1)], 1), flat[:, :5])


HAIR, EYES = Head("hair", ("red", "blue")), Head("eyes", ("green", "gray", "aqua"), start=2)
NETWORK = FeatureNetwork("own", "d" * 64, embed, (HAIR, EYES), {"hair": 0.99, "eyes": 0.98})


def pictures(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 1), np.uint8)


@pytest.fixture(scope="module")
def reference():
    return make_reference(NETWORK, pictures(300, 0), split="test")


def test_every_score_has_its_context_and_is_json(reference):
    scores = score_pictures(pictures(200, 1), reference, extrapolate=True, training_features=reference.features, seed=4)
    assert json.loads(json.dumps(scores)) == scores
    assert {"fid", "kid", "precision", "recall", "density", "coverage", "fid_infinity", "authenticity"} < set(scores)
    assert {"hair/inception_score", "hair/confidence", "eyes/mode_coverage", "eyes/class_shares"} < set(scores)
    of_reference = scores["training_distance"]["of_reference"]["value"]  # which are the training pictures themselves
    assert of_reference == pytest.approx(0.0, abs=1e-4) and scores["training_distance"]["value"] > 0.1
    for name, score in scores.items():
        assert (score["n"], score["n_reference"], score["split"], score["seed"]) == (200, 300, "test", 4)
        assert score["resolution"] == [3, 4, 1]
        assert score["feature_network"] == {"name": "own", "digest": "d" * 64, "accuracy": {"hair": 0.99, "eyes": 0.98}}
        assert "standard_error" in score or name.endswith("mode_coverage")


def test_values_are_those_of_the_functions(reference):
    generated = pictures(200, 1)
    scores = score_pictures(generated, reference)
    direct = frechet_distance(
        feature_statistics(embed(pictures(300, 0)).features), feature_statistics(embed(generated)[0])
    )
    assert scores["fid"]["value"] == pytest.approx(direct, rel=1e-6)
    counts = np.bincount(embed(generated).logits[:, 2:].argmax(1), minlength=3)
    assert list(scores["eyes/class_shares"]["value"].values()) == pytest.approx(list(counts / 200))
    assert scores["eyes/mode_coverage"]["value"] == 1.0
    assert scores["eyes/confidence"]["value"] == confidence(embed(generated).logits[:, 2:]).value
    assert scores["hair/mode_coverage"]["threshold"] == 0.25


def test_how_sure_the_classifier_of_each_head_is_of_real_pictures_stands_beside_it(reference, tmp_path):
    others = pictures(300, 2)
    found = calibrate(reference, others, cache_dir=tmp_path)
    for head, columns in (("hair", slice(2)), ("eyes", slice(2, None))):
        direct = confidence(embed(others).logits[:, columns]).value
        assert found[f"{head}/confidence"]["real"] == pytest.approx(direct)


def test_subsets_are_chosen_by_the_seed(reference):
    generated = pictures(200, 1)
    features = embed(generated[np.random.Generator(np.random.PCG64(4)).permutation(200)]).features
    direct = kernel_distance(reference.features, features, seed=4)
    assert score_pictures(generated, reference, seed=4)["kid"]["value"] == direct.value


def test_a_collapsed_generator_is_seen(reference):
    collapsed = np.repeat(pictures(1, 5), 200, axis=0)
    scores = score_pictures(collapsed, reference)
    assert scores["eyes/mode_coverage"]["value"] == pytest.approx(1 / 3)
    assert scores["hair/inception_score"]["value"] == pytest.approx(1.0)
    assert scores["recall"]["value"] < 0.05


def test_pictures_in_order_of_their_classes_score_as_in_any_order(reference):
    generated = pictures(2000, 1)
    by_class = generated[np.argsort(embed(generated).logits[:, 2:].argmax(1), kind="stable")]
    found = [score_pictures(images, reference)["eyes/inception_score"]["value"] for images in (generated, by_class)]
    assert found[1] == pytest.approx(found[0], rel=0.05)  # splits of one class each would score 1
    assert found[0] > 1.3


def test_real_pictures_are_put_in_an_order_of_the_seed(reference):
    features = embed(pictures(300, 0)).features
    other = make_reference(NETWORK, pictures(300, 0), split="test", seed=1).features
    for order in (reference.features, other):
        assert sorted(order.tolist()) == sorted(features.tolist())
        assert not np.array_equal(order, features)
    assert not np.array_equal(reference.features, other)


def test_conditional_accuracy_matches_each_picture_with_its_own_condition(reference):
    generated = pictures(200, 1)
    logits = embed(generated).logits
    right = np.concatenate([np.eye(2)[logits[:, :2].argmax(1)], np.eye(3)[logits[:, 2:].argmax(1)]], axis=1)
    right[:20, :2] = right[:20, 1::-1]  # ask twenty for the other hair
    right[20:50, 2:] = 0  # and thirty for no eyes in particular
    scores = score_pictures(generated, reference, conditions=right.astype(np.uint8))
    assert scores["hair/conditional_accuracy"]["value"] == pytest.approx(0.9)
    assert scores["eyes/conditional_accuracy"]["value"] == 1.0


def test_one_head_needs_no_prefix_and_none_gives_no_class_scores():
    images = pictures(300, 0)
    single = FeatureNetwork("own", "d", embed, (Head("class", tuple("abcde")),))
    assert "inception_score" in score_pictures(images, make_reference(single, images, split="test"))
    featureless = from_function(lambda x: embed(x).features, name="own", digest="d")
    scores = score_pictures(images, make_reference(featureless, images, split="train"))
    assert "inception_score" not in scores
    assert scores["fid"]["value"] == pytest.approx(0.0, abs=1e-6)


def test_the_seed_decides_and_other_shapes_are_refused(reference):
    generated = pictures(200, 1)
    assert score_pictures(generated, reference, seed=1) == score_pictures(generated, reference, seed=1)
    assert score_pictures(generated, reference, seed=1)["kid"] != score_pictures(generated, reference, seed=2)["kid"]
    with pytest.raises(ValueError, match="reference of"):
        score_pictures(np.zeros((200, 4, 4, 1), np.uint8), reference)
