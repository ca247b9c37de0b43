"""What each tab of the page answers for runs of several kinds: needs Gradio, no browser."""

import base64
import importlib.util
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from small_run import NAMES, save_checkpoint

from experiments.page import requests
from experiments.page.shelf import Shelf
from experiments.run.recipes import resolve
from jaxgan import systems
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import flag_lines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs gradio: pip install 'jaxgan[demo]'"),
]
NARROW = {"generator_width": 2, "discriminator_width": 2}
KINDS = {
    "plain": ("none", {"model": "dcgan_64", **NARROW, "latent_dim": 4}),
    "codes": ("none", {"model": "infogan_faces", **NARROW, "noise_dim": 3}),
    "both": ("none", {"model": "cyclegan", "width": 2, "blocks": 1, "discriminator_layers": 1}),
    "classes": ("tags", {"model": "stargan", "width": 2, "blocks": 1, "discriminator_width": 2, "kinds": "hair"}),
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A run of each kind, untrained."""
    folder = tmp_path_factory.mktemp("runs")
    for name, (names, settings) in KINDS.items():
        workdir = folder / name
        workdir.mkdir()
        recipe = resolve({"image_size": 16, "workdir": str(workdir), **settings}, systems.names())
        (workdir / "flags.txt").write_text(flag_lines(recipe), encoding="utf-8")
        described = {"condition_names": list(NAMES[names]), "shape": [16, 16, 3], "sha256": "0" * 64}
        (workdir / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
        save_checkpoint(workdir, recipe, 10, names=names)
    return Shelf(str(folder))


@pytest.fixture(scope="module")
def mine():
    """A picture as a browser sends it."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def visible(updates):
    return [update["visible"] for update in updates if isinstance(update, dict) and "visible" in update]


def test_codes_have_inputs_where_a_run_has_codes(shelf):
    from experiments.page import codes_tab

    able = shelf.abilities("codes")
    sizes, count = able.codes.categorical, able.codes.continuous
    shown = visible(codes_tab._fit(able))
    assert shown == [True, *(code < len(sizes) for code in range(4)), *(code < count for code in range(8))]
    assert not any(visible(codes_tab._fit(shelf.abilities("plain"))))
    values = (0,) * codes_tab.CONTINUOUS
    drawn = [
        codes_tab._draw(shelf, "codes", 0, *classes, *((value,) + values[1:]))
        for classes, value in (((1, 2, "any", "any"), 0), ((1, 2, "any", "any"), 2), ((3, 2, "any", "any"), 0))
    ]
    assert len(set(drawn)) == 3 and all(one.count("<img") == codes_tab.PICTURES for one in drawn)
    with pytest.raises(UserError, match="codes"):
        codes_tab._draw(shelf, "plain", 0, *("any",) * 4, *values)


def test_a_picture_is_translated_in_each_direction_and_into_each_class(shelf, mine):
    from experiments.page import translate_tab

    there, back = (translate_tab._translate(shelf, "both", mine, way, "any") for way in ("a_to_b", "b_to_a"))
    assert there != back and there.count("<img") == back.count("<img") == 2 and "comparison" in there
    blue = translate_tab._translate(shelf, "classes", mine, None, "blue hair")
    every = translate_tab._translate(shelf, "classes", mine, None, requests.ANY)
    assert blue.count("<img") == 2 and every.count("<img") == 1 + 12 and "blonde hair" in every
    for wrong in (("both", mine, "c_to_d", "any"), ("plain", mine, None, "any"), ("both", "", "a_to_b", "any")):
        with pytest.raises(UserError):
            translate_tab._translate(shelf, *wrong)


def test_a_picture_is_looked_for_and_its_latent_can_be_taken_away(shelf, mine, monkeypatch):
    from experiments.page import projection_tab
    from experiments.run import projecting

    monkeypatch.setattr(projecting, "DESCENT", 2)
    found = projection_tab._find(shelf, "plain", mine, "any", "any", "any", 0)
    assert found.count("<img") == 2 and "root mean square" in found
    latent = found.partition("application/octet-stream;base64,")[2].partition('"')[0]
    assert np.load(io.BytesIO(base64.b64decode(latent))).shape == (4,)
    with pytest.raises(UserError, match="draws no samples"):
        projection_tab._find(shelf, "both", mine, "any", "any", "any", 0)


def test_where_the_pictures_of_the_training_are_missing_it_is_said(shelf):
    from experiments.page import neighbours_tab, scores_tab

    with open(shelf.workdir("plain").flags, "a", encoding="utf-8") as flags:
        flags.write("--num_examples=70\n")
    with pytest.raises(UserError, match="trained on other pictures"):
        neighbours_tab._find(shelf, "plain", "any", "any", "any", 0)
    with pytest.raises(UserError, match="trained on other pictures"):
        scores_tab._measure(shelf, "plain")


def test_what_was_logged_is_shown_with_what_it_says(shelf):
    from experiments.page import scores_tab

    assert "no scores" in scores_tab._logged(shelf, "plain")
    lines = [{"step": 10, "d_loss": 1.0, "fid": 5.0}, {"step": 20, "d_loss": 1.0, "fid": 4.25}]
    shelf.workdir("plain").metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = scores_tab._logged(shelf, "plain")
    cells = re.findall(r'<td role="cell" data-head="([^"]*)">([^<]*)</td>', shown)
    named = [("value", "4.25"), ("at step", "20"), ("better", "lower")]
    assert cells[1:4] == named and cells[4][1].startswith("distance from real pictures")
    assert scores_tab._logged(shelf, "nothing") == ""


def test_a_run_has_the_tabs_that_it_can_fill(shelf):
    from experiments.page import create_tab, neighbours_tab, projection_tab, scores_tab, translate_tab

    tabs = (create_tab, neighbours_tab, projection_tab, translate_tab, scores_tab)
    first = {name: [tab._fit(shelf.abilities(name))[0]["visible"] for tab in tabs] for name in KINDS}
    assert first["plain"] == first["codes"] == [True, True, True, False, True]
    assert first["both"] == first["classes"] == [False, False, False, True, True]


@pytest.mark.parametrize("value", [-3, 0, 10**12])
def test_numbers_out_of_range_reach_the_pages_own_check(value):  # Gradio's is a traceback where the page is served
    from experiments.page import explore_tab, fields

    assert fields.seed("Seed", 0).preprocess(value) == value
    assert explore_tab._number("From picture").preprocess(value) == value
    with pytest.raises(UserError, match=r"from (0|1) to"):
        requests._place("beginning", value, value)
