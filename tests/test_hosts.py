"""Two processes on this machine train as one process with two devices does, and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import COMPILED_FAST
from ports import free_port

from jaxgan.training.distributed import heartbeat

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = [
    *("--dataset=avatars", "--num_examples=64", "--image_size=16", "--model=dcgan_64", "--latent_dim=4"),
    *("--generator_width=2", "--discriminator_width=2", "--batch_size=8"),
    *("--log_every=2", "--sample_every=10", "--checkpoint_every=10"),
]

pytestmark = pytest.mark.slow


def alone(environment):
    """An environment without the variables by which JAX would find a cluster, or a proxy to warn of."""
    clusters = ("SLURM_", "OMPI_", "PMI", "KUBERNETES_", "TPU_")
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(clusters) and not name.lower().endswith("_proxy")
    }


def start(workdir, *flags, devices=1):
    """One process of ``experiments.dcgan``."""
    environment = {
        **alone(os.environ),
        "JAX_PLATFORMS": "cpu",
        "JAX_CPU_ENABLE_ASYNC_DISPATCH": "0",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {COMPILED_FAST}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.dcgan", *TINY, f"--workdir={workdir}", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=environment,
    )


def start_two(workdir, *flags, devices=1, second=()):
    """Two processes that train together; the second may have flags of its own."""
    joined = [f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=2"]
    return [
        start(workdir, *joined, f"--process_id={index}", *flags, *(second if index else ()), devices=devices)
        for index in range(2)
    ]


def finish(process, timeout=200):
    """Exit status, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


def trained(workdir, *flags, devices=1, together=True):
    for process in (
        start_two(workdir, *flags, devices=devices) if together else [start(workdir, *flags, devices=devices)]
    ):
        status, _, err = finish(process)
        assert status == 0, err


def inspected(workdir):
    command = [sys.executable, "-m", "experiments.inspect", f"--workdir={workdir}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def logged(workdir):
    """The log without its timings."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    timings = ("images_per_sec", "data_wait")
    return [{key: value for key, value in json.loads(line).items() if key not in timings} for line in lines]


def wait_for_step(workdir, step, processes, timeout=200):
    """Waits until the log has a line of this step or a later one."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if (workdir / "metrics.jsonl").exists() and any(line["step"] >= step for line in logged(workdir)):
            return
        assert all(process.poll() is None for process in processes), [finish(process) for process in processes]
        time.sleep(0.05)
    pytest.fail(f"step {step} was not reached")


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """The same run in one process with two devices."""
    workdir = tmp_path_factory.mktemp("one") / "run"
    trained(workdir, "--steps=60", devices=2, together=False)
    return workdir


def assert_equal_runs(workdir, other):
    """The same state and the same files."""
    assert inspected(workdir)["digest"] == inspected(other)["digest"]
    assert logged(workdir) == logged(other)
    for grid in ("00000010.png", "00000060.png"):
        assert (workdir / "samples" / grid).read_bytes() == (other / "samples" / grid).read_bytes()


@pytest.mark.parametrize("flags", [["--parallel=pmap"], ["--parallel=shard_map", "--placement=stream"]])
def test_two_processes_are_one_with_two_devices_to_the_bit(flags, one_process, tmp_path):
    trained(tmp_path / "run", "--steps=60", *flags)
    assert_equal_runs(tmp_path / "run", one_process)


def test_a_run_goes_on_with_more_processes_and_with_fewer(one_process, tmp_path):
    trained(tmp_path / "run", "--steps=10", devices=2, together=False)
    trained(tmp_path / "run", "--steps=20", "--parallel=shard_map")
    trained(tmp_path / "run", "--steps=60", devices=2, together=False)
    assert_equal_runs(tmp_path / "run", one_process)


@pytest.mark.parametrize("killed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_the_death_of_one_ends_the_other_and_nothing_is_lost(killed, one_process, tmp_path):
    workdir = tmp_path / "run"
    processes = start_two(workdir, "--steps=60")
    wait_for_step(workdir, 14, processes)
    while not (workdir / "checkpoints" / "10").exists():  # It is written in the background.
        time.sleep(0.05)
    processes[killed].send_signal(signal.SIGKILL)
    began = time.monotonic()
    status, _, err = finish(processes[1 - killed])
    finish(processes[killed])
    assert time.monotonic() - began < 60
    assert status != 0
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    reason = (
        "process 0 is gone" if killed == 0 else f"process 1 gave no sign of life for {heartbeat.SILENCE:.0f} seconds"
    )
    assert len(said) == 1 and reason in said[0], err
    assert err.splitlines()[-1] == said[0] and said[0].endswith(
        "the same command, started again for every process, goes on from the last checkpoint."
    )
    assert inspected(workdir)["step"] in range(10, 60, 10)
    trained(workdir, "--steps=60")
    assert_equal_runs(workdir, one_process)


def test_a_signal_to_one_stops_all_at_the_same_step(one_process, tmp_path):
    """The second process, which writes nothing, is asked; and the first saves."""
    workdir = tmp_path / "run"
    processes = start_two(workdir, "--steps=60")
    wait_for_step(workdir, 4, processes)
    processes[1].send_signal(signal.SIGTERM)
    found = [finish(process) for process in processes]
    assert [status for status, _, _ in found] == [143, 143], found
    reached = inspected(workdir)["step"]
    assert reached < 60
    assert f"Stopped at step {reached}, saved in" in found[0][2]
    assert "Traceback" not in found[0][2] + found[1][2]
    trained(workdir, "--steps=60")
    assert_equal_runs(workdir, one_process)


def test_processes_with_other_flags_are_refused(tmp_path):
    found = [finish(process) for process in start_two(tmp_path / "run", "--steps=4", second=["--seed=3"])]
    assert found[1][0] == 2
    assert found[1][2].strip().endswith("error: --seed=3: process 0 was given None; give every process the same flags")
    assert found[0][0] == 1
    assert "error: process 1 stopped (--seed=3: process 0 was given None" in found[0][2]
    assert "Traceback" not in found[0][2] + found[1][2]


def test_one_device_for_several_processes_is_refused(tmp_path):
    for status, _, err in [finish(process) for process in start_two(tmp_path / "run", "--parallel=jit")]:
        assert status in (1, 2)
        assert "--parallel=jit: uses one device; 2 processes need pmap or shard_map" in err


def test_a_cluster_that_is_not_there_is_said_to_be_missing(tmp_path):
    status, _, err = finish(start(tmp_path / "run", "--distributed"))
    assert status == 2
    assert err.startswith("error: --distributed: no SLURM")
    assert len(err.splitlines()) == 1


def test_rollbacks_happen_in_all_processes(tmp_path):
    """Losses that are not finite: the run goes back as often as it may, and stops."""
    flags = ["--steps=400", "--on_collapse=rollback", "--optimizer=sgd", "--discriminator_learning_rate=1e38"]
    found = [finish(process) for process in start_two(tmp_path / "run", *flags)]
    assert found[0][0] == 2, found
    assert found[0][2].count("Going back to step") == 3
    assert found[1][0] == 1
    assert "error: process 0 stopped (Step" in found[1][2]
