"""The flags of a command merged with those of the run that its workdir holds."""

import dataclasses
import os
from typing import Any

from experiments.cli import schema
from experiments.run import pretrained
from experiments.run.recipes import Recipe, all_options, read_recipe_flags, recipe_class, resolve
from jaxgan import systems
from jaxgan.data import DRAWN
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import Family
from jaxgan.systems.system import check_distinct_seed
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.description import has_checkpoints, lost
from jaxgan.training.files.workdir import Workdir


def common_recipe(family: Family, processes: Processes) -> Recipe:
    """Returns what the flags ask for, as the first process finds it; the others must have been given the same flags.

    Raises:
      UserError: where they were not.
    """
    recipe_type = recipe_class(family.settings)
    given = schema.given_flags(recipe_type)
    first = processes.tell(lambda: {"given": given, "recipe": dataclasses.asdict(recipe_from_flags(family))})
    for name in sorted(given.keys() | first["given"].keys()):
        mine, wanted = given.get(name), first["given"].get(name)
        if mine != wanted:
            raise UserError(f"--{name}={mine}: process 0 was given {wanted}; give every process the same flags")
    return recipe_type(**first["recipe"])


def recipe_from_flags(family: Family) -> Recipe:
    """Returns what the flags ask for; a run that is continued fills in what they leave out.

    Paths of what it reads are absolute, so that they mean the same in a command that is run from another directory.

    Raises:
      UserError: where they change what a run with checkpoints was begun with, or its flags are lost.
    """
    given = _anchored(given_settings(family))
    recipe = resolve(given, family.models)
    schema.check_path("workdir", str(recipe.workdir))  # the default carries the data set's name
    workdir = Workdir(str(recipe.workdir))
    if not has_checkpoints(workdir):
        check_distinct_seed(recipe.seed)  # A run of before goes on with any.
    if not workdir.flags.exists():
        if has_checkpoints(workdir):
            raise lost(workdir.flags)
        return recipe
    settings = read_recipe_flags(workdir.flags)
    former = resolve(_anchored(settings), systems.names())
    changed = _changes(given, recipe, former)
    if (changed or former.model not in family.models) and not has_checkpoints(workdir):
        return recipe  # Nothing was reached that other flags could harm: a new run.
    for name, value in changed.items():
        was = getattr(former, name, None)
        held = "without it; leave it out, or" if was is None else f"with --{name}={was};"
        raise UserError(f"--{name}={value}: {recipe.workdir} holds a run {held} choose another --workdir")
    if {"steps", "epochs"} & set(given):
        settings = {name: value for name, value in settings.items() if name not in ("steps", "epochs")}
    return resolve({**_anchored(settings), **given, "workdir": recipe.workdir}, family.models)


def _anchored(values: dict[str, Any]) -> dict[str, Any]:
    """Makes the paths among the flags of a run absolute, but for that of its workdir; a model's name is no path."""
    paths = {field.name for field in dataclasses.fields(all_options()) if field.metadata["path"]} - {"workdir"}
    if pretrained.is_name(values.get("init_from") or ""):
        paths -= {"init_from"}
    return {name: os.path.abspath(value) if name in paths and value else value for name, value in values.items()}


def given_settings(family: Family) -> dict[str, Any]:
    """Returns the flags of a recipe that were given; of --steps and --epochs the one on the command line itself."""
    given = schema.given_flags(recipe_class(family.settings))
    if "steps" in given and "epochs" in given:
        over = [name for name in ("steps", "epochs") if not schema.given_directly(name)]
        given = {name: value for name, value in given.items() if name not in over}
    return given


def _changes(given: dict[str, Any], recipe: Recipe, former: Recipe) -> dict[str, Any]:
    """Returns the given flags that differ from what a run was begun with, and may not."""
    if "data_dir" in given and former.dataset in DRAWN:
        given = {**given, "dataset": recipe.dataset}  # A folder of pictures would be passed over without a word.
    may_change = {field.name for field in dataclasses.fields(recipe) if field.metadata["may_change"]}
    return {
        name: value for name, value in given.items() if name not in may_change and value != getattr(former, name, None)
    }
