"""How two processes that have joined end, wherever a signal, an error or a death finds them: they only wait here."""

import os
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY
from ports import free_port
from test_hosts import alone, finish

from experiments.run import cluster
from jaxgan.training.distributed import heartbeat

PROGRAM = """
import os, signal, sys, threading, time
import jax
from experiments.cli import command, schema
from experiments.run import cluster
from jaxgan.training.signals import Interrupted

def terminate():
    os.kill(os.getpid(), signal.SIGTERM)

def main():
    with cluster.joined(cluster.Cluster(**schema.given_flags(cluster.Cluster))) as processes:
        print("joined", flush=True)
        {}

schema.define_flags(cluster.Cluster)
command.run(main)
"""
ADVICE = "; the same command, started again for every process, goes on from the last checkpoint."

pytestmark = pytest.mark.slow


def start(*bodies):
    """Two processes that join, and then each does something else."""
    joined = [f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=2"]
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(body), *joined, f"--process_id={index}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**alone(os.environ), "JAX_PLATFORMS": "cpu"},
        )
        for index, body in enumerate(bodies)
    ]


def errors(found):
    """The status, and the lines on the standard error stream."""
    status, _, said = found
    return status, [line for line in said.splitlines() if line]


def test_a_death_before_a_heartbeat_of_jax_is_told_by_our_own_heartbeat():
    """JAX sends one every half of its timeout, and counts from the last: here it has waited longest."""
    first, second = start("time.sleep(1000)", "time.sleep(1000)")
    assert second.stdout.readline() == "joined\n"
    time.sleep(cluster.HEARTBEAT_TIMEOUT / 2 - 3)
    second.kill()
    silence = f"error: process 1 gave no sign of life for {heartbeat.SILENCE:.0f} seconds: it died, or its machine did"
    assert errors(finish(first)) == (1, [silence + ADVICE])
    finish(second)


@pytest.mark.parametrize("asked", [0, 1])
def test_sigterm_outside_the_loop_ends_both_with_a_line(asked):
    """As while pictures are loaded."""
    bodies = ["time.sleep(1000)", "time.sleep(1000)"]
    bodies[asked] = "time.sleep(1); terminate(); time.sleep(1000)"
    processes = start(*bodies)
    assert errors(finish(processes[asked])) == (143, ["Stopped by SIGTERM."])
    told = f"error: process {asked} stopped (SIGTERM){ADVICE}"
    assert errors(finish(processes[1 - asked])) == (1, [told])


def test_a_second_sigterm_while_the_first_process_saves_changes_nothing():
    saving = "time.sleep(8); raise Interrupted(15, 'Stopped at step 5, saved')"
    processes = start(saving, "threading.Timer(2, terminate).start(); raise Interrupted(15, '')")
    found = [errors(finish(process)) for process in processes]
    assert found[0] == (143, ["Stopped at step 5, saved"])
    assert found[1] == (143, ["Finishing the current call and saving; Ctrl-C leaves at once."])


def test_an_error_of_jax_is_a_traceback_and_no_abort():
    """The others have their line before: the store's process leaves last."""
    processes = start("time.sleep(1000)", "raise jax.errors.JaxRuntimeError('INTERNAL: a kernel failed')")
    status, said = errors(finish(processes[1]))
    assert status == 1 and said[0].startswith("Traceback") and said[-1].endswith("INTERNAL: a kernel failed")
    status, said = errors(finish(processes[0]))
    assert status == 1 and said[0].startswith("error: process 1 stopped (") and "INTERNAL" in said[0]
