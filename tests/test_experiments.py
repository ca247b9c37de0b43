"""Every experiment from its flag file, narrow: it trains 20 steps, goes on, and can be sampled from."""

import json
import re
from pathlib import Path

import commands
import numpy as np
import pytest
from test_commands import REPOSITORY, arrays_of, inspected, logged

from experiments.cli import command, schema
from experiments.run.recipes import read_recipe_flags, recipe_class, resolve
from jaxgan import systems
from jaxgan.systems.gan import AdversarialSettings

FLAG_FILES = REPOSITORY / "experiments" / "flags"
SMALL = ["--batch_size=8", "--num_examples=64", "--log_every=5"]
NARROW = ["--generator_width=4", "--discriminator_width=4", *SMALL]
EXPERIMENTS = {
    "gan": ("mnist.flags", [*NARROW, "--dataset=avatars", "--image_size=16"]),
    "dcgan": ("anime.flags", [*NARROW, "--image_size=32"]),
    "cgan": ("cgan.flags", [*NARROW, "--image_size=16"]),
    "wgan": ("wgan.flags", [*NARROW, "--image_size=32"]),
    "vae": ("vae_avatars.flags", [*SMALL, "--width=4", "--image_size=16"]),
    "infogan": ("infogan_avatars.flags", [*NARROW, "--image_size=16"]),
    "pix2pix": ("pix2pix.flags", [*SMALL, "--width=4", "--image_size=16"]),
    "semi_supervised": (
        "semi_supervised.flags",
        [*NARROW, "--dataset=avatars", "--image_size=16", "--num_examples=200", "--labels_per_class=1"],
    ),
    "stylegan": (
        "stylegan_avatars.flags",
        [*SMALL, "--channel_max=4", "--latent_dim=4", "--mapping_layers=1", "--image_size=8"],
    ),
    "cyclegan": ("cyclegan.flags", [*SMALL, "--width=2", "--blocks=1", "--image_size=16", "--batch_size=2"]),
    "progan": (
        "progan_avatars.flags",
        [*SMALL, "--width=4", "--image_size=16", "--initial_size=8", "--stable_kimg=0.05", "--fade_kimg=0.1"],
    ),
    "stargan": (
        "stargan.flags",
        [*SMALL, "--width=2", "--blocks=0", "--discriminator_layers=2", "--image_size=16", "--batch_size=2"],
    ),
    "style": (
        "style.flags",
        ["--train", *SMALL, "--width=2", "--blocks=0", "--feature_width=2", "--image_size=16", "--batch_size=2"],
    ),
}


def run(name, *arguments):
    return commands.run(name, *arguments, xla_flags=commands.COMPILED_FAST)


def test_every_flag_file_begins_with_the_command_that_runs_it():
    for path in FLAG_FILES.glob("*.flags"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert f"--flagfile={path.name}" in first or "make quickstart" in first


@pytest.mark.parametrize("path", sorted(FLAG_FILES.glob("*.flags")), ids=lambda path: path.name)
def test_every_flag_file_is_a_recipe_of_the_command_that_it_names(path):
    named = re.match(r"# .*python -m experiments\.(\w+) ", path.read_text(encoding="utf-8"))
    assert named and named[1] in EXPERIMENTS
    given = read_recipe_flags(path)
    recipe = resolve(given, systems.names())
    assert recipe.family.command == named[1]
    assert all(getattr(recipe, name) == value for name, value in given.items())


def test_no_two_flag_files_write_into_one_workdir():
    given = [read_recipe_flags(path) for path in FLAG_FILES.glob("*.flags")]
    workdirs = [resolve(flags, systems.names()).workdir for flags in given]
    assert len(set(workdirs)) == len(workdirs)


# The conformance suite proves resumption of every system, and tests/test_document_commands.py starts each command.
BY_HAND = ("cgan", "wgan", "stylegan", "infogan", "semi_supervised", "cyclegan", "stargan")


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=pytest.mark.long if name in BY_HAND else pytest.mark.slow) for name in EXPERIMENTS],
)
def test_twenty_steps_and_on(command, tmp_path):
    flagfile, smaller = EXPERIMENTS[command]
    flags = [f"--flagfile={flagfile}", *smaller, f"--workdir={tmp_path / 'run'}"]
    for steps in (20, 25):
        done = run(command, *flags, f"--steps={steps}")
        assert done.returncode == 0, done.stderr
        assert f"to {steps}, in" in done.stdout
    assert inspected(tmp_path / "run")["step"] == 25
    assert [line["step"] for line in logged(tmp_path / "run")] == [5, 10, 15, 20, 25]
    shown = ["--show=translations"] if command in ("pix2pix", "cyclegan", "stargan", "style") else []
    done = run("sample", f"--workdir={tmp_path / 'run'}", *shown, "--num=6", f"--out={tmp_path / 'six.npz'}")
    assert done.returncode == 0, done.stderr
    arrays = arrays_of(tmp_path / "six.npz")
    assert len(arrays["images"]) == (4 if command == "cyclegan" else 6)
    assert "labels" not in arrays if command != "cgan" else arrays["labels"].shape == (6, 23)


@pytest.mark.slow
def test_a_condition_decides_what_is_drawn(tmp_path):
    flags = ["--flagfile=cgan.flags", *NARROW, "--image_size=16", "--steps=2", f"--workdir={tmp_path / 'run'}"]
    assert run("cgan", *flags).returncode == 0
    for name, condition in (("blue", "blue hair red eyes"), ("again", "red eyes, Blue Hair"), ("pink", "pink hair")):
        done = run(
            "sample", f"--workdir={tmp_path / 'run'}", f"--condition={condition}", f"--out={tmp_path / name}.npz"
        )
        assert done.returncode == 0, done.stderr
    blue, again, pink = (arrays_of(tmp_path / f"{name}.npz") for name in ("blue", "again", "pink"))
    np.testing.assert_array_equal(blue["images"], again["images"])
    assert not np.array_equal(blue["images"], pink["images"])
    assert blue["labels"][0].sum() == 2 and pink["labels"][0].sum() == 1
    done = run("sample", f"--workdir={tmp_path / 'run'}", "--condition=blu hair")
    assert done.returncode == 2 and "blue hair" in done.stderr


@pytest.mark.slow
def test_a_tagged_folder_and_a_conditions_file(tmp_path):
    from jaxgan.data import avatars
    from jaxgan.host.images import save_png

    folder = tmp_path / "tagged"
    tags = []
    for number in range(16):
        avatar = avatars.draw(0, number, 16)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        save_png(folder / "images" / f"{number}.png", avatar.image)
        hair, eyes = avatars.HAIR_COLOURS[avatar.hair], avatars.EYE_COLOURS[avatar.eyes]
        tags.append(f"{number},{hair} hair {eyes} eyes")
    (folder / "tags.csv").write_text("\n".join(tags) + "\n", encoding="utf-8")
    conditions = tmp_path / "conditions.txt"
    conditions.write_text("blue hair red eyes\nblack hair\n", encoding="utf-8")
    flags = ["--flagfile=cgan.flags", *NARROW, "--image_size=16", "--steps=2", f"--data_dir={folder}"]
    done = run("cgan", *flags, f"--conditions={conditions}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert inspected(tmp_path / "run")["condition_names"][8] == "blue hair"
    conditions.write_text("blue hair red eyes\nblakc hair\n", encoding="utf-8")
    done = run("cgan", *flags, f"--conditions={conditions}", f"--workdir={tmp_path / 'other'}")
    assert done.returncode == 2 and "line 2" in done.stderr and "black hair" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("gan", ["--flagfile=mnist.flags"]),
        ("dcgan", ["--model=dcgan_mnist_keras", "--batch_size=8"]),
        ("cgan", ["--model=cgan_mnist", "--batch_size=8"]),
        ("dcgan", ["--model=dcgan_64", "--image_size=32", "--generator_width=8", "--discriminator_width=8"]),
    ],
)
def test_real_mnist(command, flags, real_data, tmp_path):
    flags = [*flags, "--dataset=mnist", f"--data_dir={real_data / 'tfds'}", "--log_every=5"]
    done = run(command, *flags, "--steps=20", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    found = inspected(tmp_path / "run")
    assert found["image_shape"][2] == 1
    described = json.loads((Path(tmp_path) / "run" / "dataset.json").read_text())
    assert described["pictures"] == 60_000


def test_a_flag_file_that_comes_with_the_commands_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = schema.flag_values(recipe_class(AdversarialSettings))
    assert command.parse(["program", "--flagfile", "wgan.flags", "--steps=3"], values) == ["program"]
    assert (values.model, values.steps) == ("wgan_anime", 3)
    (tmp_path / "wgan.flags").write_text("--model=mlp_b\n")
    mine = schema.flag_values(recipe_class(AdversarialSettings))
    command.parse(["program", "--flagfile=wgan.flags"], mine)
    assert mine.model == "mlp_b"  # a file in the working directory comes first
