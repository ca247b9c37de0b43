"""What a run can be asked for on the page, told without its weights."""

import dataclasses

from jaxgan.models.infogan import Codes
from jaxgan.systems.infogan_outputs import CodedLatentOutput
from jaxgan.systems.outputs import Outputs


@dataclasses.dataclass(frozen=True)
class Abilities:
    """What a run can be asked for; nothing, for a run that cannot be read.

    Attributes:
      condition_names: the conditions that it draws, () without.
      outputs: of its system.
      labelled: whether the pictures that it was trained on have classes or tags.
    """

    condition_names: tuple[str, ...] = ()
    outputs: Outputs = dataclasses.field(default_factory=Outputs)
    labelled: bool = False

    @property
    def draws(self) -> bool:
        """Whether it draws pictures from latents."""
        return self.outputs.latent is not None

    @property
    def editable(self) -> bool:
        """Whether there are directions toward the classes of its pictures; one that takes conditions needs none."""
        return self.draws and self.labelled and not self.condition_names

    @property
    def codes(self) -> Codes | None:
        """The codes in its latents, if it has some."""
        latent = self.outputs.latent
        return latent.codes if isinstance(latent, CodedLatentOutput) else None

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions in which it translates pictures."""
        return tuple(self.outputs.translate)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it translates pictures into."""
        into = self.outputs.translate_to
        return () if into is None else tuple(name for kind in into.kinds for name in kind.classes)

    @property
    def translates(self) -> bool:
        """Whether it translates pictures."""
        return bool(self.directions or self.classes)
