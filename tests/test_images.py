import json
import os

import numpy as np
import pytest
from PIL import Image

from jaxgan.host import images
from jaxgan.systems.adversarial_losses import two_player_report
from jaxgan.systems.system import Panel, Report
from jaxgan.training.files import plots

PROBABILITIES, SCORES = two_player_report("minimax"), two_player_report("wasserstein")


def test_grid_tiles_row_by_row():
    pictures = np.arange(3 * 2 * 2 * 1, dtype=np.uint8).reshape(3, 2, 2, 1)
    expected = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 255, 255], [10, 11, 255, 255]]  # an empty tile is white
    np.testing.assert_array_equal(images.grid(pictures, 2)[:, :, 0], expected)


def test_each_cell_of_a_grid_is_its_picture():
    pictures = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), np.uint8)
    tiled = images.grid(pictures, 3)
    assert tiled.shape == (8, 15, 3) and tiled.dtype == np.uint8
    for index, picture in enumerate(pictures):
        row, column = divmod(index, 3)
        np.testing.assert_array_equal(tiled[4 * row : 4 * row + 4, 5 * column : 5 * column + 5], picture)


def test_columns_that_stand_apart_have_a_white_gap_behind_them():
    pictures = np.arange(6 * 1 * 9 * 1, dtype=np.uint8).reshape(6, 1, 9, 1)
    tiled = images.grid(pictures, 3, apart=1)[:, :, 0]
    assert tiled.shape == (2, 9 + 2 + 18)  # an eighth of 9, rounded up, is 2
    np.testing.assert_array_equal(tiled[1], [*range(27, 36), 255, 255, *range(36, 54)])


@pytest.mark.parametrize("shape", [(0, 2, 2, 3), (2, 2, 3)])
def test_grid_refuses_what_is_no_batch(shape):
    with pytest.raises(ValueError, match="images must be uint8"):
        images.grid(np.zeros(shape, np.uint8), 2)
    with pytest.raises(ValueError, match="images must be uint8"):
        images.grid(np.zeros((1, 2, 2, 3), np.float32), 2)
    with pytest.raises(ValueError, match="columns"):
        images.grid(np.zeros((1, 2, 2, 3), np.uint8), 0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_keeps_every_pixel(tmp_path, channels):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    images.save_png(tmp_path / "samples" / "a.png", picture)
    read = np.asarray(Image.open(tmp_path / "samples" / "a.png"))
    np.testing.assert_array_equal(read.reshape(picture.shape), picture)
    assert os.listdir(tmp_path / "samples") == ["a.png"]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 2), (2, 4, 4, 3)])
def test_png_refuses_other_shapes(tmp_path, shape):
    with pytest.raises(ValueError, match="image must be uint8"):
        images.save_png(tmp_path / "a.png", np.zeros(shape, np.uint8))
    assert os.listdir(tmp_path) == []


def save_grids(directory, steps, size=(8, 8, 3)):
    for step in steps:
        images.save_png(directory / f"{step:08d}.png", np.full(size, step % 256, np.uint8))


def frames_of(path):
    with Image.open(path) as animation:
        frames = []
        for index in range(animation.n_frames):
            animation.seek(index)
            frames.append(np.asarray(animation.convert("L")))
        return frames, animation.info["duration"]


def test_evolution_is_in_the_order_of_the_steps(tmp_path):
    save_grids(tmp_path / "samples", [50, 200])
    save_grids(tmp_path, [9])
    os.rename(tmp_path / "00000009.png", tmp_path / "samples" / "100.png")  # By name it would come last.
    assert images.save_evolution(tmp_path / "evolution.gif", tmp_path / "samples")
    frames, last_duration = frames_of(tmp_path / "evolution.gif")
    assert [int(frame[0, 0]) for frame in frames] == [50, 9, 200]
    assert last_duration == 2000


@pytest.mark.parametrize("channels", [1, 3])
def test_evolution_is_bounded(tmp_path, channels):
    save_grids(tmp_path / "samples", range(1, 31), (10, 20, channels))
    images.save_evolution(tmp_path / "evolution.gif", tmp_path / "samples", max_frames=7, max_side=10)
    frames, _ = frames_of(tmp_path / "evolution.gif")
    assert len(frames) == 7 and frames[0].shape == (5, 10)
    assert (frames[0][0, 0], frames[-1][0, 0]) == (1, 30)


def test_evolution_leaves_out_what_does_not_belong(tmp_path):
    samples = tmp_path / "samples"
    save_grids(samples, [1], (4, 4, 3))
    save_grids(samples, [2, 3])
    (samples / "00000004.png").write_bytes(b"no picture")
    (samples / "notes.png").write_bytes(b"no picture")
    assert images.save_evolution(tmp_path / "evolution.gif", samples)
    assert len(frames_of(tmp_path / "evolution.gif")[0]) == 2


def test_evolution_of_nothing(tmp_path):
    assert not images.save_evolution(tmp_path / "evolution.gif", tmp_path)
    assert os.listdir(tmp_path) == []


def lines_of(number):
    rng = np.random.default_rng(0)
    return [
        {"step": step, "d_loss": 1 + 0.1 * rng.normal(), "g_loss": 2.0, "d_real": 0.7, "d_fake": 0.3}
        for step in range(number)
    ]


@pytest.mark.parametrize("number", [1, 401, 100_000])
def test_losses_are_plotted(tmp_path, number):
    assert plots.save_metrics(tmp_path / "losses.png", lines_of(number), PROBABILITIES, title="a")
    with Image.open(tmp_path / "losses.png") as plot:
        assert plot.format == "PNG" and plot.size == (1080, 780)
        assert len(np.unique(np.asarray(plot.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_losses_with_gaps_are_plotted(tmp_path):
    lines = [{"step": 1, "non_finite": ["d_loss"]}, {"step": 2, "g_loss": -3.0}]
    assert plots.save_metrics(tmp_path / "losses.png", lines, SCORES, title="a")
    assert not plots.save_metrics(tmp_path / "none.png", [], PROBABILITIES, title="a")
    assert json.dumps(sorted(os.listdir(tmp_path))) == '["losses.png"]'


def test_each_curve_has_its_own_name_and_a_band_from_the_least_to_the_greatest():
    values = {"d_loss": 1.0, "g_loss": 2.0, "d_real": 0.75, "d_fake": 0.25}
    lines = [{"step": step, **values, "g_loss": 4.0 * (step % 2)} for step in range(800)]  # bins of 0 and 4
    losses, opinions = plots.draw_metrics(lines, PROBABILITIES, title="a").axes
    drawn = {line.get_label(): set(line.get_ydata()) for axes in (losses, opinions) for line in axes.lines}
    assert {"discriminator": {1.0}, "generator": {2.0}}.items() <= drawn.items()
    assert {"D(x), real": {0.75}, "D(G(z)), generated": {0.25}}.items() <= drawn.items()
    discriminator, generator = (band.get_datalim(losses.transData).intervaly for band in losses.collections)
    assert (tuple(discriminator), tuple(generator)) == ((1.0, 1.0), (0.0, 4.0))


def test_the_plot_of_two_players_has_their_names_and_a_line_at_one_half_for_probabilities():
    losses, opinions = plots.draw_metrics(lines_of(3), PROBABILITIES, title="a").axes
    assert (losses.get_ylabel(), opinions.get_ylabel()) == ("loss", "mean probability")
    assert (losses.get_xlabel(), opinions.get_xlabel()) == ("", "generator steps")
    assert opinions.get_ylim() == (-0.02, 1.02)
    assert [set(line.get_ydata()) for line in opinions.lines if line.get_linestyle() == "--"] == [{0.5}]
    colors = [line.get_color() for axes in (losses, opinions) for line in axes.lines if line.get_linestyle() == "-"]
    assert colors == ["#1f6fb4", "#d95f02", "#2a8f5b", "#a0418e"]
    _, scores = plots.draw_metrics(lines_of(3), SCORES, title="a").axes
    assert scores.get_ylabel() == "mean score" and scores.get_ylim() != (-0.02, 1.02) and len(scores.lines) == 2


def test_each_panel_of_a_report_has_its_axes(tmp_path):
    panels = [
        Panel("loss", {"loss": "total", "reconstruction": "reconstruction", "kl": "divergence"}),
        Panel("learning rate", {"rate": "Adam"}),
        Panel("share", {"active": "active units"}, probabilities=True),
    ]
    report = Report(tuple(panels), unit="batches")
    lines = [
        {"step": step, "loss": 3.0, "reconstruction": 2.0, "kl": 1.0, "rate": 0.1, "active": 0.7} for step in (1, 2)
    ]
    axes = plots.draw_metrics(lines, report, title="a").axes
    assert [axis.get_ylabel() for axis in axes] == ["loss", "learning rate", "share"]
    assert [axis.get_xlabel() for axis in axes] == ["", "", "batches"]
    drawn = [{line.get_label(): line.get_ydata()[0] for line in axis.lines} for axis in axes]
    assert drawn[0] == {"total": 3.0, "reconstruction": 2.0, "divergence": 1.0} and drawn[1] == {"Adam": 0.1}
    assert drawn[2]["active units"] == 0.7 and axes[2].get_ylim() == (-0.02, 1.02) != axes[1].get_ylim()
    colors = [line.get_color() for axis in axes for line in axis.lines if line.get_linestyle() == "-"]
    assert len(set(colors)) == len(colors) == 5
    for count, height in ((1, 468), (3, 1092)):
        report = Report(tuple(panels[:count]))
        own = [{name: line[name] for name in ("step", *report.metrics)} for line in lines]
        plots.save_metrics(tmp_path / "a.png", own, report, title="a")
        with Image.open(tmp_path / "a.png") as plot:
            assert plot.size == (1080, height)


def test_matplotlib_is_imported_only_to_plot():
    import subprocess
    import sys

    code = "import sys, jaxgan.host.images; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_animation_shows_each_picture_enlarged(tmp_path):
    pictures = np.zeros((3, 20, 10, 1), np.uint8)
    pictures[:, :10] = np.array([0, 100, 250], np.uint8)[:, None, None, None]
    images.save_animation(tmp_path / "walk.gif", pictures, seconds=0.05, min_side=64)
    with Image.open(tmp_path / "walk.gif") as animation:
        assert animation.n_frames == 3 and animation.size == (30, 60)
        for index, grey in enumerate((0, 100, 250)):
            animation.seek(index)
            shown = np.asarray(animation.convert("L"))
            assert abs(int(shown[29, 0]) - grey) <= 4 and shown[30, 0] <= 4
