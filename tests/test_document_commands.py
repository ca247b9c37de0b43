"""The training commands of the README and of the site, each run for two steps at the smallest size, on small data."""

import dataclasses
import json

import numpy as np
import pytest
from absl import flags
from PIL import Image
from test_documents import COMMANDS, OTHERS
from test_systems import SIZES, SMALL, WIDER

from experiments.cli import flag_files, schema
from experiments.run import start
from experiments.run.cluster import Cluster
from experiments.run.recipes import recipe_class, resolve
from experiments.run.start import Start
from jaxgan import systems
from jaxgan.data import FOLDERS, avatars
from jaxgan.training.distributed.processes import Processes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compile_once")]

STEPS = 2
OF_PICTURES = 12
LABELS = np.arange(OF_PICTURES) % 3
SMALLER = {
    **{"num_examples": OF_PICTURES, "steps": STEPS, "epochs": None, "parallel": "jit", "categorical_codes": "3"},
    **{
        "wandb_project": None,
        "batch_sizes": None,
        "learning_rates": None,
        "initial_size": 4,
        "noise_dim": 2,
        "attention_size": None,
        "style": None,
        "feature_width": 1,
    },
}
APART = ("--pair=second --image_size", "--pair=left", "folder_domains", "--kinds=eyes", "--dry_run", "init_from", "=W/")
HEAVY = ("cyclegan", "progan", "stylegan")  # half a minute each to compile; tests/test_experiments.py trains them, too
RUN = "dcgan --flagfile=quickstart.flags"  # W of the documents


def training_commands():
    """The commands that train, but for those of several processes, which tests/test_hosts.py runs."""
    found = {}
    for command, (module, *arguments) in COMMANDS.items():
        name = module.removeprefix("experiments.")
        of_others = ("--coordinator", "--content=")  # several processes, and a single picture
        apart = {"--help", "--distributed"} & {*arguments} or any(one.startswith(of_others) for one in arguments)
        if name not in OTHERS and not apart:
            found[command] = (name, arguments)
    return found


def read(name, arguments, run=None):
    """The recipe that a command asks for, and whether it only foresees it."""
    family = systems.families()[name]
    recipe = recipe_class(family.settings)
    arguments = [one.replace("=W/flags.txt", f"={run}/flags.txt") if run else one for one in arguments]
    arguments = [one for one in arguments if one != "--train"]  # a flag of experiments.style alone
    values = flags.FlagValues()
    for table in (recipe, Start, Cluster):
        values.append_flag_values(schema.flag_values(table))
    values(["command", *flag_files.expand(arguments)])
    given = {field.name: values[field.name].value for field in dataclasses.fields(recipe)}
    given = {key: value for key, value in given.items() if value is not None}
    return resolve(given, family.models), bool(values["dry_run"].value)


def shrunk(recipe, places, workdir, run=None):
    """The same recipe at the smallest size, on small data of the same kind."""
    drawn = str(recipe.dataset).startswith("avatars")
    size = max(SIZES.get(recipe.model, 12), 16 if drawn else 0)  # no smaller ones are drawn
    wanted = SMALLER | SMALL | WIDER.get(recipe.model, {}) | {"image_size": size, "workdir": str(workdir)}
    fields = {field.name: field for field in dataclasses.fields(recipe)}
    changes = {name: value for name, value in wanted.items() if name in fields}
    if drawn and recipe.family.labelled:
        changes["num_examples"] = 48  # of fewer a colour of hair is missing
    if not drawn:
        kind = recipe.dataset if recipe.dataset in FOLDERS else "arrays"
        place = places[kind if kind != "folder_pairs" or recipe.pair in ("left", "right") else "folder_domains"]
        changes |= {"dataset": "folder" if kind == "arrays" else kind, "data_dir": str(place)}
    if recipe.init_from is not None and run is not None:
        changes["init_from"] = str(run)
    smaller = dataclasses.replace(recipe, **changes)
    smaller.check()
    return smaller


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Pictures as a reader has them: a folder with tags, one of pairs, one of two folders, and arrays."""
    top = tmp_path_factory.mktemp("pictures")
    faces = [avatars.draw(0, index, 16).image for index in range(OF_PICTURES)]
    for name in ("folder", "folder_pairs", "folder_domains/a", "folder_domains/b"):
        (top / name).mkdir(parents=True)
        for index, face in enumerate(faces):
            picture = np.concatenate([face, face[:, ::-1]], axis=1) if name == "folder_pairs" else face
            Image.fromarray(picture).save(top / name / f"{index}.png")
    hair = ("blue", "red", "green")
    lines = [f"{index},{hair[index % 3]} hair {hair[index // 3 % 3]} eyes\n" for index in range(OF_PICTURES)]
    (top / "folder" / "tags.csv").write_text("".join(lines))
    np.savez(top / "digits.npz", images=np.stack(faces)[..., :1], labels=LABELS)
    found = {name: top / name for name in ("folder", "folder_pairs", "folder_domains")}
    return found | {"arrays": top / "digits.npz"}


@pytest.fixture(scope="module")
def trained(places, tmp_path_factory):
    """Runs recipes, those that are the same at the smallest size once."""
    done = {}

    def train(name, arguments, run=None):
        recipe, foresees = read(name, arguments, run)
        workdir = tmp_path_factory.mktemp("runs") / "run"
        recipe = shrunk(recipe, places, workdir, run)
        key = (foresees, *((field, value) for field, value in vars(recipe).items() if field != "workdir"))
        if key not in done:
            if foresees:
                done[key] = start.foresee(recipe)
            else:
                start.train(recipe, Processes())
                done[key] = workdir
        return done[key]

    return train


@pytest.fixture(scope="module")
def run(trained):
    name, *arguments = RUN.split()
    return trained(name, arguments)


def test_commands_of_every_family_are_found():
    assert {name for name, _ in training_commands().values()} == set(systems.families())


def marked():
    """The first command of each family, and those with something of their own, with the slow proofs; others by hand."""
    first = {name: command for command, (name, _) in reversed(training_commands().items()) if name not in HEAVY}
    return [
        pytest.param(
            command, marks=() if command in first.values() or any(map(command.count, APART)) else pytest.mark.long
        )
        for command in training_commands()
    ]


@pytest.mark.parametrize("command", marked())
def test_a_training_command_trains(command, trained, run):
    found = trained(*training_commands()[command], run)
    if isinstance(found, str):
        assert "steps" in found
        return
    lines = [json.loads(line) for line in (found / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == STEPS and all(np.isfinite(list(lines[-1].values())))
    assert (found / "checkpoints" / str(STEPS)).is_dir() and (found / "samples" / f"{STEPS:08d}.png").is_file()
