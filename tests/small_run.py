"""Runs and states without training: a model of the smallest size, as it is initialised."""

import json

import jax
import numpy as np

from experiments.run.recipes import resolve
from jaxgan import data, systems
from jaxgan.data import tags
from jaxgan.data.examples import Examples
from jaxgan.systems.settings import flag_lines
from jaxgan.training.files.checkpoints import Checkpoints

PICTURES = data.from_arrays(np.zeros((8, 4, 4, 1), np.uint8))
SIZES = {"generator_width": 2, "discriminator_width": 2, "latent_dim": 3, "batch_size": 4}
NAMES = {"tags": tags.CONDITION_NAMES, "digits": tuple("0123456789"), "none": ()}


def lay_out(workdir, model="cgan_anime", names="tags", channels=3):
    """Writes the files of a run that has not begun to train; returns its recipe."""
    workdir.mkdir(parents=True)
    given = {"model": model, "image_size": 16, "generator_width": 2, "discriminator_width": 2, "latent_dim": 4}
    recipe = resolve({**given, "workdir": str(workdir)}, systems.names())
    (workdir / "flags.txt").write_text(flag_lines(recipe), encoding="utf-8")
    described = {"condition_names": list(NAMES[names]), "shape": [16, 16, channels], "sha256": "0" * 64}
    (workdir / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    return recipe


def save_checkpoint(workdir, recipe, step, metadata=None, names="tags", channels=3):
    """Saves the state that the seed ``step`` initialises as the checkpoint of that step."""
    examples = Examples.described((16, 16, channels), NAMES[names], "0" * 64)
    system = recipe.family.build(recipe.settings, examples)
    state = jax.jit(system.init)(jax.random.key(step))
    checkpoints = Checkpoints(workdir / "checkpoints")
    checkpoints.save(step, state, metadata or {})
    checkpoints.wait()
    checkpoints.close()


def small_run(workdir, step=10, **what):
    """A workdir with one checkpoint; returns its path."""
    recipe = lay_out(workdir, **what)
    save_checkpoint(workdir, recipe, step, **{key: value for key, value in what.items() if key != "model"})
    return workdir


def state_of(key, **settings):
    """The initial state of a system of the smallest size."""
    return systems.build("mlp_b", PICTURES, **{**SIZES, **settings}).init(jax.random.key(key))


def assert_equal(mine, other):
    """Compares two trees bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, mine, other)
