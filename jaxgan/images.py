"""Pictures of a run: grids, their animation, and a plot of the metrics. Every file is there whole or not at all."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from jaxgan.host.files import replace_atomically
from jaxgan.runlog import Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grid(images: np.ndarray, columns: int, *, apart: int = 0) -> np.ndarray:
    """Tiles pictures row by row, edge to edge.

    Args:
      images: uint8 (N, height, width, channels), N at least 1.
      columns: pictures in a row. What is left of the last row is black.
      apart: so many columns, the first ones, have a white gap behind them, of an eighth of a picture.

    Returns:
      uint8 (rows · height, columns · width, channels), wider by the gap if there is one.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise ValueError(f"images must be uint8 (N, height, width, channels), got {images.dtype} {images.shape}")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    number, height, width, channels = images.shape
    rows = -(-number // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:number] = images
    cells = cells.reshape(rows, columns, height, width, channels)
    tiled = cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
    gap = np.full((len(tiled), -(-width // 8) if apart else 0, channels), 255, np.uint8)
    return np.concatenate([tiled[:, : apart * width], gap, tiled[:, apart * width :]], axis=1)


def to_pillow(image: np.ndarray) -> Image.Image:
    """A Pillow picture of uint8 (height, width, channels), with 1 (grey), 3 (RGB) or 4 (RGBA) channels."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or image.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (height, width, 1, 3 or 4), got {image.dtype} {image.shape}")
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def save_png(path: str | Path, image: np.ndarray, texts: Mapping[str, str] | None = None) -> None:
    """Saves uint8 (height, width, channels) as PNG, with texts by keyword (1 to 79 letters of Latin-1) inside it."""
    picture = to_pillow(image)
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in (texts or {}).items():
        chunks.add_itxt(keyword, text)
    replace_atomically(path, lambda file: picture.save(file, "PNG", pnginfo=chunks))


def save_evolution(
    path: str | Path, samples: str | Path, *, max_frames: int = 60, max_side: int = 640, seconds: float = 0.15
) -> bool:
    """Makes an animation of the grids `<step>.png` of a directory, in the order of their steps.

    Args:
      path: the GIF.
      samples: the directory of the grids. Files of other names, unreadable ones, and ones of another size than the
        last grid are left out.
      max_frames: of more grids than this, evenly spaced ones are taken, the first and the last among them.
      max_side: larger grids are scaled down to this, in pixels.
      seconds: the time of a frame; the last one stays for two seconds.

    Returns:
      Whether there was a grid to animate.
    """
    steps = grids(samples)
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(max_frames, len(steps))).round().astype(int))
    frames = list(_read_frames([steps[index][1] for index in chosen], max_side))
    if not frames:
        return False
    durations = [round(1000 * seconds)] * (len(frames) - 1) + [2000]

    _save_gif(path, frames, durations)
    return True


def save_animation(path: str | Path, images: np.ndarray, *, seconds: float = 0.06, min_side: int = 192) -> None:
    """Makes an endless animation of pictures.

    Args:
      path: the GIF.
      images: uint8 (N, height, width, channels), in their order.
      seconds: the time of a frame.
      min_side: smaller pictures are enlarged by a whole factor, to about this many pixels.
    """
    factor = max(1, min_side // images.shape[1])
    frames = [to_pillow(image.repeat(factor, axis=0).repeat(factor, axis=1)) for image in images]
    _save_gif(path, frames, [round(1000 * seconds)] * len(frames))


def _save_gif(path: str | Path, frames: Sequence[Image.Image], milliseconds: Sequence[int]) -> None:
    def write(file: IO[bytes]) -> None:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=list(milliseconds), loop=0)

    replace_atomically(path, write)


def grids(samples: str | Path) -> list[tuple[int, Path]]:
    """The grids `<step>.png` of a directory with their steps, in the order of their steps."""
    return sorted((int(file.stem), file) for file in Path(samples).glob("*.png") if file.stem.isdecimal())


def _read_frames(paths: Sequence[Path], max_side: int) -> Iterator[Image.Image]:
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as file:
                pictures.append(file.convert("L" if file.mode == "L" else "RGB"))
        except (OSError, SyntaxError, ValueError):
            continue
    for picture in pictures:
        if picture.size == pictures[-1].size:
            picture.thumbnail((max_side, max_side))
            yield picture


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
      lines: what `jaxgan.runlog.read` returns, none, a few or a hundred thousand.
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
