"""From flags to recipes: the sources' numbers are the defaults, and numbers that cannot be are refused."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import demo, evaluate, inspect, sample, style
from experiments.cli import command, schema
from experiments.run import merge, restore
from experiments.run.cluster import Cluster
from experiments.run.recipes import default_recipe, recipe_class, resolve
from jaxgan import models, systems
from jaxgan.data import tags
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.systems import gan as gan_systems
from jaxgan.systems.adversarial_losses import ADVERSARIAL_LOSSES
from jaxgan.systems.gan import AdversarialSettings
from jaxgan.systems.schedule import BatchSchedule
from jaxgan.systems.settings import flag_lines
from jaxgan.systems.style import StyleSettings

ALL = systems.names()
DCGAN = systems.families()["dcgan"]
FLAGS = recipe_class(AdversarialSettings)


def test_every_model_has_a_recipe_with_an_end():
    assert set(ALL) >= set(models.names())
    for recipe in map(default_recipe, ALL):
        assert (recipe.steps is None) != (recipe.epochs is None)


# batch, learning rates of G and D, beta1, optimiser, epochs or steps: as the tutorials have them.
SOURCES = {
    "mlp_a": (64, 1e-4, 1e-4, 0.9, "adam", 200),
    "mlp_b": (100, 2e-4, 2e-4, 0.9, "adam", 200),
    "mlp_keras": (32, 1e-3, 1e-3, None, "rmsprop", 50),
    "dcgan_mnist_a": (64, 1e-4, 1e-5, 0.9, "adam", 40),
    "dcgan_mnist_keras": (32, 1e-3, 1e-3, None, "rmsprop", 50),
    "dcgan_anime_a": (64, 1e-4, 1e-4, 0.5, "adam", 500),
    "dcgan_anime_b": (256, 2e-4, 2e-4, 0.5, "adam", 200),
    "dcgan_64": (128, 2e-4, 2e-4, 0.5, "adam", 25),
    "wgan_anime": (64, 5e-5, 5e-5, None, "rmsprop", 100_000),
    "cgan_anime": (64, 1e-4, 1e-4, 0.9, "adam", 100),
    "cgan_mnist": (64, 1e-4, 1e-5, 0.9, "adam", 100),
    "sngan_32": (64, 2e-4, 2e-4, 0.0, "adam", 50_000),
    "resnet_gan": (64, 2e-4, 2e-4, 0.0, "adam", 100_000),
    "projection_gan": (64, 2e-4, 2e-4, 0.0, "adam", 100_000),
    "sndcgan": (64, 2e-4, 2e-4, 0.5, "adam", 100_000),
}


@pytest.mark.parametrize("name", SOURCES)
def test_defaults_are_the_sources(name):
    recipe = default_recipe(name)
    batch, generator_rate, discriminator_rate, beta1, optimizer, end = SOURCES[name]
    assert (recipe.batch_size, recipe.optimizer, recipe.steps or recipe.epochs) == (batch, optimizer, end)
    assert (recipe.generator_learning_rate, recipe.discriminator_learning_rate) == (generator_rate, discriminator_rate)
    assert beta1 is None or recipe.beta1 == beta1
    assert recipe.label_smoothing == 0


def test_what_is_given_wins_and_a_total_replaces_the_other():
    recipe = resolve({"model": "mlp_a", "steps": 7, "batch_size": 5}, ALL)
    assert (recipe.steps, recipe.epochs, recipe.batch_size) == (7, None, 5)
    assert recipe.dataset == "avatars"
    assert recipe.workdir == "runs/mlp_a-avatars"
    assert resolve({"data_dir": "x"}, ALL).dataset == "folder"
    assert resolve({}, ("wgan_anime",)).model == "wgan_anime"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"steps": -3}, "--steps=-3"),
        ({"steps": 0}, "--steps=0"),
        ({"steps": 3, "epochs": 3}, "--epochs"),
        ({"epochs": float("nan")}, "--epochs=nan"),
        ({"batch_size": 0}, "--batch_size=0"),
        ({"generator_learning_rate": float("nan")}, "--generator_learning_rate=nan"),
        ({"discriminator_learning_rate": -1.0}, "--discriminator_learning_rate"),
        ({"beta1": 1.0}, "--beta1=1.0"),
        ({"average_decay": -0.1}, "--average_decay"),
        ({"image_size": -8}, "--image_size"),
        ({"clip": 0.0}, "--clip"),
        ({"critic_steps": 0}, "--critic_steps"),
        ({"critic_steps": 10**9}, "--critic_steps=1000000000: must be from 1 to 10,000"),
        ({"steps_per_call": 10**12}, "--steps_per_call"),
        ({"steps": 2**31}, "--steps=2147483648"),
        ({"epochs": float("inf")}, "--epochs=inf"),
        ({"keep_checkpoints_every": 0}, "--keep_checkpoints_every=0"),
        ({"log_every": 0}, "--log_every"),
        ({"steps_per_call": 0}, "--steps_per_call"),
        ({"seed": -1}, "--seed"),
        ({"seed": 2**63}, "--seed=9223372036854775808"),
        ({"rotation": -1.0}, "--rotation=-1.0"),
        ({"rotation": float("inf")}, "--rotation=inf"),
        ({"beta2": 1.0}, "--beta2=1.0"),
        ({"label_smoothing": 1.0}, "--label_smoothing=1.0"),
        ({"dropout_rate": 1.0}, "--dropout_rate=1.0"),
        ({"decay_every": 0}, "--decay_every=0"),
        ({"decay_every": 2**31 - 1, "critic_steps": 5}, "--decay_every=2147483647: must be at most 429,496,729 here"),
        ({"evaluate_every": 0}, "--evaluate_every=0"),
        ({"evaluate_num": 10**12}, "--evaluate_num=1000000000000: must be from 1 to 1,000,000"),
        ({"keep_best": "fid"}, "--keep_best=fid: is a score of --evaluate_every; give that too"),
        ({"model": "dcgan"}, "--model=dcgan"),
        ({"model": "mlp_a", "matching_aware": True}, "--matching_aware"),
        ({"model": "cgan_mnist", "wrong_in_one": True}, "--matching_aware"),
        ({"dataset": "folder"}, "--data_dir"),
        ({"model": "cgan_anime", "new_batch_each_critic_step": True}, "--noreuse_noise"),
        ({"model": "cgan_anime", "loss": "hinge"}, "--loss=hinge: --matching_aware has a loss of its own"),
        ({"model": "mlp_keras", "loss": "wasserstein"}, "--loss=wasserstein: --joint_batch"),
        ({"model": "mlp_keras", "label_smoothing": 0.1}, "--label_smoothing: --joint_batch"),
        ({"model": "dcgan_64", "critic_warmup": True}, "--critic_warmup"),
        ({"model": "mlp_b", "conditions": "hair.txt"}, "--conditions: mlp_b has no condition"),
        ({"model": "wgan_anime", "critic_warmup": True, "decay_every": 5}, "--decay_every"),
        ({"model": "mlp_b", "decay_every": 5, "decay_rate": 0.0}, "--decay_rate=0.0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given, named):
    with pytest.raises(UserError) as caught:
        resolve(given, ALL)
    assert re.search(named, caught.value.as_flags)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a word", "a word: not a flag"),
        ("--flagfile=/dev/zero", "may not name another flag file"),
        ("-flagfile=x", "may not name another flag file"),
        ("--widht=3", "widht"),
        ("--steps=many", "steps"),
        ("--" + "x" * 5000, "not the flags of a run"),
        ("--model=\0", None),
    ],
)
def test_the_flags_of_a_run_are_flags_to_the_last_line(tmp_path, line, said):
    path = tmp_path / "flags.txt"
    path.write_text(f"# how it was run\n// and why\n--model=mlp_b\n\n{line}\n--seed=5\n")
    if said is None:
        assert schema.read_flag_lines(FLAGS, path) == {"model": "\0", "seed": 5}
        return
    with pytest.raises(UserError, match=r"flags\.txt: not the flags of a run") as caught:
        schema.read_flag_lines(FLAGS, path)
    assert said in str(caught.value) and str(caught.value).isprintable()


def test_a_model_of_another_family_names_its_command():
    for model, command_of_it in (("dcgan_64", "experiments.dcgan"), ("mlp_a", "experiments.gan")):
        with pytest.raises(UserError, match=f"trains cgan_mnist; {model} is trained by {command_of_it}"):
            resolve({"model": model}, ("cgan_mnist",))


def test_a_model_without_dropout_or_with_initial_weights_of_its_own_says_so():
    with pytest.raises(UserError, match="initial_std: mlp_b has initial weights of its own"):
        gan_systems.build_gan(resolve({"model": "mlp_b", "dropout_rate": 0.4, "initial_std": 0.1}, ALL), 1, 0)
    with pytest.raises(UserError, match="dropout_rate: dcgan_anime_b has no dropout"):
        gan_systems.build_gan(resolve({"model": "dcgan_anime_b", "dropout_rate": 0.4}, ALL), 3, 0)


def test_an_augmentation_that_is_asked_for_is_among_the_rules():
    for flags, wanted in (({"model": "wgan_anime"}, True), ({"flip": True}, True), ({"model": "mlp_b"}, False)):
        recipe = resolve({"image_size": 32, **flags}, ALL)
        assert (gan_systems.build_rules(recipe, gan_systems.build_gan(recipe, 3, 0)).augment is not None) == wanted


@pytest.fixture
def given_flags(monkeypatch):
    """What flags give of a command's dataclass."""

    def parse(flags_type, *arguments):
        values = schema.flag_values(flags_type)
        values(["command", *arguments])
        monkeypatch.setattr(schema.flags, "FLAGS", values)
        return schema.given_flags(flags_type)

    return parse


PATHS = {
    FLAGS: ("workdir", "data_dir", "conditions", "init_from"),
    sample.Sample: ("workdir", "data_dir", "project", "input", "out"),
    inspect.Inspect: ("workdir", "metrics"),
    evaluate.Evaluate: ("workdir", "data_dir", "feature_weights"),
    demo.Demo: ("workdir",),
    style.Paint: ("content", "out"),
    recipe_class(StyleSettings): ("workdir", "data_dir", "init_from", "style", "feature_weights"),
}
NOT_PATHS = {
    "": "is empty",
    "a\nb": "has a line break",
    "a\r": "has a line break",
    "a\u2028b": "has a line break",
    "a\0b": "has a line break or a NUL",
    "a\udcff": "its full name is not UTF-8",
    "a" * 300: r"cannot be used \(File name too long\)",
    "/".join(["a" * 200] * 21): r"cannot be used \(File name too long\)",
}


@pytest.mark.parametrize("path", NOT_PATHS, ids=lambda path: ascii(path[:8]))
def test_what_is_no_path_is_refused_by_every_command(given_flags, path):
    for flags_type, names in PATHS.items():
        for name in names:
            with pytest.raises(UserError, match=f"^{name}=.*: {NOT_PATHS[path]}.*") as caught:
                given_flags(flags_type, f"--{name}={path}")
            assert str(caught.value).isprintable()


def test_an_empty_value_is_refused_by_every_command(given_flags):
    found = 0
    for kind, paths in {**PATHS, Cluster: ()}.items():
        for field in dataclasses.fields(kind):
            if field.type in (str, str | None) and not field.metadata["choices"]:
                remedy = "name a path" if field.name in paths else "give it a value"
                with pytest.raises(UserError, match=f"^{field.name}=: is empty .*; {remedy}, or leave"):
                    given_flags(kind, f"--{field.name}=")
                found += 1
    assert found > 15


def test_a_name_may_have_spaces_quotes_and_letters_of_every_script(given_flags, tmp_path):
    workdir = tmp_path / """ a 'b' "c" #=, ü 猫 \N{ZERO WIDTH JOINER}"""
    given = given_flags(FLAGS, f"--workdir={workdir}", "--data_dir=relative/x")
    assert given == {"workdir": str(workdir), "data_dir": "relative/x"}
    workdir.mkdir()
    (workdir / "flags.txt").write_text(flag_lines(resolve(given, ALL)), encoding="utf-8")
    assert restore.workdir_recipe(str(workdir)) == resolve(given, ALL)


@pytest.fixture
def begun(tmp_path):
    """Begins a run, as far as its files tell; returns the recipe that further flags give."""

    def begin(monkeypatch, given, then, checkpoints=(10,)):
        recipe = resolve({"workdir": str(tmp_path), **given}, ALL)
        (tmp_path / "flags.txt").write_text(flag_lines(recipe), encoding="utf-8")
        for step in checkpoints:
            (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
        monkeypatch.setattr(merge, "given_settings", lambda family: {"workdir": str(tmp_path), **then})
        return merge.recipe_from_flags(DCGAN)

    return begin


@pytest.mark.parametrize(
    ("given", "then", "said"),
    [
        ({}, {"dropout_rate": 0.9}, "--dropout_rate=0.9: .* holds a run without it; leave it out, or choose"),
        ({}, {"decay_every": 10}, "--decay_every=10: .* holds a run without it"),
        ({"clip": 0.1}, {"clip": 0.2}, "--clip=0.2: .* holds a run with --clip=0.1; choose another --workdir"),
        ({}, {"model": "dcgan_anime_b"}, "--model=dcgan_anime_b: .* holds a run with --model=dcgan_64"),
        ({}, {"precision": "bfloat16"}, "--precision=bfloat16: .* holds a run with --precision=float32"),
        ({}, {"seed": 1}, "--seed=1: .* holds a run with --seed=0"),
        ({}, {"data_dir": "x"}, "--dataset=folder: .* holds a run with --dataset=avatars"),
        ({"model": "mlp_a"}, {}, "--model=mlp_a: this command trains"),
    ],
)
def test_a_run_goes_on_with_the_flags_that_it_was_begun_with(begun, monkeypatch, given, then, said):
    given = {"model": "dcgan_64", **given}
    with pytest.raises(UserError) as caught:
        begun(monkeypatch, given, then)
    assert re.search(said, caught.value.as_flags)


def test_what_may_change_changes_and_what_is_left_out_is_filled_in(begun, monkeypatch):
    given = {"model": "dcgan_64", "clip": 0.1, "steps": 20, "data_dir": "x"}
    then = {"clip": 0.1, "epochs": 2.0, "log_every": 7, "evaluate_every": 50, "data_dir": "/moved"}
    recipe = begun(monkeypatch, given, then)
    assert recipe == dataclasses.replace(resolve({**given, "steps": None}, ALL), **then, workdir=recipe.workdir)


def test_before_the_first_checkpoint_other_flags_begin_another_run(begun, monkeypatch):
    given = {"model": "dcgan_64", "clip": 0.1, "steps": 20}
    recipe = begun(monkeypatch, given, {"batch_size": 7, "steps": 5}, checkpoints=())
    assert recipe == resolve({"batch_size": 7, "steps": 5, "workdir": recipe.workdir}, DCGAN.models)
    recipe = begun(monkeypatch, given, {"log_every": 7}, checkpoints=())
    assert recipe == resolve({**given, "log_every": 7, "workdir": recipe.workdir}, DCGAN.models)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--steps=5"], True),
        (["-steps", "5"], True),
        (["--steps_per_call=5"], False),
        (["--epochs=1", "--flagfile=steps.flags"], False),
    ],
)
def test_a_flag_stands_on_the_command_line_under_its_whole_name(monkeypatch, arguments, found):
    monkeypatch.setattr(command.sys, "argv", ["program", *arguments])
    assert schema.given_directly("steps") is found


def test_the_home_directory_is_meant_as_in_a_shell(given_flags, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    given = given_flags(FLAGS, "--workdir=~/run", "--data_dir=a/~/b")
    assert given == {"workdir": f"{tmp_path}/run", "data_dir": "a/~/b"}
    assert given_flags(FLAGS, "--workdir=~", "--dataset=~/x") == {"workdir": str(tmp_path), "dataset": "~/x"}


def test_what_a_run_reads_is_named_by_its_full_path(begun, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    then = {"model": "cgan_anime", "data_dir": "faces/../faces", "conditions": "wanted.txt"}
    monkeypatch.setattr(merge, "given_settings", lambda family: then)
    recipe = merge.recipe_from_flags(systems.families()["cgan"])
    assert (recipe.data_dir, recipe.conditions) == (str(tmp_path / "faces"), str(tmp_path / "wanted.txt"))
    assert recipe.workdir == "runs/cgan_anime-folder"


def test_a_run_of_before_with_a_relative_path_goes_on(begun, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recipe = begun(monkeypatch, {"model": "dcgan_64", "data_dir": "faces"}, {})
    assert recipe.data_dir == str(tmp_path / "faces")


def test_a_seed_of_more_than_32_bits_begins_no_run_but_goes_on(begun, monkeypatch):
    given = {"model": "dcgan_64", "seed": 2**32}
    with pytest.raises(UserError, match="seed=4294967296: must be from 0 to 4,294,967,295"):
        begun(monkeypatch, given, given, checkpoints=())
    assert begun(monkeypatch, given, {}).seed == 2**32


@pytest.mark.parametrize("name", ["image_size", "latent_dim", "generator_width", "discriminator_width"])
def test_sizes_beyond_all_bounds_are_refused_in_words(name):
    for value in (0, -1, 10**30):
        with pytest.raises(UserError, match=f"{name}={value}: must be"):
            models.build("mlp_b", **{name: value})


def test_another_familys_model_is_refused():
    with pytest.raises(UserError, match="model=wgan_anime"):
        resolve({"model": "wgan_anime"}, ("mlp_a", "mlp_b"))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("wgan_anime", 1e-6 / (np.sqrt(1e-13) + 1e-7)),  # 2.4 learning rates: Keras 2
        ("mlp_keras", 1e-6 / np.sqrt(1e-13 + 1e-7)),  # 0.003: TensorFlow
    ],
)
def test_epsilon_stands_where_the_source_has_it(model, expected):
    optimizer = gan_systems.optimizer(default_recipe(model), 1.0, 1)
    gradient = jnp.full(1, 1e-6)
    step, _ = optimizer.update(gradient, optimizer.init(jnp.zeros(1)))
    np.testing.assert_allclose(step, -expected, rtol=1e-5)


def test_learning_rates_fall_in_stairs_counted_in_generator_steps():
    recipe = dataclasses.replace(default_recipe("mlp_b"), optimizer="sgd", decay_every=2, decay_rate=0.5)
    for updates_per_step in (1, 3):
        optimizer = gan_systems.optimizer(recipe, 1.0, updates_per_step)
        state, rates = optimizer.init(jnp.zeros(())), []
        for _ in range(6 * updates_per_step):
            update, state = optimizer.update(jnp.ones(()), state, jnp.zeros(()))
            rates.append(-float(update))
        np.testing.assert_allclose(rates, np.repeat([1, 1, 0.5, 0.5, 0.25, 0.25], updates_per_step))


def test_each_player_learns_at_a_rate_of_its_own_with_both_decays():
    flags = {"generator_learning_rate": 0.5, "discriminator_learning_rate": 0.25, "beta1": 0.5, "beta2": 0.75}
    recipe = dataclasses.replace(default_recipe("mlp_b"), **flags)
    rules = gan_systems.build_rules(recipe, gan_systems.build_gan(recipe, 1, 0))
    for optimizer, rate in ((rules.generator_optimizer, 0.5), (rules.discriminator_optimizer, 0.25)):
        state = optimizer.init(jnp.zeros(1))
        for gradient, step in ((1.0, -1.0), (0.0, -(0.25 / 0.75) / np.sqrt(0.1875 / 0.4375))):
            update, state = optimizer.update(jnp.full(1, gradient), state)
            np.testing.assert_allclose(update, rate * step, rtol=1e-5)  # Adam, its means made good for their start


def test_what_a_recipe_says_of_the_game_is_in_its_rules():
    changed = {
        "critic_steps": 3,
        "new_batch_each_critic_step": True,
        "joint_batch": True,
        "clip": 0.5,
        "clip_normalization": False,
        "average_decay": 0.9,
        "sync_batch_norm": False,
    }
    usual = default_recipe("mlp_b")
    for name, value in {**changed, "reuse_noise": True, "matching_aware": True}.items():
        recipe = dataclasses.replace(
            default_recipe("cgan_mnist") if name == "matching_aware" else usual, **{name: value}
        )
        gan = gan_systems.build_gan(recipe, 1, 10)
        assert getattr(gan_systems.build_rules(recipe, gan), name) == value != getattr(usual, name)
    for name, score in (("mlp_b", 0.5), ("wgan_anime", 0.0)):  # a probability, and a critic's bare score
        recipe = default_recipe(name)
        assert float(gan_systems.build_rules(recipe, gan_systems.build_gan(recipe, 3, 0)).score(jnp.zeros(()))) == score
    assert gan_systems.schedule(usual) == BatchSchedule(100)
    assert gan_systems.schedule(dataclasses.replace(default_recipe("wgan_anime"), critic_warmup=True)) == BatchSchedule(
        64, 5, warmup=True
    )


def test_losses_follow_the_recipe():
    real, fake = jnp.array([1.0, 2.0]), jnp.array([0.5, -1.0])
    for name in ADVERSARIAL_LOSSES:
        recipe = dataclasses.replace(default_recipe("mlp_b"), loss=name)
        rules = gan_systems.build_rules(recipe, gan_systems.build_gan(recipe, 1, 0))
        assert np.isfinite(rules.discriminator_loss(real, fake) + rules.generator_loss(fake))
    smooth = dataclasses.replace(default_recipe("mlp_b"), label_smoothing=0.2)
    bare = gan_systems.discriminator_loss(default_recipe("mlp_b"))(real, fake)
    # Of each logit x of a real picture, 0.2 of softplus(−x) has become 0.2 of softplus(x), which is x more.
    smoothed = gan_systems.discriminator_loss(smooth)(real, fake)
    np.testing.assert_allclose(smoothed - bare, 0.2 * (1.0 + 2.0) / 2, rtol=1e-5)
    with pytest.raises(UserError, match="label_smoothing"):
        gan_systems.discriminator_loss(dataclasses.replace(smooth, loss="hinge"))


def test_conditional_models_need_conditions():
    with pytest.raises(UserError, match="needs conditions"):
        gan_systems.build_gan(default_recipe("cgan_anime"), 3, 0)
    assert gan_systems.build_gan(default_recipe("cgan_anime"), 3, 23).condition_dim == 23


def test_attributes_of_a_condition_come_from_its_names():
    gan = gan_systems.build_gan(default_recipe("cgan_anime"), 3, 23)
    recipe = dataclasses.replace(default_recipe("cgan_anime"), wrong_in_one=True)
    assert gan_systems.build_rules(recipe, gan, tags.CONDITION_NAMES).wrong_attributes == (12, 11)
    assert gan_systems.build_rules(recipe, gan, [str(digit) for digit in range(10)]).wrong_attributes == (10,)
    assert gan_systems.build_rules(default_recipe("cgan_anime"), gan, tags.CONDITION_NAMES).wrong_attributes is None


def test_precision_reaches_the_networks():
    recipe = dataclasses.replace(default_recipe("mlp_b"), precision="bfloat16")
    assert gan_systems.build_gan(recipe, 1, 0).generator.dtype == jnp.bfloat16
    assert isinstance(gan_systems.optimizer(recipe, 1e-3, 1), optax.GradientTransformation)
    assert jax.tree.leaves(gan_systems.optimizer(recipe, 1e-3, 1).init(jnp.zeros(2)))


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--batch_size=1.5", "--batch_size=1.5: must be a whole number"),
        ("--beta1=half", "--beta1=half: must be a number"),
        ("--flagfile=absent.flags", "--flagfile=absent.flags: No such file or directory"),
        ("--batchsize=3", "--batchsize: no such flag; use --batch_size; --help lists all"),
        ("--zzz", "--zzz: no such flag; --help lists all"),
        ("--flagfle=anime.flags", "--flagfle: no such flag; did you mean --flagfile? --help lists all"),
        ("--flagfile", "--flagfile: name a file, as in --flagfile=anime.flags"),
        ("--flagfile=", "--flagfile=: is empty (an unset variable of the shell?); name a file, or leave the flag out"),
    ],
)
def test_absl_s_complaints_are_put_in_words(argument, said, capsys):
    with pytest.raises(SystemExit) as left:
        command.parse(["program", argument], schema.flag_values(FLAGS))
    assert left.value.code == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_the_command_line_is_preferred_to_a_flag_file_wherever_it_stands(tmp_path):
    path = tmp_path / "run.flags"
    path.write_text("--workdir=old\n--batch_size=7\n--flip\n")
    for order in ("{file} --workdir=new --noflip", "--workdir=new --noflip {file}", "--workdir=new {file} --noflip"):
        for form in (f"--flagfile={path}", f"--flagfile {path}", f"-flagfile={path}"):
            values = schema.flag_values(FLAGS)
            assert command.parse(["train", *order.format(file=form).split()], values) == ["train"]
            assert (values.workdir, values.batch_size, values.flip) == ("new", 7, False)


def test_the_preview_has_all_conditions_in_turn_or_a_row_for_each_of_five_kinds_of_faces():
    digits = tuple("0123456789")
    for model, names, rows in (
        ("cgan_mnist", digits, 0),
        ("cgan_anime", digits, 0),
        ("cgan_anime", tags.CONDITION_NAMES, 5),
    ):
        settings = systems.family_of(model).default_settings(model)
        gan = gan_systems.build_gan(settings, 3, len(names))
        examples = Examples.described((64, 64, 3), names, "")
        conditions, captions = gan_systems.preview_conditions(settings, gan, examples)
        assert len(captions) == rows
        if rows:
            assert conditions.shape == (25, 23) and (conditions.sum(1) == 2).all()
            assert captions[0] == "blue hair red eyes"
        else:
            np.testing.assert_array_equal(np.argmax(conditions, 1), np.arange(64) % 10)


@pytest.mark.slow
def test_the_preview_is_of_one_shape_and_without_conditions_8_by_8():
    for model, count, columns in (("dcgan_64", 64, 8), ("cgan_anime", 25, 5)):
        names = tags.CONDITION_NAMES if model == "cgan_anime" else ()
        examples = Examples.described((16, 16, 3), names, "")
        system = systems.build(model, examples, generator_width=2, discriminator_width=2, latent_dim=3)
        pictures = system.preview.images(jax.jit(system.init)(jax.random.key(0)))
        assert pictures.shape == (count, 16, 16, 3) and pictures.dtype == np.uint8
        assert system.preview.columns == columns
