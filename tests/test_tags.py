import numpy as np
import pytest

from jaxgan.data import tags
from jaxgan.host.errors import UserError


def one_hot(*positions, length=23):
    return np.isin(np.arange(length), positions).astype(np.uint8)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_the_23_tags_are_in_the_order_of_the_condition_vector():
    assert len(tags.HAIR) == 12
    assert len(tags.EYES) == 11
    assert len(set(tags.CONDITION_NAMES)) == 23
    assert tags.CONDITION_NAMES[0] == "orange hair"
    assert tags.CONDITION_NAMES[11] == "blonde hair"
    assert tags.CONDITION_NAMES[12] == "gray eyes"
    assert tags.CONDITION_NAMES[22] == "blue eyes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blue hair red eyes", one_hot(8, 21)),
        ("red eyes blue hair", one_hot(8, 21)),
        ("  Blue  HAIR,\tred eyes\n", one_hot(8, 21)),
        ("blonde hair", one_hot(11)),
        ("gray eyes", one_hot(12)),
    ],
)
def test_a_condition_is_parsed(text, expected):
    condition = tags.parse_condition(text)
    assert condition.dtype == np.uint8
    np.testing.assert_array_equal(condition, expected)


def test_names_that_differ_in_case_alone_are_told_apart():
    for text, expected in {"A": [0], "a": [1], "a A": [0, 1], "b": [2], "B": [2], "a é": [1, 3]}.items():
        condition = tags.parse_condition(text, ["A", "a", "B", "É"])
        np.testing.assert_array_equal(condition, one_hot(*expected, length=4), text)
    for text in ("red HAIR", "RED hair"):
        with pytest.raises(UserError, match=f'"{text}" may be Red hair or red Hair; spell it'):
            tags.parse_condition(text, ["Red hair", "red Hair", "red"])
    np.testing.assert_array_equal(tags.parse_condition("RED", ["Red hair", "red Hair", "red"]), [0, 0, 1])


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("blu hair red eyes", "blue hair"),
        ("grey hair", "gray hair"),
        ("blond hair blue eyes", "blonde hair"),
        ("blue hair redd eyes", "red eyes"),
    ],
)
def test_the_nearest_tag_is_suggested(text, suggestion):
    with pytest.raises(UserError, match=f'did you mean "{suggestion}"'):
        tags.parse_condition(text)


@pytest.mark.parametrize("text", ["", "   ", ",", "zzz", "blue", "hair", "\0", "x" * 10_000])
def test_what_is_no_condition_is_one_short_printable_line(text):
    with pytest.raises(UserError) as caught:
        tags.parse_condition(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_names_of_other_data_sets_are_parsed_too():
    classes = ("T-shirt/top", "Ankle boot", "0", "10")
    np.testing.assert_array_equal(tags.parse_condition("ankle boot 10", classes), [0, 1, 0, 1])
    with pytest.raises(UserError, match='did you mean "Ankle boot"'):
        tags.parse_condition("ankle boots", classes)
    with pytest.raises(UserError, match='did you mean "SANDAL"'):
        tags.parse_condition("Sandals", ("SHIRT", "SANDAL"))


def test_a_file_of_conditions_is_read(tmp_path):
    path = write(tmp_path / "test.txt", "blue hair red eyes\r\n\r\nblack hair\n")
    np.testing.assert_array_equal(tags.read_conditions(path), [one_hot(8, 21), one_hot(9)])


def test_a_wrong_line_of_conditions_is_named(tmp_path):
    with pytest.raises(UserError, match=r'test\.txt, line 3: .*did you mean "red eyes"'):
        tags.read_conditions(write(tmp_path / "test.txt", "blue hair\n\nrad eyes\n"))
    with pytest.raises(UserError, match="holds no condition"):
        tags.read_conditions(write(tmp_path / "empty.txt", "\n \n"))
    with pytest.raises(UserError, match="cannot be read"):
        tags.read_conditions(tmp_path / "missing.txt")
    with pytest.raises(UserError, match="cannot be read"):
        tags.read_conditions(tmp_path)


def test_each_line_is_read_whatever_its_number_of_tags(tmp_path):
    lines = [
        "2,blonde hair pink eyes",
        "3,long hair blue eyes, smile",
        "",
        "4,long hair",
        "five,aqua hair",
        "6,red hair blue eyes green eyes",
        "7,blurred hair",
    ]
    read = tags.read_tags(write(tmp_path / "tags.csv", "\ufeff" + "\r\n".join(lines)))
    assert list(read) == ["2", "3", "4", "five", "6", "7"]
    assert [int(condition.sum()) for condition in read.values()] == [2, 1, 0, 1, 3, 0]
    np.testing.assert_array_equal(read["2"], one_hot(11, 15))
    np.testing.assert_array_equal(read["3"], one_hot(22))
    np.testing.assert_array_equal(read["five"], one_hot(2))


def test_fields_may_be_quoted_and_commas_end_a_tag(tmp_path):
    lines = [
        '1,"blue hair, green eyes, smile"',
        '"2","blonde hair pink eyes"',
        "3,smile, pink, hair ornament, blue eyes",
        '4,"smile" red hair',
        '5,"black hair',
    ]
    read = tags.read_tags(write(tmp_path / "tags.csv", "\n".join(lines)))
    expected = {"1": (8, 19), "2": (11, 15), "3": (22,), "4": (5,), "5": (9,)}
    assert list(read) == list(expected)
    for identifier, positions in expected.items():
        np.testing.assert_array_equal(read[identifier], one_hot(*positions), identifier)


@pytest.mark.parametrize("line", ["x," + "y" * 200_000, "no comma here", ",blue hair", "  , red eyes", "1,blue eyes"])
def test_a_line_of_tags_that_cannot_be_read_is_named(tmp_path, line):
    with pytest.raises(UserError, match=r"tags\.csv, line 3: ") as caught:
        tags.read_tags(write(tmp_path / "tags.csv", f"1,blue hair\n\n{line}\n"))
    assert str(caught.value).isprintable()


def test_tags_that_are_not_text_are_refused(tmp_path):
    (tmp_path / "tags.csv").write_bytes(b"1,\xff\xfe blue hair")
    with pytest.raises(UserError, match="not a UTF-8 text file"):
        tags.read_tags(tmp_path / "tags.csv")


def test_the_tags_of_the_course(real_data):
    import tarfile

    with tarfile.open(real_data / "anime_faces.tar") as archive:
        member = archive.extractfile("anime_faces/tags.csv")
        lines = member.read().decode().splitlines()
    for line in lines:
        condition = tags.parse_condition(line.partition(",")[2])
        assert condition[:12].sum() == condition[12:].sum() == 1
