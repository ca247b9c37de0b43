"""From a recipe to a run: the pictures, the system, and the loop that trains it."""

import contextlib
import dataclasses
import functools
from typing import Any

from experiments.cli import command, schema
from experiments.cli.process import import_tensorboardx
from experiments.run import cluster, dry_run, evaluation, pretrained
from experiments.run.cluster import Cluster
from experiments.run.merge import common_recipe
from experiments.run.recipes import Recipe, default_recipe, recipe_class, total_steps
from experiments.run.references import load_sources
from experiments.run.restore import load_run, workdir_recipe
from jaxgan import systems
from jaxgan.data.examples import Examples
from jaxgan.data.sources import Sources, digest_of, longest
from jaxgan.host import console
from jaxgan.host.errors import UserError
from jaxgan.systems.players import with_networks_of
from jaxgan.systems.settings import Family, flag_lines, option
from jaxgan.systems.system import System
from jaxgan.training import parallel
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.description import check_same_examples, has_checkpoints, write_description
from jaxgan.training.files.tracking import WandbTracker
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import Devices, train_system
from jaxgan.training.job import Schedule


def main(name: str) -> None:
    """Runs the command that trains the systems of a family.

    Args:
      name: of the command, such as "dcgan".
    """
    tables = define_flags(name)
    command.run(lambda: train_asked(name), *tables)


def define_flags(name: str) -> tuple[schema.FlagTable, ...]:
    """Defines the flags of the command that trains the systems of a family; returns what `command.run` takes."""
    if name not in systems.families():
        raise ValueError(f"no family has the command {name}: name its module in MODULES of jaxgan/systems/__init__.py")
    family = systems.families()[name]
    model = f"System to train: {', '.join(family.models)}; its recipe has every other default"

    def defaults_of(asked: str | None) -> Recipe:
        return default_recipe(asked if asked in family.models else family.models[0])

    settings = schema.define_flags(recipe_class(family.settings), helps={"model": model}, defaults_of=defaults_of)
    return settings, schema.define_flags(Start), schema.define_flags(Cluster)


def train_asked(name: str) -> None:
    """Trains what the flags of a family's command ask for, or only says what it would do."""
    _train_together(systems.families()[name])


@dataclasses.dataclass(frozen=True)
class Start:
    """Flags of a start alone, which are never written to a file."""

    dry_run: bool = option(
        False, "Print the flags, sizes, memory and an estimate of the time, and train nothing", group="Run"
    )


def _train_together(family: Family) -> None:
    if Start(**schema.given_flags(Start)).dry_run:
        if cluster.check(Cluster(**schema.given_flags(Cluster))):
            raise UserError("--dry_run: is of one process; leave out --coordinator and --distributed")
        command.answer(foresee(common_recipe(family, Processes())))
        return
    with cluster.joined(Cluster(**schema.given_flags(Cluster))) as processes:
        train(common_recipe(family, processes), processes)


def train(recipe: Recipe, processes: Processes) -> None:
    """Trains to the end of the recipe, from where the workdir is; of several processes the first alone writes there."""
    devices = _checked_devices(recipe, processes)
    recipe, workdir = recipe.with_digests(), Workdir(str(recipe.workdir))
    tracks = recipe.wandb_project not in (None, "none") and processes.writes
    tracker = WandbTracker(str(recipe.wandb_project), workdir, recipe.values_to_share) if tracks else None
    begins_with_others = recipe.init_from is not None and not has_checkpoints(workdir)
    with contextlib.ExitStack() as held:
        if processes.writes:
            held.enter_context(workdir)
            import_tensorboardx()
        pictures = load_sources(recipe)
        if processes.writes:
            check_same_examples(workdir, pictures)
        _check_common(pictures, recipe, processes)
        system = build_system(recipe, pictures)
        steps = total_steps(recipe, longest(pictures), system.schedule)
        last = system.schedule.phases[-1].first_step
        if processes.writes and steps <= last:
            end = f"These {steps:,} steps end before the last phase, which begins with step {last:,}"
            print(f"{end}; give --steps or --epochs for more, or a shorter schedule.", file=console.out, flush=True)
        evaluates = recipe.evaluate_every is not None and processes.writes
        schedule = Schedule(
            total_steps=steps,
            log_every=recipe.log_every,
            sample_every=recipe.sample_every,
            sample_early=recipe.sample_early,
            checkpoint_every=recipe.checkpoint_every,
            evaluate_every=recipe.evaluate_every,
            keep=recipe.keep_checkpoints,
            keep_every=recipe.keep_checkpoints_every,
            keep_best=recipe.keep_best,
            on_collapse=recipe.on_collapse,  # type: ignore[arg-type]
        )
        train_system(
            system,
            pictures,
            schedule,
            workdir,
            devices=devices,
            dataset=str(recipe.dataset),
            # Nothing of a refused start is remembered.
            begin=functools.partial(
                write_description,
                workdir,
                str(recipe.dataset),
                pictures,
                flag_lines(recipe),
                system.sources(pictures),
            ),
            evaluate=evaluation.during_training(recipe, system) if evaluates else None,
            prepare=functools.partial(begin_with, str(recipe.init_from)) if begins_with_others else lambda state: state,
            settings=recipe.values_to_share,
            tracker=held.enter_context(tracker) if tracker is not None else None,
        )


def begin_with(path: str, state: Any) -> Any:
    """Gives an initial state the networks of a run, and says so.

    Raises:
      UserError: where there is no such run, or its networks are others.
    """
    run = load_run(pretrained.beginning(path))
    try:
        state = with_networks_of(state, run.state)
    except UserError as error:
        raise UserError(f"--init_from={path}: {error.as_flags}; give the sizes that its flags.txt has") from None
    print(f"Beginning with the networks of {path} at step {run.step}.", file=console.out, flush=True)
    return state


def foresee(recipe: Recipe) -> str:
    """Describes the run of a recipe, and begins none; see `dry_run.plan`."""
    devices = _checked_devices(recipe, Processes())
    pictures = load_sources(recipe)
    check_same_examples(Workdir(str(recipe.workdir)), pictures)
    return dry_run.plan(recipe, build_system(recipe, pictures), pictures, devices)


def _checked_devices(recipe: Recipe, processes: Processes) -> Devices:
    """Returns the devices of a run; raises a UserError for what would fail only after the pictures were read."""
    devices = Devices(recipe.parallel, recipe.placement, recipe.steps_per_call, processes)
    parallel.check_batch_size(recipe.batch_size, len(devices.used))
    check_sizes(recipe)
    if recipe.init_from is not None and not has_checkpoints(Workdir(str(recipe.workdir))):
        try:
            workdir_recipe(pretrained.beginning(recipe.init_from))
        except UserError as error:
            raise UserError(error.as_flags.replace("--workdir", "--init_from", 1)) from None
    for field in dataclasses.fields(recipe.settings):
        if field.metadata["path"] and getattr(recipe, field.name) is not None:
            schema.check_readable(field.name, getattr(recipe, field.name))
    return devices


def build_system(recipe: Recipe, pictures: Sources) -> System:
    """Builds the system of a recipe for its pictures, or for a description of them.

    Raises:
      UserError: where it cannot be built for them.
    """
    return recipe.family.build(recipe.settings, pictures)


def check_sizes(recipe: Recipe) -> None:
    """Raises a UserError for sizes that the networks cannot make, before any picture is read."""
    size = recipe.picture_size
    labelled = recipe.takes_conditions or recipe.family.labelled
    names = recipe.settings.stand_in_conditions if labelled else ()
    build_system(recipe, Examples.described((size, size, 3), names, ""))


def _check_common(pictures: Sources, recipe: Recipe, processes: Processes) -> None:
    """Raises a UserError where this process has other pictures than the first."""
    mine = digest_of(pictures)
    first = processes.tell(lambda: mine)
    if first != mine:
        raise UserError(
            f"--dataset={recipe.dataset}: process {processes.index} finds other pictures than process 0 (their digests"
            f" begin with {mine[:8]} and {first[:8]}); give every host the same"
        )
