"""Several processes as one: what they tell each other, and how the end of one ends all. Without JAX's own service."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import pytest

from experiments.run import cluster
from experiments.run.cluster import Cluster, check
from jaxgan.host.errors import UserError
from jaxgan.training import parallel
from jaxgan.training.distributed import heartbeat
from jaxgan.training.distributed.crash_message import CrashMessage
from jaxgan.training.distributed.heartbeat import Heartbeat
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.signals import Interrupted


class Store:
    """The key-value store of JAX's coordination service, as its client shows it, within one process."""

    def __init__(self):
        self._values, self._changed, self._lost = {}, threading.Condition(), False

    def key_value_set(self, key, value, allow_overwrite=False):
        with self._changed:
            self._check()
            if key in self._values and not allow_overwrite:
                raise RuntimeError(f"ALREADY_EXISTS: {key}")
            self._values[key] = value
            self._changed.notify_all()

    def blocking_key_value_get(self, key, timeout_in_ms):
        with self._changed:
            self._changed.wait_for(lambda: key in self._values or self._lost, timeout_in_ms / 1000)
            self._check()
            return self._values[key]

    def key_value_dir_get(self, directory):
        with self._changed:
            self._check()
            return [item for item in self._values.items() if item[0].startswith(f"{directory}/")]

    def key_value_delete(self, key):
        with self._changed:
            del self._values[key]

    def lose(self):
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def _check(self):
        if self._lost:
            raise RuntimeError("UNAVAILABLE: Socket closed")


def test_alone_nothing_is_told_and_nothing_copied():
    alone = Processes()
    state = {"weight": jax.numpy.ones(3)}
    assert alone.writes
    assert alone.tell(lambda: (1, "two")) == (1, "two")
    assert alone.largest(15) == 15
    assert alone.hand_out(state, None) is state


def test_what_the_first_process_tells_all_hear_in_order():
    store = Store()
    first, second = (Processes(index, 2, store) for index in range(2))
    assert first.writes and not second.writes
    values = [{"step": 7, "mean": 0.1}, None, [1.5e-310, "ü\n"]]
    assert [first.tell(lambda value=value: value) for value in values] == values
    assert [second.tell(lambda: pytest.fail("decides nothing")) for _ in values] == values


def test_what_was_told_long_ago_is_forgotten():
    store = Store()
    first = Processes(0, 2, store)
    for number in range(250):
        first.tell(lambda number=number: number)
    assert len(store.key_value_dir_get("jaxgan/decisions")) == 100


# The heartbeat. `leave` notes the status; a real process would be gone then.


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(heartbeat, "_HEARING", 0.3)
    monkeypatch.setattr(heartbeat, "_LEAVING", 0.1)


class Line:
    """The heartbeat of a process, and what became of the process."""

    def __init__(self, store, index, count=2, silence=0.6):
        self.left = threading.Event()
        self.status = self.last_words = None
        self.line = Heartbeat(store, index, count, self._remember, silence=silence, pulse=0.05, leave=self._leave)

    def _remember(self, message):
        self.last_words = message

    def _leave(self, status):
        self.status = status
        self.left.set()


def inside(line, act):
    """Runs `act` within a heartbeat in a thread of its own; returns the thread."""

    def live():
        try:
            with line.line:
                act()
        except (UserError, Interrupted):
            pass
        except RuntimeError:  # the store was lost: by then a real process has left
            if not line.left.wait(10):
                raise

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    return thread


def test_processes_that_end_well_wait_for_each_other():
    store, ended = Store(), []
    lines = [Line(store, index) for index in range(2)]

    def slow():
        time.sleep(0.5)
        ended.append("slow")

    def stopped():
        raise Interrupted(15, "all processes stopped together")

    threads = [inside(lines[0], slow), inside(lines[1], stopped)]
    threads[1].join(10)
    assert ended == ["slow"], "the second did not wait"
    threads[0].join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert [line.status for line in lines] == [None, None]


def test_the_error_of_one_ends_the_others_with_its_message():
    store = Store()
    lines = [Line(store, index, count=3) for index in range(3)]

    def fail():
        raise UserError("--workdir=w: the disk is full.")

    threads = [inside(lines[index], lambda: time.sleep(20)) for index in (0, 2)]
    inside(lines[1], fail).join(10)
    for index in (0, 2):
        assert lines[index].left.wait(10)
        assert lines[index].status == 1
        assert lines[index].last_words.startswith("process 1 stopped (--workdir=w: the disk is full); the same command")
    assert lines[1].status is None, "it ends by itself, with its own message"
    assert all(thread.is_alive() for thread in threads)


def test_a_process_that_falls_silent_is_named_by_all_others():
    store = Store()
    lines = [Line(store, index, count=3) for index in range(2)]
    for line in lines:
        inside(line, lambda: time.sleep(20))
    store.key_value_set("jaxgan/pulse/2", "1")  # one sign of life, and no more
    began = time.monotonic()
    for line in lines:
        assert line.left.wait(10)
        assert line.status == 1
        assert line.last_words.startswith("process 2 gave no sign of life for 1 seconds")
    assert time.monotonic() - began > 0.5, "before its time was over"


def test_the_silent_are_named_in_order_once_their_time_is_over():
    store = Store()
    tie = Heartbeat(store, 0, 12, lambda words: None, silence=30.0, pulse=2.0)
    never = {f"jaxgan/pulse/{index}": ("", 0) for index in (10, 2)}
    tie._look_after(never, 15)  # 15 beats are 30 seconds: just in time
    assert store.key_value_dir_get("jaxgan") == []
    tie._look_after(never, 16)
    [(_, words)] = store.key_value_dir_get("jaxgan")
    assert words.startswith("process 2, 10 gave no sign of life for 30 seconds")


def test_the_end_of_the_first_process_is_noticed_at_once():
    store = Store()
    line = Line(store, 1, silence=60)
    entered = threading.Event()

    def work():
        entered.set()
        time.sleep(20)

    inside(line, work)
    assert entered.wait(10)
    assert line.last_words.startswith("process 1 was ended from outside: it was killed, or JAX aborted it because")
    store.lose()
    assert line.left.wait(10)
    assert line.status == 1
    assert line.last_words.startswith("process 0 is gone")


def test_an_error_of_a_collective_waits_for_the_reason():
    """Where another process died, the collective fails first; the line about the dead process is to come out."""
    store = Store()
    line = Line(store, 1, silence=0.4)

    def collective():
        store_words()
        raise ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer")

    def store_words():
        threading.Timer(0.2, lambda: store.key_value_set("jaxgan/last_words", "process 0 stopped (why)")).start()

    with pytest.raises(ValueError, match="Gloo"), line.line:
        collective()
    assert line.left.is_set()


# The crash message


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "before\nerror: the last one\n"),
        ("os.abort()", "before\nerror: the last one\n"),
        ("os._exit(1)", "before\nerror: the last one\n"),
        ("os.killpg(0, signal.SIGTERM)", "before\nerror: the last one\n"),
        ("raise SystemExit(2)", "before\n"),
        ("crash_message.remember(''); os._exit(0)", "before\n"),
    ],
)
def test_the_crash_message_speaks_for_a_process_that_cannot(end, said):
    program = f"""
import os, signal, sys
from jaxgan.training.distributed.crash_message import CrashMessage
with CrashMessage() as crash_message:
    crash_message.remember("the first")
    crash_message.remember("the last\\none")
    os.write(2, b"before\\n")
    {end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, start_new_session=True)
    assert done.stderr == said


def test_the_crash_message_outlives_the_signals_that_end_a_program():
    wanted = sum(1 << number - 1 for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
    with CrashMessage() as crash_message:
        status = Path(f"/proc/{crash_message._process.pid}/status")
        if not status.exists():
            pytest.skip("no /proc that tells which signals a process ignores")
        for _ in range(1000):  # until it has begun
            [ignored] = [int(line.split()[1], 16) for line in status.read_text().splitlines() if "SigIgn" in line]
            if ignored & wanted == wanted:
                break
            time.sleep(0.01)
        assert ignored & wanted == wanted


# The flags


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"coordinator": "10.0.0.1"}, "--coordinator=10.0.0.1: must be host:port"),
        ({"coordinator": "10.0.0.1:80"}, "--num_processes: "),
        ({"coordinator": "10.0.0.1:80", "num_processes": 2}, "--process_id: "),
        ({"num_processes": 2, "process_id": 1}, "--coordinator: "),
        ({"coordinator": "h:1", "num_processes": 2, "process_id": 2}, "--process_id=2: must be from 0"),
        ({"coordinator": "h:1", "num_processes": 2, "process_id": -1}, "--process_id=-1: must be from 0"),
        ({"coordinator": "h:1", "num_processes": 0, "process_id": 0}, "--num_processes=0: must be at least 1"),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags, named):
    with pytest.raises(UserError) as caught:
        check(Cluster(**flags))
    assert caught.value.as_flags.startswith(named)


@pytest.mark.parametrize(
    "coordinator",
    ["localhost", "localhost:", ":8476", " :8476", "localhost:٣", "localhost:0", "localhost:65536", "localhost:-1", ""],
)
def test_a_coordinator_is_a_host_and_a_port(coordinator):
    with pytest.raises(UserError, match=f"^coordinator={coordinator}: must be host:port, such as"):
        check(Cluster(coordinator=coordinator, num_processes=2, process_id=0))


def test_a_port_that_another_program_holds_is_told_before_jax_is_started(monkeypatch):
    monkeypatch.setattr(cluster, "_initialize", lambda flags: pytest.fail("JAX would crash"))
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        port = holder.getsockname()[1]
        flags = Cluster(coordinator=f"127.0.0.1:{port}", num_processes=2, process_id=0)
        expected = rf"coordinator=127.0.0.1:{port}: port {port} .*; choose another, such as \d+"
        with pytest.raises(UserError, match=expected), cluster.joined(flags):
            pass
    cluster.check_port(f"127.0.0.1:{port}")


def test_one_process_of_one_waits_for_nobody_once_it_has_joined(monkeypatch):
    said = []
    monkeypatch.setattr(cluster.CrashMessage, "remember", lambda self, message: said.append(message))
    monkeypatch.setattr(cluster, "_initialize", lambda flags: None)
    with cluster.joined(Cluster(coordinator="localhost:8476", num_processes=1, process_id=0)):
        assert said.pop() == "" and "not all processes came" in said.pop()


def test_several_processes_are_there_only_where_they_are_asked_for():
    assert not check(Cluster())
    assert check(Cluster(distributed=True))
    assert check(Cluster(distributed=True, coordinator="localhost:1"))  # the rest is the cluster's to say
    for coordinator in ("[::1]:8476", "localhost:1", "host-1.example:65535"):
        assert check(Cluster(coordinator=coordinator, num_processes=2, process_id=1))


# The shares of processes


def test_each_process_has_its_own_part_of_the_batch():
    """Devices of two processes, as they may be listed: by turns."""
    devices = [mock.Mock(process_index=place % 2, id=place) for place in range(4)]
    shares = []
    for index in range(2):
        with mock.patch.object(jax, "process_index", lambda index=index: index):
            ordered = tuple(sorted(devices, key=lambda device: device.process_index))
            program = parallel.Program("shard_map", ordered, lambda *_: None)
            shares.append(np.arange(8)[program.share(8)].tolist())
            with pytest.raises(UserError, match="batch_size=6"):
                program.share(6)
    assert shares == [[0, 1, 2, 3], [4, 5, 6, 7]]
