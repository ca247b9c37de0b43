"""Training of any system: the loop, its watch, its input pipeline, and the files of a run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.training.fitting import fit as fit

else:

    def __getattr__(name: str) -> Any:
        """Loads `fit` when it is asked for: it needs all that training needs, and a part of that may do."""
        if name != "fit":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from jaxgan.training.fitting import fit

        return fit
