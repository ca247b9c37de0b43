"""The tab with the directions toward the classes of a run's pictures: for each kind a list, and a slider to drag."""

import functools
import threading
import weakref
from typing import Any

import gradio as gr

from experiments import sample
from experiments.page import draw, fields, pictures, requests
from experiments.page.abilities import Abilities
from experiments.page.mistakes import empty_on_user_errors, show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from experiments.run import directions
from experiments.run.restore import TrainedRun
from jaxgan.host.errors import UserError
from jaxgan.sampling.directions import Directions

KINDS = 4  # kinds that have inputs
COLUMNS, PICTURES = 4, 8
FINDING = {"concurrency_id": "directions", "concurrency_limit": 1}
"""One search at a time, beside the line of those who want a picture drawn: nobody waits for it but who asked."""

WAIT = (
    f"No directions of this run have been found yet. A classifier looks at {directions.LOOKED_AT:,} samples, which"
    " takes a minute or a few; where it has to learn the classes first, some ten minutes. The page can be used"
    " meanwhile. The run's pictures must be on this machine. What is found is kept."
)


class Known:
    """The directions that have been found, each run's in memory as long as the run is.

    Args:
      shelf: the runs.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._found: dict[str, tuple[weakref.ref[TrainedRun], Directions]] = {}
        self._lock = threading.Lock()

    def __call__(self, name: Any, run: TrainedRun, *, find: bool = False) -> Directions | None:
        """Returns the directions of a run of this name; None where they are to be found first, unless `find`."""
        with self._lock:
            former = self._found.get(name)
        if former is not None and former[0]() is run:
            return former[1]
        found = directions.directions_of(run) if find else directions.kept(run)
        if found is not None:
            with self._lock:
                self._found[name] = (weakref.ref(run), found)
        return found


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab; its arguments are those of the first tab."""
    gr.Markdown(
        "Each slider moves the pictures toward a class, or at the left away from it. At 1 they have gone as far as the"
        " mean of the class is from that of all others."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = fields.seed("Seed", 0)
            classes, strengths = [], []
            for kind in range(1, KINDS + 1):
                with gr.Row():
                    classes.append(gr.Dropdown([requests.ANY], value=requests.ANY, label=f"Kind {kind}", visible=False))
                    far = requests.STRONGEST
                    strengths.append(gr.Slider(-far, far, value=0, step=0.1, label="Strength", visible=False))
            button = gr.Button("Find directions", variant="primary", visible=False, elem_id="find-directions")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_id="directions", apply_default_css=False)
    known = Known(shelf)
    inputs = [name, seed, *classes, *strengths]
    fitted = [button, *classes, *strengths, shown]
    dragged = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last", **drawing}

    def arrive(event: Any) -> Any:
        return event(functools.partial(_arrive, known), [name, seed], fitted, **dragged)

    arrive(item.select)
    for one in inputs[1:]:
        one.input(show_user_errors(functools.partial(_draw, known)), inputs, shown, **dragged)
    find = show_user_errors(functools.partial(_find, known), "Not found")
    arrive(button.click(find, name, shown, api_visibility="private", **FINDING).success)
    return Tab([item, *fitted], _fit, arrive)


def _fit(able: Abilities) -> list[Any]:
    """Hides what depends on the directions; arriving shows it."""
    return [gr.update(visible=able.editable), *_inputs(None), None]


def _inputs(found: Directions | None, *, wanted: bool = False) -> list[Any]:
    """Returns updates of the button, the lists and the sliders.

    Args:
      found: the directions; None without.
      wanted: whether they can be found.
    """
    kinds = () if found is None else found.kinds[:KINDS]
    classes, strengths = [], []
    for place in range(KINDS):
        names = requests.editable(found, kinds[place]) if found is not None and place < len(kinds) else []
        label = kinds[place].name.capitalize() if place < len(kinds) else ""
        choices = [requests.ANY, *names]
        classes.append(gr.update(visible=bool(names), choices=choices, value=(*names, requests.ANY)[0], label=label))
        strengths.append(gr.update(visible=bool(names), value=0, label=f"Strength of {label.lower()}"))
    return [gr.update(visible=found is None and wanted), *classes, *strengths]


def _arrive(known: Known, name: Any, seed: Any) -> list[Any]:
    """Fits the inputs to the directions of a run, and draws it; where there are none yet, tells how to get them."""
    nothing = [*_inputs(None), None]
    try:
        if not known.shelf.abilities(name).editable:
            return nothing
        run = known.shelf.run(name)
        found = known(name, run)
    except UserError:
        return nothing  # the status line tells what is wrong with a run
    if found is None:
        return [*_inputs(None, wanted=True), pictures.note(WAIT)]
    updates = _inputs(found)
    chosen = [update["value"] for update in updates[1 : 1 + KINDS]]
    return [*updates, empty_on_user_errors(functools.partial(_draw, known))(name, seed, *chosen, *[0] * KINDS)]


def _find(known: Known, name: Any) -> str:
    """Finds the directions of a run."""
    if not known.shelf.abilities(name).editable:
        raise UserError("directions: this run has none")
    known(name, known.shelf.run(name), find=True)
    return pictures.note("Found.")


def _draw(known: Known, name: Any, seed: Any, *chosen: Any) -> str:
    run = known.shelf.run(name)
    found = known(name, run)
    if found is None:
        raise UserError("directions: find them first")
    asked = requests.edit(found, seed, chosen[:KINDS], chosen[KINDS:])
    drawn = draw.edited(run, found, asked, PICTURES)
    shown = pictures.grid([pictures.one(picture, f"Picture {n}") for n, picture in enumerate(drawn, 1)], COLUMNS)
    moved = [number for number, strength in asked.strengths.items() if strength]
    if len(moved) != 1:
        return shown
    toward = [name for kind in found.kinds for name in kind.classes][moved[0]]
    line = sample.Sample(
        workdir=known.shelf.path(name),
        step=str(run.step),
        show="directions",
        toward=toward,
        seed=asked.seed,
        num=PICTURES * len(directions.STRENGTHS),
    )
    return shown + pictures.command(sample.command_line(line))
