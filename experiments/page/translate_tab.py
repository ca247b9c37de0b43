"""The tab that translates a picture of the visitor's, by a run that translates pictures."""

import functools
from typing import Any

import gradio as gr
import numpy as np

from experiments.page import file_field, pictures, requests, uploads
from experiments.page.abilities import Abilities
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from experiments.run.translation import translator
from jaxgan.data.conditions import name_of

FILE = "translation-file"
COLUMNS = 4


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab; its arguments are those of the first tab."""
    gr.Markdown(
        "Choose a picture of yours: the middle square of it is translated. It stays in the memory of the program that"
        " serves this page, and is written to no file."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            file_field.chooser(FILE)
            direction = gr.Dropdown([], label="Direction", visible=False)
            into = gr.Dropdown([requests.ANY], value=requests.ANY, label="Into", visible=False)
            button = gr.Button("Translate", variant="primary", elem_id="translate")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_id="translation", js_on_load=pictures.FOLLOW_SLIDER, apply_default_css=False)
    sent = gr.Textbox(visible=False)
    translate = show_user_errors(functools.partial(_translate, shelf), "Not translated")
    button.click(
        translate,
        [name, sent, direction, into],
        shown,
        js=file_field.sending(FILE, 1),
        api_visibility="private",
        **drawing,
    )
    return Tab([item, direction, into, shown], _fit)


def _fit(able: Abilities) -> list[Any]:
    directions, classes = able.directions, able.classes
    return [
        gr.update(visible=able.translates),
        gr.update(visible=len(directions) > 1, choices=list(directions), value=next(iter(directions), None)),
        gr.update(visible=bool(classes), choices=[requests.ANY, *classes], value=requests.ANY),
        None,
    ]


def _translate(shelf: Shelf, name: Any, sent: Any, direction: Any, into: Any) -> str:
    """The picture before and after, or, where any class will do, in every class of the first kind."""
    asked = requests.translation(shelf.abilities(name), direction, into)
    run = shelf.run(name)
    translate = translator(run, *asked)
    given = uploads.read(run, sent)
    results, conditions = translate(given[None])
    if len(results) == 1:
        after = results[0]
        beside = np.concatenate([given, after], axis=1)
        return pictures.comparison(given, after) + pictures.downloads(after, "after", _both(beside))
    named = [name_of(condition, run.condition_names) for condition in conditions]
    cells = [pictures.figure(picture, said) for picture, said in zip(results, named, strict=True)]
    return pictures.grid([pictures.figure(given, "yours"), *cells], COLUMNS)


def _both(beside: np.ndarray) -> str:
    file = pictures.png(pictures.enlarged(beside))
    return pictures.download(file, "image/png", "before-and-after.png", "Download both, enlarged")
