"""Training of any system: the loop, the watch, the input pipeline, and the files of a run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.training.fitting import fit as fit
    from jaxgan.training.restoring import load as load

else:

    def __getattr__(name: str) -> Any:
        """Imports `fit` or `load` on first use, so that importing one module here does not import all of them."""
        if name == "fit":
            from jaxgan.training.fitting import fit

            return fit
        if name == "load":
            from jaxgan.training.restoring import load

            return load
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
