"""Programs of later phases are compiled in the background: once, for the arguments that they get, and harmlessly."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.systems.schedule import BatchSchedule, Phase
from jaxgan.training import compile_ahead, parallel
from jaxgan.training.compile_ahead import CompileAhead
from jaxgan.training.input_pipeline import InputPipeline

SCHEDULE = BatchSchedule(4, later_phases=(Phase(3, 2), Phase(6, 8)))


def made(placement, total_steps, mode="jit"):
    """A pipeline of a step that adds up pixels, and a list of the global batch sizes that it has been traced for."""
    pictures = data.from_arrays(np.random.default_rng(0).integers(0, 9, (16, 2, 2, 1), np.uint8))
    traced, devices = [], jax.devices()[: 1 if mode == "jit" else 2]

    def program():
        def step(state, batch, axis_name):
            traced.append(batch["image"].shape[1] * len(devices))
            total = jnp.sum(batch["image"].astype(jnp.int32))
            total = total if axis_name is None else jax.lax.psum(total, axis_name)
            return state + total, {"total": total}

        return parallel.compile_step(step, mode=mode, devices=devices)

    pipeline = InputPipeline(
        [program() for _ in range(3)],
        pictures,
        inputs={"": ("image",)},
        schedule=SCHEDULE,
        seed=0,
        steps_per_call=2,
        placement=placement,
        total_steps=total_steps,
    )
    return pipeline, traced


def trained(pipeline, total):
    state = pipeline.compile(jnp.int32(0), 0)
    for first in range(0, total, 2):
        state, _ = pipeline(state, first, min(2, total - first))
    return int(parallel.local(state))


@pytest.mark.parametrize("mode", ["jit", "pmap", "shard_map"])
@pytest.mark.parametrize("placement", ["device", "stream"])
def test_later_programs_are_compiled_once_while_the_former_trains(placement, mode):
    if placement == "stream":
        pytest.importorskip("tensorflow", reason="TensorFlow, which streams, is not installed")
    pipeline, traced = made(placement, 8, mode)
    state = pipeline.compile(jnp.int32(0), 0)
    pipeline._ahead.wait()
    assert set(traced) == {4, 2}  # the second phase's before its first step
    before = len(traced)
    state, _ = pipeline(state, 0, 3)
    assert len(traced) == before
    state, _ = pipeline(state, 3, 1)
    pipeline._ahead.wait()
    assert set(traced) == {4, 2, 8}
    before = len(traced)
    state, _ = pipeline(state, 4, 4)
    assert len(traced) == before  # nothing is compiled a second time
    plain, _ = made(placement, None, mode)
    assert int(parallel.local(state)) == trained(plain, 8)


def test_phases_that_the_run_does_not_reach_are_not_compiled():
    for total, sizes in ((3, {4}), (4, {4, 2}), (6, {4, 2}), (None, {4})):
        pipeline, traced = made("device", total)
        state = pipeline.compile(jnp.int32(0), 0)
        pipeline._ahead.wait()
        assert set(traced) == sizes
        if total == 6:
            pipeline(state, 0, 6)
            pipeline._ahead.wait()
            assert set(traced) == sizes


def test_a_compilation_that_fails_is_told_where_its_program_is_needed():
    def broken(state, batch, axis_name):
        raise RuntimeError("no memory")

    program, ahead = parallel.compile_step(broken, mode="jit"), CompileAhead()
    draws = np.zeros((1, 1, 2), np.int32)
    pictures = {"image": np.zeros((4, 2, 2, 1), np.uint8)}
    ahead.begin(program, jnp.int32(0), {"image": draws}, pictures)
    ahead.wait()
    assert not compile_ahead.is_under_way()
    with pytest.raises(RuntimeError, match="no memory"):
        program(jnp.int32(0), {"image": draws}, 0, pictures)


WAITING = """
import sys, threading
from experiments.cli import command
from jaxgan.training import compile_ahead
from jaxgan.training.signals import Interrupted

def main():
    thread = threading.Thread(target=threading.Event().wait, args=(600,), name=compile_ahead._NAME)
    thread.start()
    raise Interrupted(15, "Stopped at step 3.")

command.run(main)
"""


def test_a_stopped_command_does_not_wait_for_a_compilation():
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(  # which the thread would outlive
        [sys.executable, "-c", WAITING], capture_output=True, text=True, env=environment, timeout=300
    )
    assert (done.returncode, done.stderr) == (143, "Stopped at step 3.\n")
