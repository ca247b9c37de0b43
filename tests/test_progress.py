import io
import sys
from types import SimpleNamespace

from jaxgan.host import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_work_is_passed_on_and_short_work_shows_nothing(capsys):
    assert list(progress.bar(iter("abc"), "spelling", total=3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_log_file_gets_a_line_each_half_minute_and_a_terminal_more(monkeypatch):
    shown = {}
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.bar(what="counting", total=200, initial=50, delay=0) as bar:
            bar.start_t -= 3  # as if it had begun three seconds ago
            bar.last_print_t -= 3
            bar.update(50)
        shown[type(stream)] = stream.getvalue()
    assert "counting" in shown[Terminal] and "50%" in shown[Terminal]
    quiet, lively = (shown[kind].split("\r") for kind in (io.StringIO, Terminal))
    assert len(quiet) < len(lively)
    assert "100/200" in quiet[-1]  # the end is always told


def test_a_bar_that_is_not_shown_says_nothing(capsys):
    assert list(progress.bar(range(3), delay=0, shown=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_the_time_left_is_told_once_some_work_is_done():
    with progress.bar(total=1000, delay=0, shown=False) as bar:
        assert progress.time_left(bar, 20) is None
    for worked, done, expected in (
        (9, 100, None),  # too early
        (20, 100, "about 3 min"),
        (600, 100, "about 1 h 30 min"),
        (20, 990, None),  # less than a minute
        (20, 0, None),
    ):
        bar = SimpleNamespace(disable=False, n=50 + done, initial=50, total=1050)
        assert progress.time_left(bar, worked) == expected
