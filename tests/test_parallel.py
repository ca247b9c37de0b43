"""One body under three wrappers: the same run on one device and on two, to the last digits; the rest is conformance."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, models
from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError
from jaxgan.systems import adversarial
from jaxgan.training import parallel

STEPS, BATCH, PICTURES = 6, 8, 40


def rules(model, **changes):
    gan = models.build(model, image_size=16, channels=1, generator_width=2, discriminator_width=2, latent_dim=5)
    return adversarial.Rules(
        gan=gan,
        discriminator_loss=losses.minimax_discriminator_loss,
        generator_loss=losses.nonsaturating_generator_loss,
        generator_optimizer=optax.sgd(0.01),
        discriminator_optimizer=optax.sgd(0.01),
        **changes,
    )


RULES = {
    "convolutional": rules("dcgan_64", reuse_noise=True),
    "dropout": rules("dcgan_mnist_a"),
    "joint batch": rules("dcgan_mnist_keras", joint_batch=True),
}


@functools.lru_cache
def programs(name):
    step = functools.partial(adversarial.train_step, rules=RULES[name])
    devices = jax.local_devices()
    return {
        "one": parallel.compile_step(step, mode="jit", devices=devices[:1]),
        "pmap": parallel.compile_step(step, mode="pmap", devices=devices[:2]),
        "shard_map": parallel.compile_step(step, mode="shard_map", devices=devices[:2]),
    }


def train(name, how, steps_per_call):
    program = programs(name)[how]
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (PICTURES, 16, 16, 1)).astype(np.uint8)
    draws = random.integers(0, PICTURES, (STEPS, 1, BATCH)).astype(np.int32)
    state = program.place_state(adversarial.init_state(jax.random.key(0), RULES[name]))
    data = program.place_data({"image": images})
    logs = []
    for first in range(0, STEPS, steps_per_call):
        part = draws[first : first + steps_per_call]
        count = len(part)
        part = np.concatenate([part, np.zeros((steps_per_call - count, 1, BATCH), np.int32)])
        state, log = program(state, part, count, data)
        logs.append({key: np.asarray(values)[:count] for key, values in log.items()})
    return state, {key: np.concatenate([log[key] for log in logs]) for key in logs[0]}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pmap", "shard_map"])
@pytest.mark.parametrize("name", RULES)
def test_two_devices_give_the_parameters_of_one(name, how, two_devices):
    one, one_log = train(name, "one", 3)
    two, two_log = train(name, how, 3)
    for player in ("generator", "discriminator"):
        # Statistics may differ more: one unit that rounding puts across ReLU's kink shows in its variance.
        for part, tolerance in (("params", 1e-5), ("batch_stats", 1e-4)):
            ours, theirs = (jax.tree.leaves(getattr(getattr(state, player), part)) for state in (two, one))
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    for key, values in one_log.items():
        np.testing.assert_allclose(two_log[key], values, atol=1e-5)
    assert len(jax.tree.leaves(two.generator.params)[0].devices()) == 2


@pytest.mark.slow
def test_statistics_of_each_device_alone_are_another_run_and_the_same_on_every_device(two_devices):
    """Also: the comparison above would notice statistics that are not synchronised."""
    alone = dataclasses.replace(RULES["convolutional"], sync_batch_norm=False)
    program = parallel.compile_step(
        functools.partial(adversarial.train_step, rules=alone), mode="shard_map", devices=two_devices
    )
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (PICTURES, 16, 16, 1)).astype(np.uint8)
    draws = random.integers(0, PICTURES, (STEPS, 1, BATCH)).astype(np.int32)
    state = program.place_state(adversarial.init_state(jax.random.key(0), alone))
    state, _ = program(state, draws, STEPS, program.place_data({"image": images}))
    one, _ = train("convolutional", "one", 3)
    leaves = (jax.tree.leaves(players.generator.params) for players in (state, one))
    assert max(float(abs(a - np.asarray(b)).max()) for a, b in zip(*leaves, strict=True)) > 1e-5  # the bound above
    for leaf in jax.tree.leaves((state.generator, state.discriminator)):
        np.testing.assert_array_equal(leaf.addressable_data(0), leaf.addressable_data(1))


def test_the_callers_state_survives_and_the_programs_is_used_up():
    program = programs("convolutional")["one"]
    state = adversarial.init_state(jax.random.key(0), RULES["convolutional"])
    placed = program.place_state(state)
    images = np.zeros((1, 1, BATCH, 16, 16, 1), np.uint8)
    program(placed, {"image": images}, 1)
    assert digest(state) == digest(adversarial.init_state(jax.random.key(0), RULES["convolutional"]))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(placed.generator.params))


@pytest.mark.parametrize("how", parallel.MODES)
def test_the_log_of_a_call_that_is_not_full_ends_with_zeros(two_devices, how):
    def count(state, batch, axis_name):
        return state + 1, {"before": state}

    program = parallel.compile_step(count, mode=how, devices=two_devices[:1] if how == "jit" else two_devices)
    draws = {"image": np.zeros((4, 1, 2), np.float32)}
    state, log = program(program.place_state(jnp.int32(5)), draws, 2)
    assert int(parallel.local(state)) == 7
    assert np.asarray(log["before"]).tolist() == [5, 6, 0, 0]


@pytest.mark.parametrize("how", parallel.MODES)
def test_each_part_of_the_data_may_have_numbers_of_its_own(two_devices, how):
    def total(state, batch, axis_name):
        sums = jax.tree.map(lambda leaf: leaf.sum().astype(jnp.int32), batch)
        sums = sums if axis_name is None else jax.lax.psum(sums, axis_name)
        return state + 1, {"a": sums["a"]["image"], "b": sums["b"]["image"], "label": sums["b"]["label"]}

    program = parallel.compile_step(total, mode=how, devices=two_devices[:1] if how == "jit" else two_devices)
    data = {"a": {"image": np.arange(9)}, "b": {"image": 10 * np.arange(5), "label": np.arange(5) % 2}}
    draws = {"a": np.array([[[0, 8]], [[3, 4]]]), "b": np.array([[[1, 2]], [[3, 3]]])}
    _, log = program(program.place_state(jnp.int32(0)), draws, 2, program.place_data(data))
    found = {name: np.asarray(values).tolist() for name, values in log.items()}
    assert found == {"a": [8, 7], "b": [30, 60], "label": [1, 2]}


@pytest.mark.parametrize("how", ["pmap", "shard_map"])
@pytest.mark.parametrize("leaves", [1, 2, 3])
def test_devices_share_batches_of_any_number_of_arrays(two_devices, how, leaves):
    def shape(state, batch, axis_name):
        return state + 1, {name: jnp.int32(leaf.shape[1]) for name, leaf in batch.items()}

    program = parallel.compile_step(shape, mode=how, devices=two_devices)
    batches = {str(index): np.zeros((1, 1, 6), np.uint8) for index in range(leaves)}
    _, log = program(program.place_state(jnp.int32(0)), batches, 1)
    assert {name: int(value[0]) for name, value in log.items()} == dict.fromkeys(batches, 3)


def test_batches_that_cannot_be_shared_are_refused(two_devices):
    with pytest.raises(UserError, match="batch_size=7: must be a positive multiple of the 2 devices"):
        parallel.check_batch_size(7, 2)
    with pytest.raises(UserError, match="batch_size=0"):
        parallel.check_batch_size(0, 1)
    for how in ("pmap", "shard_map"):
        program = programs("convolutional")[how]
        state = program.place_state(adversarial.init_state(jax.random.key(0), RULES["convolutional"]))
        with pytest.raises(UserError, match="batch_size=7"):
            program(state, {"image": np.zeros((1, 1, 7, 16, 16, 1), np.uint8)}, 1)


def test_unknown_modes_are_refused_and_the_default_fits_the_devices(two_devices):
    step = functools.partial(adversarial.train_step, rules=RULES["convolutional"])
    with pytest.raises(UserError, match="parallel=gspmd"):
        parallel.compile_step(step, mode="gspmd")
    assert parallel.compile_step(step, devices=two_devices).mode == "pmap"
    assert parallel.compile_step(step, devices=two_devices[:1]).mode == "jit"
