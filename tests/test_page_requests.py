"""The page refuses what its controls cannot ask for, whoever asks: needs Gradio, no browser."""

import dataclasses
import importlib.util
import io
import json
import re

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image
from served_page import answer, call, served
from small_run import small_run

from experiments import sample
from experiments.page import draw, requests
from experiments.run.output import square_grid
from experiments.run.restore import load_run
from jaxgan.host.errors import UserError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs gradio: pip install 'jaxgan[demo]'"),
]
RIGHT = {"run": "faces", "hair": "blue", "eyes": "red", "label": "any", "seed": 3, "count": 4, "best": 64, "std": 0.5}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a page, the workdir behind it, and a secret beside it; in the end nothing has failed."""
    folder = tmp_path_factory.mktemp("page")
    workdir = small_run(folder / "runs" / "faces")
    small_run(folder / "runs" / "plain", model="dcgan_64", names="none")
    (folder / "secret.txt").write_text("a treasure")
    with served(folder / "runs", folder / "errors.txt") as address:
        yield address, workdir, folder / "secret.txt"
    said = (folder / "errors.txt").read_text(encoding="utf-8")
    # Gradio tells on the console of each request that it refuses itself; nothing of ours may have failed.
    ours = [str(REPOSITORY / folder) for folder in ("experiments", "jaxgan")]
    assert not [path for path in ours if path in said] and "Warning" not in said, said


def test_a_right_request_is_drawn_as_sample_draws_it(page):
    address, workdir, _ = page
    shown, command, picture, _ = call(address, "create", *RIGHT.values())
    request = dataclasses.replace(requests.pictures(str(workdir), "blue hair red eyes", 3, 4, 64, 0.5), step=10)
    assert command == sample.command_line(request)
    status, body = answer(address, f"gradio_api/file={picture['value']['path']}")
    assert status == 200
    with Image.open(io.BytesIO(body)) as found:
        assert found.text["Comment"] == command
        drawn, *_ = draw.created(load_run(str(workdir)), request)
        difference = np.asarray(found).astype(int) - square_grid(drawn)
    assert shown.count("<img") == 4 and "blue hair red eyes" in shown
    assert np.abs(difference).max() <= 1  # the tests' programs are compiled in a hurry, the page's are not


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "../runs/faces"},
        {"run": "/etc"},
        {"run": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}},
        {"hair": "/etc/passwd"},
        {"hair": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}},
        {"eyes": ["red", "blue"]},
        {"seed": -1},
        {"seed": 2**40},
        {"seed": "../../etc/passwd"},
        {"count": 100_000},
        {"count": 5},
        {"best": 10**9},
        {"std": 1e9},
        {"std": "1; import os"},
        {"std": None},
    ],
    ids=str,
)
def test_a_crafted_request_is_refused(page, wrong):
    assert call(page[0], "create", *{**RIGHT, **wrong}.values()) is None


def test_what_was_sent_is_quoted_as_text():
    import gradio

    from experiments.page.mistakes import show_user_errors

    def refuse(sent):
        raise UserError(f"not {sent}")

    with pytest.raises(gradio.Error) as caught:
        show_user_errors(refuse)("<img src=x>")
    assert caught.value.message == "not &lt;img src=x&gt;"


def test_only_one_function_is_offered_to_programs(page):
    status, body = answer(page[0], "gradio_api/info")
    assert status == 200
    assert list(json.loads(body)["named_endpoints"]) == ["/create"]


def test_no_file_is_served_but_the_pages_own_pictures(page):
    address, workdir, secret = page
    for path in ("/etc/passwd", workdir / "flags.txt", secret, "README.md", "pyproject.toml", "../secret.txt"):
        for route in ("gradio_api/file=", "file=", "static/", "assets/"):
            status, body = answer(address, f"{route}{path}")
            assert status in (403, 404), (route, path, status)
            assert b"treasure" not in body and b"--model" not in body


def test_nothing_can_be_uploaded_and_nothing_fetched_from_elsewhere(page):
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
    for route in ("gradio_api/upload", "gradio_api//upload", "/gradio_api/upload"):
        status, _ = answer(page[0], route, form, **{"Content-Type": "multipart/form-data; boundary=x"})
        assert status in (403, 404, 405), route
    for route in ("gradio_api/file=http://127.0.0.1:1/", "gradio_api/proxy=http://127.0.0.1:1/", "proxy=http://a"):
        status, body = answer(page[0], route)
        assert (status, body) == (403, b"This page takes numbers and choices only."), route


def test_the_page_itself_names_no_other_machine_to_load_from(page):
    status, body = answer(page[0], "")
    assert status == 200
    loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"'](https?:)?//", body.decode())
    assert not loaded
