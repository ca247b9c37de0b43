"""The whole page: its tabs around one choice of a run, how it looks, and how it is served."""

import functools
from pathlib import Path
from typing import Any

import gradio as gr

from experiments.page import condition_inputs, create_tab, explore_tab, training_tab
from experiments.page.guard import Guard
from experiments.page.shelf import Shelf
from jaxgan.host.errors import UserError

WAITING = 32  # requests in line; more are sent away
KEEP_FILES = 3600  # seconds for which a picture can be downloaded

STYLE = """
.gradio-container {max-width: 1160px !important; width: 100% !important; margin: 0 auto !important}
.gradio-container {box-sizing: border-box}
.gradio-container main, .gradio-container .contain {width: 100%}
.gradio-container .fillable {max-width: 100% !important}
.picture .image-frame, .picture .image-container, .picture button {width: 100%}
.picture img {width: 100% !important; max-height: 620px; object-fit: contain; image-rendering: pixelated}
#face img {max-height: 360px}
#grid [data-testid="block-label"] {position: static}
.command textarea {font-family: var(--font-mono); font-size: var(--text-sm)}
"""


WELCOME = "**jaxgan** draws pictures with trained generators. Every picture comes with the command that draws it again."


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
            status = gr.Markdown(elem_id="status")
            name = gr.Dropdown(names, value=first or names[0], label="Run", visible=len(names) > 1, elem_id="run")
        drawing = {"concurrency_id": "drawing", "concurrency_limit": 1}
        with gr.Tab("Create"):
            create = create_tab.build(shelf, name, directory, drawing)
        with gr.Tab("Explore") as tab:
            choices = create.choices + explore_tab.build(shelf, name, tab, drawing)
        with gr.Tab("Training"):
            show, inputs, outputs = training_tab.build(shelf, name, status)

        fit = functools.partial(_fit, shelf)
        for event in (page.load, name.change):
            fitted = event(fit, name, [*choices, *create.shown], api_visibility="private", show_progress="hidden")
            fitted.then(create.draw, create.inputs, create.shown, api_visibility="private", **drawing)
            event(show, inputs, outputs, api_visibility="private", show_progress="hidden")
    page.queue(max_size=WAITING)
    return page


def _fit(shelf: Shelf, chosen: Any) -> list[Any]:
    """Fits the drop-downs to a run, and empties what was drawn of another; of a broken one the status line tells."""
    try:
        names = shelf.condition_names(chosen)
    except UserError:
        names = ()
    return [*condition_inputs.fitting(names), *condition_inputs.fitting(names), *create_tab.nothing()]


def theme() -> gr.themes.Base:
    """Returns a theme that loads no fonts from elsewhere."""
    soft = gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return soft.set(
        block_title_background_fill="none",
        block_title_padding="0",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
    )


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
        theme=theme(),
        css=STYLE,
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
