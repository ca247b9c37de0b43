"""A finished or running run, read back for sampling, measuring and looking."""

import dataclasses
from typing import Any

from experiments.run.recipes import Recipe, read_recipe_flags, resolve
from jaxgan import systems
from jaxgan.data import FOLDERS
from jaxgan.host.errors import UserError, printable
from jaxgan.systems.outputs import LatentOutput
from jaxgan.systems.system import System
from jaxgan.training import restoring
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.workdir import Workdir

STEP_HELP = "Step of the checkpoint to read, or best, the one of --keep_best; default: the newest intact one"


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """What a workdir holds.

    Attributes:
      recipe: how it was trained.
      system: what was trained.
      step: the step of the checkpoint that was read.
      state: the state at that step.
      condition_names: what the elements of a condition stand for; () without conditions.
      pictures_digest: of the pictures that it was trained on.
    """

    recipe: Recipe
    system: System
    step: int
    state: Any
    condition_names: tuple[str, ...]
    pictures_digest: str

    @property
    def latent(self) -> LatentOutput:
        """What draws pictures from latents.

        Raises:
          UserError: if the system draws none.
        """
        return self.system.outputs.require("latent", self.recipe.model)

    @property
    def condition_dim(self) -> int:
        """Length of the condition that its networks take; 0 without."""
        return len(self.condition_names) if self.recipe.takes_conditions else 0


def load_run(path: str | None, step: int | str | None = None, *, finite: bool = True) -> TrainedRun:
    """Reads a checkpoint of a workdir, with its system.

    Args:
      path: the workdir.
      step: the step of the checkpoint; "best": the one that `--keep_best` has kept; None: the newest intact one.
      finite: whether to refuse weights that are not finite, which draw nothing.

    Raises:
      UserError: where there is no run, no such intact checkpoint, or its weights are not finite.
    """
    if not path:
        raise UserError("--workdir: name the directory of a run")
    recipe = workdir_recipe(path)
    run = restoring.load(path, step=step, require_finite=finite)
    return TrainedRun(recipe, run.system, run.step, run.state, run.described.condition_names, run.described.digest)


def renewed(run: TrainedRun) -> TrainedRun:
    """Reads a run again at what is now its newest intact checkpoint; as it was, if there is none.

    Raises:
      UserError: where the workdir now holds a run of another model, or its weights are not finite any more.
    """
    restored = Checkpoints(Workdir(str(run.recipe.workdir)).checkpoints).restore_latest(run.state)
    if restored is None:
        return run
    step, state, _ = restored
    restoring.check_finite(str(run.recipe.workdir), run.system, state, step)
    return dataclasses.replace(run, step=step, state=state)


def workdir_recipe(path: str) -> Recipe:
    """Reads the recipe of a run.

    Raises:
      UserError: where the workdir holds no run.
    """
    workdir = Workdir(path)
    if not workdir.flags.is_file():
        runs = sorted(found.parent.name for found in workdir.path.glob("*/flags.txt"))[:5]
        there = f"one of those in it: {', '.join(map(printable, runs))}" if runs else "that of a training command"
        absent = "flags.txt" if workdir.path.is_dir() else f"directory {printable(workdir.path.absolute())}"
        raise UserError(f"--workdir={path}: holds no run (there is no {absent}); name {there}")
    values = read_recipe_flags(workdir.flags)
    if workdir.weights.is_file() and values.get("dataset") in FOLDERS:
        # An exported run does not name the folder of its pictures: they are looked for beside its weights.
        values.setdefault("data_dir", str(workdir.path / "pictures"))
    return dataclasses.replace(resolve(values, systems.names()), workdir=path)
