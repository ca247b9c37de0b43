import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import evaluate
from experiments.run.recipes import resolve
from experiments.run.references import reference_split, training_pictures
from jaxgan import data
from jaxgan.host.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 4, 4, 3), np.uint8)


@pytest.fixture
def load(tmp_path):
    def load(name, size=4, **options):
        return data.load("folder", image_size=size, data_dir=tmp_path / name, cache_dir=tmp_path / "cache", **options)

    return load


def test_pictures_of_a_npy_are_as_they_are(load, tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "grey.npy", IMAGES[..., 0])
    np.testing.assert_array_equal(load("a.npy").images, IMAGES)
    np.testing.assert_array_equal(load("grey.npy").images, IMAGES[..., :1])
    assert load("a.npy").conditions is None
    assert load("a.npy").digest == data.from_arrays(IMAGES).digest
    np.save(tmp_path / "a.npy", IMAGES[:5])
    assert len(load("a.npy")) == 5


def test_pictures_of_another_size_are_cut_and_resized(load, tmp_path):
    wide = np.full((3, 8, 12, 3), 7, np.uint8)
    np.savez(tmp_path / "wide.npz", x_train=wide)
    np.testing.assert_array_equal(load("wide.npz").images, np.full((3, 4, 4, 3), 7))


def test_labels_are_conditions(load, tmp_path):
    labels = np.arange(70) % 3
    np.savez_compressed(tmp_path / "plain.npz", images=IMAGES, labels=labels)
    np.savez_compressed(tmp_path / "named.npz", images=IMAGES, y=labels, names=["cat", "dog", "hen"])
    np.testing.assert_array_equal(load("plain.npz", conditional=True).conditions, np.eye(3, dtype=np.uint8)[labels])
    assert load("named.npz", conditional=True).condition_names == ("cat", "dog", "hen")
    assert load("plain.npz").conditions is None


@pytest.mark.parametrize(
    ("arrays", "conditional", "said"),
    [
        ({"pictures": IMAGES}, False, "has no array `images`, but pictures"),
        ({"images": IMAGES}, True, "add an array `labels`"),
        ({"images": IMAGES / 255}, False, "images: must be uint8, not float64; bring floats to the range 0 to 255"),
        ({"images": IMAGES.transpose(0, 3, 1, 2)}, True, "add an array `labels`"),
        ({"images": IMAGES[:, :, :, :].transpose(0, 3, 1, 2).repeat(2, 3)}, False, r"images\.transpose\(0, 2, 3, 1\)"),
        ({"images": IMAGES[0].repeat(2, 1)}, False, r"\(4, 8, 3\) are a single picture"),
        ({"images": IMAGES, "labels": np.full(70, -1)}, True, "labels: must count the classes from 0"),
        ({"images": IMAGES, "labels": np.zeros(3, int)}, True, "labels: must be"),
        ({"images": np.array([{}])}, False, "cannot be read as arrays .*allow_pickle"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(load, tmp_path, arrays, conditional, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=rf"data_dir=\S+a\.npz: .*{said}"):
        load("a.npz", conditional=conditional)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"text"])
@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_damaged_files_are_refused(load, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"data_dir=\S+: cannot be read as arrays"):
        load(name)


def test_a_file_takes_the_place_of_the_arrays_that_a_program_had(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path / "cache"))
    digest = data.from_arrays(IMAGES).digest  # in the description of a run of `training.fit`
    recipe = resolve({"model": "mlp_b", "dataset": data.ARRAYS, "image_size": 4, "workdir": "w"}, ("mlp_b",))
    with pytest.raises(UserError, match=r"^dataset=arrays: the run's pictures came from a program; save them .*npz"):
        training_pictures(recipe, digest)
    for name, images in (("same", IMAGES), ("others", IMAGES[::-1])):
        np.savez(tmp_path / f"{name}.npz", images=images)
    found = dataclasses.replace(recipe, data_dir=str(tmp_path / "same.npz"))
    np.testing.assert_array_equal(training_pictures(found, digest).images, IMAGES)
    assert reference_split(found) == "train"
    others = dataclasses.replace(recipe, data_dir=str(tmp_path / "others.npz"))
    with pytest.raises(UserError, match="trained on other pictures"):
        training_pictures(others, digest)
    asked = evaluate.Evaluate(data_dir=str(tmp_path / "others.npz"), features="thumbnails")
    run = SimpleNamespace(recipe=recipe, pictures_digest=digest, system=SimpleNamespace(image_shape=(4, 4, 3)))
    assert evaluate._pictures(asked, run)[2] == data.from_arrays(IMAGES[::-1]).digest  # measured against, too
