"""Models that come with the package, each a folder as `experiments.export --format=folder` writes it."""

from pathlib import Path

from jaxgan.host.errors import UserError, printable

FOLDER = Path(__file__).resolve().parent.parent / "pretrained"


def names() -> tuple[str, ...]:
    """Lists the names of the models, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/flags.txt")))


HELP = f"Model that comes with the package, in the place of --workdir: {', '.join(names())}"


def folder_of(workdir: str | None, pretrained: str | None) -> str | None:
    """Returns the folder that a command reads: that of a run, or of a model that comes with the package.

    Raises:
      UserError: if both are named or none is, or there is no model of this name.
    """
    if pretrained is None:
        if workdir is None:
            raise UserError(
                "--workdir: name the directory of a run, or give --pretrained, a model that comes with the package"
                f" ({', '.join(names())})"
            )
        return workdir
    if workdir is not None:
        raise UserError("--workdir and --pretrained: give one of the two")
    if pretrained not in names():
        raise UserError(
            f"--pretrained={printable(pretrained)}: there is none of this name; choose {', '.join(names())}"
        )
    return str(FOLDER / pretrained)


def is_name(text: str) -> bool:
    """Whether `--init_from` names a model of the package: where a file has the same name, that is meant."""
    return text in names() and not Path(text).exists()


def beginning(workdir_or_name: str) -> str:
    """Returns the folder that `--init_from` names."""
    return str(FOLDER / workdir_or_name) if is_name(workdir_or_name) else workdir_or_name
