"""Parquet files and saved data sets of the `datasets` library are read like a folder of pictures."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import parquet
from jaxgan.host.errors import NoSuchSplit, UserError

pyarrow = pytest.importorskip("pyarrow")

FEATURES = {"image": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def png(value, mode="L", size=4):
    file = io.BytesIO()
    Image.new(mode, (size, size), value).save(file, "PNG")
    return file.getvalue()


def table(values, *, plain=False, features=None, labels=None, column="image", label="kind"):
    import pyarrow

    files = [png(value) for value in values]
    images = files if plain else [{"bytes": content, "path": None} for content in files]
    columns = {column: images, label: [value % 2 for value in values] if labels is None else labels}
    made = pyarrow.table(columns)
    if features:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    return made


def write(path, *arguments, **options):
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    made = table(*arguments, **options)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(made, path)
    else:
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, made.schema) as writer:
            writer.write_table(made)
    return path


def load(path, **options):
    return data.load("folder", image_size=4, data_dir=path, cache_dir=path.parent / "cache", **options)


def values_of(pictures):
    return pictures.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_pictures_and_classes_are_those_of_the_file(tmp_path, suffix):
    path = write(tmp_path / f"cats{suffix}", range(70), features=FEATURES)
    pictures = load(path, conditional=True)
    assert values_of(pictures) == list(range(70)) and pictures.image_shape == (4, 4, 1)
    assert pictures.condition_names == ("cat", "dog")
    assert pictures.conditions.argmax(1).tolist() == [value % 2 for value in range(70)]
    assert load(path).conditions is None


def test_columns_of_usual_names_and_plain_bytes_are_found(tmp_path):
    path = write(tmp_path / "a.parquet", [5, 6, 7], plain=True, column="img", label="label", labels=[0, 2, 1])
    pictures = load(path, conditional=True)
    assert values_of(pictures) == [5, 6, 7] and pictures.condition_names == ("0", "1", "2")


def test_splits_are_told_by_the_names(tmp_path):
    write(tmp_path / "set" / "data" / "train-00000-of-00002.parquet", [1, 2])
    write(tmp_path / "set" / "data" / "train-00001-of-00002.parquet", [3])
    write(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", [4])
    assert values_of(load(tmp_path / "set")) == [1, 2, 3]
    assert values_of(load(tmp_path / "set", split="test")) == [4]
    write(tmp_path / "saved" / "train" / "data-00000-of-00001.arrow", [8])
    assert values_of(load(tmp_path / "saved")) == [8]
    with pytest.raises(NoSuchSplit, match="has no split test; it has train"):
        load(tmp_path / "saved", split="test")


def test_a_folder_of_pictures_stays_one(tmp_path):
    write(tmp_path / "mixed" / "a.parquet", [1])
    assert parquet.is_table(tmp_path / "mixed")
    (tmp_path / "mixed" / "9.png").write_bytes(png(9))
    assert not parquet.is_table(tmp_path / "mixed") and values_of(load(tmp_path / "mixed")) == [9]
    assert not parquet.is_table(tmp_path / "nothing")


def test_a_change_is_read_anew(tmp_path):
    path = write(tmp_path / "a.parquet", [1, 2])
    assert values_of(load(path)) == [1, 2]
    write(path, [1, 2, 3])
    assert values_of(load(path)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"column": "photo"}, "has no column `image`, but photo, kind"),
        ({"label": "name"}, "a conditional model needs labels too"),
        ({"label": "label", "labels": [0, -1]}, "row 1 has the label -1; number classes from 0"),
        ({"label": "label", "labels": [0, 0.5]}, "row 0 has the label 0.0"),
        ({"features": FEATURES, "labels": [0, 2]}, "row 1 has the label 2, and there are 2 classes"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, options, said):
    path = write(tmp_path / "a.parquet", [1, 2], **options)
    with pytest.raises(UserError, match=rf"data_dir=\S+a\.parquet: .*{said}"):
        load(path, conditional=True)


def test_damage_and_missing_bytes_are_named(tmp_path):
    import pyarrow.parquet

    path = write(tmp_path / "a.parquet", [1])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read"):
        load(path)
    for content, said in ((None, "row 0 has no bytes"), (b"torn", "the picture of row 0 cannot be read")):
        rows = pyarrow.table({"image": pyarrow.array([content], pyarrow.binary())})
        pyarrow.parquet.write_table(rows, path)
        with pytest.raises(UserError, match=said):
            load(path)


def test_without_pyarrow_a_line_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", [1])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"need PyArrow: pip install 'jaxgan\[parquet\]'"):
        load(path)


def test_colours_are_kept(tmp_path):
    import pyarrow.parquet

    rows = pyarrow.table({"image": [png(3), png((1, 2, 3), "RGB")]})
    pyarrow.parquet.write_table(rows, tmp_path / "a.parquet")
    pictures = load(tmp_path / "a.parquet")
    np.testing.assert_array_equal(pictures.images[:, 0, 0], [[3, 3, 3], [1, 2, 3]])
