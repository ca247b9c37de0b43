"""Description of a run in its directory: the pictures that it trains on, and the flags that repeat it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.data.examples import Examples
from jaxgan.data.sources import Sources, digest_of, first_source
from jaxgan.host import images
from jaxgan.host.errors import UserError
from jaxgan.host.files import write_text
from jaxgan.training.files import random_settings
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.workdir import Workdir

GRID = 64  # real pictures in real.png, 8×8


@dataclasses.dataclass(frozen=True)
class Description:
    """The description of a run's pictures in `dataset.json`.

    Attributes:
      dataset: the name of their source.
      shape: (height, width, channels).
      condition_names: the meaning of each element of a condition; () without conditions.
      digest: the digest of the pictures and their conditions.
      random: the settings of JAX's random numbers; {} in a run of before these were kept.
      pictures: how many there are, of several sources the longest; 0 where it is not known.
    """

    dataset: str
    shape: tuple[int, int, int]
    condition_names: tuple[str, ...]
    digest: str
    random: dict[str, Any] = dataclasses.field(default_factory=dict)
    pictures: int = 0


def write_description(
    workdir: Workdir, dataset: str, examples: Sources, flags: str | None, sources: Sources | None = None
) -> None:
    """Writes `dataset.json`, `real.png` if there are pictures, and `flags.txt` if there are flags that repeat the run.

    Args:
      workdir: the directory of the run.
      dataset: the name of the source of the pictures.
      examples: the pictures.
      flags: the text of `flags.txt`, or None.
      sources: what the system made of the pictures; the size and the digest of each part are written down.

    Raises:
      UserError: if the workdir cannot be written to.
    """
    first = first_source(examples)
    described = {
        "dataset": dataset,
        "pictures": len(first),
        "shape": list(first.image_shape),
        "condition_names": list(first.condition_names),
        "sha256": digest_of(examples),
        "random": random_settings.current(),
    }
    if sources is not None and not isinstance(sources, Examples):
        parts = {name: {"pictures": len(part), "sha256": part.digest} for name, part in sources.items()}
        described["sources"] = parts
    try:
        write_text(workdir.dataset, json.dumps(described, indent=1) + "\n")
        if flags is not None:
            write_text(workdir.flags, flags)
        if len(first):  # and not the description of pictures that are elsewhere
            images.save_png(workdir.real, images.grid(np.asarray(first.images[:GRID]), 8))
    except OSError as error:
        raise UserError(f"--workdir={workdir.path}: cannot be written to ({error.strerror})") from error


def description_text(described: Description) -> str:
    """Returns the text of `dataset.json` for a run that is passed on without its training state: without settings."""
    values = dataclasses.asdict(described) | {"sha256": described.digest}
    return (
        json.dumps({name: values[name] for name in ("dataset", "shape", "condition_names", "sha256")}, indent=1) + "\n"
    )


def read_description(workdir: str | Path) -> Description:
    """Reads the description of the pictures that a run was trained on.

    Raises:
      UserError: if it is missing or damaged.
    """
    path = Workdir(workdir).dataset
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names, (height, width, channels) = found["condition_names"], found["shape"]
        if all(isinstance(name, str) for name in names) and height == width and channels in (1, 3) and found["sha256"]:
            shape = (height, width, channels)
            pictures = max(part.get("pictures", 0) for part in (found, *found.get("sources", {}).values()))
            return Description(
                str(found.get("dataset")), shape, tuple(names), found["sha256"], _random(found), int(pictures)
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        pass
    raise UserError(f"{path}: not the description of a run's pictures")


def check_same_examples(workdir: Workdir, examples: Sources) -> None:
    """Raises a UserError if the checkpoints of a workdir are of other pictures or other random numbers.

    Where their description is lost, it cannot be told, and is refused as well; so is a folder of weights without a
    training state.
    """
    if workdir.weights.is_file():
        raise UserError(
            f"--workdir={workdir.path}: holds weights alone, without the rest of a training state; choose another, and"
            f" begin with these networks by --init_from={workdir.path}"
        )
    if not has_checkpoints(workdir):
        return
    if not workdir.dataset.exists():
        raise lost(workdir.dataset)
    try:
        found: Any = json.loads(workdir.dataset.read_text(encoding="utf-8"))
        former, random = found["sha256"], _random(found)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{workdir.dataset}: not the description of a run's pictures; choose another --workdir"
        ) from error
    if former != digest_of(examples):
        raise UserError(
            f"--workdir={workdir.path}: its run was trained on other pictures than these (the folder or the data set"
            " has changed); choose another --workdir, or bring the pictures back"
        )
    random_settings.check_same(workdir.path, random)


def _random(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found.get("random", {}))


def has_checkpoints(workdir: Workdir) -> bool:
    """Whether a workdir holds any checkpoint, intact or not."""
    return bool(Checkpoints(workdir.checkpoints).steps())


def lost(path: Path) -> UserError:
    """Returns the error for a file of a run that is missing beside its checkpoints."""
    return UserError(f"{path}: is missing beside the checkpoints of a run; bring it back, or choose another --workdir")
