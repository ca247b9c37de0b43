"""The tab that draws pictures, which is what tutorial 000's window did: choose hair and eyes, press Create.

Each picture comes with the command that draws it again.
"""

import dataclasses
import functools
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from experiments import sample
from experiments.page import condition_inputs, draw, requests
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from jaxgan.host.errors import UserError


class Tab(NamedTuple):
    """What the page needs of the tab.

    Attributes:
      choices: drop-downs of conditions, for the page to fit to a run.
      inputs: what a picture is asked for by.
      shown: a picture, its command and its download.
      draw: values of the inputs -> what is shown, or nothing where that cannot be drawn.
    """

    choices: list[gr.Dropdown]
    inputs: list[Any]
    shown: list[Any]
    draw: Callable[..., Any]


def build(shelf: Shelf, name: gr.Dropdown, directory: Path, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab.

    Args:
      shelf: the runs.
      name: the drop-down that names one.
      directory: where pictures for download are written.
      drawing: what every event that draws is given: they take turns.
    """
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            choices = condition_inputs.drop_downs()
            with gr.Row():
                seed = gr.Number(
                    0,
                    label="Seed",
                    precision=0,
                    minimum=0,
                    maximum=requests.LARGEST_SEED,
                    min_width=120,
                    elem_id="seed",
                )
                count = gr.Dropdown(list(requests.COUNTS), value=16, label="Pictures", min_width=120)
            best = gr.Dropdown(
                [("off", 0), *((str(number), number) for number in requests.CANDIDATES if number)],
                value=0,
                label="Best of",
                info="Draws this many and keeps those that the discriminator believes most.",
            )
            std = gr.Slider(
                0,
                requests.LARGEST_STD,
                value=1,
                step=0.05,
                label="Spread",
                info="Standard deviation of the noise: below 1 more alike, often better.",
            )
            with gr.Row():
                button = gr.Button("Create", variant="primary", elem_id="create")
                another = gr.Button("New seed", elem_id="new-seed")
        with gr.Column(scale=3, min_width=300):
            picture = gr.Image(
                label="Pictures",
                show_label=False,
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                elem_id="created",
                elem_classes="picture",
                placeholder="Press **Create**",
            )
            caption = gr.Textbox(
                label="The same from the command line",
                buttons=["copy"],
                interactive=False,
                lines=2,
                elem_id="command",
                elem_classes="command",
            )
            download = gr.DownloadButton(
                "Download PNG, with this command inside", interactive=False, elem_id="download"
            )
    inputs = [name, *choices, seed, count, best, std]
    outputs = [picture, caption, download]
    create = show_user_errors(functools.partial(_create, shelf, directory))
    button.click(create, inputs, outputs, api_name="create", **drawing)
    another.click(_new_seed, None, seed, api_visibility="private").success(
        create, inputs, outputs, api_visibility="private", **drawing
    )
    return Tab(choices, inputs, outputs, functools.partial(_create_or_nothing, shelf, directory))


def nothing() -> list[Any]:
    """Returns what the tab shows before anything is drawn."""
    return [None, "", gr.update(value=None, interactive=False)]


def _create_or_nothing(shelf: Shelf, directory: Path, *values: Any) -> Any:
    """What nobody has asked for yet: the page opens with pictures, and says nothing of a run that draws none."""
    try:
        return _create(shelf, directory, *values)
    except UserError:
        return nothing()


def _create(
    shelf: Shelf, directory: Path, name: Any, hair: Any, eyes: Any, label: Any, *numbers: Any
) -> tuple[str, str, Any]:
    """The picture's file, the command that draws it, and the download."""
    names = shelf.condition_names(name)
    asked = requests.pictures(shelf.path(name), requests.condition(names, hair, eyes, label), *numbers)
    run = shelf.run(name)
    asked = dataclasses.replace(
        asked, step=str(run.step)
    )  # so that the command draws the same when the run has gone on
    path = str(draw.save(directory, draw.created(run, asked), asked, run.step))
    return path, sample.command_line(asked), gr.update(value=path, interactive=True)


def _new_seed() -> int:
    return secrets.randbelow(1_000_000)
