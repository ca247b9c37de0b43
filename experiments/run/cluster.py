"""How the processes of a run find each other: named one by one, or by what the cluster's environment says."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator

import jax

from jaxgan.errors import UserError
from jaxgan.systems.settings import option
from jaxgan.training.distributed.crash_message import Witness
from jaxgan.training.distributed.heartbeat import SILENCE, Lifeline
from jaxgan.training.distributed.processes import Processes, store

HEARTBEAT_TIMEOUT = 2 * (int(SILENCE) + 20)  # seconds; JAX aborts after half to all of it, the lifeline speaks before
_ADVICE = "is every process started, and can each reach process 0?"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The flags by which a process joins others. They belong to a start, not to a run, and are written nowhere."""

    coordinator: str | None = option(
        None, "host:port at which process 0 can be reached, to train with several processes", group="Several processes"
    )
    num_processes: int | None = option(None, "how many processes train together", group="Several processes")
    process_id: int | None = option(None, "the number of this process, from 0", group="Several processes")
    distributed: bool = option(
        False,
        "take --coordinator, --num_processes and --process_id from SLURM, Open MPI, Kubernetes or Cloud TPU",
        group="Several processes",
    )


@contextlib.contextmanager
def joined(cluster: Cluster) -> Iterator[Processes]:
    """Joins the processes that the flags name; within ``with`` they live and end together.

    Must come before anything is computed.

    Raises:
      UserError: where the flags do not fit together, or the others cannot be reached.
    """
    if not check(cluster):
        yield Processes()
        return
    with Witness() as witness:
        # JAX does not raise an error then: it aborts.
        witness.remember(
            f"{_where(cluster)}: not all processes came, or this one was killed while it waited; {_ADVICE}"
        )
        _initialize(cluster)
        index, count = jax.process_index(), jax.process_count()
        witness.remember("")  # All came.
        with Lifeline(store(), index, count, witness.remember) if count > 1 else contextlib.nullcontext():
            yield Processes(index, count, store())


def check(cluster: Cluster) -> bool:
    """Whether several processes are asked for.

    Raises:
      UserError: where the flags do not fit together.
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
    """Whether a text is host:port. What is not one crashes JAX, or makes it wait for ever."""
    port = re.fullmatch(r"\S+:([0-9]{1,5})", text)
    return port is not None and 1 <= int(port[1]) <= 65535


def _where(cluster: Cluster) -> str:
    return "--distributed" if cluster.coordinator is None else f"--coordinator={cluster.coordinator}"


def _initialize(cluster: Cluster) -> None:
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is the training loop's
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
            "--distributed: there is no SLURM, Open MPI, Kubernetes or Cloud TPU here that tells what is missing"
            f" ({error}); give --coordinator, --num_processes and --process_id"
        ) from error
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{_where(cluster)}: the processes did not come together ({reason}); is the port free? {_ADVICE}"
        ) from error
