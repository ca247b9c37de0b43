"""A finished or running run, read back for sampling, measuring and looking."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax

from experiments.run.recipes import Recipe
from experiments.run.start import initial_state, workdir_recipe
from experiments.run.systems import build_gan, build_rules
from jaxgan import models
from jaxgan.errors import UserError
from jaxgan.systems import adversarial
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Run:
    """What a workdir holds.

    Attributes:
      recipe: how it was trained.
      gan: the networks.
      step: the step of the newest intact checkpoint.
      state: the state at that step.
      condition_names: what the elements of a condition stand for; () without conditions.
      pictures_digest: of the pictures that it was trained on.
    """

    recipe: Recipe
    gan: models.GAN
    step: int
    state: adversarial.GANState
    condition_names: tuple[str, ...]
    pictures_digest: str


def load_run(path: str | None) -> Run:
    """The newest intact checkpoint of a workdir, with its networks.

    Raises:
      UserError: where there is no run, or none of its checkpoints is intact.
    """
    if not path:
        raise UserError("--workdir: name the directory of a run")
    recipe = workdir_recipe(path)
    dataset = read_dataset(path)
    names = tuple(dataset["condition_names"])
    gan = build_gan(recipe, dataset["shape"][-1], len(names))
    template = initial_state(jax.random.key(0), build_rules(recipe, gan))
    restored = Checkpoints(Workdir(path).checkpoints).restore_latest(template)
    if restored is None:
        raise UserError(
            f"--workdir={path}: has no intact checkpoint yet; the run writes one every checkpoint_every steps"
        )
    step, state, _ = restored
    return Run(recipe, gan, step, state, names, dataset["sha256"])


def renewed(run: Run) -> Run:
    """A run at what is now the newest intact checkpoint of its workdir; as it was, if there is none.

    Raises:
      UserError: where the workdir now holds a run of another model.
    """
    restored = Checkpoints(Workdir(str(run.recipe.workdir)).checkpoints).restore_latest(run.state)
    if restored is None:
        return run
    step, state, _ = restored
    return dataclasses.replace(run, step=step, state=state)


def read_dataset(workdir: str | Path) -> dict[str, Any]:
    """What a run was trained on: ``shape`` (height, width, channels), ``condition_names`` and more.

    Raises:
      UserError: where the workdir does not say.
    """
    path = Path(workdir) / "dataset.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names, (height, width, channels) = found["condition_names"], found["shape"]
        if all(isinstance(name, str) for name in names) and height == width and channels in (1, 3) and found["sha256"]:
            return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UserError(f"{path}: not the description of a run's pictures")
