"""What a visitor gives as a picture is decoded in memory, or refused in a line; nothing is written, whatever it is."""

import base64
import io
import os
import sys
import types

import numpy as np
import pytest
from fuzzing import bounded, in_time, mutated
from PIL import Image

from experiments.page import uploads
from experiments.page.limits import LARGEST_FILE, PIXELS
from jaxgan.host.errors import UserError

RUN = types.SimpleNamespace(system=types.SimpleNamespace(image_shape=(16, 16, 3)))
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
WRITTEN = []


def sent(content, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def encoded(size, kind="PNG", mode="RGB", **options):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind, **options)
    return file.getvalue()


def note_writes(event, arguments):
    """An audit hook, which cannot be taken away: it notes while WRITTEN is a list with None at its end."""
    if WRITTEN and WRITTEN[-1] is None and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        WRITTEN.insert(0, arguments[0])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_is_decoded_at_the_size_of_the_run(kind):
    found = uploads.read(RUN, sent(encoded((40, 24), kind)))
    assert found.shape == (16, 16, 3) and found.dtype == np.uint8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("", "choose a file first"),
        (None, "choose a file first"),
        (7, "choose a file first"),
        ({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "choose a file first"),
        ("/etc/passwd", "cannot be read as a picture"),
        ("file:///etc/passwd", "cannot be read as a picture"),
        ("http://127.0.0.1/a.png", "cannot be read as a picture"),
        ("data:image/png;base64,???", "cannot be read as a picture"),
        ("data:image/png;base64,é", "cannot be read as a picture"),
        ("data:image/png,abc", "cannot be read as a picture"),
        (sent(b""), "cannot be read as a picture"),
        (sent(b"hello"), "cannot be read as a picture"),
        (sent(b"<svg/>", "image/svg+xml"), "cannot be read as a picture"),
        (uploads.TOO_LARGE, "more than 8 MB"),
        (sent(bytes(LARGEST_FILE + 300)), "more than 8 MB"),
    ],
)
def test_anything_else_is_refused_in_a_line(wrong, message):
    with pytest.raises(UserError, match=message) as caught:
        uploads.read(RUN, wrong)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded():
    wide = encoded((64, 1))
    place = wide.index(b"IHDR")
    size = (PIXELS // 1024).to_bytes(4) + (1025).to_bytes(4)  # a header that claims more than there is
    from zlib import crc32

    head = b"IHDR" + size + wide[place + 12 : place + 17]
    claimed = wide[:place] + head + crc32(head).to_bytes(4) + wide[place + 21 :]
    with pytest.raises(UserError, match=f"pixels are more than {PIXELS}"):
        uploads.read(RUN, sent(claimed))


@pytest.mark.slow
def test_a_thousand_damaged_pictures_write_nothing_and_raise_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus = [encoded((size, 40), kind) for kind in FORMATS for size in (8, 60)]
    corpus += [encoded((30, 30), "PNG", "RGBA"), encoded((30, 30), "GIF", "P"), encoded((30, 30), "TIFF", "CMYK")]
    uploads.read(RUN, sent(corpus[0]))  # Pillow reads its plugins once
    sys.addaudithook(note_writes)
    read = 0
    WRITTEN.append(None)
    try:
        with bounded():
            for body in mutated(7, 1000, corpus):
                with in_time():
                    try:
                        found = uploads.read(RUN, sent(body))
                    except UserError as error:
                        assert "\n" not in str(error) and len(str(error)) < 400
                    else:
                        assert found.shape == (16, 16, 3)
                        read += 1
    finally:
        written = WRITTEN[:-1]
        WRITTEN.clear()
    assert not written and not list(tmp_path.iterdir())
    assert 50 < read < 950  # some are damaged, some still say something
