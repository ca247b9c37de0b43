"""The tab that walks through latent space: two faces, a slider to drag between them, and stations on the way."""

import functools
from typing import Any

import gradio as gr
import numpy as np

from experiments.page import condition_inputs, draw, requests
from experiments.page.mistakes import empty_on_user_errors, show_user_errors
from experiments.page.shelf import Shelf
from jaxgan.host import images

STATIONS = 9


def build(shelf: Shelf, name: gr.Dropdown, tab: gr.Tab, drawing: dict[str, Any]) -> list[gr.Dropdown]:
    """Lays out the tab; its arguments, and what it returns, are those of the first tab."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            choices = condition_inputs.drop_downs()
            with gr.Row():
                first = gr.Number(
                    0, label="From seed", precision=0, min_width=120, minimum=0, maximum=requests.LARGEST_SEED
                )
                second = gr.Number(
                    1, label="To seed", precision=0, min_width=120, minimum=0, maximum=requests.LARGEST_SEED
                )
            fraction = gr.Slider(
                0,
                1,
                value=0,
                step=0.01,
                label="Way",
                info="Drag: along the great arc between the two latents (slerp).",
                elem_id="way",
            )
        with gr.Column(scale=3, min_width=300):
            face = _picture("On the way", "face", "explored")
    stations = _picture("Stations, from the first seed to the second", "stations", "stations")
    ends = [name, *choices, first, second]
    walk = show_user_errors(functools.partial(_walk, shelf))
    arrive = show_user_errors(functools.partial(_stations, shelf))
    # While one picture is drawn only the slider's last place is kept, so that the picture keeps up with the hand.
    dragged = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last", **drawing}
    fraction.change(walk, [*ends, fraction], face, **dragged)
    # The status line tells what is wrong with a run that is chosen; here its pictures are empty.
    quiet_walk, quiet_stations = (empty_on_user_errors(functools.partial(f, shelf)) for f in (_walk, _stations))
    name.change(quiet_walk, [*ends, fraction], face, **dragged).success(quiet_stations, ends, stations, **dragged)
    for event in (tab.select, *(end.change for end in ends if end is not name)):
        event(walk, [*ends, fraction], face, **dragged).success(arrive, ends, stations, **dragged)
    return choices


def _picture(label: str, element: str, kind: str) -> gr.Image:
    return gr.Image(
        label=label,
        show_label=False,
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id=element,
        elem_classes=["picture", kind],
    )


def _asked(shelf: Shelf, name: Any, hair: Any, eyes: Any, label: Any, *numbers: Any) -> requests.Walk:
    names = shelf.condition_names(name)
    return requests.walk(requests.condition(names, hair, eyes, label), *numbers)


def _walk(shelf: Shelf, name: Any, *asked: Any) -> Any:
    """The face at the slider's place."""
    walk = _asked(shelf, name, *asked)
    return images.to_pillow(draw.on_the_way(shelf.run(name), walk, np.array([walk.fraction]))[0])


def _stations(shelf: Shelf, name: Any, *asked: Any) -> Any:
    """A row of faces from one end to the other."""
    walk = _asked(shelf, name, *asked, 0)
    faces = draw.on_the_way(shelf.run(name), walk, np.linspace(0, 1, STATIONS))
    return images.to_pillow(images.grid(faces, STATIONS))
