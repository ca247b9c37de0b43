"""A run that begins with the networks of another: those alone, and it says so."""

import dataclasses

import jax
import numpy as np
import pytest
from small_run import assert_equal, lay_out, save_checkpoint, state_of

from experiments.run import merge, start
from experiments.run.recipes import resolve
from jaxgan import data, systems
from jaxgan.host.errors import UserError
from jaxgan.systems.players import with_networks_of
from jaxgan.systems.settings import flag_lines


def test_the_networks_are_the_others_and_all_else_is_new():
    old, new = state_of(1), state_of(2, optimizer="rmsprop", average_decay=0.9)
    begun = with_networks_of(new, old)
    for name in ("generator", "discriminator"):
        assert_equal(getattr(begun, name).variables, getattr(old, name).variables)
        assert_equal(getattr(begun, name).opt_state, getattr(new, name).opt_state)
    assert_equal(begun.average, old.generator.variables)
    assert begun.step == 0 and (jax.random.key_data(begun.key) == jax.random.key_data(new.key)).all()
    averaged = old.replace(average=new.average)
    assert_equal(with_networks_of(new, averaged).average, new.average)
    assert with_networks_of(old, averaged).average is None


def test_other_networks_are_refused_by_name():
    with pytest.raises(UserError, match="the generator there is another network, or of other sizes, than this run's"):
        with_networks_of(state_of(1), state_of(1, generator_width=3))
    with pytest.raises(UserError, match="the discriminator there is another network"):
        with_networks_of(state_of(1), state_of(1, discriminator_width=3))


@pytest.mark.slow
def test_a_command_says_with_whose_networks_it_begins(tmp_path, capsys):
    other = tmp_path / "other"
    recipe = lay_out(other, model="dcgan_64", names="none")
    save_checkpoint(other, recipe, 10, names="none")
    system = recipe.family.build(recipe.settings, data.from_arrays(np.zeros((8, 16, 16, 3), np.uint8)))
    begun = start.begin_with(str(other), jax.jit(system.init)(jax.random.key(5)))
    assert_equal(begun.generator.params, jax.jit(system.init)(jax.random.key(10)).generator.params)
    assert f"Beginning with the networks of {other} at step 10." in capsys.readouterr().out
    with pytest.raises(UserError, match=rf"init_from={other}: the generator there is another network"):
        start.begin_with(str(other), state_of(1))
    new = dataclasses.replace(recipe, workdir=str(tmp_path / "new"), init_from=str(tmp_path / "nothing"))
    with pytest.raises(UserError, match=rf"init_from={tmp_path}/nothing: holds no run"):
        start.foresee(new)


def test_a_run_goes_on_without_those_it_began_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"model": "dcgan_64", "workdir": str(tmp_path / "run"), "init_from": "gone"}
    monkeypatch.setattr(merge, "given_settings", lambda family: dict(given))
    recipe = merge.recipe_from_flags(systems.families()["dcgan"])
    assert recipe.init_from == str(tmp_path / "gone")
    (tmp_path / "run" / "checkpoints" / "10").mkdir(parents=True)
    (tmp_path / "run" / "flags.txt").write_text(flag_lines(recipe))
    assert merge.recipe_from_flags(systems.families()["dcgan"]) == recipe  # the same command, relative path and all
    start._checked_devices(dataclasses.replace(recipe, parallel="jit"), start.Processes())
    given["init_from"] = "another"
    with pytest.raises(UserError, match=r"init_from=\S+another: .* holds a run with init_from=\S+gone"):
        merge.recipe_from_flags(systems.families()["dcgan"])
    assert resolve({"model": "dcgan_64"}, systems.names()).init_from is None
