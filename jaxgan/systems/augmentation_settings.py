"""How pictures are augmented before a discriminator sees them, as settings of every system that can do so."""

import dataclasses

from jaxgan.host.errors import UserError
from jaxgan.ops import differentiable_augmentation
from jaxgan.ops.augment import Augmentation
from jaxgan.ops.differentiable_augmentation import POLICIES, policies_of
from jaxgan.systems.ada import AdaptiveAugmentation
from jaxgan.systems.settings import SystemSettings, option, require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedAugmentationSettings(SystemSettings):
    """Settings with DiffAugment, which changes real and generated pictures in both players' steps."""

    diffaugment: str | None = option(
        None,
        f"DiffAugment all pictures that the discriminator sees: any of {', '.join(POLICIES)}, with commas between; "
        "default: none",
        group="Augmentation",
    )

    def check(self) -> None:
        """Raises a UserError for a policy that there is not."""
        super().check()
        policies_of(self.diffaugment)

    def fixed_augmentation(self) -> Augmentation | None:
        """Returns what all pictures pass, or None."""
        return differentiable_augmentation.build(policies_of(self.diffaugment))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationSettings(FixedAugmentationSettings):
    """Settings with ADA too, which does so the more often the surer the discriminator is."""

    ada: bool = option(
        False,
        "Augment all pictures that the discriminator sees, the more often the surer it is of the real ones (ADA)",
        group="Augmentation",
    )
    ada_target: float = option(
        0.6, "With --ada: mean sign of the logits of real pictures to keep to", group="Augmentation"
    )
    ada_kimg: float = option(
        500.0,
        "With --ada: thousands of real pictures in which the probability rises from 0 to 1 at most",
        group="Augmentation",
    )

    def check(self) -> None:
        """Raises a UserError for a value out of range."""
        super().check()
        require_positive(self, "ada_kimg")
        if not -1 < self.ada_target < 1:
            raise UserError(f"--ada_target={self.ada_target}: must be between -1 and 1, as a mean sign is")

    def adaptive_augmentation(self) -> AdaptiveAugmentation | None:
        """Returns how the probability of augmentations is adjusted, or None."""
        return AdaptiveAugmentation(self.ada_target, self.ada_kimg) if self.ada else None
