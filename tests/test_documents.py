"""The README and the site: their programs run as they stand, their commands are understood, and the site is built."""

import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import commands
import pytest
from absl import flags
from commands import REPOSITORY

from experiments.cli import flag_files, schema
from experiments.run.cluster import Cluster
from experiments.run.recipes import recipe_class, resolve
from experiments.run.start import Start
from jaxgan import systems

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PROGRAM = re.compile(r"(?:<!--(?P<comment>[^\n]*)-->\n)?```python\n(?P<program>.*?)^```$", re.DOTALL | re.MULTILINE)
REASON = re.compile(r" not run by tests: (\S.*?) ")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(?:python -m )?(experiments\.\w+ --[^`]*)`")
OTHERS = (
    "sample",
    "evaluate",
    "inspect",
    "export",
    "demo",
    "classify",
    "import_weights",
)  # train nothing


def programs():
    """The programs of all documents, and why each is not run, or None."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        matches = list(PROGRAM.finditer(text))
        assert len(matches) == text.count("```python"), path
        for match in matches:
            reason = REASON.fullmatch(match["comment"]) if match["comment"] else None
            assert match["comment"] is None or reason, f"say above a program why it is not run: {match['comment']}"
            name = f"{path.relative_to(REPOSITORY)}:{text.count(chr(10), 0, match.start('program')) + 1}"
            # The shortest is run with every test; a system is trained by the others.
            marks = () if "from jaxgan import losses, models\n" in match["program"] else pytest.mark.slow
            found.append(pytest.param(match["program"], reason and reason[1], id=name, marks=marks))
    return found


@pytest.mark.parametrize(("program", "reason"), programs())
def test_a_program_runs(program, reason, tmp_path):
    compile(program, "document", "exec")
    if reason:
        pytest.skip(reason)
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    # One device, as a reader has; and most of the time would go into compiling well.
    result = commands.run_file(path, xla_flags="--xla_backend_optimization_level=0")
    assert result.returncode == 0, result.stderr


def test_what_is_not_run_needs_what_a_test_does_not_have():
    for block in programs():
        program, reason = block.values
        assert (reason is not None) == ("torch.load" in program), block.id


def written_commands():
    """The commands of all documents as lists of words, without those that leave something out ("…", "...")."""
    found = {}
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = [block for language, block in BLOCK.findall(text) if language in ("", "bash")]
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        for line in (*lines, *(f"python -m {words}" for words in INLINE.findall(text))):
            for part in (part for part in line.split("&&") if "python -m experiments." in part):
                words = shlex.split(part.rstrip('"') if part.count('"') % 2 else part, comments=True)
                if (
                    words[:2] == ["python", "-m"]
                    and words[2].startswith("experiments.")
                    and not {"…", "..."} & {*words}
                ):
                    found[" ".join(words[2:])] = words[2:]
    return found


COMMANDS = written_commands()


def parsed(table, arguments):
    """The values that are given for the flags of dataclasses."""
    values = flags.FlagValues()
    for one in table:
        values.append_flag_values(schema.flag_values(one))
    assert values(["command", *arguments])[1:] == [], "not flags"
    names = [field.name for one in table for field in dataclasses.fields(one)]
    return {name: values[name].value for name in names if values[name].value is not None}


def test_commands_are_found_in_the_documents():
    assert len(COMMANDS) > 50


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command):
    module, *arguments = COMMANDS[command]
    name = module.removeprefix("experiments.")
    arguments = [
        one for one in arguments if one not in ("--flagfile=W/flags.txt", "--help")
    ]  # of a run of the reader's
    if name in OTHERS:
        [asked] = [
            kind
            for kind in vars(importlib.import_module(module)).values()
            if isinstance(kind, type)
            and dataclasses.is_dataclass(kind)
            and kind.__name__.lower() == name.replace("_", "")
        ]
        asked(**parsed([asked], arguments))
        return
    family = systems.families()[name]
    recipe = recipe_class(family.settings)
    own = [
        kind
        for kind in vars(importlib.import_module(module)).values()
        if dataclasses.is_dataclass(kind) and kind.__module__ == module  # such as those of a single picture
    ]
    given = parsed([recipe, Start, Cluster, *own], flag_files.expand(arguments))
    fields = {field.name for field in dataclasses.fields(recipe)}
    resolve({key: value for key, value in given.items() if key in fields}, family.models).check()


@pytest.mark.slow
def test_the_site_is_built_and_every_link_leads_somewhere(tmp_path):
    if not find_spec("mkdocs") or not find_spec("mkdocstrings"):
        pytest.skip("needs mkdocs: pip install 'jaxgan[docs]'")
    arguments = ("build", "--strict", "--quiet", f"--site-dir={tmp_path}")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert "minimax_discriminator_loss" in (tmp_path / "reference" / "losses.html").read_text(encoding="utf-8")
    # Nothing is loaded from elsewhere: the pages are read where there is no network.
    pages = "".join(page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html"))
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(?:https?:)?//(?!127)", pages)
