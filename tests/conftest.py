"""What every test shares: two virtual devices, a cache of its own, and the real data where there is some."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# These are read when JAX and TensorFlow start, so they are set before any test imports them.
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the proofs to the bit are made there; set it to prove another
os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "0")  # queued collectives can deadlock on few cores
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
for flag, value in {
    "xla_force_host_platform_device_count": 2,
    # Compiling takes most of a small test's time, and a third of it so; test_commands.py runs programs as users do.
    "xla_backend_optimization_level": 0,
}.items():
    if flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --{flag}={value}"

# A shared or slow machine must not fail a property, nor may one run draw other examples than the next.
hypothesis.settings.register_profile("jaxgan", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("jaxgan")


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this test run, also of the programs that it starts; never the user's own."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXGAN_CACHE_DIR", str(directory))
        yield directory


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: `$JAXGAN_TEST_DATA`, else `../shared/data` beside the repository."""
    directory = Path(os.environ.get("JAXGAN_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not directory.is_dir():
        pytest.skip(f"no real data in {directory}; JAXGAN_TEST_DATA names another folder")
    return directory


@pytest.fixture(scope="session")
def two_devices() -> list:
    """Two devices to spread a step over."""
    import jax

    devices = jax.devices()
    if len(devices) < 2:
        pytest.skip(f"needs two devices, and {jax.default_backend()} has {len(devices)}")
    return devices[:2]


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Frees the compiled programs of a file: a process that gathers those of hundreds of tests may crash."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="module")
def compile_once(tmp_path_factory):
    """Keeps compiled programs for a file: a run that is resumed compiles its step again."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    names = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
    }
    former = {name: getattr(jax.config, name) for name in names}
    for name, value in names.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in former.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # once it has begun, it would go on for all later files
