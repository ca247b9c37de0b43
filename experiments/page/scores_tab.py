"""The tab with the scores of a run: those that its training has logged, and others that are taken when asked for."""

import functools
import shlex
from collections.abc import Sequence
from typing import Any

import gradio as gr

from experiments import evaluate
from experiments.page import pictures
from experiments.page.abilities import Abilities
from experiments.page.mistakes import show_user_errors
from experiments.page.shelf import Shelf
from experiments.page.tab import Tab
from jaxgan.host.errors import UserError
from jaxgan.training.files import metrics_log, plots
from jaxgan.training.restoring import system_of

MEASURED = 1000  # pictures
FEATURES = "thumbnails"


def build(shelf: Shelf, name: gr.Dropdown, item: gr.Tab, drawing: dict[str, Any]) -> Tab:
    """Lays out the tab; its arguments are those of the first tab."""
    logged = gr.HTML(elem_id="logged-scores", apply_default_css=False)
    button = gr.Button(f"Measure {MEASURED:,} pictures now", elem_id="measure")
    gr.Markdown(
        "Takes the run's pictures, which must be on this machine, and thumbnails of 8×8 for features: good enough to"
        " compare two steps of one run. The first time reads or draws the pictures, which may take minutes; then it is"
        " seconds. The command below the table does the same."
    )
    measured = gr.HTML(elem_id="scores", apply_default_css=False)
    look = functools.partial(_logged, shelf)
    for event in (item.select, name.change):
        event(look, name, logged, api_visibility="private", show_progress="hidden")
    measure = show_user_errors(functools.partial(_measure, shelf), "Not measured")
    button.click(measure, name, measured, api_visibility="private", **drawing)
    return Tab([item, button, measured], _fit)


def _fit(able: Abilities) -> list[Any]:
    measurable = able.draws or able.outputs.measure is not None
    return [gr.update(visible=measurable), gr.update(visible=measurable), None]


def _logged(shelf: Shelf, name: Any) -> str:
    """The newest of each score of the log, and its best; a line where there are none."""
    try:
        workdir = shelf.workdir(name)
        lines = metrics_log.read(workdir.metrics)
        panels = plots.score_panels(lines, system_of(workdir.path).report)
    except UserError:
        return ""  # the status line tells what is wrong with a run
    rows = []
    for score in (name for panel in panels for name in panel.curves):
        step, value = [(line["step"], line[score]) for line in lines if score in line][-1]
        better, meaning = evaluate.MEANINGS.get(metrics_log.plain_name(score), ("", ""))
        rows.append((score, f"{value:.4g}", f"{step:,}", better, meaning))
    if not rows:
        return pictures.note("The training has logged no scores; --evaluate_every=N does.")
    return _table(("logged score", "value", "at step", "better", "what it says"), rows)


def _measure(shelf: Shelf, name: Any) -> str:
    workdir = shelf.path(name)
    run = shelf.run(name)
    asked = evaluate.Evaluate(workdir=workdir, step=str(run.step), num=MEASURED, features=FEATURES)
    found, digest = evaluate.measure(asked, run)
    shown = _table(evaluate.HEADS, evaluate.rows(found))
    heading = evaluate.heading(run, found, digest == run.pictures_digest)
    flags = (
        f"{shlex.quote(f'--workdir={workdir}')} --step={run.step} --num={MEASURED} --features={FEATURES} --format=table"
    )
    command = f"python -m experiments.evaluate {flags}"
    return pictures.note(heading) + shown + pictures.command(command)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Formats words as a table with a head; on a narrow screen a row is a few lines, and each value has its head."""
    head = "".join(f'<th scope="col" role="columnheader">{pictures.text(words)}</th>' for words in heads)
    body = "".join(f'<tr role="row">{"".join(map(_cell, heads, row))}</tr>' for row in rows)
    # The roles are those that the elements have anyway, until the style of a narrow screen takes them away.
    return (
        f'<div class="scores"><table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _cell(head: str, words: str) -> str:
    return f'<td role="cell" data-head="{pictures.text(head)}">{pictures.text(words)}</td>'
