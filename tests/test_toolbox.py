"""What the conformance suite proves of every system, of the settings that change how two players train."""

import dataclasses
import functools

import conformance
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxgan import data, systems
from jaxgan.systems.replay import History

SIZES = {"generator_width": 2, "discriminator_width": 2, "latent_dim": 4, "batch_size": 4}
ALL_POLICIES = "color,translation,cutout"
CASES = {
    "gp": ("dcgan_64", {"penalty": "gp", "loss": "wasserstein", "critic_steps": 2}),
    "r1_lazy": ("dcgan_64", {"penalty": "r1", "penalty_every": 2, "diffaugment": ALL_POLICIES}),
    "ada": ("dcgan_64", {"ada": True, "ada_kimg": 0.1}),
    "replay": ("dcgan_64", {"replay": 3, "instance_noise": 0.5, "top_k": 0.5, "top_k_steps": 2}),
    "conditional": (
        "cgan_mnist",
        {"penalty": "dragan", "diffaugment": ALL_POLICIES, "ada": True, "replay": 5, "interpolate_conditions": True},
    ),
    "auxiliary": ("projection_gan", {"auxiliary_classifier": 1.0}),
    "fully_connected": ("mlp_b", {"penalty": "gp", "penalty_every": 2, "ada": True, "replay": 5}),
}
# Between them these have every setting, and critic steps; the cases of one setting are run by hand.
COMBINED = [
    pytest.param(name, marks=() if name in ("gp", "conditional", "fully_connected") else pytest.mark.long)
    for name in CASES
]
SINGLE = (conformance.state_is_a_template, conformance.metrics_are_those_declared, conformance.lowers_for_accelerators)


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compile_once")]


@functools.cache
def small(name):
    """A small system with the settings of a case, in the midst of things: ADA augments, and a history is there."""
    model, settings = CASES[name]
    size = 16 if model == "dcgan_64" else 12
    numbers = np.random.default_rng(1)
    images = numbers.integers(0, 256, (11, size, size, 3), np.uint8)
    labels = numbers.integers(0, 3, 11) if model in ("cgan_mnist", "projection_gan") else None
    examples = data.from_arrays(images, labels)
    system = systems.build(model, examples, **SIZES, **settings)

    def init(key):
        state = system.init(key)
        extra = dict(state.extra)
        if "ada" in extra:
            extra["ada"] = extra["ada"].replace(probability=jnp.float32(0.7))
        if "history" in extra:
            arrays = extra["history"].examples
            extra["history"] = History(tuple(random.uniform(key, array.shape) for array in arrays), jnp.int32(2))
        return state.replace(extra=extra)

    return dataclasses.replace(system, init=init), examples


# A residual network takes long to compile, and a classifier has no state of its own.
ALONE = [name for name in CASES if name != "auxiliary"] + [pytest.param("auxiliary", marks=pytest.mark.long)]


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("proof", SINGLE, ids=lambda proof: proof.__name__)
def test_settings_conform(name, proof):
    proof(*small(name))


@pytest.mark.parametrize("name", COMBINED)
def test_settings_allow_any_grouping_of_steps(name):
    conformance.any_grouping_of_steps(*small(name))


def test_settings_conform_under_pmap_and_shard_map():
    """One case, of most settings: what two devices compute is proven below of the others, without their programs."""
    conformance.devices_agree(*small("conditional"))


@pytest.mark.parametrize("name", COMBINED)
def test_settings_resume_to_the_bit(name, tmp_path):
    conformance.resumes_to_the_bit(*small(name), tmp_path)


# The conditional case is proven above; the settings of the fully connected one are those of other cases.
BY_HAND = [pytest.param(name, marks=pytest.mark.long) for name in ("auxiliary", "fully_connected")]


@pytest.mark.parametrize("name", ["gp", "r1_lazy", "ada", "replay", *BY_HAND])
def test_two_devices_draw_what_one_does(name):
    """In float64 to the last digits: what is random belongs to an example, and means are those of all devices."""
    system, _ = small(name)
    random_images = np.random.default_rng(0)
    with jax.enable_x64(True):
        state = jax.tree.map(_long, system.init(jax.random.key(0)))
        batches = system.schedule.batches_per_step
        batch = {"image": random_images.uniform(-1, 1, (batches, 4, *system.image_shape))}
        if "condition" in system.inputs[""]:
            batch["condition"] = np.eye(3)[random_images.integers(0, 3, (batches, 4))]
        alone, metrics = jax.jit(system.step)(state, batch)
        parts = jax.tree.map(lambda x: np.moveaxis(x.reshape(batches, 2, 2, *x.shape[2:]), 1, 0), batch)
        both = jax.vmap(
            functools.partial(system.step, axis_name="device"), in_axes=(None, 0), axis_name="device", axis_size=2
        )
        together, others = jax.jit(both)(state, parts)
    for one, two in zip(jax.tree.leaves((alone, metrics)), jax.tree.leaves((together, others)), strict=True):
        if not jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(two[0], one, rtol=1e-6, atol=1e-6)
            np.testing.assert_array_equal(two[0], two[1])


def _long(leaf):
    return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
