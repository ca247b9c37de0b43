"""Interpolations, walks, all conditions, neighbours: what stands where."""

import dataclasses
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from reference import cases

from experiments import sample
from experiments.run import exhibits, output, projecting
from experiments.run.recipes import resolve
from experiments.run.references import load_pictures
from experiments.run.restore import TrainedRun
from jaxgan import sampling
from jaxgan.data import tags
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.host.images import save_png


def run_of(model, names, **sizes):
    sizes = {"image_size": 16, "generator_width": 2, "discriminator_width": 2, "num_examples": 30, **sizes}
    recipe = resolve({"model": model, "dataset": "avatars", **sizes}, (model,))
    system = recipe.family.build(recipe.settings, Examples.described((16, 16, 3), names, ""))
    variables = cases.random_variables(
        system.outputs.latent.network, scale=0.5
    )  # initial ones draw grey pictures all alike
    return TrainedRun(recipe, system, 5, types.SimpleNamespace(sampling_variables=variables), names, "digest")


PLAIN = run_of("dcgan_64", (), latent_dim=4)
FACES = run_of("cgan_anime", tags.CONDITION_NAMES)
DIGITS = run_of("cgan_mnist", tuple("0123456789"), latent_dim=4)


def noise(run, count):
    return sampling.fixed_latents(jax.random.key(3), run.latent.network, count)


def drawn(run, z, conditions=None):
    given = None if conditions is None else jnp.asarray(conditions, jnp.float32)
    return sampling.generate(run.latent.network, run.state.sampling_variables, z, given)


def test_the_pictures_of_these_runs_tell_noises_and_conditions_apart():
    for run, conditions in ((PLAIN, None), (FACES, np.eye(23)[[8, 8]]), (DIGITS, np.eye(10)[[4, 4]])):
        one, other = drawn(run, noise(run, 2), conditions)
        assert np.abs(one.astype(int) - other.astype(int)).max() > 50


def assert_near(pictures, expected):
    assert np.abs(pictures.astype(int) - expected.astype(int)).max() <= 1  # other rounding in another program


def test_an_interpolation_has_a_straight_row_over_a_row_along_the_arc():
    z = noise(PLAIN, 4)
    exhibit = exhibits.interpolation(PLAIN, z, None)
    assert exhibit.columns == 8 and exhibit.images.shape == (32, 16, 16, 3) and exhibit.labels.shape == (32, 0)
    ends = drawn(PLAIN, z)
    for row, (start, end) in enumerate([(0, 1), (0, 1), (2, 3), (2, 3)]):
        assert_near(exhibit.images[8 * row], ends[start])
        assert_near(exhibit.images[8 * row + 7], ends[end])
    assert_near(exhibit.images[3], drawn(PLAIN, z[:1] * 4 / 7 + z[1:2] * 3 / 7)[0])
    assert not np.array_equal(exhibit.images[3], exhibit.images[11])


def test_a_pair_keeps_the_condition_of_its_first_noise():
    conditions = np.eye(10, dtype=np.uint8)[[4, 5, 6, 7]]
    exhibit = exhibits.interpolation(DIGITS, noise(DIGITS, 4), conditions)
    assert exhibit.labels.argmax(axis=1).tolist() == [4] * 16 + [6] * 16


def test_without_a_spread_every_way_is_one_picture():
    center = drawn(PLAIN, np.zeros((1, PLAIN.latent.network.latent_dim), np.float32))[0]
    for out in ("ways.png", "walk.gif"):
        exhibit = sample._exhibit(PLAIN, sample.Sample(show="interpolation", num=16, std=0.0, out=out))
        for picture in exhibit.images:
            assert_near(picture, center)


def test_a_folder_holds_the_pictures_of_one_call(tmp_path):
    def named(folder):
        return sorted(path.name for path in folder.iterdir())

    pictures = np.zeros((6, 4, 4, 3), np.uint8)
    labels = np.zeros((6, 0), np.uint8)
    output.write(tmp_path / "out", exhibits.Exhibit(pictures, labels))
    assert len(named(tmp_path / "out")) == 6
    output.write(tmp_path / "out", exhibits.Exhibit(pictures[:2], labels[:2]))
    assert named(tmp_path / "out") == ["000000.png", "000001.png"]


@pytest.mark.parametrize("name", ["notes.txt", "000002.png", "7.png", ".hidden", "more"])
def test_a_folder_of_others_files_is_left_alone(tmp_path, name):
    output.write(tmp_path, exhibits.Exhibit(np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 0), np.uint8)))
    (tmp_path / "more").mkdir() if name == "more" else save_png(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match=rf"out=\S+: the folder holds {name}, which is no picture of this command"):
        output.earlier_pictures(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert output.earlier_pictures(tmp_path / "new") == output.earlier_pictures(tmp_path / "grid.png") == []


def test_arrays_have_labels_where_there_are_conditions(tmp_path):
    for name, labels in (("plain", np.zeros((2, 0), np.uint8)), ("digits", np.eye(2, dtype=np.uint8))):
        output.write(tmp_path / f"{name}.npz", exhibits.Exhibit(np.zeros((2, 4, 4, 3), np.uint8), labels))
        with np.load(tmp_path / f"{name}.npz") as arrays:
            assert set(arrays) == ({"images"} if name == "plain" else {"images", "labels"})


def test_a_walk_begins_at_its_first_station():
    z = noise(DIGITS, 3)
    exhibit = exhibits.walk(DIGITS, z, np.eye(10, dtype=np.uint8)[[2, 3, 4]], 9)
    assert len(exhibit.images) == 9 and set(exhibit.labels.argmax(axis=1)) == {2}
    assert_near(exhibit.images[3], drawn(DIGITS, z[1:2], np.eye(10)[[2]])[0])


@pytest.mark.slow
def test_all_faces_stand_by_hair_and_eyes():
    every = exhibits.conditions_of(FACES)
    assert every.shape == (132, 23) and len(np.unique(every, axis=0)) == 132
    exhibit = exhibits.all_conditions(FACES, noise(FACES, 132), one_noise=True)
    assert exhibit.columns == 11
    named = tags.parse_condition("red hair purple eyes")
    row, column = tags.HAIR.index("red"), tags.EYES.index("purple")
    np.testing.assert_array_equal(exhibit.labels[11 * row + column], named)
    assert_near(exhibit.images[11 * row + column], drawn(FACES, noise(FACES, 1), named[None])[0])


def test_one_noise_a_row_or_each_picture_its_own():
    z = noise(DIGITS, 20)
    same = exhibits.all_conditions(DIGITS, z, one_noise=True)
    own = exhibits.all_conditions(DIGITS, z, one_noise=False)
    assert same.columns == own.columns == 10
    np.testing.assert_array_equal(same.labels, np.tile(np.eye(10, dtype=np.uint8), (2, 1)))
    seven = np.eye(10)[[7]]
    assert_near(same.images[17], drawn(DIGITS, z[1:2], seven)[0])
    assert_near(own.images[17], drawn(DIGITS, z[17:18], seven)[0])


def test_models_without_conditions_have_none_to_show():
    with pytest.raises(UserError, match="dcgan_64 takes no condition"):
        exhibits.conditions_of(PLAIN)


def test_neighbours_stand_beside_their_sample_nearest_first():
    training = load_pictures(FACES.recipe)
    run = dataclasses.replace(FACES, pictures_digest=training.digest)
    samples, labels = training.images[[11, 4]], training.conditions[[11, 4]]
    samples[:, 0, 0] ^= 1
    exhibit = exhibits.neighbours(run, samples, labels)
    assert (exhibit.columns, exhibit.apart) == (6, 1) and len(exhibit.images) == 12
    np.testing.assert_array_equal(exhibit.images[[0, 6]], samples)
    np.testing.assert_array_equal(exhibit.images[[1, 7]], training.images[[11, 4]])
    np.testing.assert_array_equal(exhibit.labels[[0, 1]], labels[[0, 0]])
    for picture, label in zip(exhibit.images[7:], exhibit.labels[7:], strict=True):
        (place,) = np.flatnonzero((training.images == picture).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(label, training.conditions[place])
    away = ((exhibit.images[1:6].astype(float) - samples[0]) ** 2).sum(axis=(1, 2, 3))
    assert (np.diff(away) >= 0).all()
    with pytest.raises(UserError, match="data_dir"):
        exhibits.neighbours(FACES, samples, labels)


def with_outputs(run, **outputs):
    changed = dataclasses.replace(run.system.outputs, **outputs)
    return dataclasses.replace(run, system=dataclasses.replace(run.system, outputs=changed))


def test_reconstructions_stand_below_pictures_that_the_run_has_not_seen():
    run = with_outputs(PLAIN, reconstruct=lambda state, images: 255 - images)
    training = load_pictures(run.recipe).images
    for num, columns, rows in ((64, 8, 8), (20, 8, 2), (5, 2, 2), (1, 1, 2)):
        exhibit = sample._exhibit(run, sample.Sample(show="reconstructions", num=num))
        assert exhibit.columns == columns and exhibit.rows == ("real", "reconstruction") and exhibit.together == 2
        shown = exhibit.images.reshape(rows, columns, 16, 16, 3)
        np.testing.assert_array_equal(shown[1::2], 255 - shown[::2])
        assert not any((training == picture).all(axis=(1, 2, 3)).any() for picture in shown[0])


def test_a_system_may_have_exhibits_of_its_own():
    def grey(state, count, seed):
        return exhibits.Exhibit(np.full((count, 8, 8, 3), seed, np.uint8), np.zeros((count, 0), np.uint8))

    run = with_outputs(PLAIN, exhibits={"grey": grey})
    sample.check_show(run, "grey")
    shown = sample._exhibit(run, sample.Sample(show="grey", num=3, seed=7))
    assert shown.images.shape == (3, 8, 8, 3) and (shown.images == 7).all()
    with pytest.raises(UserError, match="truncation: show=grey draws its own"):
        sample._exhibit(run, sample.Sample(show="grey", truncation=0.7))


def test_what_a_run_cannot_show_is_refused_with_what_it_can():
    expected = "^show=conditions: this run of dcgan_64 has samples, interpolation, neighbours, arithmetic, features$"
    with pytest.raises(UserError, match=expected):
        sample.check_show(PLAIN, "conditions")
    sample.check_show(FACES, "conditions")
    alone = with_outputs(PLAIN, latent=None, score=None, reconstruct=lambda state, images: images)
    with pytest.raises(UserError, match=r"^show=samples: this run of dcgan_64 has reconstructions$"):
        sample.check_show(alone, "samples")
    translates = with_outputs(PLAIN, latent=None, score=None, translate={"a_to_b": lambda state, images: images})
    way_out = "show=samples: this run of dcgan_64 has translations; give show=translations, or input=PICTURES for yours"
    with pytest.raises(UserError, match=f"^{way_out}$"):
        sample.check_show(translates, "samples")


def test_as_many_pictures_as_whole_rows_take():
    run = dataclasses.replace(FACES, pictures_digest=load_pictures(FACES.recipe).digest)
    for num, pictures in ((3, 6), (11, 6), (12, 12)):
        assert len(sample._exhibit(run, sample.Sample(show="neighbours", num=num)).images) == pictures


@pytest.mark.slow
def test_the_best_keep_their_own_conditions(monkeypatch):
    monkeypatch.setattr(sampling, "best", lambda scores, count: np.array([3, 1]))
    state = jax.jit(DIGITS.system.init)(jax.random.key(0))
    _, labels = sample.draw_samples(dataclasses.replace(DIGITS, state=state), sample.Sample(num=2, best_of=5))
    assert labels.argmax(axis=1).tolist() == [3, 1]  # of 0, 1, 2, 3 and 4


def test_a_gif_moves_and_a_png_has_the_exhibits_columns(tmp_path):
    exhibit = exhibits.walk(PLAIN, noise(PLAIN, 3), None, 5)
    output.write(tmp_path / "walk.gif", exhibit)
    with Image.open(tmp_path / "walk.gif") as walk:
        assert walk.n_frames == 5 and walk.size == (192, 192)
    output.write(tmp_path / "walk.png", dataclasses.replace(exhibit, apart=1))
    with Image.open(tmp_path / "walk.png") as row:
        assert row.size == (5 * 16 + 2, 16)  # a gap of 2 where columns stand apart


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"best_of": 128, "show": "neighbours"}, "--best_of"),
        ({"project": "x.png", "show": "interpolation"}, "--project"),
        ({"condition": "7", "show": "one_noise"}, "--condition"),
        ({"out": "x.gif"}, "--out=x.gif"),
        ({"truncation": 0.0}, "--truncation=0.0"),
        ({"std": float("nan")}, "--std=nan"),
        ({"out": "faces.jpg"}, "--out=faces.jpg"),
        ({"out": "faces.npy"}, "--out=faces.npy: choose a .png, a .npz"),
        ({"out": "faces.PNG"}, "--out=faces.PNG"),
        ({"mean": float("inf")}, "--mean=inf"),
        ({"seed": 2**63}, "--seed=9223372036854775808"),
        ({"seed": 2**32}, "--seed=4294967296: must be from 0 to 4,294,967,295"),
        ({"seed": -1}, "--seed=-1"),
        ({"std": 1e300}, r"--std=1e\+300: must be from 0 to 1,000,000"),
        ({"mean": 1e39}, r"--mean=1e\+39: must be from -1,000,000 to 1,000,000"),
        ({"mean": float("nan")}, "--mean=nan"),
    ],
)
def test_flags_that_do_not_go_together_are_named(flags, named):
    with pytest.raises(UserError) as caught:
        sample.check(sample.Sample(**flags))
    assert re.search(named, caught.value.as_flags)


def test_a_condition_that_is_none_is_told_by_its_flag():
    with pytest.raises(UserError, match=r'^condition: .*"mauve hair"'):
        sample.conditions(FACES, "mauve hair", 1)


def test_a_projection_shows_the_target_and_what_was_found(tmp_path, monkeypatch):
    monkeypatch.setattr(projecting, "DESCENT", 5)
    condition = tags.parse_condition("blue hair red eyes")
    target = drawn(FACES, noise(FACES, 1), condition[None])[0]
    save_png(tmp_path / "target.png", target)
    asked = sample.Sample(project=str(tmp_path / "target.png"), condition="blue hair red eyes", seed=3)
    exhibit = sample._projection(FACES, asked)
    np.testing.assert_array_equal(exhibit.images[0], target)
    assert_near(exhibit.images[1], target)  # its own noise is among the candidates
    np.testing.assert_array_equal(exhibit.labels, np.stack([condition, condition]))
    (tmp_path / "torn.png").write_bytes((tmp_path / "target.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"project=\S+torn.png"):
        sample._projection(FACES, sample.Sample(project=str(tmp_path / "torn.png")))


@pytest.mark.parametrize(("size", "corner"), [((40, 16), (12, 0)), ((16, 20), (0, 2))])
def test_of_a_picture_that_is_not_square_the_middle_is_looked_for_and_this_is_told(
    tmp_path, monkeypatch, capsys, size, corner
):
    monkeypatch.setattr(projecting, "DESCENT", 2)
    target = drawn(FACES, noise(FACES, 1), tags.parse_condition("blue hair red eyes")[None])[0]
    wide = Image.new("RGB", size, "white")
    wide.paste(Image.fromarray(target), corner)
    wide.save(tmp_path / "wide.png")
    save_png(tmp_path / "square.png", target)
    for name, told in (("square.png", ""), ("wide.png", f"wide.png, {size[0]} by {size[1]} pixels")):
        asked = sample.Sample(project=str(tmp_path / name), condition="blue hair red eyes")
        np.testing.assert_array_equal(sample._projection(FACES, asked).images[0], target)
        said = capsys.readouterr().err
        line = f"--project: the picture is not square ({told}): its middle square is taken\n" if told else ""
        assert "".join(part for part in said.splitlines(True) if part.startswith("--")) == line


def test_a_projection_has_the_condition_of_its_candidate(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(projecting, "DESCENT", 5)
    asked = sample.Sample(project=str(tmp_path / "target.png"), seed=3)
    z, labels = sample._latents(FACES, asked, 9), sample.conditions(FACES, None, 9)
    save_png(tmp_path / "target.png", drawn(FACES, z[8:], labels[8:])[0])
    exhibit = sample._projection(FACES, asked)
    np.testing.assert_array_equal(exhibit.labels, labels[[8, 8]])
    place = 8 * 7  # by sevens through 11 colours of eyes for each of hair
    assert f"as {tags.HAIR[place // 11]} hair {tags.EYES[place % 11]} eyes\n" in capsys.readouterr().out
