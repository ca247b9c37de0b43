"""The tab that draws pictures, which is what tutorial 000's window did: choose hair and eyes, press Create.

The pictures come with the command that draws them again, and each can be taken to Explore.
"""

import dataclasses
import functools
import math
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from experiments import sample
from experiments.page import draw, fields, pictures, requests
from experiments.page.abilities import Abilities
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from jaxgan.data.conditions import name_of
from jaxgan.host.errors import UserError

SEE = """() => {
  const shown = document.getElementById('created'), box = shown?.getBoundingClientRect();
  if (box && (box.top < 0 || box.bottom > innerHeight)) shown.scrollIntoView({block: 'start'});
}"""
"""JavaScript that brings the pictures into view, which are below the button on a narrow screen."""


COMMAND = "The same from the command line"
NAME_COMMAND = f"() => document.querySelector('#command textarea')?.setAttribute('aria-label', '{COMMAND}')"
"""JavaScript that names the command for screen readers: beside a button to copy it Gradio leaves the name away."""


class CreateTab(NamedTuple):
    """The tab, and what the page needs to draw its first pictures.

    Attributes:
      tab: what is fitted to a run.
      inputs: what pictures are asked for by.
      shown: pictures, their command and their downloads.
      draw: values of the inputs -> what is shown, or nothing where that cannot be drawn.
      pictures: the element whose buttons are the pictures.
    """

    tab: Tab
    inputs: list[Any]
    shown: list[Any]
    draw: Callable[..., Any]
    pictures: gr.HTML


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, directory: Path, drawing: dict[str, Any]) -> CreateTab:
    """Lays out the tab.

    Args:
      shelf: the runs.
      name: the drop-down that names one.
      item: the tab that this is in.
      directory: where pictures for download are written.
      drawing: what every event that draws is given: they take turns.
    """
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            choices = fields.drop_downs()
            with gr.Row():
                seed = fields.seed("Seed", 0, elem_id="seed")
                count = gr.Dropdown(list(requests.COUNTS), value=16, label="Pictures", min_width=120)
            best = gr.Dropdown(
                [("off", 0), *((str(number), number) for number in requests.CANDIDATES if number)],
                value=0,
                label="Best of",
                info="Draws this many and keeps those that the discriminator believes most.",
            )
            std = fields.spread()
            with gr.Row():
                button = gr.Button("Create", variant="primary", elem_id="create")
                another = gr.Button("New seed", elem_id="new-seed")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_id="created", js_on_load=pictures.TELL_PICK, apply_default_css=False)
            caption = gr.Textbox(
                label=COMMAND,
                buttons=["copy"],
                interactive=False,
                lines=2,
                elem_id="command",
                elem_classes="command",
            )
            with gr.Row():
                download = gr.DownloadButton(
                    "Download PNG, with this command inside", interactive=False, elem_id="download"
                )
                enlarged = gr.DownloadButton("Download enlarged", interactive=False, elem_id="enlarged")
    inputs = [name, *choices, seed, count, best, std]
    outputs = [shown, caption, download, enlarged]
    create = show_user_errors(functools.partial(_create, shelf, directory))
    for event, public in ((button.click, {"api_name": "create"}), (seed.submit, {"api_visibility": "private"})):
        event(create, inputs, outputs, **public, **drawing).success(None, js=SEE, api_visibility="private")
    another.click(_new_seed, None, seed, api_visibility="private").success(
        create, inputs, outputs, api_visibility="private", **drawing
    ).success(None, js=SEE, api_visibility="private")
    return CreateTab(
        Tab([item, *choices, *outputs], _fit),
        inputs,
        outputs,
        functools.partial(_create_or_nothing, shelf, directory),
        shown,
    )


def _fit(able: Abilities) -> list[Any]:
    return [gr.update(visible=able.draws), *fields.fitting(able.condition_names), *_nothing()]


def _nothing() -> list[Any]:
    """What the tab shows before anything is drawn."""
    return [pictures.note("Press Create"), "", *(gr.update(value=None, interactive=False),) * 2]


def _create_or_nothing(shelf: Shelf, directory: Path, *values: Any) -> Any:
    """What nobody has asked for yet: the page opens with pictures, and says nothing of a run that draws none."""
    try:
        return _create(shelf, directory, *values)
    except UserError:
        return _nothing()


def _create(
    shelf: Shelf, directory: Path, name: Any, hair: Any, eyes: Any, label: Any, *numbers: Any
) -> tuple[str, str, Any, Any]:
    """The pictures, the command that draws them, and the downloads."""
    names = shelf.condition_names(name)
    asked = requests.pictures(shelf.path(name), requests.condition(names, hair, eyes, label), *numbers)
    run = shelf.run(name)
    asked = dataclasses.replace(
        asked, step=str(run.step)
    )  # so that the command draws the same when the run has gone on
    drawn, labels, order = draw.created(run, asked)
    picks = [
        requests.Pick(asked.seed, int(number) + 1, asked.std, *requests.choices(names, label))._asdict()
        for number, label in zip(order, labels, strict=True)
    ]
    said = [name_of(label, names) if names else "" for label in labels]
    shown = pictures.pickable(drawn, said, picks, math.isqrt(len(drawn)))
    files = (gr.update(value=str(file), interactive=True) for file in draw.save(directory, drawn, asked, run.step))
    return shown, sample.command_line(asked), *files


def _new_seed() -> int:
    return secrets.randbelow(1_000_000)
