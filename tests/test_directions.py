"""Directions toward classes: what is found, what strengths mean, what is kept, and what is refused."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from test_exhibits import FACES, PLAIN, assert_near, run_of

from experiments import sample
from experiments.run import directions as of_runs
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import models
from jaxgan.data.examples import Examples
from jaxgan.data.heads import Head, heads_of
from jaxgan.host.errors import UserError
from jaxgan.metrics.features import Embedding, FeatureNetwork
from jaxgan.sampling import directions
from jaxgan.systems.outputs import LatentOutput

NAMES = ("left light", "right light", "upper shade", "lower shade")
KINDS = heads_of(NAMES)
SURE = 50.0  # a logit that leaves nothing to others


def answers(*classes):
    """Logits of a classifier that is sure: of each kind the classes (N,)."""
    sizes = [1 + max(kind) for kind in classes]
    return np.concatenate(
        [SURE * np.eye(size)[np.asarray(kind, int)] for kind, size in zip(classes, sizes, strict=True)], 1
    )


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_strength_1_leads_from_the_mean_of_the_others_to_the_mean_of_the_class():
    points = np.array([[0, 0], [0, 2], [4, 1], [4, 3], [7, 0], [9, 0]])
    one = Head("class", ("a", "b", "c"))
    found = directions.find(points, answers([0, 0, 1, 1, 2, 2]), (one,), least=2)
    means = np.array([[0, 1], [4, 2], [8, 0]])
    others = np.array([[6, 1], [4, 0.5], [2, 1.5]])
    np.testing.assert_allclose(np.linalg.norm(found.steps, axis=1), np.linalg.norm(means - others, axis=1), rtol=1e-5)
    assert found.counts.tolist() == [2, 2, 2] and found.known.all()
    two = directions.find(points, answers([0, 0, 0, 0, 1, 1]), (Head("class", ("a", "b")),), least=2)
    np.testing.assert_allclose(two.steps, [[-6, 1.5], [6, -1.5]], rtol=1e-5)  # from (2, 1.5) to (8, 0), and back


def test_the_directions_of_a_linear_generator_are_found_and_the_other_kind_stays():
    """Hair is what lies along one axis, eyes what lies along another that is not at right angles to it."""
    random = np.random.default_rng(0)
    points = random.normal(size=(4000, 12))
    hair, eyes = np.eye(12)[0], np.eye(12)[1] + 0.5 * np.eye(12)[0]
    eyes /= np.linalg.norm(eyes)
    kinds = heads_of(("dark hair", "fair hair", "dark eyes", "fair eyes"))
    logits = answers(points @ hair > 0.3, points @ eyes > -0.2)
    found = directions.find(points, logits, kinds)
    assert cosine(found.steps[1], hair) > 0.95 and cosine(found.steps[3], eyes) > 0.95
    # What they share is left to neither: of the cosine of 0.45 between the axes half remains.
    assert hair @ eyes > 0.44 and abs(cosine(found.steps[1], eyes)) < 0.25 > abs(cosine(found.steps[3], hair))
    edited = directions.moved(points, directions.offset(found, {1: 2.0}), keep_length=False)
    assert (edited @ hair > 0.3).mean() > 0.95
    assert ((edited @ eyes > -0.2) == (points @ eyes > -0.2)).mean() > 0.7


def test_an_axis_that_tells_most_of_one_kind_is_left_to_it():
    """Hair goes mostly by the first axis, and eyes a little by it and mostly by the second."""
    random = np.random.default_rng(1)
    points = random.normal(size=(4000, 8))
    points[:, 2:] *= 0.01  # a discriminant of such axes would hardly change a picture
    hair = points[:, 0] + 0.1 * random.normal(size=4000) > 0
    eyes = 0.5 * points[:, 0] + points[:, 1] > 0
    found = directions.find(points, answers(hair, eyes), heads_of(("a hair", "b hair", "a eyes", "b eyes")))
    assert cosine(found.steps[1], np.eye(8)[0]) > 0.95 and cosine(found.steps[3], np.eye(8)[1]) > 0.95
    assert np.linalg.norm(found.steps[1]) > 1.5  # from the mean of one half of a normal distribution to the other's


def test_a_step_goes_as_far_as_the_way_between_the_means_by_the_discriminant_of_its_class():
    """It is at right angles to an axis of the other kind, and longer for it."""
    random = np.random.default_rng(3)
    points = random.normal(size=(4000, 3))
    hair, eyes = points[:, 0] + 0.5 * points[:, 1] > 0, points[:, 1] > 0
    found = directions.find(points, answers(hair, eyes), heads_of(("a hair", "b hair", "a eyes", "b eyes")))
    way = points[hair].mean(axis=0) - points[~hair].mean(axis=0)
    covariance = np.cov(points.T, ddof=0)
    shrunken = covariance + directions.SHRINKAGE * np.trace(covariance) / 3 * np.eye(3)
    discriminant = np.linalg.solve(shrunken, way)
    assert cosine(found.steps[1], way) < 0.99
    assert found.steps[1] @ discriminant == pytest.approx(way @ discriminant, rel=1e-5)


def test_kinds_that_tell_nothing_of_each_other_do_not_change_each_other():
    random = np.random.default_rng(2)
    points = random.normal(size=(4000, 6))
    kinds = heads_of(("a hair", "b hair", "a eyes", "b eyes"))
    both = directions.find(points, answers(points[:, 0] > 0, points[:, 1] > 0), kinds)
    alone = directions.find(points, answers(points[:, 0] > 0), kinds[:1])
    np.testing.assert_allclose(both.steps[:2], alone.steps, atol=0.1)
    assert cosine(both.steps[1], np.eye(6)[1]) < 0.05


def test_strengths_add_up_and_go_both_ways():
    steps = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 4]], np.float32)
    found = directions.Directions((Head("class", ("a", "b", "c")),), steps, np.array([30, 30, 30]))
    np.testing.assert_array_equal(directions.offset(found, {0: -3.0, 2: 0.5}), [-3, 0, 2])
    np.testing.assert_array_equal(directions.offset(found, {}), [0, 0, 0])


def test_a_latent_keeps_its_length_and_a_style_does_not():
    points = np.array([[3.0, 4.0], [0.0, 1.0]])
    moved = directions.moved(points, np.array([0.0, 4.0]), keep_length=True)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), [5, 1])
    np.testing.assert_allclose(moved[0], 5 * np.array([3, 8]) / np.sqrt(73))
    np.testing.assert_array_equal(directions.moved(points, np.array([0.0, 4.0]), keep_length=False), [[3, 8], [0, 5]])


def test_a_class_that_is_rare_has_no_direction():
    random = np.random.default_rng(2)
    points = random.normal(size=(100, 3))
    found = directions.find(points, answers([0] * 81 + [1] * 19 + [2] * 0 + [0] * 0), (Head("class", ("a", "b")),))
    assert found.known.tolist() == [False, False] and not found.steps.any()
    found = directions.find(points, answers([0] * 40 + [1] * 40 + [2] * 20), (Head("class", ("a", "b", "c")),))
    assert found.known.all()
    with pytest.raises(ValueError, match="99 points, 100 answers"):
        directions.find(points[1:], answers([0] * 50 + [1] * 50), (Head("class", ("a", "b")),))


def sides(pictures):
    """How much lighter the left half of each picture is than the right one, and the upper than the lower, (N, 2)."""
    pixels = np.asarray(pictures, np.float64)
    halves = (np.split(pixels, 2, axis=axis) for axis in (2, 1))
    return np.stack([first.mean(axis=(1, 2, 3)) - last.mean(axis=(1, 2, 3)) for first, last in halves], axis=1)


class Classifier:
    """Tells which half is the lighter one, and of the others the darker, beside the first pictures that it sees."""

    def __init__(self):
        self.middle = None

    def __call__(self, pictures):
        found = sides(pictures)
        self.middle = np.median(found, axis=0) if self.middle is None else self.middle
        light, shade = (found - self.middle).T
        return Embedding(found, np.stack([light, -light, -shade, shade], axis=1).astype(np.float32))


@pytest.fixture
def opened(monkeypatch):
    """Counts how often the classifier is opened."""
    runs = []

    def open_network(run):
        runs.append(run)
        return FeatureNetwork("sides", "digest", Classifier(), heads=KINDS)

    monkeypatch.setattr(of_runs, "feature_network_of", open_network)
    monkeypatch.setattr(of_runs, "LOOKED_AT", 300)
    return runs


LABELLED = run_of("dcgan_64", NAMES, latent_dim=8)


@pytest.fixture
def run(tmp_path):
    recipe = dataclasses.replace(LABELLED.recipe, workdir=str(tmp_path / "run"))
    return dataclasses.replace(LABELLED, recipe=recipe)


def shown(run, **flags):
    asked = sample.Sample(show="directions", **flags)
    sample.check(asked)
    sample.check_show(run, "directions")
    return sample._exhibit(run, asked)


def test_rows_are_samples_and_columns_strengths(run, opened):
    exhibit = shown(run, toward="left light", num=30, seed=4)
    assert exhibit.columns == 7 and exhibit.images.shape == (28, 16, 16, 3)
    assert exhibit.heads == ("-3", "-2", "-1", "0", "+1", "+2", "+3")
    plain, _ = sample.draw_samples(run, sample.Sample(num=4, seed=4))
    rows = exhibit.images.reshape(4, 7, 16, 16, 3)
    assert_near(rows[:, 3], plain)
    light, shade = sides(exhibit.images).reshape(4, 7, 2).mean(axis=0).T
    spread = sides(sample.draw_samples(run, sample.Sample(num=100))[0]).std(axis=0)
    assert (np.diff(light) > 0).all() and light[-1] - light[0] > 2 * spread[0]
    assert abs(shade[-1] - shade[0]) < spread[1]
    found = of_runs.directions_of(run)
    z = run.latent.latents(jax.random.key(4), 4)
    moved = directions.moved(np.asarray(z), 2 * found.steps[0], keep_length=True)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(z, axis=1), rtol=1e-5)
    assert_near(rows[:, 5], run.latent.images(run.state, moved))


def test_without_a_class_a_sample_has_a_row_for_each_of_the_first_kind(run, opened):
    exhibit = shown(run, num=28, seed=4)
    assert exhibit.rows == ("left light", "right light") and exhibit.together == 2 and len(exhibit.images) == 28
    rows = exhibit.images.reshape(2, 2, 7, 16, 16, 3)
    assert_near(rows[:, 0, 3], rows[:, 1, 3])
    np.testing.assert_array_equal(rows[1, 0], shown(run, toward="left light", num=14, seed=4).images[7:])
    assert len(shown(run, num=1).images) == 14  # one set at least


def test_what_was_found_is_kept_and_what_is_stale_is_found_anew(run, opened, tmp_path):
    found = of_runs.directions_of(run)
    again = of_runs.directions_of(run)
    assert len(opened) == 1 and again.kinds == found.kinds
    np.testing.assert_array_equal(again.steps, found.steps)
    [file] = (tmp_path / "run" / "directions").iterdir()
    assert file.name == "00000005.npz"
    weights = types.SimpleNamespace(
        sampling_variables=jax.tree.map(lambda leaf: leaf + 0.01, run.state.sampling_variables)
    )
    trained_on = dataclasses.replace(run, state=weights)
    assert of_runs.kept(trained_on) is None
    of_runs.directions_of(trained_on)
    assert len(opened) == 2 and of_runs.kept(run) is None  # one file a step
    for changed in ({"step": 6}, {"pictures_digest": "other"}):
        assert of_runs.kept(dataclasses.replace(trained_on, **changed)) is None
    file.write_bytes(file.read_bytes()[:-50])
    assert of_runs.kept(trained_on) is None
    of_runs.directions_of(trained_on)
    assert len(opened) == 3 and of_runs.kept(trained_on) is not None


def test_where_the_workdir_cannot_be_written_to_the_cache_keeps_them(run, opened, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "run").write_text("no directory")
    of_runs.directions_of(run)
    of_runs.directions_of(run)
    assert len(opened) == 1 and len(list((tmp_path / "cache" / "directions").iterdir())) == 1


def test_folders_of_weights_are_left_as_they_are(run, opened, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights.npz").touch()
    of_runs.directions_of(run)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["weights.npz"]
    assert of_runs.kept(run) is not None


def test_refusals_are_one_line(run, opened, monkeypatch):
    with pytest.raises(UserError, match=r"^show=directions: cgan_anime draws what it is asked for.* condition=\"blue"):
        sample.check_show(FACES, "directions")
    with pytest.raises(UserError, match=r"^show=directions: the run's pictures have no classes or tags"):
        sample.check_show(PLAIN, "directions")
    with pytest.raises(
        UserError, match=r"^toward=uper shade: no class.* which have upper shade, .*left light, right light"
    ):
        shown(run, toward="uper shade")
    assert not opened  # it is said before a network is trained
    with pytest.raises(UserError, match=r"^toward=left light: is that of show=directions"):
        sample.check(sample.Sample(toward="left light"))
    with pytest.raises(UserError, match="takes no condition"):
        shown(run, condition="left light")
    assert "directions" in sample.shows(run) and "directions" not in sample.shows(PLAIN)
    rare = directions.Directions(KINDS, np.zeros((4, 8), np.float32), np.array([3, 297, 0, 300]))
    with pytest.raises(UserError, match=r"^toward=left light: 3 of 300 samples look like it, and for a direction 20"):
        of_runs.number_of(rare, "left light")
    with pytest.raises(UserError, match="of no light are there 20 among 300 samples"):
        of_runs.first_kind(rare)


def test_a_folder_with_tags_has_directions_though_its_model_takes_none(tmp_path):
    recipe = dataclasses.replace(PLAIN.recipe, dataset="folder", data_dir=str(tmp_path))
    assert not of_runs.labelled(recipe, ())
    (tmp_path / "tags.csv").write_text("0,blue hair\n")
    assert of_runs.labelled(recipe, ()) and of_runs.labelled(PLAIN.recipe, ("a", "b"))


def test_latents_that_are_not_normal_do_not_keep_their_length(run, monkeypatch):
    monkeypatch.setattr(LatentOutput, "normal", property(lambda self: False))
    z = run.latent.latents(jax.random.key(0), 2)
    offsets = np.ones((1, 8), np.float32)
    assert_near(of_runs.edited(run, z, offsets), run.latent.images(run.state, np.asarray(z) + 1))


@pytest.mark.slow
def test_styles_are_moved_where_there_are_some_and_psi_changes_where_they_begin(opened, tmp_path):
    settings = {"latent_dim": 4, "channel_base": 64, "channel_max": 8, "mapping_layers": 1, "image_size": 8}
    recipe = resolve({"model": "stylegan2_small", "dataset": "avatars", **settings}, ("stylegan2_small",))
    recipe = dataclasses.replace(recipe, workdir=str(tmp_path))
    system = recipe.family.build(recipe.settings, Examples.described((8, 8, 3), NAMES, ""))
    network = system.outputs.latent.network
    state = types.SimpleNamespace(sampling_variables=jax.jit(lambda key: models.init(network, key))(jax.random.key(0)))
    run = TrainedRun(recipe, system, 5, state, NAMES, "digest")
    whole = shown(run, toward="left light", num=14, seed=1)
    half = dataclasses.replace(run, system=sample.with_psi(system, 0.5))
    nearer = shown(half, toward="left light", num=14, seed=1)
    assert len(opened) == 1  # the directions are those of all styles
    light = sides(whole.images).reshape(2, 7, 2)[..., 0].mean(axis=0)
    assert light[-1] > light[0]
    found, latent = of_runs.kept(run), half.latent
    w = latent.single_styles(state, latent.latents(jax.random.key(1), 2))
    ws = np.asarray(latent.for_layers(state, w)) + 3 * found.steps[0]
    assert_near(nearer.images.reshape(2, 7, 8, 8, 3)[:, -1], latent.images_of_styles(state, ws))
    assert not np.array_equal(nearer.images, whole.images)


def test_the_benchmark_counts_who_arrives_and_who_stays():
    from benchmarks import directions as benchmark

    steps = np.array([[0, 0], [1, 0], [0, 0], [0, 1]], np.float32)
    found = directions.Directions(heads_of(("a hair", "b hair", "a eyes", "b eyes")), steps, np.array([9, 1, 5, 5]))
    samples = np.array([[-0.5, 0], [-1.5, 0], [-2.5, 0], [1, 1]])

    def tell(offset):
        return np.stack([(samples + offset)[:, 0] > 0, samples[:, 1] + offset[0] / 4 > 0.6], axis=1).astype(int)

    shares = benchmark.measured(found, 0, 1, tell(np.zeros(2)), tell)
    # Three samples are not called b at first. At 3 the eyes of all are, which one sample's were before.
    assert shares == {"toward": {"1": 0.333, "2": 0.667, "3": 1.0}, "kept eyes": {"1": 1.0, "2": 1.0, "3": 0.25}}
    assert benchmark.chosen(found, 0, 1) == [1] and benchmark.chosen(found, 1, None) == [3]
    other = benchmark.in_random_directions(found._replace(steps=steps + 1))
    np.testing.assert_allclose(np.linalg.norm(other.steps, axis=1), np.linalg.norm(steps + 1, axis=1), rtol=1e-6)
    assert benchmark.mean([{"toward": {"1": 0.2}}, {"toward": {"1": 0.5}}]) == {"toward": {"1": 0.35}}
