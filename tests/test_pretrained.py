"""Weights that are passed on: folders that are read like a run, and the models that come with the package."""

import dataclasses

import jax
import numpy as np
import pytest
from small_run import PICTURES, assert_equal, small_run, state_of

from experiments import export
from experiments.page import status
from experiments.page.shelf import Shelf
from experiments.run import merge, pretrained, start
from experiments.run.restore import load_run, workdir_recipe
from jaxgan import systems, training
from jaxgan.host.errors import UserError
from jaxgan.training.files.description import check_same_examples
from jaxgan.training.files.weights import read_weights, write_weights
from jaxgan.training.files.workdir import Workdir


def test_weights_come_back_to_the_bit_and_optimisers_stay_new(tmp_path):
    state = state_of(1, average_decay=0.9)
    state = state.replace(average=state_of(3).generator.variables, step=state.step + 7)
    write_weights(tmp_path / "weights.npz", state, 12)
    fresh = state_of(2, average_decay=0.9)
    step, found = read_weights(tmp_path / "weights.npz", fresh)
    assert step == 12 and found.step == 7
    assert_equal(found.average, state.average)
    for name in ("generator", "discriminator"):
        assert_equal(getattr(found, name).variables, getattr(state, name).variables)
        assert_equal(getattr(found, name).opt_state, getattr(fresh, name).opt_state)
    assert (jax.random.key_data(found.key) == jax.random.key_data(fresh.key)).all()


def test_half_precision_is_half_the_bytes(tmp_path):
    state = state_of(1, generator_width=64)
    write_weights(tmp_path / "whole.npz", state, 1)
    write_weights(tmp_path / "half.npz", state, 1, half=True)
    sizes = [(tmp_path / f"{name}.npz").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    _, found = read_weights(tmp_path / "half.npz", state_of(2, generator_width=64))
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        assert mine.dtype == theirs.dtype
    jax.tree.map(
        lambda mine, theirs: np.testing.assert_allclose(mine, theirs, rtol=2**-11, atol=2**-25),  # half of the last bit
        found.generator.params,
        state.generator.params,
    )


def test_a_weight_that_half_precision_does_not_hold_is_refused(tmp_path):
    state = state_of(1)
    large = jax.tree.map(lambda leaf: leaf + 70_000, state.generator.params)
    with pytest.raises(UserError, match="half: a weight is above 65,504"):
        write_weights(
            tmp_path / "weights.npz", state.replace(generator=state.generator.replace(params=large)), 1, half=True
        )
    assert not (tmp_path / "weights.npz").exists()


@pytest.mark.slow
def test_weights_that_are_not_finite_are_refused(tmp_path):
    workdir = small_run(tmp_path / "run", model="mlp_b", names="none")
    run = load_run(str(workdir))
    broken = jax.tree.map(lambda leaf: leaf * np.nan, run.state.generator.params)
    broken = run.state.replace(generator=run.state.generator.replace(params=broken))
    export.write_folder(dataclasses.replace(run, state=broken), tmp_path / "broken", half=False)
    with pytest.raises(UserError, match="weights of the generator are not finite"):
        load_run(str(tmp_path / "broken"))
    assert load_run(str(tmp_path / "broken"), finite=False).step == 10


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    write_weights(path, state_of(1), 1)
    with pytest.raises(UserError, match=r"other networks than flags.txt describes; the first is discriminator\.params"):
        read_weights(path, state_of(1, discriminator_width=3))
    content = path.read_bytes()
    for damaged in (content[:-100], content[:10], b"", b"PK\x03\x04 nothing of the kind"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="not the weights of a run"):
            read_weights(path, state_of(1))
    np.savez(path, step=1, others=[object()])
    with pytest.raises(UserError, match="not the weights of a run"):
        read_weights(path, state_of(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a small system, and the folder that it was exported to."""
    workdir = small_run(tmp_path_factory.mktemp("runs") / "run", model="dcgan_64", names="none")
    path = workdir.parent / "passed on"
    assert "weights: " in export.write_folder(load_run(str(workdir)), path, half=False)
    return workdir, path


@pytest.mark.slow
def test_a_folder_is_read_like_the_run(folder):
    workdir, path = folder
    run, other = load_run(str(workdir)), load_run(str(path))
    assert other.step == run.step == training.load(path, step=10).step == 10
    assert dataclasses.replace(other.recipe, workdir=None) == dataclasses.replace(run.recipe, workdir=None)
    assert_equal(other.state.generator.variables, run.state.generator.variables)
    assert str(workdir) not in "".join((path / name).read_text() for name in ("flags.txt", "README.md", "dataset.json"))
    with pytest.raises(UserError, match=r"step=7: .* holds the weights of step 10 alone"):
        load_run(str(path), 7)
    with pytest.raises(UserError, match="is there already; name a new folder"):
        export.write_folder(run, path, half=False)


@pytest.mark.slow
def test_a_folder_begins_a_run_but_is_none_to_go_on_with(folder, capsys):
    _, path = folder
    other = load_run(str(path))
    begun = start.begin_with(str(path), jax.jit(other.system.init)(jax.random.key(5)))
    assert_equal(begun.generator.params, other.state.generator.params)
    assert "at step 10" in capsys.readouterr().out
    with pytest.raises(UserError, match=f"holds weights alone, .* by init_from={path}"):
        check_same_examples(Workdir(path), PICTURES)


def test_one_of_workdir_and_pretrained_is_named():
    assert pretrained.folder_of("w", None) == "w"
    with pytest.raises(UserError, match=r"^workdir: name the directory of a run, or give pretrained, .*digits"):
        pretrained.folder_of(None, None)
    with pytest.raises(UserError, match="give one of the two"):
        pretrained.folder_of("w", "digits")
    with pytest.raises(UserError, match=r"pretrained=digit: there is none of this name; choose .*digits"):
        pretrained.folder_of(None, "digit")


def test_a_training_may_begin_with_a_model_of_the_package_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"model": "cgan_anime", "init_from": "digits", "workdir": "run"}
    monkeypatch.setattr(merge, "given_settings", lambda family: given)
    recipe = merge.recipe_from_flags(systems.family_of("cgan_anime"))
    assert recipe.init_from == "digits" and pretrained.beginning("digits") == str(pretrained.FOLDER / "digits")
    (tmp_path / "digits").mkdir()
    assert merge.recipe_from_flags(systems.family_of("cgan_anime")).init_from == str(tmp_path / "digits")


def test_the_page_shows_the_models_of_the_package():
    shelf = Shelf(str(pretrained.FOLDER))
    assert tuple(shelf.names()) == pretrained.names()
    workdir = shelf.workdir("digits")
    said = status.describe(workdir, status.read(workdir))
    assert said == "**cgan_anime** on mnist, 32×32 · trained weights, without a log"


def test_the_models_of_the_package_are_small_and_described():
    assert {"digits", "clothes"} <= set(pretrained.names())
    assert sum(path.stat().st_size for path in pretrained.FOLDER.glob("*/*")) <= 12e6
    for name in pretrained.names():
        recipe = workdir_recipe(str(pretrained.FOLDER / name))
        assert recipe.dataset in ("avatars", "avatars_pairs", "mnist", "fashion_mnist")  # what may be shown
        card = (pretrained.FOLDER / name / "README.md").read_text()
        assert all(part in card for part in ("## Scores", "## Training", "## Licence"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in pretrained.names() if name != "parts"])  # which translates
def test_a_model_of_the_package_draws(name):
    run = load_run(str(pretrained.FOLDER / name))
    z = run.latent.latents(jax.random.key(0), 8)
    conditions = (np.eye(run.condition_dim, dtype=np.float32)[:8],) if run.condition_dim else ()
    images = np.asarray(run.latent.images(run.state, z, *conditions))
    assert images.std(0).mean() > 10  # of bytes: no two alike
