"""Plot of a run's metrics."""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgan.host.files import replace_atomically
from jaxgan.systems.system import Panel, Report
from jaxgan.training.files.metrics_log import RATES, Line, plain_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLORS = ("#1f6fb4", "#d95f02", "#2a8f5b", "#a0418e", "#b58900", "#c2334d", "#2aa198", "#6c6c6c")
"""Colours of the curves in the order of the report, repeated as needed."""

MOST_SCORES = 8  # panels of scores: a plot that nobody can look at shows nothing


def save_metrics(path: str | Path, lines: Sequence[Line], report: Report, *, title: str) -> bool:
    """Saves the plot of `draw_metrics` as PNG; returns whether there was anything to plot.

    Args:
      path: the file.
      lines: see `draw_metrics`.
      report: see `draw_metrics`.
      title: the title of the plot.
    """
    if not lines:
        return False
    figure = draw_metrics(lines, report, title=title)
    replace_atomically(path, lambda file: figure.savefig(file, format="png", dpi=120))
    return True


def draw_metrics(lines: Sequence[Line], report: Report, *, title: str) -> "Figure":
    """Plots the metrics of a run over its steps, with the panels of the report one below the other.

    Args:
      lines: the lines that `jaxgan.training.files.metrics_log.read` returns; any number.
      report: one panel or more; metrics that a line lacks are skipped. Below them there is a panel for each score.
      title: the title of the plot.
    """
    from matplotlib.figure import Figure  # Slow to import, and not pyplot: no window, no global state.

    panels = (*report.panels, *score_panels(lines, report))
    ratios = [3] + [2] * (len(panels) - 1)
    figure = Figure(figsize=(9, 1.3 * sum(ratios)), layout="constrained")
    axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    figure.suptitle(textwrap.fill(title, 90), fontsize="medium")
    colors = itertools.cycle(COLORS)
    for axis, panel in zip(axes, panels, strict=True):
        _plot(axis, lines, {name: (label, next(colors)) for name, label in panel.curves.items()})
        axis.set_ylabel(panel.label)
        if panel.probabilities:
            axis.set_ylim(-0.02, 1.02)
            axis.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    axes[-1].set_xlabel(report.unit)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def score_panels(lines: Sequence[Line], report: Report) -> tuple[Panel, ...]:
    """Returns a panel for each score of the lines, at most `MOST_SCORES`; the heads of a score share one."""
    others = {*report.metrics, *RATES, "step", "non_finite"}
    curves: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(name for line in lines for name in line if name not in others):
        curves.setdefault(plain_name(name), {})[name] = name.replace("_", " ")
    return tuple(Panel(name.replace("_", " "), found) for name, found in list(curves.items())[:MOST_SCORES])


def _plot(axes: Any, lines: Sequence[Line], series: dict[str, tuple[str, str]]) -> None:
    """Draws each series as the means of its bins, over a band from the minimum to the maximum of each bin."""
    for name, (label, color) in series.items():
        points = np.array([(line["step"], line[name]) for line in lines if name in line], float).reshape(-1, 2)
        if not len(points):
            continue
        bins = np.array_split(points, min(len(points), 400))
        steps, means = np.array([points.mean(axis=0) for points in bins]).T
        if len(points) > len(bins):
            least, greatest = np.array([(points[:, 1].min(), points[:, 1].max()) for points in bins]).T
            axes.fill_between(steps, least, greatest, color=color, alpha=0.15, linewidth=0)
        axes.plot(steps, means, color=color, linewidth=1.4, label=label, marker="o" if len(points) == 1 else None)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.1)
