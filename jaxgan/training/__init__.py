"""Training of any system: the loop, the watch, the input pipeline, and the files of a run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.training.fitting import fit as fit

else:

    def __getattr__(name: str) -> Any:
        """Imports `fit` on first use, so that importing one module of this package does not import all of them."""
        if name != "fit":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from jaxgan.training.fitting import fit

        return fit
