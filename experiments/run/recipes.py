"""A recipe: everything that decides a run, the settings of its system and the options of the run. Each is a flag."""

import dataclasses
import functools
from fractions import Fraction
from pathlib import Path
from typing import Any

from experiments.cli import schema
from jaxgan import data, systems
from jaxgan.host.errors import UserError
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import (
    LARGEST,
    LONGEST_CALL,
    Family,
    SystemSettings,
    option,
    require_positive,
)
from jaxgan.training.best import SCORES

DATASET_HELP = (
    "avatars (drawn by the library), avatars_recolourable (the same with backgrounds that tell nothing of the hair),"
    " folder (pictures in --data_dir), or a TFDS name such as mnist; for pix2pix avatars_pairs or folder_pairs, for"
    " cyclegan avatars_domains or folder_domains"
)
MOST_MEASURED = 1_000_000  # pictures
FEATURES = ("trained", "thumbnails")
FEATURES_HELP = "Features that scores are taken from: a small network trained on the data set, or thumbnails of 8×8"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every run has besides its system. None means that the program chooses, as the help says."""

    dataset: str | None = option(
        None,
        f"Source of the pictures: {DATASET_HELP}; default: folder if --data_dir is given, else avatars",
        group="Data",
    )
    data_dir: str | None = option(
        None,
        "Folder of pictures (any nesting) or of Parquet files, a .npz or .npy file of pictures, or TFDS's directory",
        group="Data",
        path=True,
        may_change=True,
    )
    num_examples: int = option(30_000, "Number of avatars to draw", group="Data")

    workdir: str | None = option(
        None,
        "Output directory; an existing run in it is resumed; default: runs/MODEL-DATASET",
        group="Run",
        path=True,
        may_change=True,
    )
    init_from: str | None = option(
        None,
        "Workdir of a run, or name of a model that comes with the package, whose networks a new run begins with; its"
        " optimisers are new",
        group="Run",
        path=True,
    )
    steps: int | None = option(None, "TOTAL number of training steps to reach", group="Run", may_change=True)
    epochs: float | None = option(
        None, "TOTAL number of passes over the pictures to reach, instead of --steps", group="Run", may_change=True
    )
    log_every: int = option(100, "Log metrics every this many steps", group="Run", may_change=True)
    sample_every: int = option(1000, "Save a grid of samples every this many steps", group="Run", may_change=True)
    sample_early: bool = option(
        True, "Save grids at steps 1, 2, 5, 10, 20, 50, 100, 200 and 500 too", group="Run", may_change=True
    )
    checkpoint_every: int = option(1000, "Save a checkpoint every this many steps", group="Run", may_change=True)
    keep_checkpoints: int = option(3, "Number of newest checkpoints to keep", group="Run", may_change=True)
    keep_checkpoints_every: int | None = option(
        None, "Keep checkpoints at multiples of this step forever; default: none", group="Run", may_change=True
    )
    on_collapse: str = option(
        "warn", "What to do when training goes wrong", ("warn", "stop", "rollback"), group="Run", may_change=True
    )
    wandb_project: str | None = option(
        None,
        "Project of Weights & Biases to log to, by its client, or none; default: none",
        group="Run",
        may_change=True,
    )
    evaluate_every: int | None = option(
        None, "Log a few scores, such as FID, every this many steps; default: never", group="Scores", may_change=True
    )
    keep_best: str | None = option(
        None,
        "Keep the checkpoint that is best by this score of --evaluate_every, for --step=best; default: none",
        SCORES,
        group="Scores",
        may_change=True,
    )
    evaluate_num: int = option(2000, "Number of pictures for those scores", group="Scores", may_change=True)
    evaluate_features: str = option("trained", FEATURES_HELP, FEATURES, group="Scores", may_change=True)

    steps_per_call: int | None = option(
        None,
        "Training steps per compiled call; default: depends on model and device",
        group="Devices",
        may_change=True,
    )
    parallel: str | None = option(
        None,
        "Way to use the devices: jit (one device), pmap or shard_map; default: by their number",
        group="Devices",
        may_change=True,
    )
    placement: str | None = option(
        None,
        "Where the pictures are kept: device (all of them in its memory) or stream; default: device if they fit",
        group="Devices",
        may_change=True,
    )

    def check(self) -> None:
        """Raises a UserError for a value out of range."""
        require_positive(self, "steps", "epochs", "evaluate_every")
        counts = ("num_examples", "log_every", "sample_every", "checkpoint_every", "keep_checkpoints")
        for name in (*counts, "keep_checkpoints_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name}={value}: must be at least 1")
        if self.steps_per_call is not None and not 1 <= self.steps_per_call <= LONGEST_CALL:
            raise UserError(f"--steps_per_call={self.steps_per_call}: must be from 1 to {LONGEST_CALL:,}")
        if not 1 <= self.evaluate_num <= MOST_MEASURED:
            raise UserError(f"--evaluate_num={self.evaluate_num}: must be from 1 to {MOST_MEASURED:,}")
        if self.keep_best is not None and self.evaluate_every is None:
            raise UserError(f"--keep_best={self.keep_best}: is a score of --evaluate_every; give that too")
        if self.dataset in data.FOLDERS and not self.data_dir:
            raise UserError(f"--dataset={self.dataset}: name the folder with --data_dir")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(RunOptions, SystemSettings):
    """A whole run of any system. `recipe_class` adds the settings of a family."""

    @property
    def family(self) -> Family:
        """The systems to which this one belongs."""
        return systems.family_of(self.model)

    @property
    def settings(self) -> Any:
        """The settings of the system alone, as the library takes them."""
        names = [field.name for field in dataclasses.fields(self.family.settings)]
        return self.family.settings(**{name: getattr(self, name) for name in names})

    @property
    def takes_conditions(self) -> bool:
        """Whether the networks take a condition with each picture."""
        return self.family.conditional or self.conditional

    @property
    def values_to_share(self) -> dict[str, Any]:
        """What is set, by name, without what belongs to the user's machine and account."""
        private = {field.name for field in dataclasses.fields(self) if field.metadata["path"]} | {"wandb_project"}
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None and name not in private}

    @property
    def picture_size(self) -> int:
        """Height and width of the pictures."""
        return self.image_size or self.family.image_size(self.model)

    def check(self) -> None:
        """Raises a UserError for a value out of range, or for values that contradict each other."""
        RunOptions.check(self)
        kinds = {"pairs": (self.family.paired, data.PAIRED), "domains": (self.family.unpaired, data.DOMAINS)}
        for kind, (needed, known) in kinds.items():
            if needed and self.dataset not in known:
                raise UserError(f"--dataset={self.dataset}: {self.model} takes {kind}; choose {', '.join(known)}")
        for kind, (needed, known) in kinds.items():
            if not needed and self.dataset in known:
                raise UserError(
                    f"--dataset={self.dataset}: {self.model} takes no {kind}; choose a set without {kind}, such as"
                    " avatars or folder"
                )
        self.settings.check()


def recipe_class(settings: type[SystemSettings]) -> type[Recipe]:
    """Returns the dataclass of recipes of a family: its settings and the options of a run; the same one each time."""
    return _recipe_class(settings)  # type: ignore[arg-type]  # mypy takes the hash of instances for that of the class


@functools.cache
def _recipe_class(settings: Any) -> type[Recipe]:
    return dataclasses.make_dataclass("Recipe", [], bases=(settings, Recipe), frozen=True, kw_only=True)


@functools.cache
def default_recipe(model: str) -> Recipe:
    """Returns the recipe of a system as its source has it.

    Raises:
      UserError: for an unknown id.
    """
    family = systems.family_of(model)
    return recipe_class(family.settings)(model=model, **family.defaults[model], **family.runs[model])


def resolve(given: dict[str, Any], models: tuple[str, ...]) -> Recipe:
    """Returns the recipe of `given["model"]` with everything else that was given put in its place.

    Args:
      given: flags that were set, by name.
      models: the ids that may be asked for; the first is the default.

    Raises:
      UserError: for a model that is not among them, or values that cannot be.
    """
    model = given.get("model") or models[0]
    if model not in models:
        known = model in systems.names()
        trained = f"; {model} is trained by experiments.{systems.family_of(model).command}" if known else ""
        raise UserError(f"--model={model}: this command trains {', '.join(models)}{trained}")
    if given.get("steps") is not None and given.get("epochs") is not None:
        raise UserError("--steps and --epochs: give one of the two")
    recipe = default_recipe(model)
    if given.get("steps") is not None or given.get("epochs") is not None:
        recipe = dataclasses.replace(recipe, steps=None, epochs=None)
    unknown = sorted(given.keys() - {field.name for field in dataclasses.fields(recipe)})
    if unknown:
        raise UserError(f"--{unknown[0]}: {model} has no such setting; leave it out")
    recipe = dataclasses.replace(recipe, **{**given, "model": model})
    if recipe.dataset is None:
        source = "folder" if recipe.data_dir else "avatars"
        kind = "_pairs" if recipe.family.paired else "_domains" if recipe.family.unpaired else ""
        recipe = dataclasses.replace(recipe, dataset=source + kind)
    if recipe.workdir is None:
        recipe = dataclasses.replace(recipe, workdir=f"runs/{recipe.model}-{recipe.dataset}")
    recipe.check()
    return recipe


def read_recipe_flags(path: Path) -> dict[str, Any]:
    """Reads the flags of a run, as `flags.txt` has them, by the names of its recipe's fields.

    Raises:
      UserError: where the file is not such a file.
    """
    model = schema.find_value(path, "model")
    known = model in systems.names()
    recipe_type = recipe_class(systems.family_of(model).settings) if model and known else all_options()
    return schema.read_flag_lines(recipe_type, path)


@functools.cache
def all_options() -> type:
    """Returns a dataclass with the fields of every family, for a flag file that names no system that is known."""
    kinds = dict.fromkeys(family.settings for family in systems.families().values())
    return dataclasses.make_dataclass("AllOptions", [], bases=(*kinds, Recipe), frozen=True, kw_only=True)


def total_steps(recipe: Recipe, examples: int, schedule: BatchSchedule) -> int:
    """Returns the training steps to reach: of passes over the pictures, as many as are whole, and at least one.

    Args:
      recipe: with `steps`, or `epochs`.
      examples: how many there are.
      schedule: how many of them each step takes.

    Raises:
      UserError: for more steps than can be counted.
    """
    most = LARGEST // getattr(recipe, "critic_steps", 1)  # critic steps are counted in 32 bits, too
    if recipe.steps is not None:
        if recipe.steps > most:
            raise UserError(f"--steps={recipe.steps}: with this many critic steps to each, a run has at most {most:,}")
        return recipe.steps
    passes = Fraction(repr(float(recipe.epochs or 1)))  # what was typed, where 2.01 is a little less as a float
    steps = max(1, schedule.steps_within(int(passes * examples)))
    if steps > most:
        raise UserError(f"--epochs={recipe.epochs}: {steps:,} steps, and a run has at most {most:,}")
    return steps
