"""The grids of a run can be redrawn from other latents, without a change to what is trained."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxgan import data, systems
from jaxgan.host.errors import UserError

pytestmark = pytest.mark.usefixtures("compile_once")


def pictures(size):
    images = np.random.default_rng(0).integers(0, 256, (70, size, size, 1), np.uint8)
    return data.from_arrays(images, inputs=255 - images)


TWO = {"generator_width": 4, "discriminator_width": 4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size", "settings"),
    [
        ("mlp_b", 8, {"latent_dim": 4, **TWO}),
        ("vae_mlp", 8, {"latent_dim": 4, "width": 4}),
        ("infogan_mnist", 8, TWO),
        # Its seed decides the dropout, which there is from 64 pixels on.
        pytest.param("pix2pix", 64, {"width": 1, "discriminator_width": 1}, marks=pytest.mark.slow),
    ],
)
def test_another_seed_shows_others_of_the_same_state(model, size, settings):
    small, examples = {"seed": 3, **settings}, pictures(size)
    systems_of = {seed: systems.build(model, examples, preview_seed=seed, **small) for seed in (None, 3, 4)}
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
