"""The tab that shows how a run came about, or how it goes: loss curves that grow, and its grids over time."""

import functools
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from experiments.page import pictures, requests, status
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from jaxgan.host import images
from jaxgan.host.errors import UserError, printable
from jaxgan.training.files.workdir import Workdir

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 2.0  # between two looks at the run
GRID = "Preview"  # samples from fixed latents, or what else the system shows
NOTHING = ("", 0, 1)  # what has been seen: the signature of the run, how many grids it had, and which one is shown


def build(shelf: Shelf, name: gr.Dropdown, status: gr.Markdown) -> tuple[Any, list[Any], list[Any]]:
    """Lays out the tab, which keeps the status line up to date too.

    Args:
      shelf: the runs.
      name: the drop-down that names one.
      status: the line about the run.

    Returns:
      What the page does when it is opened and when another run is chosen: a function, its inputs and its outputs.
    """
    seen = gr.State(NOTHING)
    with gr.Row():
        with gr.Column(min_width=300):
            curves = gr.HTML(elem_id="curves", apply_default_css=False)
        with gr.Column(min_width=300):
            grid = gr.HTML(elem_id="grid", apply_default_css=False)
            place = gr.Slider(1, 2, value=1, step=1, precision=0, label="Grid", elem_id="place")
    looking = {"api_visibility": "private", "show_progress": "hidden"}
    inputs, outputs = [name, seen], [seen, status, curves, place, grid]
    gr.Timer(SECONDS).tick(functools.partial(_follow, shelf), inputs, outputs, **looking)
    show = show_user_errors(functools.partial(_show, shelf))
    place.input(show, [name, place, seen], [grid, seen], trigger_mode="always_last", **looking)
    return functools.partial(_open, shelf), [name], outputs


def _open(shelf: Shelf, name: Any) -> tuple[Any, ...]:
    """Everything about a run, at its newest grid; of a broken one, what is wrong, and nothing of another run."""
    try:
        return _look(shelf, name, NOTHING)
    except UserError as error:
        said = f"**{html.escape(printable(name))}** cannot be shown: {html.escape(error.as_flags)}"
        return NOTHING, said, None, gr.update(maximum=2, value=1, interactive=False), None


def _follow(shelf: Shelf, name: Any, seen: Any) -> tuple[Any, ...]:
    """What has changed since the last look: nothing, mostly, or when the run is gone."""
    try:
        return _look(shelf, name, seen)
    except UserError:
        return (gr.skip(),) * 5


def _look(shelf: Shelf, name: Any, seen: tuple[str, int, int]) -> tuple[Any, ...]:
    """What was seen, the status, the curves, the slider and its grid; a slider at the newest grid stays there."""
    workdir = shelf.workdir(name)
    signature, number, index = seen
    now = status.signature(workdir)
    if now == signature:
        return (gr.skip(),) * 5
    found = status.read(workdir)
    slider, grid = gr.skip(), gr.skip()
    newest = len(found.grids)
    if newest != number or not number:
        slider = gr.update(maximum=max(newest, 2), interactive=newest > 1)
        if index >= number:
            index = max(newest, 1)
            slider = {**slider, "value": index}
            grid = _grid(found.grids, newest)
    return (now, newest, index), status.describe(workdir, found), _curves(workdir, found), slider, grid


def _curves(workdir: Workdir, found: status.RunStatus) -> str:
    """The plot of the metrics, of which the browser shows the one that fits its colours."""
    light, dark = (_png(status.curves(workdir, found, dark=dark)) for dark in (False, True))
    if light is None or dark is None:
        return pictures.note("No metrics yet.")
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{pictures.address(dark)}">'
    words = pictures.text(status.curves_in_words(found))
    return f'<picture>{source}<img alt="{words}" src="{pictures.address(light)}"></picture>'


def _png(figure: "Figure | None") -> bytes | None:
    if figure is None:
        return None
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _show(shelf: Shelf, name: Any, index: Any, seen: tuple[str, int, int]) -> tuple[Any, tuple[str, int, int]]:
    """One grid of a run, by its place in time, and what has been seen now."""
    grids = images.grids(shelf.workdir(name).samples)
    place = requests.position(index, len(grids) or 1)
    return _grid(grids, place), (*seen[:2], place)


def _grid(grids: list[tuple[int, Path]], index: int) -> Any:
    """Shows a grid, counted from 1; nothing where there is none, and what was there where it has just gone."""
    if not grids:
        return None
    step, path = grids[index - 1]
    try:
        read = status.read_grid(path)
    except OSError:
        return gr.skip()
    return pictures.figure(read, f"{GRID}, step {step:,}") + pictures.downloads(read, f"preview-{step}")
