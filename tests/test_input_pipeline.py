"""Batches from the device and from a stream are the same, from any step on."""

import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.data import order
from jaxgan.data.examples import Examples
from jaxgan.errors import UserError
from jaxgan.systems.schedule import Rounds
from jaxgan.training import input_pipeline, parallel

COUNT, BATCH = 23, 4
NUMBERS = np.arange(COUNT, dtype=np.uint8)
PICTURES = Examples(
    np.broadcast_to(NUMBERS[:, None, None, None], (COUNT, 2, 2, 1)),
    np.eye(COUNT, dtype=np.uint8),
    tuple(map(str, range(COUNT))),
    "0",
)


def step(state, batch, axis_name):
    """Logs which pictures a step saw, as numbers that say them in order."""
    images = batch["image"][..., 0, 0, 0].astype(jnp.float32).reshape(-1)[:20]
    seen = {f"seen{place}": images[place] for place in range(images.shape[0])}
    if "condition" in batch:
        seen["labels"] = jnp.argmax(batch["condition"], -1).reshape(-1)[0].astype(jnp.float32)
    return state + 1, seen


def feed(placement, steps_per_call=3, rounds=None, conditional=False, **changes):
    settings = {"seed": 5, "batch_size": BATCH, **changes}
    return input_pipeline.Feed(
        parallel.compile_step(step, mode="jit"),
        PICTURES,
        rounds=rounds or Rounds(),
        steps_per_call=steps_per_call,
        conditional=conditional,
        placement=placement,
        **settings,
    )


def seen(feed, calls):
    """The pictures of each step, in order."""
    parts = []
    for first, count in calls:
        state, log = feed(jnp.int32(first), first, count)
        assert int(state) == first + count
        columns = [np.asarray(log[f"seen{place}"]) for place in range(len(log) - ("labels" in log))]
        parts.append(np.stack(columns, 1))
    return np.concatenate(parts)


EXPECTED = order.indices(5, 0, 20 * BATCH, COUNT).reshape(20, BATCH)


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_the_order_is_that_of_the_stream_from_any_step(placement):
    np.testing.assert_array_equal(seen(feed(placement), [(0, 3), (3, 1), (4, 2), (6, 3)]), EXPECTED[:9])
    np.testing.assert_array_equal(seen(feed(placement), [(7, 3), (10, 2)]), EXPECTED[7:12])
    # Going back, as after a rollback.
    np.testing.assert_array_equal(seen(feed(placement), [(7, 2), (2, 3)]), EXPECTED[[7, 8, 2, 3, 4]])


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_compiling_takes_no_step_and_no_picture(placement):
    one = feed(placement)
    state = one.compile(jnp.int32(7), 7)
    assert int(state) == 7 and one.waited == 0
    np.testing.assert_array_equal(seen(one, [(7, 3), (10, 2)]), EXPECTED[7:12])
    assert one._program._run._cache_size() == 1


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_calls_longer_than_the_program_are_divided(placement):
    np.testing.assert_array_equal(seen(feed(placement), [(0, 8)]), EXPECTED[:8])


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_each_round_has_a_batch_of_its_own(placement):
    found = seen(feed(placement, rounds=Rounds(5)), [(0, 3)])
    np.testing.assert_array_equal(found, EXPECTED[:15].reshape(3, 20))


def test_warm_steps_take_more_rounds_and_the_order_goes_on():
    rounds = Rounds(5, warmup=True)
    found = seen(feed("device", rounds=rounds), [(24, 3)])
    for row, first in zip(found, (2400, 2500, 2505), strict=True):
        np.testing.assert_array_equal(row, order.indices(5, first * BATCH, 20, COUNT))


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_conditions_travel_with_their_pictures(placement):
    _, log = feed(placement, conditional=True)(jnp.int32(0), 0, 3)
    np.testing.assert_array_equal(log["labels"], EXPECTED[:3, 0])
    _, log = feed(placement)(jnp.int32(0), 0, 3)
    assert "labels" not in log  # nothing that networks without conditions would be given


def test_waiting_is_counted(monkeypatch):
    one = feed("device")
    monkeypatch.setattr(input_pipeline.time, "perf_counter", itertools.count().__next__)  # a second passes at each look
    one(jnp.int32(0), 0, 2)
    one(jnp.int32(2), 2, 4)  # in two parts
    assert one.waited == 3


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="--batch_size=24: there are only 23 pictures"):
        feed("device", batch_size=24)
    with pytest.raises(UserError, match="--placement=disk"):
        feed("disk")
    np.testing.assert_array_equal(seen(feed("device", batch_size=23), [(0, 1)])[0], order.indices(5, 0, 20, COUNT))


def test_pictures_that_fit_stay_on_the_device():
    assert feed(None).placement == "device"
    assert input_pipeline.fits(PICTURES, jax.devices()[0])
    huge = Examples(np.broadcast_to(np.uint8(0), (1 << 40, 8, 8, 3)), None, (), "0")
    assert not input_pipeline.fits(huge, jax.devices()[0])
    for limit, fit in ((4 * PICTURES.images.nbytes, True), (4 * PICTURES.images.nbytes - 1, False)):
        device = SimpleNamespace(memory_stats=lambda limit=limit: {"bytes_in_use": 0, "bytes_limit": limit})
        assert input_pipeline.fits(PICTURES, device) is fit
