"""The inputs that several tabs have: what a conditional model should draw, seeds, and how far latents spread."""

from typing import Any

import gradio as gr

from experiments.page.requests import ANY, LARGEST_STD
from jaxgan.data import tags
from jaxgan.data.conditions import are_tags


def drop_downs() -> list[gr.Dropdown]:
    """Makes drop-downs for hair, eyes and class, each hidden until a run is shown that knows it."""
    with gr.Row(elem_classes="conditions"):
        hair = gr.Dropdown([ANY, *tags.HAIR], value=ANY, label="Hair", visible=False, min_width=120)
        eyes = gr.Dropdown([ANY, *tags.EYES], value=ANY, label="Eyes", visible=False, min_width=120)
        label = gr.Dropdown([ANY], value=ANY, label="Class", visible=False, min_width=120)
    return [hair, eyes, label]


def fitting(names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Returns updates that make the drop-downs fit a run with these names of conditions; () hides them."""
    tagged = are_tags(names)
    return [
        gr.update(visible=tagged, value=ANY),
        gr.update(visible=tagged, value=ANY),
        gr.update(visible=bool(names) and not tagged, choices=[ANY, *names], value=ANY),
    ]


def seed(label: str, value: int, **options: Any) -> gr.Number:
    """Makes a field for a seed. It has no bounds of Gradio's, whose errors are tracebacks: `requests` checks it."""
    return gr.Number(value, label=label, precision=0, min_width=120, **options)


def spread() -> gr.Slider:
    """Makes a slider for the standard deviation of latents."""
    return gr.Slider(
        0,
        LARGEST_STD,
        value=1,
        step=0.05,
        label="Spread",
        info="Below 1: pictures more alike, often better. Above 1: more unusual ones.",
    )
