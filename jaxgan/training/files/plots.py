"""The plot of a run's metrics."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgan.host.files import replace_atomically
from jaxgan.training.files.metrics_log import Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_losses(path: str | Path, lines: Sequence[Line], *, title: str, probabilities: bool) -> bool:
    """Saves `draw_losses` as PNG; returns whether there was anything to plot."""
    if not lines:
        return False
    figure = draw_losses(lines, title=title, probabilities=probabilities)
    replace_atomically(path, lambda file: figure.savefig(file, format="png", dpi=120))
    return True


def draw_losses(lines: Sequence[Line], *, title: str, probabilities: bool) -> "Figure":
    """Plots the losses and D's opinions over the steps.

    Args:
      lines: what `jaxgan.training.files.metrics_log.read` returns, none, a few or a hundred thousand.
      title: what was trained.
      probabilities: whether `d_real` and `d_fake` are probabilities in [0, 1], or scores of a critic.
    """
    from matplotlib.figure import Figure  # Slow to import, and not pyplot: no window, no global state.

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    losses, opinions = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    figure.suptitle(textwrap.fill(title, 90), fontsize="medium")
    _plot(losses, lines, {"d_loss": ("discriminator", "#1f6fb4"), "g_loss": ("generator", "#d95f02")})
    losses.set_ylabel("loss")
    _plot(opinions, lines, {"d_real": ("D(x), real", "#2a8f5b"), "d_fake": ("D(G(z)), generated", "#a0418e")})
    opinions.set_ylabel("mean probability" if probabilities else "mean score")
    if probabilities:
        opinions.set_ylim(-0.02, 1.02)
        opinions.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    opinions.set_xlabel("generator steps")
    opinions.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _plot(axes: Any, lines: Sequence[Line], series: dict[str, tuple[str, str]]) -> None:
    """Draws each series as the mean of its bins, over a band from their least to their greatest value."""
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
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1)
