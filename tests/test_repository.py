"""The files around the code: versions, addresses, sizes, words."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import jaxgan
from jaxgan import models, systems

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# In pieces, so that this file does not name them either.
REGISTRY_HOSTS = ["pypi" + ".org", "python" + "hosted", "index" + "-url", "conda" + ".anaconda", "registry" + ".npmjs"]


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def floors() -> dict[str, str]:
    """Distribution -> the oldest version that pyproject.toml admits, of everything it names with one."""
    extras = PROJECT["optional-dependencies"].values()
    requirements = [*PROJECT["dependencies"], *(requirement for extra in extras for requirement in extra)]
    matches = [
        re.match(r"([\w.-]+)(?:\[[\w-]+\])?[>=]=([\d.]+)(?: *;.*)?$", requirement) for requirement in requirements
    ]
    assert all(matches), "every dependency names a floor"
    return {normal(match[1]): match[2] for match in matches if match}


def constraints() -> dict[str, list[str]]:
    """Distribution -> its tested versions; one line each, with at most a marker of the Python version."""
    tested: dict[str, list[str]] = {}
    for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            match = re.fullmatch(r'([\w.-]+)==(\d+(?:\.\d+)*)(?:; python_version [<>]=? "3\.\d+")?', line)
            assert match, f"not a plain version: {line}"
            tested.setdefault(normal(match[1]), []).append(match[2])
    return tested


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listing.split("\0") if name and (path := REPOSITORY / name).is_file()]


def test_every_dependency_has_a_tested_version_that_its_floor_admits():
    tested = constraints()
    for name, floor in floors().items():
        assert name in tested, f"{name} is not in constraints.txt"
        assert all(version(ceiling) >= version(floor) for ceiling in tested[name]), name


def test_no_file_names_a_package_registry():
    for path in tracked_files():
        content = path.read_bytes().decode("utf-8", errors="replace")
        for host in REGISTRY_HOSTS:
            assert host not in content, f"{path.relative_to(REPOSITORY)} names {host}"


def test_files_are_small():
    weights = set((REPOSITORY / "experiments" / "pretrained").glob("*/weights.npz"))  # see test_pretrained.py
    for path in set(tracked_files()) - weights:
        assert path.stat().st_size <= 1_000_000, f"{path.relative_to(REPOSITORY)}: {path.stat().st_size} bytes"
        if path.suffix == ".py":
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= 500, f"{path.relative_to(REPOSITORY)} has {lines} lines: more than one idea?"


def test_the_changelog_tells_of_this_version():
    assert f"## {jaxgan.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")


def undocumented(tree: ast.Module) -> list[str]:
    """Public classes, functions and methods without a docstring, as `name` or `Class.name`."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    found = []
    for node in tree.body:
        if isinstance(node, definitions) and not node.name.startswith("_"):
            inner = (
                [child for child in node.body if isinstance(child, definitions)]
                if isinstance(node, ast.ClassDef)
                else []
            )
            members = [(f"{node.name}.{child.name}", child) for child in inner if not child.name.startswith("_")]
            found += [name for name, member in [(node.name, node), *members] if ast.get_docstring(member) is None]
    return found


@pytest.mark.parametrize("package", ["jaxgan", "experiments"])
def test_everything_public_is_documented(package):
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path.relative_to(REPOSITORY)} does not say what it is"
        assert not undocumented(tree), path.relative_to(REPOSITORY)


def functions_of(tree):
    """Public functions and methods that are no properties; of models those are left out that `models.names()` lists."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions_of(node)
        is_property = any("property" in ast.dump(decorator) for decorator in getattr(node, "decorator_list", ()))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not is_property:
            yield node


@pytest.mark.parametrize("package", ["jaxgan", "experiments", "benchmarks"])
def test_docstrings_of_functions_begin_with_a_verb(package):
    wrong = []
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        for function in functions_of(ast.parse(path.read_text(encoding="utf-8"))):
            first = (ast.get_docstring(function) or "Whether").split()[0]
            # What `models.names()` lists is the description of a network, and `Whether` stands for `Returns whether`.
            if first != "Whether" and function.name not in models.names() | dict.fromkeys(systems.names()):
                wrong += [] if re.fullmatch("[A-Z][a-z-]+s,?", first) else [f"{path}: {function.name}: {first}"]
    assert not wrong, "\n".join(wrong)


def test_comparisons_with_pytorch_carry_the_mark_that_ci_selects():
    for path in sorted((REPOSITORY / "tests").glob("test_*.py")):
        content = path.read_text(encoding="utf-8")
        if path != Path(__file__) and re.search(
            r'^\s*(?:import torch\b|from reference.*torch)|importorskip\(\s*"torch"', content, re.MULTILINE
        ):
            assert "pytest.mark.torch" in content, (
                f"{path.name} needs `pytestmark = pytest.mark.torch`, or CI never runs it"
            )


def documents() -> list[Path]:
    return [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "benchmarks" / "README.md"]


def test_every_test_that_the_documents_name_is_there():
    tests = {path.stem: path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").glob("test_*.py")}
    for path in documents():
        for name in re.findall(r"\btest_\w+(?!\w*\*)", path.read_text(encoding="utf-8")):
            known = name in tests or any(f"def {name}(" in text for text in tests.values())
            assert known or name == "test_NAME", f"{path.name} names {name}"


def test_every_file_that_the_documents_name_is_there():
    for path in documents():
        for name in re.findall(
            r"\b(?:jaxgan|experiments|tests|benchmarks|docs)/[\w/]+\.\w+", path.read_text(encoding="utf-8")
        ):
            assert "NAME" in name or (REPOSITORY / name).exists(), f"{path.name} names {name}"


def test_the_image_installs_extras_and_a_program_that_there_are():
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    asked = {extra for extras in re.findall(r"EXTRAS=([\w,]+)", text) for extra in extras.split(",")}
    assert asked and asked <= PROJECT["optional-dependencies"].keys()
    (program,) = re.findall(r'ENTRYPOINT \["(\w+)"\]', text)
    assert program in PROJECT["scripts"]


def test_the_quickstart_installs_what_it_runs_and_no_more():
    rules = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^quickstart: \$\(VENV\)/\.installed$", rules, re.MULTILINE)
    recipe = rules.partition("\n$(VENV)/.installed: ")[2].partition("\n\n")[0]
    assert "--editable . " in recipe and "[test]" not in recipe
