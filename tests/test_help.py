"""What `--help` and `python -m experiments` show: every flag in its group, with the defaults of the model asked for."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest
from test_commands import REPOSITORY, run

from experiments import __main__ as overview
from experiments import demo, evaluate, inspect, sample
from experiments.cli import help_page, schema
from experiments.cli.schema import FlagTable
from experiments.run import start
from experiments.run.cluster import Cluster
from experiments.run.recipes import default_recipe, recipe_class
from jaxgan.systems.gan import AdversarialSettings
from jaxgan.systems.settings import option

ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


FLAGS = recipe_class(AdversarialSettings)


def table_of(kind, default=None, helps=()):
    return FlagTable(kind, lambda model: default or kind(), dict(helps))


def said_of(text, flag):
    """What a page says of a flag, in one line."""
    found = re.search(rf"^  --(?:\[no\])?{flag}\s(.*?)(?=^\S|^  -|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, flag
    return " ".join(found[1].split())


@dataclasses.dataclass(frozen=True)
class Shared:
    model: str = option("", "the system; its recipe gives the rest", group="Model")
    limit: float | None = option(None, "the bound; default: no bound", group="Loss")
    kind: str = option("near", "what is drawn", ("near", "far"), group="Model")
    way: str = option("up", "up: to the top; down: to the bottom", ("up", "down"))
    fast: bool = option(True, "be quick")


@dataclasses.dataclass(frozen=True)
class Own(Shared):
    heads: int = option(3, "how many heads", group="Heads")


def test_a_flag_has_its_help_its_words_and_its_default():
    text = help_page.page("Trains.", [table_of(Shared)])
    assert said_of(text, "limit") == "the bound [default: no bound]"
    assert said_of(text, "kind") == "what is drawn: near, far [default: near]"
    assert said_of(text, "way") == "up: to the top; down: to the bottom [default: up]"
    assert said_of(text, "fast") == "be quick [default: true]" and "--[no]fast" in text
    assert said_of(text, "model") == "the system; its recipe gives the rest"
    bound = help_page.page("", [table_of(Shared, Shared(limit=0.5))])
    assert said_of(bound, "limit") == "the bound [default: 0.5]"


def test_flags_stand_in_groups_and_those_of_the_command_come_first():
    text = help_page.page("Trains.", [table_of(Own), table_of(Cluster)])
    headings = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    assert headings == ["Flags of this command", "Heads", "Model", "Loss", "Several processes", "Help and flag files"]


def test_each_model_has_its_own_defaults_and_the_flag_keeps_its_own():
    values = {"first": Shared("first", kind="near"), "second": Shared("second", kind="far")}
    table = FlagTable(Shared, lambda model: values.get(model, values["first"]), {})
    for model, kind in ((None, "near"), ("second", "far"), ("none such", "near")):
        text = help_page.page("Trains.", [table], model)
        assert said_of(text, "kind").endswith(f"[default: {kind}]")
        assert f"The defaults are those of --model={'second' if kind == 'far' else 'first'}." in text
        assert said_of(text, "model").endswith("[default: first]")


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        ([], None),
        (["--model=a", "--steps=3"], "a"),
        (["-model", "a"], "a"),
        (["--model=a", "--model=b"], "b"),
        (["--models=a", "--model"], None),
    ],
)
def test_the_model_asked_for_is_the_last_one_named(arguments, model):
    assert help_page.asked_model(arguments) == model


def test_no_line_is_longer_than_100_columns_and_example_calls_stay_whole():
    calls = 0
    for module, kind in (
        (sample, sample.Sample),
        (evaluate, evaluate.Evaluate),
        (demo, demo.Demo),
        (inspect, inspect.Inspect),
    ):
        text = help_page.page(module.__doc__, [table_of(kind)])
        assert max(map(len, text.splitlines())) <= 100
        for call in re.findall(r"python -m .*?(?=\s+#|$)", module.__doc__, re.MULTILINE):
            assert f"  {call}" in text
            calls += 1
    assert calls == 21


def test_every_flag_of_a_training_command_has_a_group_and_a_place():
    text = help_page.page("Trains.", [table_of(FLAGS, default_recipe("wgan_anime")), table_of(Cluster)])
    assert help_page._OTHERS not in text
    assert max(map(len, text.splitlines())) <= 100
    for field in [*dataclasses.fields(FLAGS), *dataclasses.fields(Cluster)]:
        assert said_of(text, field.name)
        assert all(choice in said_of(text, field.name) for choice in field.metadata["choices"])


@pytest.mark.parametrize("command", ["sample", "inspect"])
def test_help_is_help_whatever_else_is_asked_for_and_in_any_encoding(command):
    done = run(command, "--nonsense", "--help", "--workdir=", environment=ASCII)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--workdir" in done.stdout and done.stdout.isascii()
    assert done.stdout.startswith(("Draws pictures", "Prints a description of a run"))


def test_help_shows_the_defaults_of_the_model_that_is_asked_for(tmp_path):
    (tmp_path / "my.flags").write_text("--model=dcgan_64\n")
    for arguments, model in (
        (["--help", "--model=dcgan_anime_b"], "dcgan_anime_b"),
        ([f"--flagfile={tmp_path}/my.flags", "--help"], "dcgan_64"),
    ):
        done = run("dcgan", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"The defaults are those of --model={model}." in done.stdout
        assert said_of(done.stdout, "batch_size").endswith(f"[default: {default_recipe(model).batch_size}]")
    said = " ".join(run("wgan", "--help", "--flagfile=nowhere").stdout.split())
    assert "--model System to train: wgan_anime;" in said
    assert "--generator_learning_rate Learning rate of the generator [default: 5e-05]" in said


def test_the_list_of_commands_is_that_of_the_files():
    done = subprocess.run([sys.executable, "-m", "experiments"], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    for path in (REPOSITORY / "experiments").glob("[!_]*.py"):
        assert re.search(rf"^  {path.stem} +[A-Z]", done.stdout, re.MULTILINE)
    assert done.stdout.index("  wgan ") < done.stdout.index("Other commands:") < done.stdout.index("  demo ")
    assert "--model=wgan_anime\n" in done.stdout and "python -m experiments.COMMAND --help" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_new_file_is_in_the_list_and_one_that_is_no_command_is_not(tmp_path):
    last = 'if __name__ == "__main__":\n    main()\n'
    (tmp_path / "wgan.py").write_text(f'"""Trains a WGAN: as its paper has it.\n\nMore.\n"""\n{last}')
    (tmp_path / "count.py").write_text(f'"""Counts."""\n{last}')
    (tmp_path / "helper.py").write_text('"""No command."""\n')
    (tmp_path / "__main__.py").write_text(last)
    text = overview.overview(tmp_path)
    assert "Commands that train:\n  wgan   Trains a WGAN\n         --model=wgan_anime\n" in text
    assert "Other commands:\n  count  Counts\n\n" in text and "helper" not in text and "__main__" not in text


def test_a_command_that_is_an_argument_of_the_list_is_told_how_it_is_run(monkeypatch, capsys):
    for asked, said in (("dcgan", "run python -m experiments.dcgan"), ("nothing", "python -m experiments lists")):
        monkeypatch.setattr(sys, "argv", ["experiments", asked])
        with pytest.raises(SystemExit) as left:
            overview.main()
        assert left.value.code == 2 and said in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_the_list_of_commands_may_lose_its_reader_or_its_disk():
    """As in `jaxgan | head -1`, where Python itself would print a traceback."""
    command = [sys.executable, "-m", "experiments"]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe, open("/dev/full", "wb") as full:
        ran = [
            subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
            for out in (pipe, full)
        ]
    assert (ran[0].returncode, ran[0].stderr) == (0, "")
    assert ran[1].returncode == 2
    assert ran[1].stderr.startswith("error: the answer cannot be written") and ran[1].stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["inspect", "--workdir="], ["train", "inspect", "--workdir="]])
def test_the_program_runs_a_command(monkeypatch, arguments):
    ran = []
    monkeypatch.setattr(sys, "argv", ["/usr/bin/jaxgan", *arguments])
    monkeypatch.setattr(overview.runpy, "run_module", lambda name, **how: ran.append((name, how, sys.argv)))
    overview.program()
    how = {"run_name": "__main__", "alter_sys": True}
    assert ran == [("experiments.inspect", how, ["experiments.inspect", "--workdir="])]


@pytest.mark.parametrize("asked", ["nothing", "cli", "../setup", "__main__", ""])
def test_the_program_refuses_what_is_no_command(monkeypatch, capsys, asked):
    monkeypatch.setattr(sys, "argv", ["jaxgan", asked])
    with pytest.raises(SystemExit) as left:
        overview.program()
    assert left.value.code == 2 and capsys.readouterr().err == f"error: {asked}: no such command; jaxgan lists them\n"


def test_the_program_alone_lists_the_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jaxgan"])
    overview.program()
    said = capsys.readouterr().out
    assert said.startswith("Usage: jaxgan COMMAND [--flag=value ...]\n") and "  export " in said


def test_a_family_gives_the_page_its_defaults(monkeypatch):
    asked = []
    monkeypatch.setattr(schema.flags, "FLAGS", schema.flags.FlagValues())
    monkeypatch.setattr(schema, "_definition", lambda *_: (lambda *_, **__: None, []))
    monkeypatch.setattr(start.command, "run", lambda main, *tables: asked.extend(tables))
    start.main("dcgan")
    assert [table.schema for table in asked] == [FLAGS, start.Start, Cluster]
    assert [asked[0].defaults_of(name).model for name in (None, "dcgan_64", "x")] == [
        "dcgan_anime_a",
        "dcgan_64",
        "dcgan_anime_a",
    ]
