"""The tab that walks through latent space: two pictures, a slider to drag between them, and stations on the way."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr
import numpy as np

from experiments.page import draw, fields, pictures, requests
from experiments.page.abilities import Abilities
from experiments.page.mistakes import empty_on_user_errors, show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from jaxgan.host import images

STATIONS = 9


class ExploreTab(NamedTuple):
    """The tab, and how a picture is taken to it.

    Attributes:
      tab: what is fitted to a run.
      beginning: the inputs of the picture at the beginning of the walk, in the order of a `requests.Pick`.
      arrive: draws what is shown: takes an event, such as `button.click`.
    """

    tab: Tab
    beginning: list[Any]
    arrive: Callable[[Callable[..., Any]], Any]


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> ExploreTab:
    """Lays out the tab; its arguments are those of the first tab."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            choices = fields.drop_downs()
            with gr.Row():
                first, first_number = fields.seed("From seed", 0), _number("From picture")
            with gr.Row():
                second, second_number = fields.seed("To seed", 1), _number("To picture")
            std = fields.spread()
            fraction = gr.Slider(
                0,
                1,
                value=0,
                step=0.01,
                label="Between the two",
                info="Drag from the first picture, at 0, to the second.",
                elem_id="way",
            )
        with gr.Column(scale=3, min_width=300):
            face = gr.HTML(elem_id="face", elem_classes="one", apply_default_css=False)
    stations = gr.HTML(elem_id="stations", apply_default_css=False)
    ends = [name, *choices, first, first_number, second, second_number, std]
    # While one picture is drawn only the slider's last place is kept, so that the picture keeps up with the hand.
    dragged = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last", **drawing}

    def arrive(event: Callable[..., Any], wrap: Callable[..., Any] = show_user_errors) -> Any:
        walk, stop = (wrap(functools.partial(function, shelf)) for function in (_walk, _stations))
        return event(walk, [*ends, fraction], face, **dragged).success(stop, ends, stations, **dragged)

    fraction.change(show_user_errors(functools.partial(_walk, shelf)), [*ends, fraction], face, **dragged)
    # The status line tells what is wrong with a run that is chosen; here its pictures are empty.
    quietly = functools.partial(arrive, wrap=empty_on_user_errors)
    quietly(item.select)
    for end in ends[1:]:
        arrive(end.input)
    return ExploreTab(Tab([item, *choices], _fit, quietly), [first, first_number, std, *choices], arrive)


def _fit(able: Abilities) -> list[Any]:
    return [gr.update(visible=able.draws), *fields.fitting(able.condition_names)]


def _number(label: str) -> gr.Number:
    return gr.Number(1, label=label, precision=0, min_width=120)  # checked by `requests`


def _asked(shelf: Shelf, name: Any, hair: Any, eyes: Any, label: Any, *numbers: Any) -> requests.Walk:
    names = shelf.condition_names(name)
    return requests.walk(requests.condition(names, hair, eyes, label), *numbers)


def _walk(shelf: Shelf, name: Any, *asked: Any) -> str:
    """The picture at the slider's place."""
    walk = _asked(shelf, name, *asked)
    face = draw.on_the_way(shelf.run(name), walk, np.array([walk.fraction]))[0]
    return pictures.figure(face, f"{walk.fraction:.0%} of the way") + pictures.downloads(face, "on-the-way")


def _stations(shelf: Shelf, name: Any, *asked: Any) -> str:
    """A row of pictures from one end to the other."""
    walk = _asked(shelf, name, *asked, 0)
    faces = images.grid(draw.on_the_way(shelf.run(name), walk, np.linspace(0, 1, STATIONS)), STATIONS)
    return pictures.figure(faces, "From the first picture to the second") + pictures.downloads(faces, "stations")
