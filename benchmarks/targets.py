"""The accelerators that a program can be compiled for without having one, and what is published about them.

XLA compiles for a GPU that is described by a text, and for a TPU by its name; both need the compiler of that platform,
which `pip install '.[aot]'` brings, and neither a device nor a driver.
"""

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Any

from jaxgan.host.errors import UserError

LAUNCH_SECONDS = 3e-6  # that a GPU needs from one kernel to the next where no command buffer holds them


@dataclasses.dataclass(frozen=True)
class Target:
    """What is published about an accelerator; the rates are peaks, without sparsity.

    Attributes:
      name: what its maker calls it.
      memory: bytes.
      bandwidth: of the memory, bytes a second.
      rates: operations a second by type; float32 means what JAX does with it by default (TF32, or bfloat16 on a TPU).
      link: bytes a second that a chip sends to the others of its machine or slice.
      share: of the memory, that JAX takes by default.
      gpu: what XLA must know of a GPU; None for a TPU.
      smallest: a topology that exists, of which one chip is taken where none is named.
    """

    name: str
    memory: float
    bandwidth: float
    rates: dict[str, float]
    link: float
    share: float
    gpu: dict[str, Any] | None = None
    smallest: str = ""


def _gpu(cores: int, capability: tuple[int, int], clock: float, cache: int, **more: int) -> dict[str, Any]:
    usual = {"threads": 2048, "units": 128, "shared": 233472, "shared_block": 232448}
    return {"cores": cores, "capability": capability, "clock": clock, "cache": cache, **usual, **more}


TARGETS = {
    "h100": Target(
        "NVIDIA H100 80GB HBM3",
        84_942_979_072,
        3.352e12,
        {"bfloat16": 989e12, "float32": 494e12},
        450e9,
        0.75,
        _gpu(132, (9, 0), 1.98, 52_428_800),
    ),
    "a100": Target(
        "NVIDIA A100-SXM4-80GB",
        84_987_740_160,
        2.039e12,
        {"bfloat16": 312e12, "float32": 156e12},
        300e9,
        0.75,
        _gpu(108, (8, 0), 1.41, 41_943_040, units=64, shared=167_936, shared_block=166_912),
    ),
    "l4": Target(
        "NVIDIA L4",
        23_600_000_000,
        300e9,
        {"bfloat16": 121e12, "float32": 60e12},
        32e9,
        0.75,
        _gpu(58, (8, 9), 2.04, 50_331_648, threads=1536, shared=102_400, shared_block=101_376),
    ),
    "t4": Target(  # No TF32, and no bfloat16 in its tensor cores: both types are computed as float32.
        "Tesla T4",
        15_800_000_000,
        320e9,
        {"bfloat16": 8.1e12, "float32": 8.1e12},
        16e9,
        0.75,
        _gpu(40, (7, 5), 1.59, 4_194_304, threads=1024, units=64, shared=65_536, shared_block=65_536),
    ),
    "v5e": Target("TPU v5e", 16e9, 819e9, {"bfloat16": 197e12, "float32": 197e12}, 200e9, 1.0, smallest="2x2"),
    "v5p": Target("TPU v5p", 95e9, 2.765e12, {"bfloat16": 459e12, "float32": 459e12}, 600e9, 1.0, smallest="2x2x1"),
}


def parse(text: str) -> tuple[Target, str]:
    """Finds a target and its topology, such as h100, or v5e:2x2.

    Raises:
      UserError: for a name that is none.
    """
    name, _, topology = text.partition(":")
    if name not in TARGETS:
        raise UserError(f"--target={text}: choose one of {', '.join(TARGETS)}, a TPU with its topology, as in v5e:2x2")
    if TARGETS[name].gpu and topology:
        raise UserError(f"--target={text}: a GPU is compiled for alone; leave out :{topology}")
    return TARGETS[name], topology


def missing(text: str) -> str | None:
    """Says what must be installed to compile for a target; None if nothing is missing."""
    target, _ = parse(text)
    needed = ("jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13") if target.gpu else ("libtpu",)
    if any(_is_installed(name) for name in needed):
        return None
    what = "jax-cuda12-plugin" if target.gpu else "libtpu"
    return f"the compiler for {target.name}, {what}, is not installed: pip install '.[aot]' (no device is needed)"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent
        return False


def devices(text: str) -> list[Any]:
    """Returns the devices of a target, to compile for; nothing can run on them.

    Raises:
      UserError: where the compiler is not installed, or there is no such topology.
    """
    target, topology = parse(text)
    lacking = missing(text)
    if lacking is not None:
        raise UserError(f"--target={text}: {lacking}")
    import jax
    from jax.experimental import topologies

    jax.config.update("jax_platforms", "cpu")
    jax.devices("cpu")  # JAX looks for compilers when it looks for devices.
    try:
        if target.gpu is not None:
            options = {"platform": "cuda", "target_config": description(target), "topology": "1x1x1"}
            return list(topologies.get_topology_desc(topology_name="", **options).devices)
        _prepare_tpu_compiler(target)
        name = f"{text.partition(':')[0]}:{topology or target.smallest}"
        found = list(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)
        return found if topology else found[:1]
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise UserError(f"--target={text}: {str(error).splitlines()[0]}") from error


def _prepare_tpu_compiler(target: Target) -> None:
    """Tells the compiler for TPUs where it is, and that it need not ask the cloud which machine this is."""
    found = importlib.util.find_spec("libtpu")
    assert found is not None and found.submodule_search_locations
    settings = {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no chip is held: several programs may be compiled at once
        "TPU_ACCELERATOR_TYPE": "v5p-8" if target is TARGETS["v5p"] else "v5litepod-4",
        "TPU_LIBRARY_PATH": str(Path(found.submodule_search_locations[0]) / "libtpu.so"),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def description(target: Target) -> str:
    """Returns the text that XLA takes for a GPU."""
    gpu = target.gpu
    assert gpu is not None
    major, minor = gpu["capability"]
    feature = " feature_extension: ACCELERATED_FEATURES" if major >= 9 else ""
    return f"""
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: {gpu["shared"]} threads_per_core_limit: {gpu["threads"]} core_count: {gpu["cores"]}
  fpus_per_core: {gpu["units"]} block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {int(target.bandwidth)} l2_cache_size: {gpu["cache"]} clock_rate_ghz: {gpu["clock"]}
  device_memory_size: {int(target.memory)} shared_memory_per_block_optin: {gpu["shared_block"]}
  cuda_compute_capability {{ major: {major} minor: {minor}{feature} }}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 1 }}
device_description_str: "{target.name}"
"""
