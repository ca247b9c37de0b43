"""The tab with the codes of an InfoGAN: a list for each categorical code, a slider for each continuous one."""

import functools
from typing import Any

import gradio as gr

from experiments.page import draw, fields, pictures, requests
from experiments.page.abilities import Abilities
from experiments.page.mistakes import empty_on_user_errors, show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from jaxgan.host.errors import UserError

CATEGORICAL, CONTINUOUS = 4, 8  # codes that have an input; of further ones those of the seed are drawn
COLUMNS, PICTURES = 4, 8


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab; its arguments are those of the first tab."""
    gr.Markdown("Each code changes one thing. The eight pictures have different noise and the same codes.")
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            with gr.Row():
                classes = [
                    gr.Dropdown([requests.ANY], value=requests.ANY, label=f"Code {code}", visible=False, min_width=120)
                    for code in range(1, CATEGORICAL + 1)
                ]
            far = requests.FARTHEST_CODE
            values = [
                gr.Slider(-far, far, value=0, step=0.1, label=f"Continuous code {code}", visible=False)
                for code in range(1, CONTINUOUS + 1)
            ]
            seed = fields.seed("Seed", 0)
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_id="coded", apply_default_css=False)
    inputs = [name, seed, *classes, *values]
    dragged = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last", **drawing}
    draw_codes = functools.partial(_draw, shelf)

    def arrive(event: Any) -> Any:
        return event(empty_on_user_errors(draw_codes), inputs, shown, **dragged)

    arrive(item.select)
    for one in inputs[1:]:
        one.input(show_user_errors(draw_codes), inputs, shown, **dragged)
    return Tab([item, *classes, *values, shown], _fit, arrive)


def _fit(able: Abilities) -> list[Any]:
    sizes = [] if able.codes is None else able.codes.categorical
    count = 0 if able.codes is None else able.codes.continuous
    classes = [
        gr.update(
            visible=code < len(sizes),
            choices=[requests.ANY, *range(sizes[code] if code < len(sizes) else 0)],
            value=requests.ANY,
        )
        for code in range(CATEGORICAL)
    ]
    values = [gr.update(visible=code < count, value=0) for code in range(CONTINUOUS)]
    return [gr.update(visible=able.codes is not None), *classes, *values, None]


def _draw(shelf: Shelf, name: Any, seed: Any, *chosen: Any) -> str:
    known = shelf.abilities(name).codes
    if known is None:
        raise UserError("codes: this run has none")
    asked = requests.codes(known, seed, chosen[:CATEGORICAL], chosen[CATEGORICAL:])
    drawn = draw.coded(shelf.run(name), asked, PICTURES)
    return pictures.grid([pictures.one(picture, f"Picture {n}") for n, picture in enumerate(drawn, 1)], COLUMNS)
