"""The page in a real browser: blue hair is chosen, Create is pressed, and the picture has blue hair. Needs Gradio."""

import base64
import importlib.util
import io
import shlex
import time

import browser
import numpy as np
import pytest
from PIL import Image
from served_page import answer, served
from test_commands import run

from jaxgan.data import avatars

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),  # that of the first test counts the training
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs gradio: pip install 'jaxgan[demo]'"),
    pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing())),
]
SIZE = 32
STEPS = 1200
# Measured at 1,000 steps: 99 % of faces have the hair they were told to have; at 1,250 all but one in a thousand.
RECIPE = [
    *("--model=cgan_anime", f"--image_size={SIZE}", "--num_examples=6000", "--batch_size=64", "--matching_aware"),
    *("--generator_width=24", "--discriminator_width=24", "--critic_steps=1", "--average_decay=0.99", "--beta1=0.5"),
    *("--generator_learning_rate=5e-4", "--discriminator_learning_rate=5e-4"),
    *("--log_every=50", "--sample_every=100", "--checkpoint_every=600"),
]
SHOWN = """
    const image = document.querySelector(arguments[0] + ' img');
    if (!image || !image.complete || !image.naturalWidth || image.src === arguments[1]) return null;
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    canvas.getContext('2d').drawImage(image, 0, 0);
    return [image.src, canvas.toDataURL('image/png')];
"""


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A narrow conditional GAN, trained until the hair's colour is as it is told."""
    workdir = tmp_path_factory.mktemp("faces") / "faces"
    done = run("cgan", *RECIPE, f"--steps={STEPS}", f"--workdir={workdir}", timeout=900)
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.fixture(scope="module")
def page(workdir, tmp_path_factory):
    """A browser that shows the page, and its address; in the end nothing has gone wrong in either."""
    log = tmp_path_factory.mktemp("log") / "errors.txt"
    with served(workdir, log) as address, browser.Browser(tmp_path_factory.mktemp("profile")) as window:
        window.open(address)
        window.wait("return document.querySelector('#status')?.innerText.includes('cgan_anime')")
        yield window, address
        assert not window.complaints()
        asked = [one for one in window.addresses() if one.startswith(("http", "ws"))]
        assert asked and all(one.startswith(address) for one in asked), asked
    said = log.read_text(encoding="utf-8")
    assert "Traceback" not in said and "Warning" not in said, said


def choose(window, label, option):
    """Opens a drop-down by its label and clicks on an option, as a person does."""
    window.click(f"input[aria-label={label}]")
    window.click("[role=option]", option)
    window.wait("return !document.querySelector('[role=option]')")  # the list fades away


def shown(window, element, former=None):
    """The address and the pixels of the picture in an element, once it is another than a former one."""
    address, data = window.wait(SHOWN, element, former)
    with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as image:
        return address, np.asarray(image.convert("RGB"))


def settled(window, element, former, quiet=3):
    """The picture in an element that is another than a former one, once none has followed for `quiet` seconds."""
    address, picture = shown(window, element, former)
    while True:
        time.sleep(quiet)
        newer, newest = shown(window, element)
        if newer == address:
            return address, picture
        address, picture = newer, newest


def faces(grid):
    """The faces of a grid, (N, SIZE, SIZE, 3)."""
    rows, columns = grid.shape[0] // SIZE, grid.shape[1] // SIZE
    return grid.reshape(rows, SIZE, columns, SIZE, 3).transpose(0, 2, 1, 3, 4).reshape(-1, SIZE, SIZE, 3)


def test_the_page_says_what_it_is_and_opens_with_pictures(page):
    window, _ = page
    assert "draws pictures with trained generators" in window.run("return document.body.innerText")
    _, grid = shown(window, "#created")
    assert grid.shape == (4 * SIZE, 4 * SIZE, 3)


def test_blue_hair_is_chosen_and_blue_hair_appears(page):
    window, _ = page
    former, _ = shown(window, "#created")
    for colour in ("pink", "blue"):
        choose(window, "Hair", colour)
        window.click("#create", "Create")
        former, grid = shown(window, "#created", former)
        assert grid.shape == (4 * SIZE, 4 * SIZE, 3)
        measured = avatars.measure_hair_colour(faces(grid))
        share = np.mean(measured == avatars.HAIR_COLOURS.index(colour))
        # Of faces that are right in 99.5 %, two of 16 are wrong once in 300 trainings; by chance 1 in 12 is right.
        assert share >= 0.8, f"{share:.0%} {colour}"


def test_the_command_beside_the_picture_draws_it_again(page, tmp_path):
    window, _ = page
    former, _ = shown(window, "#created")
    choose(window, "Eyes", "red")
    window.click("#create", "Create")
    _, grid = shown(window, "#created", former)
    command = window.run("return document.querySelector('#command textarea').value")
    assert "red eyes" in command
    done = run("sample", *shlex.split(command)[3:], f"--out={tmp_path / 'again.png'}")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "again.png") as again:
        np.testing.assert_array_equal(np.asarray(again), grid)


def test_a_new_seed_is_another_picture(page):
    window, _ = page
    former, grid = shown(window, "#created")
    window.click("#new-seed", "New seed")
    _, other = shown(window, "#created", former)
    assert not np.array_equal(grid, other)


def test_the_slider_walks_from_one_face_to_another(page):
    window, _ = page
    window.click("button[role=tab]", "Explore")
    former, start = shown(window, "#face")
    _, stations = shown(window, "#stations")
    assert stations.shape == (SIZE, 9 * SIZE, 3)
    stations = stations.reshape(SIZE, 9, SIZE, 3).transpose(1, 0, 2, 3)
    assert np.abs(stations[0].astype(int) - start).max() <= 1
    window.drag("#way input[type=range]", 0.02, 1.02)
    # A slow server draws faces of places on the way too: the last picture to come is that of the end.
    _, end = settled(window, "#face", former)
    assert np.abs(stations[-1].astype(int) - end).max() <= 1
    assert not np.array_equal(start, end)


def test_a_page_that_is_open_while_training_goes_on_shows_it(page, workdir):
    window, address = page
    window.click("button[role=tab]", "Training")
    window.wait(f"return document.querySelector('#status')?.innerText.includes('step {STEPS:,}')")
    former, _ = shown(window, "#grid")
    curves = window.wait("return document.querySelector('#curves img')?.src")
    done = run("cgan", f"--workdir={workdir}", f"--steps={STEPS + 100}")
    assert done.returncode == 0, done.stderr
    window.wait(f"return document.querySelector('#status')?.innerText.includes('newest checkpoint {STEPS + 100:,}')")
    window.wait("return document.querySelector('#curves img')?.src !== arguments[0]", curves)
    former, newest = shown(window, "#grid", former)
    window.drag("#place input[type=range]", 0.98, 0)
    _, first = shown(window, "#grid", former)
    assert first.shape == newest.shape and not np.array_equal(first, newest)
    window.click("button[role=tab]", "Create")
    former, _ = shown(window, "#created")
    window.click("#create", "Create")
    file, _ = shown(window, "#created", former)
    _, png = answer(address, file.removeprefix(address))
    with Image.open(io.BytesIO(png)) as drawn:
        assert drawn.text["Step"] == str(STEPS + 100), "not drawn by the new checkpoint"


def test_the_page_fits_a_telephone(page):
    window, _ = page
    window.resize(390, 844)
    for tab in ("Create", "Explore", "Training"):
        window.click("button[role=tab]", tab)
        width = window.run("return document.documentElement.scrollWidth")
        assert width <= 390, f"{tab} is {width} pixels wide"
