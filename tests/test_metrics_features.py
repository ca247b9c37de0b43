import errno
import functools
import hashlib
import json
import os

import jax
import numpy as np
import pytest

from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.metrics import features, store
from jaxgan.metrics.classifiers import ClassifierRecipe
from jaxgan.metrics.rotations import rotated

pytestmark = pytest.mark.slow

RECIPE = ClassifierRecipe(epochs=2, batch_size=32, shift=0)


def pictures(count, seed, labelled=True):
    """8×8 pictures that are bright above or below, and darkest at the left."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    images = random.integers(0, 40, (count, 8, 8, 1), np.uint8) + np.arange(8, dtype=np.uint8)[:, None] * 12
    images[labels == 0, :4] += 120
    images[labels == 1, 4:] += 120
    conditions = {"condition": np.eye(2, dtype=np.uint8)[labels]} if labelled else {}
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    return Examples({"image": images, **conditions}, ("above", "below") if labelled else (), digest)


def load(cache_dir, name="bars", recipe=RECIPE, labelled=True):
    train, test = pictures(256, 0, labelled), pictures(100, 1, labelled)
    return features.load(name, train, test, recipe=recipe, cache_dir=cache_dir, progress=False)


def never_train(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("trained although it was kept")

    monkeypatch.setattr(features, "train_classifier", refuse)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cache")
    return directory, load(directory)


@pytest.fixture
def own_copy(kept, tmp_path):
    for path in (kept[0] / "feature_networks").iterdir():
        (tmp_path / "feature_networks").mkdir(exist_ok=True)
        (tmp_path / "feature_networks" / path.name).write_bytes(path.read_bytes())
    return tmp_path


def only(directory, suffix):
    (path,) = (directory / "feature_networks").glob(f"*{suffix}")
    return path


@pytest.mark.parametrize(
    ("count", "size", "epochs"),
    [(60_000, 28, 4), (10_000, 64, 5), (20_000, 64, 2), (20_000, 96, 2), (10_000_000, 28, 1)],
)
def test_small_sets_are_seen_more_often(count, size, epochs):
    assert features.default_recipe(count, (size, size, 3)).epochs == epochs


def test_trained_network_embeds_any_number_of_pictures(kept):
    network = kept[1]
    test = pictures(450, 2)
    embedding = network.apply(test.images)
    assert embedding.features.shape == (450, 128) and embedding.logits.shape == (450, 2)
    assert embedding.features.dtype == np.float32
    (head,) = network.heads
    assert np.mean(embedding.logits.argmax(1) == head.labels(test.conditions)) > 0.99
    assert network.accuracy["class"] > 0.99
    assert network.name == "bars-classifier" and len(network.digest) == 64
    np.testing.assert_allclose(network.apply(test.images[210:213]).features, embedding.features[210:213], atol=1e-5)


def test_the_second_time_it_is_read_not_trained(kept, monkeypatch):
    directory, network = kept
    never_train(monkeypatch)
    again = load(directory)
    assert (again.digest, again.accuracy, again.name) == (network.digest, network.accuracy, network.name)
    images = pictures(5, 3).images
    np.testing.assert_array_equal(again.apply(images).features, network.apply(images).features)


def test_what_is_compiled_with_the_features_serves_a_network_that_is_read_again(kept, tmp_path):
    directory, network = kept
    compiled = []

    @functools.partial(jax.jit, static_argnums=0)
    def mean(trace, images):
        compiled.append(trace)
        return trace(images).mean()

    images = pictures(4, 3).images
    found = [mean(one.trace, images / 127.5 - 1.0) for one in (network, load(directory))]
    assert found[0] == found[1] and len(compiled) == 1
    assert network.trace != load(tmp_path, recipe=ClassifierRecipe(epochs=1, batch_size=32, shift=0)).trace


def test_other_settings_or_pictures_are_other_networks(kept, monkeypatch):
    never_train(monkeypatch)
    with pytest.raises(AssertionError, match="trained"):
        load(kept[0], recipe=ClassifierRecipe(epochs=3, batch_size=32, shift=0))
    with pytest.raises(AssertionError, match="trained"):
        features.load("bars", pictures(256, 5), pictures(100, 1), recipe=RECIPE, cache_dir=kept[0], progress=False)


def test_a_damaged_network_is_trained_again_and_said_so(kept, own_copy, capfd):
    path = only(own_copy, ".npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert load(own_copy).digest == kept[1].digest
    assert "trained again" in capfd.readouterr().err
    load(own_copy)
    assert capfd.readouterr().err == ""


def test_changed_arrays_in_a_whole_file_are_noticed(kept, own_copy, capfd):
    path = only(own_copy, ".npz")
    with np.load(path) as file:
        arrays = dict(file)
    arrays["params/logits/bias"] = arrays["params/logits/bias"] + 1
    np.savez(path, **arrays)
    assert load(own_copy).digest == kept[1].digest
    assert "do not match their digest" in capfd.readouterr().err


def test_facts_without_arrays_are_no_network(kept, own_copy, capfd):
    only(own_copy, ".npz").unlink()
    assert load(own_copy).digest == kept[1].digest
    assert "trained again" in capfd.readouterr().err


def test_settings_are_the_same_in_any_order(tmp_path):
    one, other, third = ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1})
    assert (
        store.path_of("x", one, tmp_path) == store.path_of("x", other, tmp_path) != store.path_of("x", third, tmp_path)
    )


def test_arrays_are_on_the_disk_before_the_facts_that_speak_of_them(tmp_path, monkeypatch, capfd):
    done = []
    fsync, replace = os.fsync, os.replace

    def rename(temporary, path):
        done.append(path.suffix)
        if path.suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(temporary, path)

    monkeypatch.setattr(os, "fsync", lambda descriptor: (done.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", rename)
    with pytest.raises(UserError, match="No space left on device"):
        store.write(tmp_path / "network", {"a": np.zeros(3)}, {})
    assert done == ["fsync", ".npz", "fsync", "fsync", ".json"]  # the second is of the name in the directory
    assert store.read(tmp_path / "network") is None and not capfd.readouterr().err  # as if nothing had been kept


def test_facts_are_readable(kept):
    facts = json.loads(only(kept[0], ".json").read_text())
    assert facts["digest"] == kept[1].digest
    assert facts["recipe"]["epochs"] == 2


def test_pictures_without_labels_teach_which_way_up(tmp_path):
    network = load(tmp_path, labelled=False, recipe=ClassifierRecipe(epochs=6, batch_size=32, shift=0))
    assert network.name == "bars-rotations" and network.heads == ()
    assert network.accuracy["rotation"] > 0.4
    embedding = network.apply(pictures(5, 3).images)
    assert embedding.features.shape == (5, 128) and embedding.logits is None


def test_rotated_by_hand():
    image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    turned, labels = rotated(np.repeat(image, 50, axis=0), seed=0)
    for picture, label in zip(turned, labels, strict=True):
        np.testing.assert_array_equal(picture, np.rot90(image[0], label.argmax()))
    assert set(labels.argmax(1)) == {0, 1, 2, 3}
    with pytest.raises(UserError, match="square"):
        rotated(np.zeros((1, 2, 3, 1), np.uint8), seed=0)


def test_refuses_other_shapes_and_too_few_pictures(kept, tmp_path):
    with pytest.raises(ValueError, match="takes pictures of"):
        kept[1].apply(np.zeros((2, 9, 9, 1), np.uint8))
    with pytest.raises(UserError, match="too few"):
        features.load("few", pictures(20, 0), pictures(20, 1), cache_dir=tmp_path)
    with pytest.raises(ValueError, match="differ"):
        features.load("bars", pictures(256, 0), pictures(100, 1, labelled=False), cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_is_a_users_mistake(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="JAXGAN_CACHE_DIR"):
        features.store.write(features.store.path_of("x", {}, blocked), {"a": np.ones(2)}, {})


def test_own_function_in_batches():
    seen = []

    def mean_colour(images):
        seen.append(len(images))
        return images.mean(axis=(1, 2))

    network = features.from_function(mean_colour, name="mean-colour", digest="0" * 64)
    images = np.random.default_rng(0).integers(0, 256, (401, 4, 4, 3), np.uint8)
    embedding = network.apply(images)
    np.testing.assert_allclose(embedding.features, images.mean(axis=(1, 2)), rtol=1e-6)
    assert embedding.logits is None and max(seen) <= 200 and sum(seen) == 401


def test_own_weights_are_checked(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, scale=np.array([1.0, 2.0, 3.0], np.float32))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def build(arrays):
        return lambda images: images.mean(axis=(1, 2)) * arrays["scale"]

    network = features.from_file(build, path, sha256=digest.upper(), name="own")
    assert network.digest == digest
    np.testing.assert_allclose(network.apply(np.ones((2, 4, 4, 3), np.uint8)).features, [[1, 2, 3]] * 2)
    with pytest.raises(UserError, match=f"have sha256 {digest}"):
        features.from_file(build, path, sha256="0" * 64, name="own")
    with pytest.raises(UserError, match="cannot read the weights"):
        features.from_file(build, tmp_path / "absent.npz", sha256=digest, name="own")


def test_own_weights_with_objects_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, scale=np.array([{"a": 1}], dtype=object))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match="cannot use the weights"):
        features.from_file(lambda arrays: arrays, path, sha256=digest, name="own")
