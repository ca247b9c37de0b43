"""Who imports whom: the rows of the design, low to high, and what each may load."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxgan
from jaxgan import PUBLIC_NAMES

REPOSITORY = Path(__file__).resolve().parent.parent

# Room -> row. A file imports from rows above its own, and from its own row where no circle comes of it.
ROWS = {
    "host": 1,
    "systems": 3,
    "models": 2,
    "ops": 1,
    "losses": 1,
    "penalties": 1,
    "transforms": 1,
    "data": 2,
    "metrics": 4,
    "sampling": 4,
    "interop": 4,
    "training": 5,
}

# What knows nothing of generators and critics, and of the systems only what describes any of them.
GAME_BLIND = {"host", "data", "training"}
OF_THE_GAME = {"losses", "models", "systems", "sampling", "metrics", "interop"}

OF_ANY_SYSTEM = {"system", "schedule", "checks", "outputs", "settings"}

PURE_PACKAGES = {"jax", "numpy", "optax"}
TENSORFLOW = {"tensorflow", "tensorflow_datasets"}


def python_files(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything imported below `tree`, inside functions too; `from a import b` counts as a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"line {node.lineno}: imports are absolute here"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_at_start(tree: ast.Module) -> Iterator[str]:
    """What is imported as soon as the module is: everything but the bodies of functions and of `if TYPE_CHECKING`."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield from imports_of(node)


def packages_of(names: Iterator[str]) -> set[str]:
    """The packages that these names belong to, Python's own left out."""
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room(path: Path) -> str:
    """The first name below `jaxgan`: its own for a file, the package's for a file of a package."""
    return path.relative_to(REPOSITORY / "jaxgan").parts[0].removesuffix(".py")


def rooms_imported(tree: ast.AST) -> set[str]:
    return {name.split(".")[1] for name in imports_of(tree) if name.startswith("jaxgan.")}


def library_files() -> list[Path]:
    return [path for path in python_files("jaxgan") if room(path) != "__init__"]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_every_room_has_its_row():
    assert {room(path) for path in library_files()} <= ROWS.keys()


def test_imports_point_upwards():
    for path in library_files():
        mine = room(path)
        for other in rooms_imported(parsed(path)):
            assert {mine, other} <= ROWS.keys(), f"{name_of(path)} imports {other}: both need a row"
            assert ROWS[other] <= ROWS[mine], f"{name_of(path)}, row {ROWS[mine]}, imports {other}, row {ROWS[other]}"


def test_rooms_import_each_other_in_no_circle():
    graph: dict[str, set[str]] = {}
    for path in library_files():
        graph.setdefault(room(path), set()).update(rooms_imported(parsed(path)) - {room(path)})
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("blind", sorted(GAME_BLIND))
def test_another_game_needs_no_change_of(blind):
    for path in library_files():
        if room(path) == blind:
            known = {name for name in imports_of(parsed(path)) if name.startswith("jaxgan.systems.")}
            assert all(name.split(".")[2] in OF_ANY_SYSTEM for name in known), name_of(path)
            assert not rooms_imported(parsed(path)) & (OF_THE_GAME - {"systems"}), name_of(path)


def test_the_loop_knows_no_metric_by_its_name():
    for path in python_files("jaxgan/training"):
        assert not re.search(r"\b[dg]_(loss|real|fake)\b", path.read_text(encoding="utf-8")), name_of(path)


def test_the_package_itself_imports_only_what_finds_its_modules():
    assert not packages_of(imports_at_start(parsed(REPOSITORY / "jaxgan" / "__init__.py")))


@pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
def test_a_module_is_the_same_under_its_short_name(name):
    short, module = importlib.import_module(f"jaxgan.{name}"), importlib.import_module(PUBLIC_NAMES[name])
    assert short is module is getattr(jaxgan, name) and module.__name__ == PUBLIC_NAMES[name]


def test_parts_are_there_once_the_library_is_imported():
    program = """
import sys, jaxgan
assert not {"jax", "tensorflow"} & sys.modules.keys()
print(jaxgan.losses.minimax_generator_loss.__name__, hasattr(jaxgan, "nothing"), hasattr(jaxgan, "__wrapped__"))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.split() == ["minimax_generator_loss", "False", "False"]


def test_the_first_row_imports_only_jax_optax_and_numpy():
    for path in library_files():
        if ROWS.get(room(path)) == 1:
            also = {"tqdm", "PIL"} if room(path) == "host" else set()
            assert packages_of(imports_of(parsed(path))) <= PURE_PACKAGES | {"jaxgan"} | also, name_of(path)


def test_tensorflow_is_imported_in_data_alone_and_only_when_used():
    for path in python_files("jaxgan") + python_files("experiments"):
        tree = parsed(path)
        assert not packages_of(imports_at_start(tree)) & TENSORFLOW, f"{name_of(path)} loads it at once"
        if not path.is_relative_to(REPOSITORY / "jaxgan" / "data"):
            assert not packages_of(imports_of(tree)) & TENSORFLOW, name_of(path)


def test_what_few_need_is_imported_when_it_is_used():
    # SciPy's optimisers alone took half a second of every command's start.
    for path in python_files("jaxgan") + python_files("experiments"):
        assert not packages_of(imports_at_start(parsed(path))) & {"matplotlib", "scipy"}, (
            f"{name_of(path)} loads it at once"
        )


def test_the_library_imports_none_of_its_users():
    for path in python_files("jaxgan"):
        assert not packages_of(imports_of(parsed(path))) & {"experiments", "benchmarks", "tests"}, name_of(path)


def test_every_imported_package_is_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + extras["demo"] + extras["export"] + extras["parquet"]
    distributions = {requirement.split(">")[0].lower() for requirement in requirements}
    distribution_of = {"absl": "absl-py", "PIL": "pillow", "orbax": "orbax-checkpoint"}
    for path in python_files("jaxgan") + python_files("experiments"):
        for package in packages_of(imports_of(parsed(path))) - {"jaxgan", "experiments"}:
            distribution = distribution_of.get(package, package.replace("_", "-")).lower()
            assert distribution in distributions, (
                f"{name_of(path)} imports {package}, which pyproject.toml does not name"
            )


def run_python(program: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_losses_loads_nothing_heavy():
    loaded = run_python(
        "import jaxgan.losses, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ).split()
    assert "jax" in loaded
    assert not {"flax", "matplotlib", "orbax", "PIL", "tensorboardX", *TENSORFLOW} & set(loaded)


def test_commands_that_only_read_runs_import_neither_tensorboardx_nor_pytorch():
    program = "import experiments.sample, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = run_python(program).split()
    assert "orbax" in loaded and not {"tensorboardX", "torch"} & set(loaded)


def test_a_command_that_trains_imports_tensorboardx_without_pytorch(tmp_path):
    (tmp_path / "torch.py").write_text("print('imported')\nTensor = object\n", encoding="utf-8")
    program = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from experiments.cli import process
process.import_tensorboardx()
print("tensorboardX" in sys.modules, "torch" in sys.modules); import torch
from jaxgan.training.files import tensorboard
"""
    assert run_python(program).split() == ["True", "False", "imported"]
    program = program.replace("from experiments", "import torch; from experiments", 1)
    assert run_python(program).split() == ["imported", "True", "True"]  # what is there stays


def test_gradio_is_imported_by_pieces_of_the_page_alone_and_never_before_the_page_is_asked_for():
    page = REPOSITORY / "experiments" / "page"
    needy = {
        path.stem for path in python_files("experiments/page") if "gradio" in packages_of(imports_of(parsed(path)))
    }
    assert needy
    for path in python_files("jaxgan") + python_files("experiments"):
        if path.parent != page:
            assert "gradio" not in packages_of(imports_of(parsed(path))), name_of(path)
            assert not {f"experiments.page.{name}" for name in needy} & set(imports_at_start(parsed(path)))


def test_everything_can_be_imported_without_tensorflow():
    modules = [
        name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in python_files("jaxgan") + python_files("experiments")
        if path.name != "__main__.py"
        and (importlib.util.find_spec("gradio") or "gradio" not in packages_of(imports_of(parsed(path))))
    ]
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in sorted(TENSORFLOW))
    run_python(f"import importlib, sys; {blocked}[importlib.import_module(name) for name in {modules}]")
