import unicodedata

import pytest

from jaxgan.data.tag_matching import match
from jaxgan.host.errors import UserError

NFC, NFD = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("identifier", "path"),
    [
        ("1", "1.png"),
        ("1", "deep/er/1.png"),
        ("1", "0001.png"),
        ("0001", "1.png"),
        ("1.png", "1.png"),
        ("1.jpg", "1.png"),  # renamed by a conversion
        ("a/1", "a/1.png"),
        ("a/1.png", "a/1.png"),
        ("images/1.png", "faces/1.png"),
        ("Img1", "img1.PNG"),
        ("img_007", "IMG_7.webp"),
        (NFC, f"{NFD}.png"),
        (NFD, f"{NFC}.png"),
        ("STRASSE", "straße.png"),
        ("v1.5", "v1.5.png"),  # no extension of a picture
        ("0", "000.png"),
    ],
)
def test_an_id_is_matched_however_it_is_spelt(identifier, path):
    found = match([identifier, "other"], ["unlike.png", path])
    assert found.identifier_of == {path: identifier}
    assert (found.pictures, found.identifiers) == (("unlike.png",), ("other",))


def test_what_is_equal_comes_before_what_is_alike():
    found = match(["1", "01"], ["01.png", "1.png", "001.png"])
    assert found.identifier_of == {"1.png": "1", "01.png": "01"}
    assert found.pictures == ("001.png",)
    assert match(["a.png", "a.jpg"], ["a.jpg", "a.png"]).identifier_of == {"a.png": "a.png", "a.jpg": "a.jpg"}
    assert match(["A", "a"], ["a.png", "A.png"]).identifier_of == {"A.png": "A", "a.png": "a"}


def test_what_is_alike_twice_is_not_guessed():
    assert match(["1"], ["01.png", "001.png"]).identifier_of == {}
    assert match(["Img1", "IMG1"], ["img1.png"]).identifier_of == {}
    assert match(["img1", "IMG1"], ["img1.png", "Img1.png"]).identifier_of == {"img1.png": "img1"}
    assert match(["x/1"], ["a/1.png", "b/1.png"]).identifier_of == {}


def test_an_id_of_two_files_is_refused():
    with pytest.raises(UserError, match=r"the id 1 belongs to two files, a/1\.png and b/1\.jpg"):
        match(["1"], ["a/1.png", "b/1.jpg"])
    assert match(["a/1", "b/1"], ["a/1.png", "b/1.png"]).pictures == ()
