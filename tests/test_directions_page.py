"""The tab of directions: what a visitor may ask for, what is shown, and that a search holds nobody up."""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY
from small_run import save_checkpoint
from test_directions import KINDS as SIDES
from test_directions import Classifier

from experiments.page import draw, requests
from experiments.page.abilities import Abilities
from experiments.page.shelf import Shelf
from experiments.run import directions as of_runs
from experiments.run.recipes import resolve
from jaxgan import systems
from jaxgan.data import tags
from jaxgan.data.heads import heads_of
from jaxgan.host.errors import UserError
from jaxgan.metrics.features import FeatureNetwork
from jaxgan.sampling.directions import Directions
from jaxgan.systems.outputs import Outputs
from jaxgan.systems.settings import flag_lines

NARROW = {"generator_width": 2, "discriminator_width": 2, "latent_dim": 4}
RUNS = {
    "faces": ("dcgan_64", tags.CONDITION_NAMES),
    "plain": ("dcgan_64", ()),
    "asked": ("cgan_anime", tags.CONDITION_NAMES),
}
KINDS = heads_of(("light face", "dark face", "red tint", "green tint", "blue tint"))
STEPS = np.array([[1, 0], [0, 0], [0, 1], [0, 2], [0, 0]], np.float32)
FOUND = Directions(KINDS, STEPS, np.full(5, 30))
needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="needs gradio: pip install 'jaxgan[demo]'"
)


@pytest.fixture
def shelf(tmp_path):
    """Runs of each kind, none of which has a checkpoint."""
    for name, (model, names) in RUNS.items():
        workdir = tmp_path / name
        workdir.mkdir()
        recipe = resolve({"model": model, "image_size": 16, "workdir": str(workdir), **NARROW}, systems.names())
        (workdir / "flags.txt").write_text(flag_lines(recipe), encoding="utf-8")
        described = {"condition_names": list(names), "shape": [16, 16, 3], "sha256": "0" * 64}
        (workdir / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    return Shelf(str(tmp_path))


def test_a_right_edit_passes():
    asked = requests.edit(FOUND, 5.0, ("light face", "green tint", "beyond"), (-3, 0.5, "beyond"))
    assert asked == requests.Edit(5, {0: -3.0, 3: 0.5})
    assert requests.edit(FOUND, 0, ("any", "any"), (3, 3)) == requests.Edit(0, {})


@pytest.mark.parametrize(
    ("classes", "strengths", "seed"),
    [
        (("dark face", "any"), (0, 0), 0),  # has no direction
        (("red tint", "any"), (0, 0), 0),  # of another kind
        ((0, "any"), (0, 0), 0),
        (("any", None), (0, 0), 0),
        (({"path": "/etc/passwd"}, "any"), (0, 0), 0),
        (("light face", "any"), (3.1, 0), 0),
        (("light face", "any"), (-3.1, 0), 0),
        (("light face", "any"), (float("nan"), 0), 0),
        (("light face", "any"), ("1", 0), 0),
        (("light face", "any"), (True, 0), 0),
        (("any", "any"), (0, None), 0),
        (("any", "any"), (0, 0), -1),
        (("any", "any"), (0, 0), 2**31),
    ],
)
def test_other_edits_are_refused(classes, strengths, seed):
    with pytest.raises(UserError, match=r"^(face|tint|strength of (face|tint)|seed): (choose one of|must be)"):
        requests.edit(FOUND, seed, classes, strengths)


def test_runs_without_labels_and_conditional_ones_have_no_directions(shelf):
    assert {name: shelf.abilities(name).editable for name in RUNS} == {"faces": True, "plain": False, "asked": False}
    assert not Abilities(labelled=True).editable  # draws nothing


class Latent:
    """Draws pictures that are their latents."""

    normal = False

    def latents(self, key, count):
        return np.zeros((count, 2), np.float32)

    def images(self, state, z):
        return z


def test_kinds_are_moved_together():
    run = type("Run", (), {"latent": Latent(), "state": None})
    drawn = draw.edited(run, FOUND, requests.Edit(0, {0: -2.0, 3: 1.5}), 3)
    np.testing.assert_array_equal(drawn, [[-2, 3]] * 3)


@needs_gradio
def test_the_inputs_fit_the_directions():
    from experiments.page import directions_tab

    able = Abilities(outputs=Outputs(latent=Latent()), labelled=True)
    item, button, *others, shown = directions_tab._fit(able)
    assert item["visible"] and shown is None
    assert not any(update["visible"] for update in (button, *others))  # until it is known what can be asked for
    assert not directions_tab._fit(dataclasses.replace(able, labelled=False))[0]["visible"]
    button, *others = directions_tab._inputs(FOUND, wanted=True)
    lists, sliders = others[: directions_tab.KINDS], others[directions_tab.KINDS :]
    assert not button["visible"] and [one["visible"] for one in lists] == [True, True, False, False]
    assert [one["visible"] for one in sliders] == [True, True, False, False]
    assert lists[0]["choices"] == ["any", "light face"] and lists[0]["value"] == "light face"
    assert lists[1]["choices"] == ["any", "red tint", "green tint"] and lists[1]["label"] == "Tint"
    button, *others = directions_tab._inputs(None, wanted=True)
    assert button["visible"] and not any(one["visible"] for one in others)


LINES = """
import collections, pathlib, sys
from experiments.page import layout
from experiments.page.shelf import Shelf
page = layout.build(Shelf(sys.argv[1]), pathlib.Path(sys.argv[1]))
print(collections.Counter(function.concurrency_id for function in page.fns.values()))
"""


@pytest.mark.slow
@needs_gradio
def test_a_search_stands_in_a_line_of_its_own(shelf, tmp_path):
    """In a process of its own: Gradio leaves event loops unclosed while a page is built."""
    done = subprocess.run(
        [sys.executable, "-c", LINES, str(tmp_path)], capture_output=True, text=True, timeout=300, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"'directions': 1\b", done.stdout) and "'drawing': " in done.stdout


@pytest.mark.slow
@needs_gradio
def test_directions_are_found_once_and_then_dragged(shelf, monkeypatch):
    from experiments.page import directions_tab

    def sides(run):
        found.append(run)
        return FeatureNetwork("sides", "digest", Classifier(), heads=SIDES)

    found = []
    monkeypatch.setattr(of_runs, "feature_network_of", sides)
    monkeypatch.setattr(of_runs, "LOOKED_AT", 200)
    recipe = resolve({"model": "dcgan_64", "image_size": 16, **NARROW}, systems.names())
    save_checkpoint(shelf.workdir("faces").path, recipe, 10)
    known = directions_tab.Known(shelf)
    waiting = directions_tab._arrive(known, "faces", 0)
    assert waiting[0]["visible"] and "No directions of this run" in waiting[-1] and not found
    with pytest.raises(UserError, match="find them first"):
        directions_tab._draw(known, "faces", 0, "left light", "any", "any", "any", 0, 0, 0, 0)
    for _ in range(2):
        assert "Found" in directions_tab._find(known, "faces")
    assert len(found) == 1
    arrived = directions_tab._arrive(directions_tab.Known(shelf), "faces", 0)  # another visitor, or a later day
    assert not arrived[0]["visible"] and arrived[-1].count("<img") == directions_tab.PICTURES and len(found) == 1
    drawn = [
        directions_tab._draw(known, "faces", 0, "left light", "upper shade", "any", "any", light, red, 0, 0)
        for light, red in ((0, 0), (3, 0), (3, -2))
    ]
    assert len(set(drawn)) == 3 and "python -m" not in drawn[0] and "python -m" not in drawn[2]
    assert all(word in drawn[1] for word in ("--show=directions", "left light", "--num=56", "--step=10"))
    for other in ("plain", "asked"):
        nothing = directions_tab._arrive(known, other, 0)
        assert nothing[-1] is None and not nothing[0]["visible"]
        with pytest.raises(UserError, match="directions: this run has none"):
            directions_tab._find(known, other)
    save_checkpoint(shelf.workdir("faces").path, recipe, 20)
    assert directions_tab._arrive(known, "faces", 0)[0]["visible"]  # the run has gone on: found anew
