"""The tab that shows what was drawn beside the training pictures nearest to it: is it new, or a copy?"""

import dataclasses
import functools
from typing import Any

import gradio as gr

from experiments import sample
from experiments.page import fields, pictures, requests
from experiments.page.abilities import Abilities
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from experiments.run import exhibits

COUNT = 4


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab; its arguments are those of the first tab."""
    gr.Markdown(
        "Is a picture new, or a copy? Beside each stand the pictures of the training that are nearest to it, pixel by"
        " pixel. They must be on this machine. The first search reads or draws all of them, which may take minutes."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            choices = fields.drop_downs()
            seed = fields.seed("Seed", 0)
            button = gr.Button("Find neighbours", variant="primary", elem_id="find-neighbours")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_id="neighbours", apply_default_css=False)
    find = show_user_errors(functools.partial(_find, shelf), "Not found")
    for event in (button.click, seed.submit):
        event(find, [name, *choices, seed], shown, api_visibility="private", **drawing)
    return Tab([item, *choices, shown], _fit)


def _fit(able: Abilities) -> list[Any]:
    return [gr.update(visible=able.draws), *fields.fitting(able.condition_names), None]


def _find(shelf: Shelf, name: Any, hair: Any, eyes: Any, label: Any, seed: Any) -> str:
    condition = requests.condition(shelf.condition_names(name), hair, eyes, label)
    asked = requests.pictures(shelf.path(name), condition, seed, COUNT, 0, 1.0)
    run = shelf.run(name)
    shown = exhibits.neighbours(run, *sample.draw_samples(run, asked))
    command = sample.command_line(
        dataclasses.replace(asked, show="neighbours", num=COUNT * (1 + exhibits.NEAREST), step=str(run.step))
    )
    return pictures.exhibit(shown) + pictures.command(command)
