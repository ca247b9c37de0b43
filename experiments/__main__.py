"""The list of commands, `python -m experiments`, and the program `jaxgan`, which runs any of them."""

import ast
import runpy
import sys
from pathlib import Path

from experiments.cli import loading
from experiments.cli.command import answer
from experiments.cli.help_page import filled
from experiments.cli.process import accept_any_character
from jaxgan import systems
from jaxgan.host.errors import UserError

FOLDER = Path(__file__).resolve().parent


def overview(folder: Path, called: str = "python -m experiments.COMMAND") -> str:
    """Returns the list of the commands in a folder: those that train with their models, then the others.

    The files are read, not imported. A command is a file with the usual last lines, `if __name__ == "__main__":`; which
    of them train is known to the registry of systems.

    Args:
      folder: the folder of the commands.
      called: how a command is started.
    """
    families = systems.families()
    training: list[tuple[str, list[str]]] = []
    others: list[tuple[str, list[str]]] = []
    for path in sorted(folder.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body):
            continue
        does = (ast.get_docstring(tree) or "").partition("\n")[0].partition(": ")[0].rstrip(".")
        models = families[path.stem].models if path.stem in families else ()
        (training if models else others).append(
            (path.stem, [does, f"--model={', '.join(models)}"] if models else [does])
        )
    column = max((len(name) for name, _ in training + others), default=0) + 4
    parts = [f"Usage: {called} [--flag=value ...]"]
    for heading, commands in (("Commands that train", training), ("Other commands", others)):
        lines = (
            filled(text, ("" if number else f"  {name}").ljust(column), " " * column)
            for name, texts in commands
            for number, text in enumerate(texts)
        )
        parts.append("\n".join([f"{heading}:", *lines]))
    parts.append(f"{called} --help lists the flags of a command.")
    return "\n\n".join(parts)


def main() -> None:
    """Prints the list; with the name of a command it says how that one is started."""
    loading.end()
    accept_any_character()
    asked = [argument for argument in sys.argv[1:] if argument not in ("--help", "-h")]
    if asked:
        known = (FOLDER / f"{asked[0]}.py").is_file()
        remedy = f"run python -m experiments.{asked[0]}" if known else "python -m experiments lists the commands"
        sys.exit(_refused(f"{asked[0]}: not an argument of this list; {remedy}"))
    _show(overview(FOLDER))


def program() -> None:
    """Runs `jaxgan [train] COMMAND …` as `python -m experiments.COMMAND …`; alone it lists the commands."""
    loading.end()
    accept_any_character()
    asked = sys.argv[1:]
    if asked[:1] == ["train"]:
        asked = asked[1:]
    if not asked or asked[0] in ("--help", "-h"):
        _show(overview(FOLDER, "jaxgan COMMAND"))
    elif asked[0].isidentifier() and not asked[0].startswith("_") and (FOLDER / f"{asked[0]}.py").is_file():
        sys.argv = [f"experiments.{asked[0]}", *asked[1:]]
        loading.begin()
        runpy.run_module(f"experiments.{asked[0]}", run_name="__main__", alter_sys=True)
    else:
        sys.exit(_refused(f"{asked[0]}: no such command; jaxgan lists them"))


def _show(text: str) -> None:
    try:
        answer(text)
    except UserError as error:
        sys.exit(_refused(str(error)))


def _refused(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
