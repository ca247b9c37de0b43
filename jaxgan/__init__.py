"""Generative adversarial networks for JAX and Flax, as pure functions of arrays and keys."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

PUBLIC_NAMES = {
    "augment": "jaxgan.ops.augment",
    "game": "jaxgan.systems.adversarial",
    "images": "jaxgan.host.images",
    "noise": "jaxgan.ops.noise",
    "pixels": "jaxgan.ops.pixels",
}
"""Modules that can also be imported by a short name, such as `jaxgan.game`, and where each of them lies."""

if TYPE_CHECKING:
    from jaxgan.host import images as images
    from jaxgan.ops import augment as augment
    from jaxgan.ops import noise as noise
    from jaxgan.ops import pixels as pixels
    from jaxgan.systems import adversarial as game  # noqa: F401

else:  # To a type checker every name would be there.

    def __getattr__(name: str) -> Any:
        """Loads a module when it is named: `import jaxgan` loads nothing, and `jaxgan.losses` is there all the same."""
        if name.startswith("_") or importlib.util.find_spec(f"{__name__}.{name}") is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(f"{__name__}.{name}")


class _ShortNames:
    """Finds the modules of PUBLIC_NAMES by their short names; a module is the same object under both of its names."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        package, _, short = name.rpartition(".")
        return ModuleSpec(name, cls) if package == __name__ and short in PUBLIC_NAMES else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leaves it to Python to make a module, which `exec_module` replaces."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        # The import system takes what stands in sys.modules when the loader has finished.
        sys.modules[module.__name__] = importlib.import_module(PUBLIC_NAMES[module.__name__.rpartition(".")[2]])


sys.meta_path.append(_ShortNames)
