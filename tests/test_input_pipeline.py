"""Batches from the device and from a stream are the same, from any step on."""

import functools
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.data import order
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.systems.schedule import BatchSchedule, Phase
from jaxgan.training import input_pipeline, parallel

COUNT, BATCH, WIDTH = 23, 4, 20


def numbered(count):
    """Pictures that show their numbers, with a class each."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 1))
    return Examples({"image": images, "condition": np.eye(count, dtype=np.uint8)}, tuple(map(str, range(count))))


PICTURES = numbered(COUNT)
UNPAIRED = {"a": PICTURES, "b": numbered(31)}
IMAGES = {"": ("image",)}


def step(state, batch, axis_name, phase=0):
    """Logs the numbers of the pictures that a step saw, in order and filled up with −1."""
    seen = {"phase": jnp.int32(phase)}
    for source, arrays in ({"": batch} if "image" in batch else batch).items():
        images = arrays["image"][..., 0, 0, 0].astype(jnp.int32)
        if axis_name is not None:
            images = jax.lax.all_gather(images, axis_name, axis=1, tiled=True)
        images = images.reshape(-1)[:WIDTH]
        seen[f"seen{source}"] = jnp.pad(images, (0, WIDTH - len(images)), constant_values=-1)
        if "condition" in arrays:
            seen["labels"] = jnp.argmax(arrays["condition"], -1).reshape(-1)[0]
    return state + 1, seen


def pipeline(placement, steps_per_call=3, schedule=None, sources=PICTURES, inputs=IMAGES, program=None):
    return input_pipeline.InputPipeline(
        program or parallel.compile_step(step, mode="jit"),
        sources,
        inputs=inputs,
        schedule=schedule or BatchSchedule(BATCH),
        seed=5,
        steps_per_call=steps_per_call,
        placement=placement,
    )


def logs(pipeline, calls):
    """The metrics of the steps of some calls."""
    parts = []
    for first, count in calls:
        state, log = pipeline(jnp.int32(first), first, count)
        assert int(parallel.local(state)) == first + count
        parts.append(jax.device_get(log))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def seen(pipeline, calls):
    """The pictures of each step, in order."""
    found = logs(pipeline, calls)["seen"]
    return found[:, : (found >= 0).sum(1).max()]


EXPECTED = order.indices(5, 0, 20 * BATCH, COUNT).reshape(20, BATCH)


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_the_order_is_that_of_the_stream_from_any_step(placement):
    np.testing.assert_array_equal(seen(pipeline(placement), [(0, 3), (3, 1), (4, 2), (6, 3)]), EXPECTED[:9])
    np.testing.assert_array_equal(seen(pipeline(placement), [(7, 3), (10, 2)]), EXPECTED[7:12])
    # Going back, as after a rollback.
    np.testing.assert_array_equal(seen(pipeline(placement), [(7, 2), (2, 3)]), EXPECTED[[7, 8, 2, 3, 4]])


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_compiling_takes_no_step_and_no_picture(placement):
    program = parallel.compile_step(step, mode="jit")
    one = pipeline(placement, program=program)
    state = one.compile(jnp.int32(7), 7)
    assert int(state) == 7 and one.waited == 0
    np.testing.assert_array_equal(seen(one, [(7, 3), (10, 2)]), EXPECTED[7:12])
    assert program._run._cache_size() == 1


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_calls_longer_than_the_program_are_divided(placement):
    np.testing.assert_array_equal(seen(pipeline(placement), [(0, 8)]), EXPECTED[:8])


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_each_round_has_a_batch_of_its_own(placement):
    found = seen(pipeline(placement, schedule=BatchSchedule(BATCH, 5)), [(0, 3)])
    np.testing.assert_array_equal(found, EXPECTED[:15].reshape(3, 20))


def test_warm_steps_take_more_rounds_and_the_order_goes_on():
    found = seen(pipeline("device", schedule=BatchSchedule(BATCH, 5, warmup=True)), [(24, 3)])
    for row, first in zip(found, (2400, 2500, 2505), strict=True):
        np.testing.assert_array_equal(row, order.indices(5, first * BATCH, 20, COUNT))


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_conditions_travel_with_their_pictures(placement):
    found = logs(pipeline(placement, inputs={"": ("image", "condition")}), [(0, 3)])
    np.testing.assert_array_equal(found["labels"], EXPECTED[:3, 0])
    assert "labels" not in logs(pipeline(placement), [(0, 3)])  # nothing that a step did not ask for


PHASES = BatchSchedule(BATCH, later_phases=(Phase(5, 6), Phase(9, 2)))
SIZES = [4] * 5 + [6] * 4 + [2] * 3


def programs_by_phase():
    return [parallel.compile_step(functools.partial(step, phase=phase), mode="jit") for phase in range(3)]


@pytest.mark.parametrize("placement", ["device", "stream"])
@pytest.mark.parametrize("steps_per_call", [1, 4, 12])
def test_phases_take_the_examples_in_turn_however_the_steps_are_grouped(placement, steps_per_call):
    one = pipeline(placement, steps_per_call, PHASES, program=programs_by_phase())
    found = logs(one, [(first, min(steps_per_call, 12 - first)) for first in range(0, 12, steps_per_call)])
    np.testing.assert_array_equal(found["phase"], [0] * 5 + [1] * 4 + [2] * 3)
    positions = np.cumsum([0, *SIZES])
    stream = order.indices(5, 0, sum(SIZES), COUNT)
    for row, first, size in zip(found["seen"], positions, SIZES, strict=False):
        np.testing.assert_array_equal(row[row >= 0], stream[first : first + size])


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_a_run_is_resumed_within_a_phase(placement):
    whole = logs(pipeline(placement, 5, PHASES, program=programs_by_phase()), [(0, 12)])
    for first in (3, 5, 7, 10):
        again = pipeline(placement, 5, PHASES, program=programs_by_phase())
        again.compile(jnp.int32(first), first)
        for name, values in logs(again, [(first, 12 - first)]).items():
            np.testing.assert_array_equal(values, whole[name][first:])


def test_the_program_of_a_phase_is_asked_for_once():
    programs, asked = programs_by_phase(), []

    def program_of(phase):
        asked.append(phase)
        return programs[phase]

    found = logs(pipeline("device", 2, PHASES, program=program_of), [(0, 7), (7, 1)])
    np.testing.assert_array_equal(found["phase"], [0] * 5 + [1] * 3)
    assert asked == [0, 1]
    with pytest.raises(ValueError, match="3 phases need a program each, not 2"):
        pipeline("device", 2, PHASES, program=programs[:2])


BOTH = {"a": ("image",), "b": ("image",)}


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_each_of_two_sources_has_its_own_order_and_length(placement):
    found = logs(pipeline(placement, sources=UNPAIRED, inputs=BOTH), [(0, 2), (2, 13)])
    for source, length in (("a", 23), ("b", 31)):
        shown = found[f"seen{source}"][:, :BATCH]
        np.testing.assert_array_equal(shown.reshape(-1), order.indices(order.seed_of(5, source), 0, 60, length))
        assert set(shown.reshape(-1)[:length]) == set(range(length))  # each once before any comes again
        assert (shown == EXPECTED[:15]).mean() < 0.2
    assert (found["seena"] == found["seenb"])[:, :BATCH].mean() < 0.2


@pytest.mark.parametrize("first", [0, 6, 10**9])
def test_two_sources_are_streamed_as_they_are_taken_from_the_device(first):
    inputs = {"b": ("image", "condition"), "a": ("image",)}
    schedule = BatchSchedule(BATCH, 2, later_phases=(Phase(8, 6),))
    resident, streamed = (
        logs(pipeline(placement, 3, schedule, UNPAIRED, inputs), [(first, 4)]) for placement in ("device", "stream")
    )
    assert resident.keys() == {"phase", "seena", "seenb", "labels"}
    for name, values in resident.items():
        np.testing.assert_array_equal(streamed[name], values)
    np.testing.assert_array_equal(resident["labels"], resident["seenb"][:, 0])


@pytest.mark.parametrize("mode", ["pmap", "shard_map"])
@pytest.mark.parametrize("placement", ["device", "stream"])
def test_devices_share_the_batches_of_two_sources(two_devices, mode, placement):
    program = parallel.compile_step(step, mode=mode, devices=two_devices)
    shared = logs(pipeline(placement, sources=UNPAIRED, inputs=BOTH, program=program), [(0, 3)])
    for name, values in logs(pipeline(placement, sources=UNPAIRED, inputs=BOTH), [(0, 3)]).items():
        np.testing.assert_array_equal(shared[name], values)


def test_waiting_is_counted(monkeypatch):
    one = pipeline("device")
    monkeypatch.setattr(input_pipeline.time, "perf_counter", itertools.count().__next__)  # a second passes at each look
    one(jnp.int32(0), 0, 2)
    one(jnp.int32(2), 2, 4)  # in two parts
    assert one.waited == 3


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"^batch_size=24: there are only 23 pictures; choose at most 23, or give"):
        pipeline("device", schedule=BatchSchedule(24))
    with pytest.raises(UserError, match="batch_size=24: there are only 23 pictures in the source 'a'"):
        pipeline("device", schedule=BatchSchedule(4, later_phases=(Phase(9, 24),)), sources=UNPAIRED, inputs=BOTH)
    with pytest.raises(UserError, match="placement=disk"):
        pipeline("disk")
    found = seen(pipeline("device", schedule=BatchSchedule(23)), [(0, 1)])
    np.testing.assert_array_equal(found[0], order.indices(5, 0, 20, COUNT))


@pytest.mark.parametrize(
    ("sources", "inputs", "message"),
    [
        (PICTURES, {"": ("image", "target")}, "takes the array 'target', which one source does not have"),
        (UNPAIRED, {**BOTH, "b": ("sketch",)}, "takes the array 'sketch', which the source 'b' does not have"),
        (PICTURES, BOTH, "takes the source 'a' and the source 'b' of examples, and was given one source"),
        (UNPAIRED, IMAGES, "takes one source of examples, and was given the source 'a' and the source 'b'"),
    ],
)
def test_sources_that_a_system_cannot_take_are_refused(sources, inputs, message):
    with pytest.raises(UserError, match=message):
        pipeline("device", sources=sources, inputs=inputs)


def test_examples_that_fit_stay_on_the_device():
    assert pipeline(None).placement == "device"
    assert pipeline(None, sources=UNPAIRED, inputs=BOTH).placement == "device"
    arrays = input_pipeline.select(UNPAIRED, BOTH)
    assert input_pipeline.fits(arrays, jax.devices()[0])
    assert not input_pipeline.fits(np.broadcast_to(np.uint8(0), (1 << 40, 8, 8, 3)), jax.devices()[0])
    size = (23 + 31) * 4
    for limit, fit in ((4 * size, True), (4 * size - 1, False)):
        device = SimpleNamespace(memory_stats=lambda limit=limit: {"bytes_in_use": 0, "bytes_limit": limit})
        assert input_pipeline.fits(arrays, device) is fit


def test_devices_that_cannot_share_a_later_phase_hear_which_one():
    program = SimpleNamespace(devices=(0, 1), share=None)
    with pytest.raises(UserError, match=r"batch_size: from step 5 on a batch has 3 pictures; .* the 2 devices"):
        input_pipeline._share(program, Phase(5, 3))
