"""The page that `--help` shows: what a command does, example calls, and its flags in groups."""

import dataclasses
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from experiments.cli.schema import FlagTable

WIDTH = 100  # columns
_HELP = re.compile(r"--?(help|helpshort|helpfull|h)(=true)?")
_BOUND = "\0"  # for a space at which no line ends
_OTHERS = "Flags of this command"  # the heading of flags without a group


@dataclasses.dataclass(frozen=True)
class _Line:
    """What the page says of one flag."""

    flag: str
    text: str


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether the command line asks for help, in any place."""
    return any(_HELP.fullmatch(argument) for argument in arguments)


def asked_model(arguments: Sequence[str]) -> str | None:
    """Returns the last value of `--model` among arguments; None where there is none."""
    found = None
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        name, equals, value = argument.partition("=")
        if name in ("--model", "-model"):
            found = value if equals else following
    return found


def page(doc: str, tables: Sequence[FlagTable], model: str | None = None, others: Iterable[flags.Flag] = ()) -> str:
    """Returns the whole page, of at most 100 columns.

    Args:
      doc: the docstring of the command's module, with example calls.
      tables: the flags of the command.
      model: the one whose defaults are shown; None for the default model.
      others: further flags, which no table holds.
    """
    groups: dict[str, list[_Line]] = {}
    known = set()
    for table in tables:
        defaults, usual = table.defaults_of(model), table.defaults_of(None)
        for field in table.fields():
            known.add(field.name)
            default = getattr(usual if field.name == "model" else defaults, field.name)
            line = _Line(
                _spelling(field.name, field.type), _text(table.help_of(field), default, field.metadata["choices"])
            )
            groups.setdefault(field.metadata.get("group") or _OTHERS, []).append(line)
    for flag in others:
        if flag.name not in known:
            line = _Line(_spelling(flag.name, flag.flag_type()), _text(flag.help or "", flag.default, ()))
            groups.setdefault(_OTHERS, []).append(line)
    models = [name for table in tables if (name := getattr(table.defaults_of(model), "model", None))]
    groups["Help and flag files"] = [
        _Line("--flagfile", "File with one flag per line; flags on the command line take precedence over it"),
        _Line("--help", "Show this page" + (", with the defaults of the --model that is given" if models else "")),
    ]
    note = [f"The defaults are those of --model={name}." for name in models]
    own = {_OTHERS: groups.pop(_OTHERS)} if _OTHERS in groups else {}
    return "\n\n".join([*_paragraphs(doc), *note, *(_group(*group) for group in {**own, **groups}.items())])


def _spelling(name: str, kind: Any) -> str:
    return f"--[no]{name}" if kind in (bool, "bool") else f"--{name}"


def _text(text: str, default: Any, choices: Sequence[str]) -> str:
    """Returns what is said of a flag: its help, the words that it may be, and its default."""
    text, marked, described = text.rpartition("default: ") if re.search(r"; default: [^;]*$", text) else (text, "", "")
    text = text.removesuffix("; ")
    if not all(re.search(rf"\b{re.escape(choice)}[,;:]", text) for choice in choices):  # explained one by one
        text += f": {', '.join(choices)}"
    if default is None or default == "":
        return f"{text} [default: {described}]" if marked else text
    if isinstance(default, list | tuple):
        default = ",".join(map(str, default))
    return f"{text} [default: {str(default).lower() if isinstance(default, bool) else default}]"


def _group(heading: str, lines: Sequence[_Line]) -> str:
    column = max(len(line.flag) for line in lines) + 4
    shown = (filled(line.text, f"  {line.flag}".ljust(column), " " * column) for line in lines)
    return "\n".join([f"{heading}:", *shown])


def _paragraphs(doc: str) -> list[str]:
    """Returns the paragraphs of a docstring, its example calls with their comments among them."""
    texts = [text for text in re.split(r"\n\s*\n", doc.strip()) if text.strip()]
    return [_calls(text) if text.strip().startswith("python ") else filled(text) for text in texts]


def _calls(text: str) -> str:
    """Returns example calls, one a line; a comment for which a line has no room stands above its call."""
    lines = []
    for line in text.splitlines():
        whole = "  " + line.strip()
        call, mark, comment = whole.partition("  #")
        if len(whole) > WIDTH and mark:
            lines += [filled(comment, "  # ", "  # "), call.rstrip()]
        else:
            lines.append(whole)
    return "\n".join(lines)


def filled(text: str, first: str = "", following: str = "") -> str:
    """Returns a text in lines of at most 100 columns, unless a word is longer.

    Args:
      text: the words; `[default: …]` stays in one line where it is short.
      first: what the first line begins with.
      following: what the other lines begin with.
    """
    text = re.sub(r"\[default: [^\]]{,30}\]", lambda match: match[0].replace(" ", _BOUND), " ".join(text.split()))
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    lines = textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=following, **options)
    return lines.replace(_BOUND, " ") or first.rstrip()
