"""The programs of README.md run as they stand, each as a program of its own."""

import re

import commands
import pytest
from commands import REPOSITORY

BLOCK = re.compile(r"(?:<!--(?P<comment>[^\n]*)-->\n)?```python\n(?P<program>.*?)^```$", re.DOTALL | re.MULTILINE)
REASON = re.compile(r" not run by tests: (\S.*?) ")


def blocks():
    """The programs, and why each is not run, or None."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        reason = REASON.fullmatch(match["comment"]) if match["comment"] else None
        assert match["comment"] is None or reason, (
            f"a comment above a program says why it is not run: {match['comment']}"
        )
        line = text.count("\n", 0, match.start("program")) + 1
        # Two are run with every test: the first, and the last, whose losses need no system.
        marks = () if not found or "from jaxgan import losses\n" in match["program"] else pytest.mark.slow
        found.append(pytest.param(match["program"], reason and reason[1], id=f"line {line}", marks=marks))
    assert len(found) == text.count("```python")
    return found


@pytest.mark.parametrize(("program", "reason"), blocks())
def test_a_program_of_the_readme_runs(program, reason, tmp_path):
    compile(program, "README.md", "exec")
    if reason:
        pytest.skip(reason)
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    # One device, as a reader has; and most of the time would go into compiling well.
    result = commands.run_file(path, xla_flags="--xla_backend_optimization_level=0")
    assert result.returncode == 0, result.stderr


def test_what_is_not_run_needs_what_a_test_does_not_have():
    for block in blocks():
        program, reason = block.values
        assert (reason is not None) == ("torch.load" in program), block.id
