"""A finished or running run, read back for sampling, measuring and looking."""

import dataclasses
from typing import Any

import jax
import numpy as np

from experiments.run.recipes import Recipe, read_recipe_flags, resolve
from jaxgan import systems
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError, printable
from jaxgan.systems.outputs import LatentOutput
from jaxgan.systems.system import System
from jaxgan.training.files import random_settings
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import read_description
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import initial_state


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
        return len(self.condition_names) if self.recipe.family.conditional else 0


def load_run(path: str | None, step: int | None = None, *, finite: bool = True) -> TrainedRun:
    """Reads a checkpoint of a workdir, with its system.

    Args:
      path: the workdir.
      step: the step of the checkpoint; None: of the newest intact one.
      finite: whether to refuse weights that are not finite, which draw nothing.

    Raises:
      UserError: where there is no run, no such intact checkpoint, or its weights are not finite.
    """
    if not path:
        raise UserError("--workdir: name the directory of a run")
    recipe, described = workdir_recipe(path), read_description(path)
    random_settings.check_same(Workdir(path).path, described.random)
    system = workdir_system(path)
    checkpoints = Checkpoints(Workdir(path).checkpoints)
    if step is not None and step not in checkpoints.steps():
        raise UserError(f"--step={step}: {_those_of(path, checkpoints)}")
    restored = checkpoints.restore_latest(initial_state(system), at_most=step)
    if restored is None:
        raise UserError(
            f"--workdir={path}: has no intact checkpoint yet; the run writes one every checkpoint_every steps"
        )
    if step is not None and restored[0] != step:
        raise UserError(f"--step={step}: this checkpoint is damaged; {_those_of(path, checkpoints)}")
    run = TrainedRun(recipe, system, restored[0], restored[1], described.condition_names, described.digest)
    if finite:
        check_finite(run)
    return run


def _those_of(path: str, checkpoints: Checkpoints) -> str:
    steps = ", ".join(map(str, checkpoints.steps()[-10:]))
    return f"{path} has checkpoints of the steps {steps}" if steps else f"{path} has no checkpoint"


def check_finite(run: TrainedRun) -> None:
    """Raises a UserError if a weight of a run is not finite, as after a training that has diverged."""
    weights = dict(run.system.networks(run.state))
    if run.system.outputs.latent is not None:
        weights["what is sampled from"] = run.system.outputs.latent.variables(run.state)
    for name, tree in weights.items():
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)):
            raise UserError(
                f"--workdir={run.recipe.workdir}: at step {run.step} weights of the {name} are not finite: the training"
                " has diverged; --step names an earlier checkpoint"
            )


def renewed(run: TrainedRun) -> TrainedRun:
    """Reads a run again at what is now its newest intact checkpoint; as it was, if there is none.

    Raises:
      UserError: where the workdir now holds a run of another model, or its weights are not finite any more.
    """
    restored = Checkpoints(Workdir(str(run.recipe.workdir)).checkpoints).restore_latest(run.state)
    if restored is None:
        return run
    step, state, _ = restored
    run = dataclasses.replace(run, step=step, state=state)
    check_finite(run)
    return run


def workdir_system(path: str) -> System:
    """Builds the system of a run, without its state.

    Raises:
      UserError: where the workdir holds no run.
    """
    recipe, described = workdir_recipe(path), read_description(path)
    examples = Examples.described(described.shape, described.condition_names, described.digest)
    return recipe.family.build(recipe.settings, examples)


def workdir_recipe(path: str) -> Recipe:
    """Reads the recipe of a run.

    Raises:
      UserError: where the workdir holds no run.
    """
    workdir = Workdir(path)
    if not workdir.flags.is_file():
        runs = sorted(found.parent.name for found in workdir.path.glob("*/flags.txt"))[:5]
        there = f"one of those in it: {', '.join(map(printable, runs))}" if runs else "that of a training command"
        raise UserError(f"--workdir={path}: holds no run (there is no flags.txt); name {there}")
    values = read_recipe_flags(workdir.flags)
    return dataclasses.replace(resolve(values, systems.names()), workdir=path)
