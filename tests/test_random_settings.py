"""A run goes on with the random numbers that it began with, or says why it cannot."""

import json

import jax
import numpy as np
import pytest
from small_run import lay_out

from experiments.run.restore import load_run
from jaxgan import data
from jaxgan.host.errors import UserError
from jaxgan.training.files import random_settings
from jaxgan.training.files.description import check_same_examples, read_description, write_description
from jaxgan.training.files.workdir import Workdir

OTHERS = {
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 1,
    "jax_enable_x64": True,
}


@pytest.fixture
def setting():
    """Sets something of JAX until the end of the test."""
    former = random_settings.current()
    yield jax.config.update
    for name, value in former.items():
        jax.config.update(name, value)


def test_the_settings_are_those_of_jax():
    assert set(random_settings.current()) == set(OTHERS)
    assert json.loads(json.dumps(random_settings.current())) == random_settings.current()


def begun(workdir):
    """A run with a checkpoint, as far as its directories tell."""
    lay_out(workdir, model="dcgan_64", names="none")
    (workdir / "checkpoints" / "10").mkdir(parents=True)
    return workdir


@pytest.mark.parametrize("name", OTHERS)
def test_a_change_is_named(tmp_path, setting, name):
    workdir = begun(tmp_path / "run")
    pictures = data.from_arrays(np.zeros((3, 16, 16, 3), np.uint8))
    write_description(Workdir(workdir), "arrays", pictures, None)
    assert read_description(workdir).random == random_settings.current()
    check_same_examples(Workdir(workdir), pictures)
    setting(name, OTHERS[name])
    expected = rf"workdir=\S+run: its run was begun with {name.upper()}=\S+, and now it is {OTHERS[name]}, with other"
    with pytest.raises(UserError, match=expected):
        check_same_examples(Workdir(workdir), pictures)
    with pytest.raises(UserError, match=expected):
        load_run(str(workdir))


def test_a_run_of_before_goes_on(tmp_path, setting):
    workdir = begun(tmp_path / "run")  # its description says nothing of random numbers
    setting("jax_threefry_partitionable", False)
    with pytest.raises(UserError, match="no intact checkpoint"):
        load_run(str(workdir))
