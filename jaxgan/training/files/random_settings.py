"""The settings of JAX that decide its random numbers: kept with a run, which they would otherwise lead elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxgan.host.errors import UserError, printable

NAMES = ("jax_default_prng_impl", "jax_threefry_partitionable", "jax_random_seed_offset", "jax_enable_x64")


def current() -> dict[str, Any]:
    """Returns the values of the settings, as JSON can hold them; those that this version of JAX has."""
    return {name: getattr(jax.config, name) for name in NAMES if hasattr(jax.config, name)}


def check_same(workdir: Path, former: Mapping[str, Any]) -> None:
    """Raises a UserError if a setting has another value than that of a run.

    Args:
      workdir: the directory of the run.
      former: what `current` returned when the run began; {} in a run of before, which is not known.
    """
    now = current()
    for name in sorted(former.keys() & now.keys()):
        if former[name] != now[name]:
            raise UserError(
                f"--workdir={printable(workdir)}: its run was begun with {name.upper()}={printable(former[name])}, and"
                f" now it is {now[name]}, with other random numbers; set this variable of the environment as it was"
            )
