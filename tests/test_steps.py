"""Which checkpoint the commands and the page read, and what they say where it cannot be drawn from."""

import importlib.util
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_run import lay_out, save_checkpoint

from experiments.page.shelf import Shelf
from experiments.run.recipes import resolve
from experiments.run.restore import load_run, renewed
from jaxgan import data, systems, training
from jaxgan.host import digest
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import flag_lines
from jaxgan.training import restoring
from jaxgan.training.fitting import initial_state, state_template

WHAT = {"names": "none", "channels": 3}


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The workdir of a run with checkpoints of steps 10 and 20."""
    workdir = tmp_path_factory.mktemp("runs") / "plain"
    recipe = lay_out(workdir, model="dcgan_64", **WHAT)
    for step in (10, 20):
        save_checkpoint(workdir, recipe, step, **WHAT)
    return workdir


def test_a_step_is_read_or_those_there_are_named(twice):
    assert [load_run(str(twice), step).step for step in (None, 20, 10)] == [20, 20, 10]
    for step in (15, 0, -1):
        with pytest.raises(UserError, match=f"^step={step}: {twice} has checkpoints of the steps 10, 20$"):
            load_run(str(twice), step)


@pytest.mark.slow
def test_the_best_step_is_that_which_the_newest_checkpoint_remembers(twice, tmp_path):
    for step in ("best", "worst", "1.5"):
        said = "has kept none; a run trained with evaluate_every and keep_best" if step == "best" else "must be a whole"
        with pytest.raises(UserError, match=f"^step={step}: .*{said}"):
            load_run(str(twice), step)
    assert load_run(str(twice), "10").step == 10
    workdir = tmp_path / "best"
    recipe = lay_out(workdir, model="dcgan_64", **WHAT)
    remembered = {"best": {"score": "fid", "value": 1.0, "step": 10}}
    for step, metadata in ((10, remembered), (20, remembered)):
        save_checkpoint(workdir, recipe, step, metadata, **WHAT)
    assert load_run(str(workdir), "best").step == training.load(workdir, step="best").step == 10
    assert Shelf(str(workdir), "best").run("best").step == 10


def test_a_program_loads_what_a_command_loads(twice):
    run = training.load(twice, step=10)
    same = load_run(str(twice), 10)
    assert (run.step, run.system.name) == (10, "dcgan_64") and run.system.settings == same.system.settings
    for mine, other in zip(jax.tree.leaves(run.state), jax.tree.leaves(same.state), strict=True):
        assert (digest.key_data(mine) == digest.key_data(other)).all()
    assert run.system.sample(run.state, num=2).shape == (2, 16, 16, 3)
    assert training.load(str(twice), system=run.system).step == 20
    with pytest.raises(UserError, match=r"dataset\.json: not the description"):
        training.load(twice / "nothing")


@pytest.mark.parametrize("model", systems.names())
def test_settings_are_read_without_the_commands(tmp_path, model):
    recipe = resolve({"model": model, "seed": 7}, systems.names())
    path = tmp_path / "flags.txt"
    path.write_text("# a comment\n" + flag_lines(recipe), encoding="utf-8")
    assert restoring.read_settings(path) == recipe.settings
    path.write_text(path.read_text() + "--batch_size=many\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"flags\.txt: not the flags of a run \(invalid literal"):
        restoring.read_settings(path)
    path.write_text("--seed=1\n", encoding="utf-8")
    with pytest.raises(UserError, match="no such system"):
        restoring.read_settings(path)


def test_a_damaged_step_is_not_replaced_by_another(twice, tmp_path, capsys):
    shutil.copytree(twice, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints" / "20").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(UserError, match=r"step=20: this checkpoint is damaged; .* of the steps 10, 20"):
        load_run(str(tmp_path / "run"), 20)
    assert "is damaged and was skipped" in capsys.readouterr().err


def test_a_page_of_one_step_stays_at_it(twice):
    shelf = Shelf(str(twice), 10)
    first = shelf.run("plain")
    assert first.step == 10 and shelf.run("plain") is first
    assert Shelf(str(twice)).run("plain").step == 20
    with pytest.raises(UserError, match="step=11"):
        Shelf(str(twice), 11).run("plain")


def broken(state, number):
    def change(leaf):
        return leaf.at[(0,) * leaf.ndim].set(number) if leaf.dtype == jnp.float32 else leaf

    return jax.tree.map(change, state)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(twice, number):
    run = load_run(str(twice))
    restoring.check_finite(twice, run.system, run.state, 20)
    state = run.state.replace(generator=broken(run.state.generator, number))
    expected = r"workdir=\S+plain: at step 20 weights of the .* are not finite: .* step names"
    with pytest.raises(UserError, match=expected):
        restoring.check_finite(twice, run.system, state, 20)


def test_a_run_that_has_diverged_is_looked_at_but_not_drawn_from(twice, monkeypatch):
    good = load_run(str(twice))
    monkeypatch.setattr("jaxgan.training.restoring.np.isfinite", lambda leaf: jnp.zeros_like(leaf, bool))
    with pytest.raises(UserError, match="the training has diverged"):
        load_run(str(twice))
    with pytest.raises(UserError, match="the training has diverged"):
        renewed(good)
    assert load_run(str(twice), finite=False).step == 20


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs gradio: pip install 'jaxgan[demo]'")
def test_a_broken_run_after_a_good_one_shows_nothing_of_it(twice, tmp_path):
    from experiments.page import create_tab, explore_tab, layout, training_tab
    from experiments.page.mistakes import empty_on_user_errors
    from experiments.page.tab import Tab

    (tmp_path / "good").symlink_to(twice)
    (tmp_path / "<i>bad").mkdir()
    (tmp_path / "<i>bad" / "flags.txt").write_text("--model=dcgan_64\n")
    shelf = Shelf(str(tmp_path))
    _, said, _, _, _ = training_tab._open(shelf, "good")
    assert said.startswith("**dcgan_64** on avatars")
    seen, said, curves, place, grid = training_tab._open(shelf, "<i>bad")
    assert seen == training_tab.NOTHING and curves is None and not place["interactive"] and grid is None
    assert said.startswith("**&lt;i&gt;bad** cannot be shown: ") and "dataset.json" in said
    tabs = [Tab([], explore_tab._fit), Tab([], create_tab._fit)]
    for name in ("good", "<i>bad", "none"):
        explore, *choices, pictures, command, download, enlarged = layout._fit(shelf, tabs, name)
        create = choices.pop(3)
        assert explore["visible"] == create["visible"] == (name == "good")
        assert len(choices) == 6 and not any(choice["visible"] for choice in choices)
        assert "<img" not in pictures and not command
        assert all((one["value"], one["interactive"]) == (None, False) for one in (download, enlarged))
    walk = empty_on_user_errors(lambda *arguments: explore_tab._walk(shelf, *arguments))
    assert walk("<i>bad", "any", "any", "any", 0, 1, 1, 1, 1.0, 0) is None
    shown, command, download, _ = create_tab._create(
        shelf, tmp_path / "pictures", "good", "any", "any", "any", 3, 4, 0, 1
    )
    assert command == f"python -m experiments.sample --workdir={tmp_path / 'good'} --step=20 --num=4 --seed=3"
    assert shown.count("<img") == 4 and download["value"].endswith("seed-3-step-20.png")


def test_a_template_has_the_shapes_and_types_of_a_state_and_no_arrays_but_keys():
    system = systems.build("mlp_b", data.from_arrays(np.zeros((4, 8, 8, 1), np.uint8)), generator_width=2, latent_dim=3)
    template, state = state_template(system), initial_state(system)
    assert jax.tree.structure(template) == jax.tree.structure(state)
    for like, leaf in zip(jax.tree.leaves(template), jax.tree.leaves(state), strict=True):
        assert (like.shape, like.dtype) == (leaf.shape, leaf.dtype)
        assert isinstance(like, jax.ShapeDtypeStruct) or jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key)
