"""The grids of a run can be redrawn from other latents, without a change to what is trained."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxgan import data, systems
from jaxgan.host.errors import UserError

pytestmark = pytest.mark.usefixtures("compile_once")
PICTURES = data.from_arrays(np.random.default_rng(0).integers(0, 256, (70, 8, 8, 1), np.uint8))


WIDTHS = {"mlp_b": {"generator_width": 4, "discriminator_width": 4}, "vae_mlp": {"width": 4}}


@pytest.mark.parametrize("model", WIDTHS)
def test_another_seed_shows_others_of_the_same_state(model):
    small = {"seed": 3, "latent_dim": 4, **WIDTHS[model]}
    systems_of = {seed: systems.build(model, PICTURES, preview_seed=seed, **small) for seed in (None, 3, 4)}
    state = jax.jit(systems_of[None].init)(jax.random.key(0))
    own, same, others = (system.preview.images(state) for system in systems_of.values())
    np.testing.assert_array_equal(own, same)
    assert (own != others).any() and own.shape == others.shape
    assert {system.seed for system in systems_of.values()} == {3}


def test_it_may_change_while_a_run_goes_on_and_has_a_range():
    settings = systems.family_of("mlp_b").default_settings("mlp_b")
    (field,) = [field for field in dataclasses.fields(settings) if field.name == "preview_seed"]
    assert field.metadata["may_change"] and field.default is None
    with pytest.raises(UserError, match=r"^preview_seed=4294967296: must be from 0"):
        dataclasses.replace(settings, preview_seed=2**32).check()
