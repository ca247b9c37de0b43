"""The whole page: its tabs around one choice of a run, and how it is served."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from experiments.page import (
    codes_tab,
    create_tab,
    directions_tab,
    explore_tab,
    neighbours_tab,
    projection_tab,
    requests,
    scores_tab,
    style,
    training_tab,
    translate_tab,
)
from experiments.page.abilities import Abilities
from experiments.page.create_tab import CreateTab
from experiments.page.explore_tab import ExploreTab
from experiments.page.guard import Guard
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from jaxgan.host.errors import UserError

WAITING = 32  # requests in line; more are sent away
KEEP_FILES = 3600  # seconds for which a picture can be downloaded
SECONDS = 5.0  # between two looks for runs that have begun

WELCOME = """# jaxgan
This page draws pictures with trained generators. Every picture comes with the command that draws it again.
"""


def build(shelf: Shelf, directory: Path, first: str | None = None) -> gr.Blocks:
    """Builds the page.

    Args:
      shelf: the runs that it shows.
      directory: where pictures for download are written.
      first: the run that it opens with; None: the first by name.
    """
    names = shelf.names()
    with gr.Blocks(title="jaxgan", analytics_enabled=False, delete_cache=(KEEP_FILES, KEEP_FILES)) as page:
        gr.Markdown(WELCOME, elem_id="welcome")
        with gr.Row(equal_height=True):
            line = gr.Markdown(elem_id="status")
            name = gr.Dropdown(
                names, value=first or names[0], label="Run", visible=len(names) > 1, min_width=300, elem_id="run"
            )
        drawing = {"concurrency_id": "drawing", "concurrency_limit": 1}
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Create", id="create", visible=False) as item:  # Gradio hides none that began visible
                create = create_tab.build(shelf, name, item, directory, drawing)
            with gr.Tab("Explore", id="explore", visible=False) as item:
                explore = explore_tab.build(shelf, name, item, drawing)
            others = []
            for words, other in OTHERS:
                with gr.Tab(words, visible=False) as item:
                    others.append(other(shelf, name, item, drawing))
            with gr.Tab("Training", id="training"):
                show, inputs, outputs = training_tab.build(shelf, name, line)

        every = [create.tab, explore.tab, *others]
        fit = functools.partial(_fit, shelf, every)
        fitted = [component for tab in every for component in tab.fitted]
        for event in (page.load, name.change):
            done = event(fit, name, fitted, api_visibility="private", show_progress="hidden")
            done.then(create.draw, create.inputs, create.shown, api_visibility="private", **drawing).then(
                None, js=create_tab.NAME_COMMAND, api_visibility="private"
            )
            if event is name.change:
                for tab in every:
                    if tab.arrive is not None:
                        tab.arrive(done.then)
            else:
                done.then(
                    functools.partial(_first_tab, shelf), name, tabs, api_visibility="private", show_progress="hidden"
                )
            event(show, inputs, outputs, api_visibility="private", show_progress="hidden")
        _take_to_explore(shelf, name, tabs, create, explore)
        known = gr.State(names)
        looking = {"api_visibility": "private", "show_progress": "hidden"}
        gr.Timer(SECONDS).tick(functools.partial(_new_runs, shelf), known, [known, name], **looking)
    page.queue(max_size=WAITING)
    return page


OTHERS: tuple[tuple[str, Callable[..., Tab]], ...] = (
    ("Codes", codes_tab.build),
    ("Directions", directions_tab.build),
    ("Neighbours", neighbours_tab.build),
    ("Projection", projection_tab.build),
    ("Translate", translate_tab.build),
    ("Scores", scores_tab.build),
)


def _fit(shelf: Shelf, tabs: list[Tab], chosen: Any) -> list[Any]:
    """Fits the tabs to a run, and empties what was drawn of another; of a broken one the status line tells."""
    able = _abilities(shelf, chosen)
    return [update for tab in tabs for update in tab.fit(able)]


def _first_tab(shelf: Shelf, chosen: Any) -> Any:
    """Chooses the first tab of a run that draws; while the tab was hidden, it could not be chosen."""
    return gr.update(selected="create") if _abilities(shelf, chosen).draws else gr.skip()


def _abilities(shelf: Shelf, name: Any) -> Abilities:
    try:
        return shelf.abilities(name)
    except UserError:
        return Abilities()


def _take_to_explore(shelf: Shelf, name: gr.Dropdown, tabs: gr.Tabs, create: CreateTab, explore: ExploreTab) -> None:
    """Lets a click on a picture that was drawn put it at the beginning of a walk."""

    def pick(chosen: Any, sent: dict[str, Any]) -> tuple[Any, ...]:
        return gr.update(selected="explore"), *requests.pick(shelf.condition_names(chosen), sent)

    checked = show_user_errors(pick, "Not found")

    def take(chosen: Any, event: gr.EventData) -> tuple[Any, ...]:
        return checked(chosen, event._data)

    outputs = [tabs, *explore.beginning]
    explore.arrive(create.pictures.click(take, name, outputs, api_visibility="private", show_progress="hidden").success)


def _new_runs(shelf: Shelf, known: list[str]) -> tuple[Any, Any]:
    """The names of the runs, where others are there than before; the one that is shown stays."""
    names = shelf.names()
    if names == known:
        return gr.skip(), gr.skip()
    return names, gr.update(choices=names, visible=len(names) > 1)


def serve(page: gr.Blocks, *, host: str, port: int) -> str:
    """Begins to serve the page in the background, to this machine alone or to whom the host lets in.

    Returns:
      The page's address.

    Raises:
      OSError: if the port is taken.
    """
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
        theme=style.theme(),
        css=style.CSS,
        footer_links=[],
        allowed_paths=[],
        app_kwargs={"middleware": [(Guard, (), {})]},
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
    )
    return address
