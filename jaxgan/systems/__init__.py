"""What trains: the systems by id, each a state, a pure step, and what can be asked of it.

system = systems.build("dcgan_64", examples, batch_size=64, generator_learning_rate=1e-4)
state = system.init(jax.random.key(0))
state, metrics = system.step(state, batch)
"""

import dataclasses
import difflib
import functools
import importlib
from typing import TYPE_CHECKING, Any

from jaxgan.data.sources import Sources, first_source
from jaxgan.host.errors import UserError

if TYPE_CHECKING:
    from jaxgan.systems.settings import Family
    from jaxgan.systems.system import System

MODULES = (  # one line a system: a module with FAMILIES
    "jaxgan.systems.gan",
    "jaxgan.systems.vae",
    "jaxgan.systems.infogan",
    "jaxgan.systems.pix2pix",
    "jaxgan.systems.semi_supervised",
    "jaxgan.systems.cyclegan",
    "jaxgan.systems.progan",
    "jaxgan.systems.stylegan2",
    "jaxgan.systems.stargan",
    "jaxgan.systems.style",
)


@functools.cache
def families() -> dict[str, "Family"]:
    """Returns the families of all systems by the command that trains them."""
    found = [family for module in MODULES for family in importlib.import_module(module).FAMILIES]
    return {family.command: family for family in found}


def names() -> tuple[str, ...]:
    """Returns the ids of all systems."""
    return tuple(name for family in families().values() for name in family.models)


def family_of(name: str) -> "Family":
    """Returns the family of a system.

    Raises:
      UserError: for an unknown id; the nearest one is named.
    """
    for family in families().values():
        if name in family.models:
            return family
    close = difflib.get_close_matches(name, names(), n=1)
    nearest = f"did you mean {close[0]}? There are" if close else "there are"
    raise UserError(f"{name}: no such system; {nearest} {', '.join(names())}")


def build(name: str, examples: Sources, **settings: Any) -> "System":
    """Builds a system for a set of examples.

    Args:
      name: an id of `names()`.
      examples: what it is to be trained on; see `jaxgan.data.from_arrays`. For a system with several sources a mapping
        source -> examples.
      **settings: fields of the family's settings, such as `batch_size`. Left out: as its source has them. Without
        `image_size` the networks are made for the size of the pictures.

    Raises:
      UserError: for an unknown id, or settings that cannot be, such as another `image_size` than the pictures'.
      TypeError: for a setting that the system does not have.
    """
    family = family_of(name)
    known = {field.name for field in dataclasses.fields(family.settings)}
    unknown = sorted(set(settings) - known)
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise TypeError(f"{name} has no setting {unknown[0]}{meant}")
    height, width = first_source(examples).image_shape[:2]
    if height != width:
        raise UserError(f"--image_size: the pictures are {height}×{width} (height×width), and not square; crop them")
    settings = {"image_size": height, **settings}
    if settings["image_size"] not in (None, height):
        raise UserError(
            f"--image_size={settings['image_size']}: the pictures have {height} rows; resize them, or leave it out"
        )
    chosen = dataclasses.replace(family.default_settings(name), **settings)
    chosen.check()
    return family.build(chosen, examples)
