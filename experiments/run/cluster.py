"""Joining of the processes of a run, named one by one or found through the environment of a cluster."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator

import jax

from experiments.cli.ports import free_port, try_port
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import option
from jaxgan.training.distributed.crash_message import CrashMessage
from jaxgan.training.distributed.heartbeat import SILENCE, Heartbeat
from jaxgan.training.distributed.processes import Processes, store

HEARTBEAT_TIMEOUT = 2 * (
    int(SILENCE) + 20
)  # seconds; JAX aborts within half to all of it, our own heartbeat reacts sooner
_ADVICE = "is every process started, and can each reach process 0?"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Flags by which a process joins others; they belong to a start, not to a run, and are never written to a file."""

    coordinator: str | None = option(
        None, "Address of process 0 as host:port, to train with several processes", group="Several processes"
    )
    num_processes: int | None = option(None, "Number of processes that train together", group="Several processes")
    process_id: int | None = option(None, "Index of this process, from 0", group="Several processes")
    distributed: bool = option(
        False,
        "Take --coordinator, --num_processes and --process_id from SLURM, Open MPI, Kubernetes or Cloud TPU",
        group="Several processes",
    )


@contextlib.contextmanager
def joined(cluster: Cluster) -> Iterator[Processes]:
    """Joins the processes that the flags name; within `with`, the end of one is the end of all.

    Must be entered before anything is computed.

    Raises:
      UserError: if the flags contradict each other, or the other processes cannot be reached.
    """
    if not check(cluster):
        yield Processes()
        return
    if cluster.coordinator is not None and cluster.process_id == 0:
        check_port(cluster.coordinator)
    with CrashMessage() as crash_message:
        # JAX aborts the process instead of raising an error, so the message must be in place beforehand.
        crash_message.remember(
            f"{_where(cluster)}: not all processes came, or this one was killed while it waited; {_ADVICE}"
        )
        _initialize(cluster)
        index, count = jax.process_index(), jax.process_count()
        crash_message.remember("")  # All processes have arrived.
        with Heartbeat(store(), index, count, crash_message.remember) if count > 1 else contextlib.nullcontext():
            yield Processes(index, count, store())


def check(cluster: Cluster) -> bool:
    """Checks the flags; returns whether they ask for several processes.

    Raises:
      UserError: if the flags contradict each other.
    """
    named = {name: getattr(cluster, name) for name in ("coordinator", "num_processes", "process_id")}
    missing = [name for name, value in named.items() if value is None]
    if cluster.coordinator is not None and not _is_address(cluster.coordinator):
        raise UserError(
            f"--coordinator={cluster.coordinator}: must be host:port, such as 10.0.0.1:8476, with a port from 1 to"
            " 65535"
        )
    if cluster.num_processes is not None and cluster.num_processes < 1:
        raise UserError(f"--num_processes={cluster.num_processes}: must be at least 1")
    if cluster.process_id is not None and not 0 <= cluster.process_id < (cluster.num_processes or 1 << 31):
        raise UserError(f"--process_id={cluster.process_id}: must be from 0 to --num_processes minus 1")
    if missing and len(missing) < len(named) and not cluster.distributed:
        raise UserError(
            f"--{missing[0]}: --coordinator, --num_processes and --process_id go together; --distributed takes what is"
            " not given from the cluster's environment"
        )
    return cluster.distributed or not missing


def _is_address(text: str) -> bool:
    """Whether a text is host:port; anything else crashes JAX or makes it wait forever."""
    port = re.fullmatch(r"\S+:([0-9]{1,5})", text)
    return port is not None and 1 <= int(port[1]) <= 65535


def check_port(address: str) -> None:
    """Raises a UserError if another program holds the port of an address on this machine: JAX would crash."""
    port = int(address.rpartition(":")[2])
    try:
        try_port("", port)
    except OSError as error:
        raise UserError(
            f"--coordinator={address}: port {port} of this machine cannot be used ({error.strerror}); choose another,"
            f" such as {free_port()}, for every process"
        ) from error


def _where(cluster: Cluster) -> str:
    return "--distributed" if cluster.coordinator is None else f"--coordinator={cluster.coordinator}"


def _initialize(cluster: Cluster) -> None:
    jax.config.update("jax_enable_preemption_service", False)  # the training loop handles SIGTERM itself
    try:
        jax.distributed.initialize(
            cluster.coordinator,
            cluster.num_processes,
            cluster.process_id,
            cluster_detection_method=None if cluster.distributed else "deactivate",
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT,
        )
    except ValueError as error:
        raise UserError(
            "--distributed: no SLURM, Open MPI, Kubernetes or Cloud TPU was found that supplies what is missing"
            f" ({error}); give --coordinator, --num_processes and --process_id"
        ) from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{_where(cluster)}: could not connect all processes ({reason}); is the port free? {_ADVICE}"
        ) from error
