"""Conditional models take any tags: a table of attributes, or words that the file itself declares."""

import pytest
from PIL import Image

from jaxgan.data import folder, own_tags
from jaxgan.data.heads import heads_of
from jaxgan.data.tags import CONDITION_NAMES
from jaxgan.host.errors import UserError


def load(root, lines, count=3):
    root.mkdir(exist_ok=True)
    for index in range(count):
        Image.new("L", (4, 4), index).save(root / f"{index}.png")
    (root / "tags.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder.load(root, 4, tags=True, cache_dir=root.parent / "cache")


def test_a_table_has_a_condition_for_each_column(tmp_path, capsys):
    lines = ["image_id,Smiling,Eyeglasses,Hat", "0.png,1,-1,yes", "1.png,-1,-1,no", "2.png, 1 ,1,"]
    pictures = load(tmp_path / "faces", lines)
    assert pictures.condition_names == ("Smiling", "Eyeglasses", "Hat")
    assert pictures.conditions.tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert "its own 3 tags: Smiling, Eyeglasses, Hat" in capsys.readouterr().err


def test_a_column_of_words_has_one_for_each_word(tmp_path):
    pictures = load(tmp_path / "faces", ["id,hair,age", "0,red,old", "1,blue,", "2,red,young"])
    assert pictures.condition_names == ("blue hair", "red hair", "old age", "young age")
    assert pictures.conditions.tolist() == [[0, 1, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]]
    assert [head.name for head in heads_of(pictures.condition_names)] == ["hair", "age"]


def test_any_words_are_the_vocabulary_where_none_is_the_tutorials(tmp_path):
    for heading in ([], ["id,tags"]):
        pictures = load(tmp_path / "cats", [*heading, "0,striped,  long  tail", '1,"long tail, asleep"', "2,asleep"])
        assert pictures.condition_names == ("asleep", "long tail", "striped")
        assert pictures.conditions.tolist() == [[0, 1, 1], [1, 1, 0], [1, 0, 0]]


def test_one_tag_of_the_tutorial_keeps_its_vocabulary(tmp_path):
    pictures = load(tmp_path / "faces", ["0,red hair,smile", "1,blue eyes", "2,smile"])
    assert pictures.condition_names == CONDITION_NAMES and len(pictures) == 2


def test_another_table_is_another_data_set(tmp_path):
    first = load(tmp_path / "a", ["id,smile,hat", "0,1,0", "1,0,1", "2,0,0"])
    second = load(tmp_path / "a", ["id,smile,hat", "0,1,0", "1,0,1", "2,1,0"])
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["id,smile,hat", "0,1"], r"tags.csv, line 2: has 1 fields after its id, and the heading 2"),
        (["id,smile,smile", "0,1,1"], r"line 1: two columns have the same name"),
        (["id,smile,", "0,1,1"], r"line 1: two columns have the same name, or one has none"),
        (["id,smile,hat", "0,1,0", "0,1,0"], r"line 3: the id 0 is on an earlier line too"),
        (["0,smile", "1,smile", "2,smile"], "no line with one or two of the tags"),
        (["id,caption_of_it", *(f"{index},c{index}" for index in range(1001))], "has 1001 different tags, and at most"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path, lines, said):
    with pytest.raises(UserError, match=said):
        load(tmp_path / "faces", lines)


def test_a_table_without_lines_or_a_file_without_a_heading_is_no_table(tmp_path):
    (tmp_path / "tags.csv").write_text("")
    assert own_tags.read_table(tmp_path / "tags.csv") is None is own_tags.read_words(tmp_path / "tags.csv")
    (tmp_path / "tags.csv").write_text("7,red hair")
    assert own_tags.read_table(tmp_path / "tags.csv") is None
