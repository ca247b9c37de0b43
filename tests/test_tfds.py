import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY

from jaxgan import data
from jaxgan.data import tfds
from jaxgan.host.errors import NoSuchSplit, UserError

SPLIT = "train[:200]"


def write_dataset(
    directory,
    *,
    first=0,
    shape=(6, 4, 3),
    classes=("cat", "dog"),
    count=7,
    version="1.0.0",
    dtype=np.uint8,
    unlabelled=(),
):
    """A prepared TFDS data set "animals" whose example i has pixels first + i and class i modulo the classes."""
    import tensorflow_datasets

    features = {"image": tensorflow_datasets.features.Image(shape=shape, dtype=dtype)}
    if classes:
        features["label"] = tensorflow_datasets.features.ClassLabel(names=list(classes))

    def example(index):
        pixels = np.full([size or 5 for size in shape], first + index, dtype)
        label = -1 if index in unlabelled else index % max(1, len(classes))
        return {"image": pixels} | ({"label": label} if classes else {})

    tensorflow_datasets.dataset_builders.store_as_tfds_dataset(
        name="animals",
        version=version,
        features=tensorflow_datasets.features.FeaturesDict(features),
        split_datasets={"train": [(index, example(index)) for index in range(count)]},
        data_dir=str(directory),
    )


@pytest.fixture
def load(tmp_path):
    def load(name="animals", image_size=4, **options):
        options = {"data_dir": tmp_path / "tfds", "cache_dir": tmp_path / "cache"} | options
        return tfds.load(name, image_size, **options)

    return load


def values_of(pictures):
    return sorted(pictures.images[:, 0, 0, 0].tolist())


def test_pictures_and_classes_of_a_prepared_data_set(load, tmp_path):
    write_dataset(tmp_path / "tfds")
    pictures = load()
    assert pictures.images.shape == (7, 4, 4, 3)
    assert pictures.condition_names == ("cat", "dog")
    assert values_of(pictures) == list(range(7))
    expected = np.eye(2, dtype=np.uint8)[pictures.images[:, 0, 0, 0] % 2]
    np.testing.assert_array_equal(pictures.conditions, expected)
    assert load(cache_dir=tmp_path / "other").digest == pictures.digest
    assert len(load(split="train[:3]")) == 3


def test_more_pictures_than_are_decoded_at_a_time_keep_their_classes(load, tmp_path):
    write_dataset(tmp_path / "tfds", count=70, classes=("cat", "dog", "hen"))
    pictures = load()
    assert values_of(pictures) == list(range(70))
    np.testing.assert_array_equal(pictures.conditions.argmax(axis=1), pictures.images[:, 0, 0, 0] % 3)


@pytest.mark.parametrize(("shape", "channels"), [((4, 4, 1), 1), ((None, None, 3), 3), ((4, 4, 4), 3)])
def test_channels_come_from_the_data(load, tmp_path, shape, channels):
    write_dataset(tmp_path / "tfds", shape=shape, classes=())
    pictures = load()
    assert pictures.images.shape == (7, 4, 4, channels)
    assert pictures.conditions is None
    assert pictures.condition_names == ()


def test_a_label_of_no_class_is_refused(load, tmp_path):
    write_dataset(tmp_path / "tfds", count=70, unlabelled=(66,))
    with pytest.raises(UserError, match=r"dataset=animals: example \d+ of the split train has the label -1"):
        load()


def shard_of(tmp_path):
    return next((tmp_path / "tfds").rglob("*.array_record*"), None) or next((tmp_path / "tfds").rglob("*.tfrecord*"))


@pytest.mark.parametrize("damage", ["empty shard", "missing shard", "cut info", "no info", "flipped byte", "cut shard"])
def test_a_damaged_data_set_is_named_with_what_to_do(load, tmp_path, damage):
    write_dataset(tmp_path / "tfds")
    shard, info = shard_of(tmp_path), next((tmp_path / "tfds").rglob("dataset_info.json"))
    data = shard.read_bytes()
    if damage == "empty shard":
        shard.write_bytes(b"")
    elif damage == "missing shard":
        shard.unlink()
    elif damage == "cut info":
        info.write_bytes(info.read_bytes()[:50])
    elif damage == "no info":
        info.write_text("[]")
    elif damage == "flipped byte":
        shard.write_bytes(data[:40] + bytes([data[40] ^ 255]) + data[41:])
    else:
        shard.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"dataset=animals: \S+1.0.0 cannot be read .*remove this directory") as caught:
        load()
    assert str(caught.value).isprintable()


def test_a_download_is_tried_a_few_times_alone(load, tmp_path, monkeypatch):
    import tensorflow_datasets
    from tensorflow_datasets.core.download import downloader

    seen = []
    former = downloader.MAX_RETRIES

    def fail(self, **_):
        seen.append(downloader.MAX_RETRIES)
        raise ConnectionError("no network")

    monkeypatch.setattr(tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError, match="no network"):
        load("mnist")
    assert seen == [2] and former == downloader.MAX_RETRIES


def test_the_newest_version_is_used_unless_one_is_named(load, tmp_path):
    write_dataset(tmp_path / "tfds", count=2, version="1.9.0")
    write_dataset(tmp_path / "tfds", count=3, version="1.10.0")
    assert len(load("animals")) == 3
    assert len(load("animals:1.9.0")) == len(load("animals:1.9.*")) == 2


def test_a_data_set_that_was_made_anew_is_read_anew(load, tmp_path):
    write_dataset(tmp_path / "tfds", count=2)
    digest = load().digest
    info = next((tmp_path / "tfds").rglob("dataset_info.json"))
    content = json.loads(info.read_text())
    info.write_text(json.dumps(content | {"description": "another"}))
    assert load().digest == digest
    assert len([path for path in (tmp_path / "cache").iterdir() if path.name.startswith("tfds-animals")]) == 2


def test_other_pictures_of_the_same_size_are_read_anew(load, tmp_path):
    write_dataset(tmp_path / "tfds", first=10)
    assert values_of(load()) == list(range(10, 17))
    shutil.rmtree(tmp_path / "tfds")
    write_dataset(tmp_path / "tfds", first=60)
    assert values_of(load()) == list(range(60, 67))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("animals", {"split": "nothing"}, "has no split nothing; it has train"),
        ("animals", {"split": "train[:x]"}, "has no split"),
        ("no_such_data_set", {}, "dataset=no_such_data_set is neither avatars, nor folder"),
        ("../animals", {}, "is not the name of a data set"),
        ("/etc", {}, "is not the name of a data set"),
        ("not a name\n!", {}, "is not the name of a data set"),
        ("", {}, "is not the name of a data set"),
        ("mnist:1**", {}, "is not the name of a data set"),
        (":1.0.0", {}, "is not the name of a data set"),
        ("mnist:9.9.9", {}, "dataset=mnist:9.9.9: "),
        ("cifar10/nothing", {}, "dataset=cifar10/nothing: "),
    ],
)
def test_what_is_not_there_is_the_users_to_mend(load, tmp_path, name, options, message):
    write_dataset(tmp_path / "tfds", count=1)
    with pytest.raises(UserError, match=message) as caught:
        load(name, **options)
    assert str(caught.value).isprintable()


def test_pictures_of_16_bits_are_refused(load, tmp_path):
    write_dataset(tmp_path / "tfds", shape=(4, 4, 1), dtype=np.uint16)
    with pytest.raises(UserError, match="no feature `image` of 8-bit pictures"):
        load()


@pytest.mark.parametrize("place", ["a.png", "faces/a.JPG"])
def test_nothing_is_downloaded_into_a_folder_of_pictures(load, tmp_path, monkeypatch, place):
    import tensorflow_datasets

    asked = []
    monkeypatch.setattr(
        tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", lambda self, **_: asked.append(self.name)
    )
    (tmp_path / "tfds" / place).parent.mkdir(parents=True)
    (tmp_path / "tfds" / place).write_bytes(b"a picture")
    with pytest.raises(UserError, match=r"dataset=mnist is not prepared in data_dir=.*holds pictures.*dataset=folder"):
        load("mnist")
    assert asked == [] and [path.name for path in (tmp_path / "tfds").iterdir()] == [place.split("/")[0]]


def test_what_tfds_has_downloaded_is_no_folder_of_pictures(load, tmp_path, monkeypatch):
    import tensorflow_datasets

    def fail(self, **_):
        raise ConnectionError("no network")

    monkeypatch.setattr(tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", fail)
    (tmp_path / "tfds" / "downloads").mkdir(parents=True)
    (tmp_path / "tfds" / "downloads" / "a.png").write_bytes(b"a picture")
    with pytest.raises(UserError, match="no network"):
        load("mnist")


def test_a_download_that_fails_is_the_users_to_mend(load, tmp_path, monkeypatch, capsys):
    import tensorflow_datasets

    def fail(self, **_):
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(tensorflow_datasets.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError, match=r"dataset=mnist is not in data_dir.*ConnectionError: no network") as caught:
        load("mnist")
    assert str(caught.value).isprintable()
    assert capsys.readouterr().err.startswith(f"mnist is not in {tmp_path / 'tfds'}: getting it there")


def test_the_first_use_without_tensorflow_says_what_to_install(load, tmp_path, monkeypatch):
    write_dataset(tmp_path / "tfds", count=1)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="pip install tensorflow-cpu"):
        load()


def test_cached_pictures_need_no_tensorflow(tmp_path):
    write_dataset(tmp_path / "tfds")
    sources = [("animals", 4, str(tmp_path / "tfds")), ("avatars", 16, None)]
    digests = [open_source(tmp_path, *source).digest for source in sources]
    program = """
import json, sys
sys.modules |= dict.fromkeys(["tensorflow", "tensorflow_datasets", "jax", "orbax"])
from jaxgan import data
for name, size, data_dir in json.loads(sys.argv[1]):
    print(data.load(name, image_size=size, data_dir=data_dir, num_examples=5, cache_dir=sys.argv[2]).digest)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, json.dumps(sources), str(tmp_path / "cache")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.split() == digests


def open_source(tmp_path, name, size, data_dir):
    return data.load(name, image_size=size, data_dir=data_dir, num_examples=5, cache_dir=tmp_path / "cache")


def test_sources_are_opened_by_their_names(tmp_path):
    write_dataset(tmp_path / "tfds")
    options = {"image_size": 16, "cache_dir": tmp_path / "cache"}
    train = data.load("avatars", num_examples=3, **options)
    test = data.load("avatars", num_examples=3, split="test", **options)
    assert train.images.shape == test.images.shape == (3, 16, 16, 3)
    assert train.digest != test.digest
    assert data.load("animals", data_dir=tmp_path / "tfds", **options).images.shape == (7, 16, 16, 3)
    with pytest.raises(UserError, match="dataset=folder: name the folder of pictures by data_dir"):
        data.load("folder", **options)
    with pytest.raises(NoSuchSplit, match="dataset=avatars has no split validation; it has train, test"):
        data.load("avatars", split="validation", **options)
    with pytest.raises(NoSuchSplit, match="dataset=folder has no split test; it has train"):
        data.load("folder", data_dir=tmp_path, split="test", **options)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_data_is_what_tfds_gives(tmp_path, real_data, name):
    import tensorflow_datasets

    pictures = tfds.load(name, 28, data_dir=real_data / "tfds", split=SPLIT, cache_dir=tmp_path)
    dataset = tensorflow_datasets.load(
        name, data_dir=str(real_data / "tfds"), split=SPLIT, download=False, shuffle_files=False
    )
    examples = list(tensorflow_datasets.as_numpy(dataset))
    np.testing.assert_array_equal(pictures.images, [example["image"] for example in examples])
    np.testing.assert_array_equal(pictures.conditions.argmax(1), [example["label"] for example in examples])
    np.testing.assert_array_equal(pictures.conditions.sum(1), 1)
    assert pictures.condition_names[9] == {"mnist": "9", "fashion_mnist": "Ankle boot"}[name]


def test_mnist_is_enlarged(tmp_path, real_data):
    pictures = tfds.load("mnist", 32, data_dir=real_data / "tfds", split=SPLIT, cache_dir=tmp_path)
    assert pictures.images.shape == (200, 32, 32, 1)
    assert pictures.images.max() > 200
    assert 20 < pictures.images.mean() < 50  # MNIST's mean is 33


@pytest.mark.slow
def test_tensorflows_own_lines_are_not_on_the_screen(tmp_path, real_data):
    if not (real_data / "tfds" / "mnist").is_dir():
        pytest.skip(f"no prepared MNIST in {real_data / 'tfds'}; JAXGAN_TEST_DATA names another folder")
    quiet = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "JAXGAN_CACHE_DIR")  # a user has set none of them
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    flags = ["--model=mlp_b", "--dataset=mnist", f"--data_dir={real_data / 'tfds'}", "--steps=2", "--sample_every=2"]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.gan", *flags, f"--workdir={tmp_path / 'run'}"],
        cwd=REPOSITORY,
        env={**environment, "XLA_FLAGS": "", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert list(tmp_path.glob("jaxgan/tfds-mnist-*/images.npy"))  # read by TensorFlow, then kept
    for word in ("absl::", "oneDNN", "TF_", "tensorflow/", "WARNING", "rendezvous", "cuda", "I0000", "W0000"):
        assert word not in said, said


@pytest.mark.slow
def test_tensorflow_says_nothing_of_processors_where_jax_is_not_imported():  # JAX sets a level of its own
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    program = "from jaxgan.data.tensorflow import import_tensorflow; import_tensorflow('x').constant(1)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "cpu_feature" not in done.stderr, done.stderr
