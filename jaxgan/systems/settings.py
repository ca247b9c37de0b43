"""Settings of a system: a dataclass whose fields are flags of the commands and arguments of `systems.build`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

import jax

from jaxgan.host.errors import UserError
from jaxgan.systems.system import System, check_distinct_seed, preview_key

LARGEST = 2**31 - 1  # steps and sizes are counted in 32 bits
LONGEST_CALL = 10_000  # steps of one call of the device, and of a critic


def option(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    *,
    group: str = "",
    path: bool = False,
    may_change: bool = False,
) -> Any:
    """Declares a field that is also a flag.

    Args:
      default: its value unless given; None where the program chooses.
      help: what `--help` says of it: what it does, then the default if the program chooses that.
      choices: the words that it may take; () for any.
      group: the heading under which `--help` lists it.
      path: whether it is a path.
      may_change: whether a run that is continued may be given another value.
    """
    metadata = {"help": help, "choices": choices, "group": group, "path": path, "may_change": may_change}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SystemSettings:
    """What every system can be told."""

    model: str = option("", "System to train; it decides every other default", group="Model")
    image_size: int | None = option(
        None, "Height and width of the pictures in pixels; default: the model's own", group="Model"
    )
    precision: str = option("float32", "Compute dtype", ("float32", "bfloat16"), group="Model")
    batch_size: int = option(64, "Pictures in a batch, over all devices together", group="Training")
    seed: int = option(0, "Random seed", group="Training")
    preview_seed: int | None = option(
        None, "Random seed of the pictures in the grids; default: --seed", group="Training", may_change=True
    )

    @property
    def data_options(self) -> Mapping[str, Any]:
        """What `data.load` is told besides, such as what lies beside each picture."""
        return {}

    @property
    def conditional(self) -> bool:
        """Whether the settings ask for a condition with each picture, where the family does not need one."""
        return False

    def with_digests(self) -> Self:
        """Returns the settings with the digests of the files that they name, by which a run knows them again."""
        return self

    @property
    def stand_in_conditions(self) -> tuple[str, ...]:
        """Names of conditions that the settings suit, for a check of the sizes before any picture is read."""
        return ("any",)

    def check(self) -> None:
        """Raises a UserError for a value out of range."""
        require_positive(self, "image_size", "batch_size")
        check_seed(self.seed)
        if self.preview_seed is not None:
            check_distinct_seed(self.preview_seed, "preview_seed")

    def preview_key(self) -> jax.Array:
        """Returns the key of the preview."""
        return preview_key(self.seed if self.preview_seed is None else self.preview_seed)


@dataclasses.dataclass(frozen=True)
class Family:
    """Systems that share their settings and their command.

    Attributes:
      command: `python -m experiments.COMMAND` trains them.
      settings: the dataclass of their settings.
      defaults: id -> the settings that differ from the dataclass' own; the first id is the command's default.
      runs: id -> how long its source trains it and how often it looks, as fields of a run.
      build: (settings, examples) -> System.
      image_size: id -> height and width of the pictures that the networks are made for.
      conditional: whether they need a condition with each picture.
      paired: whether they need an input beside each picture, to be translated into it.
      labelled: whether they learn from the labels of pictures, though no network takes a condition.
      unpaired: whether they need two sets of pictures, "a" and "b", to be translated into one another.
    """

    command: str
    settings: type[SystemSettings]
    defaults: Mapping[str, Mapping[str, Any]]
    runs: Mapping[str, Mapping[str, Any]]
    build: Callable[[Any, Any], System]
    image_size: Callable[[str], int]
    conditional: bool = False
    paired: bool = False
    labelled: bool = False
    unpaired: bool = False

    def __post_init__(self) -> None:
        """Raises a ValueError for what would end in a command's innards: an id or a flag that is half declared."""
        alone = sorted(self.defaults.keys() ^ self.runs.keys())
        if alone:
            raise ValueError(f"family {self.command}: {alone[0]} must stand in `defaults` and in `runs`")
        plain = [field.name for field in dataclasses.fields(self.settings) if "help" not in field.metadata]
        if plain:
            raise ValueError(f"{self.settings.__name__}.{plain[0]}: declare it by option(default, help)")

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of the systems."""
        return tuple(self.defaults)

    def default_settings(self, model: str) -> Any:
        """Returns the settings of a system as its source has them."""
        return self.settings(model=model, **self.defaults[model])


def check_seed(seed: int) -> None:
    """Raises a UserError for a seed that JAX or NumPy does not take."""
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed={seed}: must be from 0 to 2^63 - 1")


def require_positive(settings: Any, *names: str) -> None:
    """Raises a UserError for the first of some fields that is neither None nor from just above 0 to LARGEST."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value <= LARGEST:
            raise UserError(f"--{name}={value}: must be above 0, and at most {LARGEST:,}")


def require_shares(settings: Any, *names: str) -> None:
    """Raises a UserError for the first of some fields that is neither None nor in [0, 1)."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 <= value < 1:
            raise UserError(f"--{name}={value}: must be at least 0 and below 1")


def flag_lines(settings: Any) -> str:
    """Formats a dataclass as a flag file that repeats it, a flag a line."""
    lines = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, bool):
            lines.append(f"--{'' if value else 'no'}{field.name}")
        elif value is not None:
            lines.append(f"--{field.name}={quote(value) if isinstance(value, str) else value}")
    return "\n".join(lines) + "\n"


def unquote(line: str) -> str:
    """Takes the quotes from around the value of a line: `--out="my run"` means the same as in a shell."""
    name, equals, value = line.partition("=")
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return f"{name}={value[1:-1]}" if equals and quoted else line


def quote(value: str) -> str:
    """Puts quotes around a value that `unquote` or a reader that strips lines would change."""
    return value if value == value.strip() and unquote(f"={value}") == f"={value}" else f'"{value}"'
