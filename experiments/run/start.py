"""From a recipe to a run: the data, the networks, the compiled step, and the loop."""

import contextlib
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.cli import command, schema
from experiments.run import cluster, conditions, evaluation
from experiments.run.cluster import Cluster
from experiments.run.recipes import MOST_STEPS, RECIPES, Recipe, resolve
from experiments.run.references import load_pictures
from experiments.run.systems import build_gan, build_rounds, build_rules, is_conditional
from jaxgan import models, sampling
from jaxgan.data import tags
from jaxgan.data.examples import Examples
from jaxgan.errors import UserError, printable
from jaxgan.host import images
from jaxgan.host.files import write_text
from jaxgan.systems import adversarial
from jaxgan.training import input_pipeline, parallel, trainer, watch
from jaxgan.training.distributed.processes import Processes
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.workdir import Workdir

GRID = 64  # pictures in a preview, 8×8
CONDITIONS = 5  # conditions in the preview of tagged faces, 5×5
MAY_CHANGE = (  # in a run that is continued
    *("steps", "epochs", "workdir", "data_dir", "log_every", "sample_every", "checkpoint_every", "keep_checkpoints"),
    *("keep_checkpoints_every", "on_collapse", "conditions", "steps_per_call", "parallel", "placement"),
    *("evaluate_every", "evaluate_num", "evaluate_features"),
)


def main(family: tuple[str, ...]) -> None:
    """The command that trains the models of a family."""
    model = f"the system to train: {', '.join(family)}; its recipe has every other default"

    def defaults_of(asked: str | None) -> Recipe:
        return RECIPES.get(asked or "", RECIPES[family[0]])

    settings = schema.define_flags(Recipe, helps={"model": model}, defaults_of=defaults_of)
    command.run(lambda: _train_together(family), settings, schema.define_flags(Cluster))


def _train_together(family: tuple[str, ...]) -> None:
    with cluster.joined(Cluster(**schema.given_flags(Cluster))) as processes:
        train(common_recipe(family, processes), processes)


def common_recipe(family: tuple[str, ...], processes: Processes) -> Recipe:
    """What the flags ask for, as the first process finds it; the others must have been given the same flags.

    Raises:
      UserError: where they were not.
    """
    given = schema.given_flags(Recipe)
    told = processes.tell(lambda: {"given": given, "recipe": dataclasses.asdict(recipe_from_flags(family))})
    for name in sorted(given.keys() | told["given"].keys()):
        mine, first = given.get(name), told["given"].get(name)
        if mine != first:
            raise UserError(f"--{name}={mine}: process 0 was given {first}; give every process the same flags")
    return Recipe(**told["recipe"])


def recipe_from_flags(family: tuple[str, ...]) -> Recipe:
    """What the flags ask for; a run that is continued fills in what they leave out.

    Raises:
      UserError: where they change what a run with checkpoints was begun with, or its flags are lost.
    """
    given = given_settings()
    recipe = resolve(given, family)
    schema.check_path("workdir", str(recipe.workdir))  # the one by default carries the data set's name
    workdir = Workdir(str(recipe.workdir))
    if not workdir.flags.exists():
        if _has_checkpoints(workdir):
            raise _lost(workdir.flags)
        return recipe
    settings = schema.read_flag_lines(Recipe, workdir.flags)
    former = resolve(settings, tuple(models.names()))
    changed = _changes(given, recipe, former)
    if (changed or former.model not in family) and not _has_checkpoints(workdir):
        return recipe  # Nothing was reached that other flags could harm: a new run.
    for name, value in changed.items():
        was = getattr(former, name)
        held = "without it; leave it out, or" if was is None else f"with --{name}={was};"
        raise UserError(f"--{name}={value}: {recipe.workdir} holds a run {held} choose another --workdir")
    if {"steps", "epochs"} & set(given):
        settings = {name: value for name, value in settings.items() if name not in ("steps", "epochs")}
    return resolve({**settings, **given, "workdir": recipe.workdir}, family)


def _changes(given: dict[str, Any], recipe: Recipe, former: Recipe) -> dict[str, Any]:
    """Which of the given flags are other than a run was begun with, and may not be."""
    if "data_dir" in given and former.dataset == "avatars":
        given = {**given, "dataset": recipe.dataset}  # A folder of pictures would be passed over without a word.
    return {name: value for name, value in given.items() if name not in MAY_CHANGE and value != getattr(former, name)}


def _has_checkpoints(workdir: Workdir) -> bool:
    return bool(Checkpoints(workdir.checkpoints).steps())


def _lost(path: Path) -> UserError:
    return UserError(f"{path}: is missing beside the checkpoints of a run; bring it back, or choose another --workdir")


def given_settings() -> dict[str, Any]:
    """The flags of a recipe that were given; of --steps and --epochs the one on the command line itself."""
    given = schema.given_flags(Recipe)
    if "steps" in given and "epochs" in given:
        over = [name for name in ("steps", "epochs") if not schema.given_directly(name)]
        given = {name: value for name, value in given.items() if name not in over}
    return given


def train(recipe: Recipe, processes: Processes) -> None:
    """Trains to the end of the recipe, from where the workdir is; of several processes the first alone writes there."""
    program_devices = _devices(recipe)
    parallel.check_batch_size(recipe.batch_size, len(program_devices))
    build_gan(recipe, channels=3, condition_dim=1)  # refuses impossible sizes before any picture is read
    if recipe.conditions is not None:
        schema.check_readable("conditions", recipe.conditions)
    workdir = Workdir(str(recipe.workdir))
    with workdir if processes.writes else contextlib.nullcontext():
        pictures = load_pictures(recipe)
        if processes.writes:
            _check_same(pictures, workdir)
        _check_common(pictures, recipe, processes)
        gan = build_gan(recipe, pictures.image_shape[-1], pictures.condition_dim)
        rules = build_rules(recipe, gan, pictures.condition_names)
        step = functools.partial(adversarial.train_step, rules=rules)
        program = parallel.compile_step(step, mode=recipe.parallel, devices=program_devices)
        rounds = build_rounds(recipe)
        steps_per_call = recipe.steps_per_call or _steps_per_call(recipe)
        feed = input_pipeline.Feed(
            program,
            pictures,
            seed=recipe.seed,
            batch_size=recipe.batch_size,
            rounds=rounds,
            steps_per_call=steps_per_call,
            conditional=is_conditional(recipe),
            placement=recipe.placement or processes.tell(lambda: input_pipeline.usual_placement(program, pictures)),
        )
        init_key, preview_key = jax.random.split(jax.random.key(recipe.seed))
        z, condition, columns = preview_inputs(recipe, gan, pictures.condition_names, preview_key)
        evaluates = recipe.evaluate_every is not None and processes.writes
        measure = evaluation.during_training(recipe, gan) if evaluates else None
        state = program.place_state(initial_state(init_key, rules))
        job = trainer.Job(
            description=_description(recipe, gan, state, pictures, program, feed),
            step_fn=feed,
            compile=feed.compile,
            preview=lambda state: sampling.generate(
                gan.generator, parallel.local(state.sampling_variables), z, condition
            ),
            evaluate=None if measure is None else lambda state: measure(parallel.local(state.sampling_variables)),
            pictures_per_step=recipe.batch_size * rounds.usual,
            columns=columns,
            probabilities=recipe.loss in ("nonsaturating", "minimax"),
            branch=lambda state, count: state.replace(key=jax.random.fold_in(state.key, count)),
            data_wait=lambda: feed.waited,
            begin=functools.partial(_remember, recipe, pictures, workdir),  # Nothing of a refused start is remembered.
        )
        schedule = trainer.Schedule(
            total_steps=total_steps(recipe, len(pictures), rounds.usual),
            steps_per_call=steps_per_call,
            log_every=recipe.log_every,
            sample_every=recipe.sample_every,
            checkpoint_every=recipe.checkpoint_every,
            evaluate_every=recipe.evaluate_every,
            keep=recipe.keep_checkpoints,
            keep_every=recipe.keep_checkpoints_every,
            on_collapse=recipe.on_collapse,  # type: ignore[arg-type]
        )
        trainer.train(state, job, schedule, workdir, watch=_watch(recipe, pictures), processes=processes)


def initial_state(key: jax.Array, rules: adversarial.Rules) -> adversarial.GANState:
    """The state before the first step, compiled in a hurry: it runs once."""
    options = {"xla_backend_optimization_level": 0}
    return jax.jit(functools.partial(adversarial.init_state, rules=rules), compiler_options=options)(key)


def total_steps(recipe: Recipe, pictures: int, batches_per_step: int) -> int:
    """The generator steps to reach."""
    if recipe.steps is not None:
        return recipe.steps
    steps = max(1, int(float(recipe.epochs or 1) * pictures / (recipe.batch_size * batches_per_step)))
    if steps > MOST_STEPS:
        raise UserError(f"--epochs={recipe.epochs}: {steps:,} steps, and a run has at most {MOST_STEPS:,}")
    return steps


def preview_inputs(
    recipe: Recipe, gan: models.GAN, condition_names: tuple[str, ...], key: jax.Array
) -> tuple[jax.Array, jax.Array | None, int]:
    """Latents, conditions and columns of the grid that shows how a run goes.

    8×8; a row for each of five conditions, of a file or of faces with tags, for `cgan_anime`; of classes, and for
    `cgan_mnist`, all by turns.
    """
    if not gan.condition_dim:
        return sampling.fixed_latents(key, gan.generator, GRID), None, 8
    if recipe.conditions is not None:
        try:
            rows = tags.read_conditions(recipe.conditions, condition_names)
        except UserError as error:
            raise UserError(f"--conditions: {error}") from None
        columns = CONDITIONS
    elif condition_names == tags.CONDITION_NAMES and recipe.model == "cgan_anime":
        rows = np.stack([tags.parse_condition(text) for text in conditions.FACES])
        columns = CONDITIONS
    else:
        turns = conditions.by_turns(condition_names, gan.condition_dim, GRID)
        return sampling.fixed_latents(key, gan.generator, GRID), jnp.asarray(turns, jnp.float32), 8
    repeated = jnp.asarray(np.repeat(rows, columns, axis=0), jnp.float32)
    return sampling.fixed_latents(key, gan.generator, len(repeated)), repeated, columns


def _devices(recipe: Recipe) -> list[jax.Device]:
    devices = jax.devices()
    return devices[:1] if recipe.parallel == "jit" else devices


def _steps_per_call(recipe: Recipe) -> int:
    """Steps in a call: many where a step is short, so that the device never waits; one where it is long."""
    if recipe.model.startswith("mlp"):
        return 50
    return 1 if jax.default_backend() == "cpu" else 20


def _check_same(pictures: Examples, workdir: Workdir) -> None:
    """Raises a UserError where the checkpoints of a workdir are of other pictures, or nothing tells of which."""
    if not _has_checkpoints(workdir):
        return
    path = workdir.path / "dataset.json"
    if not path.exists():
        raise _lost(path)
    try:
        former = json.loads(path.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not the description of a run's pictures; choose another --workdir") from error
    if former != pictures.digest:
        raise UserError(
            f"--workdir={workdir.path}: its run was trained on other pictures than these (the folder or the data set"
            " has changed); choose another --workdir, or bring the pictures back"
        )


def _remember(recipe: Recipe, pictures: Examples, workdir: Workdir) -> None:
    """Writes the run's flags and what it trains on."""
    described = {
        "dataset": recipe.dataset,
        "pictures": len(pictures),
        "shape": list(pictures.image_shape),
        "condition_names": list(pictures.condition_names),
        "sha256": pictures.digest,
    }
    try:
        write_text(workdir.path / "dataset.json", json.dumps(described, indent=1) + "\n")
        write_text(workdir.flags, schema.flag_lines(recipe))
        images.save_png(workdir.path / "real.png", images.grid(np.asarray(pictures.images[:GRID]), 8))
    except OSError as error:
        raise UserError(f"--workdir={recipe.workdir}: cannot be written to ({error.strerror})") from error


def _check_common(pictures: Examples, recipe: Recipe, processes: Processes) -> None:
    """Raises a UserError where this process has other pictures than the first."""
    first = processes.tell(lambda: pictures.digest)
    if first != pictures.digest:
        raise UserError(
            f"--dataset={recipe.dataset}: process {processes.index} finds other pictures than process 0 (their digests"
            f" begin with {pictures.digest[:8]} and {first[:8]}); give every host the same"
        )


def _watch(recipe: Recipe, pictures: Examples) -> watch.Watch:
    return watch.Watch(
        probabilities=recipe.loss in ("nonsaturating", "minimax"),
        nonsaturating=recipe.loss == "nonsaturating",
        real_diversity=watch.diversity(np.asarray(pictures.images[:GRID])),
    )


def _description(
    recipe: Recipe,
    gan: models.GAN,
    state: Any,
    pictures: Examples,
    program: parallel.Program,
    feed: input_pipeline.Feed,
) -> str:
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(p.params)) for p in (state.generator, state.discriminator)]
    shape = "×".join(map(str, gan.image_shape))
    where = "in the device's memory" if feed.placement == "device" else "streamed"
    devices = f"{len(program.devices)} {program.devices[0].platform} device{'s' * (len(program.devices) > 1)}"
    if jax.process_count() > 1:
        devices += f" of {jax.process_count()} processes"
    return (
        f"{gan.name} (G {sizes[0]:,} and D {sizes[1]:,} parameters) on {len(pictures):,} pictures {shape} of"
        f" {recipe.dataset}, {where}; {devices}, {program.mode}, {recipe.precision}, batch {recipe.batch_size}"
    )


def workdir_recipe(path: str) -> Recipe:
    """The recipe of a run that is there.

    Raises:
      UserError: where the workdir holds no run.
    """
    workdir = Workdir(path)
    if not workdir.flags.is_file():
        runs = sorted(found.parent.name for found in workdir.path.glob("*/flags.txt"))[:5]
        there = f"one of those in it: {', '.join(map(printable, runs))}" if runs else "that of a training command"
        raise UserError(f"--workdir={path}: holds no run (there is no flags.txt); name {there}")
    values = schema.read_flag_lines(Recipe, workdir.flags)
    return dataclasses.replace(resolve(values, tuple(models.names())), workdir=path)
