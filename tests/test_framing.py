"""Pictures that lose much of their area, or are enlarged a lot, are counted in one line when they are decoded."""

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import array_file, folder, framing


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (60, 40, 40, ()),  # a third is lost, and not more
        (40, 60, 40, ()),
        (61, 40, 40, ("cropped",)),
        (40, 61, 40, ("cropped",)),
        (20, 20, 40, ()),
        (19, 20, 40, ("enlarged",)),
        (100, 10, 40, ("cropped", "enlarged")),
        (4000, 4000, 8, ()),
    ],
)
def test_what_counts(width, height, size, expected):
    assert framing.faults(width, height, size) == expected


def test_a_folder_tells_of_them_once(tmp_path, capsys):
    root = tmp_path / "pictures"
    root.mkdir()
    for name, size in {"a": (8, 8), "b": (20, 9), "c": (3, 3), "d": (30, 3), "e": (9, 30), "f": (9, 31)}.items():
        Image.new("RGB", size, "red").save(root / f"{name}.png")
    for _ in range(2):
        folder.load(root, 8, cache_dir=tmp_path / "cache")
    (line,) = capsys.readouterr().err.splitlines()  # the second time they come from the cache
    lost = "4 of 6 pictures lose more than a third of their area, because their middle square is taken"
    assert (
        line
        == f"{root}: {lost} (b.png, d.png, e.png, ...); 2 of 6 pictures are enlarged more than twice (c.png, d.png)"
    )


def test_nothing_is_said_of_pictures_that_fit(tmp_path, capsys):
    Image.new("L", (12, 9)).save(tmp_path / "a.png")
    folder.load(tmp_path, 8, cache_dir=tmp_path / "cache")
    assert capsys.readouterr().err == ""


def test_a_large_photograph_is_judged_by_its_whole_size(tmp_path, capsys):
    Image.new("L", (800, 500)).save(tmp_path / "a.jpg")  # decoded at a reduced size
    folder.load(tmp_path, 8, cache_dir=tmp_path / "cache")
    assert "1 of 1 pictures lose more than a third" in capsys.readouterr().err


def test_a_file_of_arrays_tells_of_them(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.zeros((5, 3, 9), np.uint8))
    array_file.load(tmp_path / "a.npy", 8, cache_dir=tmp_path / "cache")
    said = capsys.readouterr().err
    assert "5 of 5 pictures lose more than a third" in said and "5 of 5 pictures are enlarged" in said
    assert said.count("9 by 3 pixels") == 2
