"""The tab that looks for a picture of the visitor's in latent space: the latent whose picture comes closest to it."""

import functools
import io
from typing import Any

import gradio as gr
import numpy as np

from experiments import sample
from experiments.page import fields, file_field, pictures, requests, uploads
from experiments.page.abilities import Abilities
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from experiments.run import projecting

FILE = "projection-file"


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab; its arguments are those of the first tab."""
    gr.Markdown(
        "Choose a picture of yours: the middle square of it is looked for among all that the generator can draw."
        " It stays in the memory of the program that serves this page, and is written to no file."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            file_field.chooser(FILE)
            choices = fields.drop_downs()
            seed = fields.seed("Seed", 0, info="Of the latents that the search begins with.")
            button = gr.Button("Find it", variant="primary", elem_id="project")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_id="projection", apply_default_css=False)
    sent = gr.Textbox(visible=False)
    inputs = [name, sent, *choices, seed]
    find = show_user_errors(functools.partial(_find, shelf), "Not found")
    send = file_field.sending(FILE, 1)
    for event in (button.click, seed.submit):
        event(find, inputs, shown, js=send, api_visibility="private", **drawing)
    return Tab([item, *choices, shown], _fit)


def _fit(able: Abilities) -> list[Any]:
    return [gr.update(visible=able.draws), *fields.fitting(able.condition_names), None]


def _find(shelf: Shelf, name: Any, sent: Any, hair: Any, eyes: Any, label: Any, seed: Any) -> str:
    condition = requests.condition(shelf.condition_names(name), hair, eyes, label)
    asked = requests.pictures(shelf.path(name), condition, seed, 1, 0, 1.0)
    run = shelf.run(name)
    given = uploads.read(run, sent)
    found = projecting.project(run, given, *sample.candidates(run, asked))
    file = io.BytesIO()
    np.save(file, found.projection.z)
    latent = pictures.download(file.getvalue(), "application/octet-stream", "latent.npy", "Download its latent (.npy)")
    picture = found.projection.picture
    return (
        pictures.grid([pictures.figure(given, "Yours"), pictures.figure(picture, "Found")], 2)
        + pictures.note(found.words)
        + pictures.downloads(picture, "found", latent)
    )
