"""StyleGAN2: sizes of the source, styles, averages, settings, and what a trained one shows."""

import dataclasses
import math

import conformance
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import sample
from experiments.run import projecting
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import data, models, systems, transforms
from jaxgan.host.errors import UserError
from jaxgan.host.images import save_png
from jaxgan.models.stylegan2 import stylegan2
from jaxgan.systems import style_draws, style_training, stylegan2_outputs
from jaxgan.systems import stylegan2 as system_of
from jaxgan.systems.players import Player
from jaxgan.systems.style_training import Rules

SMALL = {"latent_dim": 4, "channel_base": 32, "channel_max": 4, "mapping_layers": 1, "batch_size": 4}


def parameters(network):
    shapes = jax.eval_shape(lambda key: models.init(network, key), jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize(
    ("sizes", "generator", "discriminator"),
    [
        ({"image_size": 1024}, 30_370_060, 29_012_513),
        pytest.param({"image_size": 256}, 30_034_338, 28_864_129, marks=pytest.mark.slow),
        pytest.param(
            {"image_size": 64, "channel_base": 16384, "mapping_layers": 2}, 22_243_608, 23_407_361,
            marks=pytest.mark.slow,
        ),
        ({"image_size": 32, "channel_base": 16384, "mapping_layers": 2, "residual": False}, 19_947_539, 20_720_641),
        pytest.param({"image_size": 1024, "channel_base": 16384}, 24_900_764, 24_038_161, marks=pytest.mark.slow),
        pytest.param({"image_size": 512}, 30_276_583, 28_982_849, marks=pytest.mark.slow),
        pytest.param({"image_size": 256, "channel_base": 16384}, 24_767_458, 24_001_089, marks=pytest.mark.slow),
        pytest.param({"image_size": 32, "channel_base": 16384}, 21_523_475, 21_507_073, marks=pytest.mark.slow),
        pytest.param(
            {"image_size": 128, "channel_base": 16384, "mapping_layers": 2}, 22_949_277, 23_882_369,
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_numbers_of_parameters_are_those_of_the_source(sizes, generator, discriminator):
    gan = stylegan2(**sizes)
    assert (parameters(gan.generator), parameters(gan.discriminator)) == (generator, discriminator)


@pytest.mark.parametrize(("side", "styles"), [(8, 4), (32, 8), (256, 14), (1024, 18)])
def test_a_picture_has_as_many_styles_as_the_source_says(side, styles):
    generator = stylegan2(image_size=side).generator
    assert generator.styles == styles and len(generator.noise_sides) == styles - 1
    assert generator.noise_sides[0] == 4 and generator.noise_sides[-2:] == (side, side)


def small(**changes):
    return stylegan2(image_size=8, **{name: value for name, value in SMALL.items() if name != "batch_size"}, **changes)


@pytest.fixture(scope="module")
def alive():
    """A small generator whose layers all matter, and latents."""
    generator = small().generator
    variables = models.init(generator, jax.random.key(0))
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * random.standard_normal(leaf.shape).astype(np.float32), variables["params"]
    )
    average = {"average": jnp.asarray(random.standard_normal(4), jnp.float32)}
    return generator, {**variables, "params": params, "latents": average}, random.standard_normal((3, 4))


@pytest.mark.slow
def test_another_number_of_styles_is_refused(alive):
    generator, variables, _ = alive
    with pytest.raises(ValueError, match=r"4 styles of 4 make a picture, not \(3, 4\)"):
        generator.apply(variables, jnp.zeros((1, 3, 4)), method="synthesize")


def test_a_size_that_is_no_power_of_two_is_refused():
    for side in (4, 48):
        with pytest.raises(UserError, match=f"image_size={side}: stylegan2 makes pictures of 8, 16, 32, 64"):
            stylegan2(image_size=side)


@pytest.mark.slow
def test_every_style_and_every_noise_changes_the_picture(alive):
    generator, variables, z = alive
    synthesize = jax.jit(lambda ws, noise: generator.apply(variables, ws, noise, method="synthesize"))
    w = generator.apply(variables, jnp.asarray(z, jnp.float32), method="map")
    ws = jnp.repeat(w[:, None], generator.styles, axis=1)
    noise = tuple(jnp.zeros((3, side, side)) for side in generator.noise_sides)
    plain = synthesize(ws, noise)
    for place in range(generator.styles):
        assert float(jnp.abs(synthesize(ws.at[:, place].add(0.5), noise) - plain).max()) > 1e-3
    for place, values in enumerate(noise):
        louder = (*noise[:place], values + 1.0, *noise[place + 1 :])
        assert float(jnp.abs(synthesize(ws, louder) - plain).max()) > 1e-3
    several = np.abs(np.asarray(synthesize(ws.at[1].add(0.5), noise) - plain)).max((1, 2, 3))
    assert several[1] > 1e-3 and several[0] == several[2] == 0  # a style is that of its own picture


@pytest.mark.slow
def test_psi_of_0_is_the_picture_of_the_average_style(alive):
    generator, variables, z = alive
    z = jnp.asarray(z, jnp.float32)
    average = jnp.broadcast_to(variables["latents"]["average"], (3, generator.styles, 4))
    expected = jnp.clip(generator.apply(variables, average, method="synthesize"), -1, 1)
    np.testing.assert_allclose(generator.clone(psi=0.0).apply(variables, z, train=False), expected, atol=1e-6)
    w = generator.apply(variables, z, method="map")
    half = generator.clone(psi=0.5, cutoff=1).apply(variables, w, method="truncated")
    np.testing.assert_allclose(half[:, 0], (w + average[:, 0]) / 2, rtol=1e-5)
    np.testing.assert_array_equal(half[:, 1:], jnp.repeat(w[:, None], 3, axis=1))


def test_the_average_style_moves_by_a_two_hundredth():
    before = Player({}, {}, (), {"noise": {}, "latents": {"average": jnp.asarray([1.0, 0.0])}})
    after = style_training.with_average_style(before, jnp.asarray([[3.0, 1.0], [5.0, 3.0]]), None)
    np.testing.assert_allclose(after.extra["latents"]["average"], [1.0 + 0.005 * 3, 0.005 * 2], rtol=1e-6)


def test_the_moving_average_halves_what_is_old_in_as_many_pictures():
    rules = Rules(small(), None, None, average_images=8.0)
    new = {"params": jnp.asarray(2.0), "noise": jnp.asarray(7.0)}
    old = {"params": jnp.asarray(0.0), "noise": jnp.asarray(5.0)}
    for pictures, share in ((8, 0.5), (4, 1 - 0.5**0.5), (16, 0.75)):
        moved = style_training.averaged(old, new, jnp.asarray(0), pictures, rules)
        np.testing.assert_allclose(moved["params"], 2 * share, rtol=1e-6)
        assert float(moved["noise"]) == 7.0


def test_with_a_ramp_the_moving_average_begins_at_the_generator():
    rules = Rules(small(), None, None, average_images=8.0, average_ramp=0.5)
    new, old = {"params": jnp.asarray(2.0)}, {"params": jnp.asarray(0.0)}
    moved = [style_training.averaged(old, new, jnp.asarray(step), 4, rules)["params"] for step in (0, 1, 2, 100)]
    np.testing.assert_allclose(moved, [2.0, 2 * (1 - 0.25), 2 * 0.5, 2 * (1 - 0.5**0.5)], rtol=1e-6)


@pytest.mark.slow
def test_draws_are_of_the_probability_and_the_layers_that_were_asked_for():
    cutoffs = jax.vmap(lambda key: style_draws.draw_pass(key, 1, small().generator, 0.5).cutoff)(
        jax.random.split(jax.random.key(0), 600)
    )
    shares = np.bincount(np.asarray(cutoffs), minlength=5) / 600
    np.testing.assert_allclose(shares, [0, 1 / 6, 1 / 6, 1 / 6, 0.5], atol=0.06)


def test_what_is_not_finite_in_a_gradient_is_replaced():
    found, _ = transforms.replace_nonfinite().update({"a": jnp.asarray([jnp.nan, jnp.inf, -jnp.inf, 2.0])}, ())
    np.testing.assert_array_equal(found["a"], [0.0, 1e5, -1e5, 2.0])


def settings_of(model="stylegan2_small", **changes):
    return resolve({"model": model, "dataset": "avatars", **changes}, systems.names()).settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": -1.0}, "gamma=-1.0: must be 0 or more"),
        ({"mixing": 1.5}, "mixing=1.5: must be from 0 to 1"),
        ({"channel_base": 0}, "channel_base=0: must be from 1 to"),
        ({"path_every": 0}, "path_every=0: must be above 0"),
        ({"average_ramp": 0.0}, "average_ramp=0.0: must be above 0"),
        ({"beta2": 1.0}, "beta2=1.0: must be at least 0 and below 1"),
        ({"ada_target": 1.0}, "ada_target=1.0: must be between -1 and 1"),
        ({"diffaugment": "color,blur"}, "diffaugment=color,blur: 'blur' is none of"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=f"^{message}"):
        settings_of(**changes).check()


def test_configurations_are_those_of_the_source():
    rules = system_of.build_rules(settings_of("stylegan2"), 3)
    assert (rules.gamma, rules.average_images, rules.average_ramp) == (10.0, 10_000.0, None)
    assert (rules.path_weight, rules.path_every, rules.penalty_every, rules.mixing) == (2.0, 4, 16, 0.9)
    auto = system_of.build_rules(settings_of("stylegan2_auto", image_size=64, batch_size=32), 3)
    assert auto.gamma == pytest.approx(0.0002 * 64**2 / 32) and auto.average_images == 10_000.0
    assert (auto.average_ramp, auto.gan.generator.channel_base) == (0.05, 16384)
    assert system_of.build_rules(settings_of("stylegan2_auto", image_size=512), 3).gan.generator.channel_base == 32768


@pytest.mark.parametrize(("every", "share"), [(4, 0.8), (16, 16 / 17)])
def test_adam_is_slower_by_the_updates_that_a_regulariser_adds(every, share):
    """Of a first gradient g Adam makes the rate times its sign; of a second one of 0, √β₂-shares of it."""
    optimizer = system_of.optimizer(settings_of("stylegan2", beta1=0.5), every)
    params = jnp.asarray([1.0])
    first, state = optimizer.update(jnp.asarray([3.0]), optimizer.init(params), params)
    second, _ = optimizer.update(jnp.asarray([0.0]), state, params)
    rate, betas = 2e-3 * share, (0.5**share, 0.99**share)
    np.testing.assert_allclose(first, [-rate], rtol=1e-5)
    mean = betas[0] * (1 - betas[0]) / (1 - betas[0] ** 2)
    square = betas[1] * (1 - betas[1]) / (1 - betas[1] ** 2)
    np.testing.assert_allclose(second, [-rate * mean / math.sqrt(square)], rtol=1e-4)


@pytest.fixture(scope="module")
def run():
    images = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3), np.uint8)
    system = systems.build("stylegan2_small", data.from_arrays(images), **SMALL)
    return system, jax.jit(system.init)(jax.random.key(0))


@pytest.mark.slow
def test_a_step_with_every_augmentation_has_the_metrics_of_its_report():
    examples = data.from_arrays(np.zeros((8, 8, 8, 3), np.uint8))
    system = systems.build("stylegan2_small", examples, **SMALL, ada=True, flip=True, diffaugment="color,cutout")
    state = jax.eval_shape(system.init, jax.random.key(0))
    batch = {"image": jax.ShapeDtypeStruct((1, SMALL["batch_size"], 8, 8, 3), np.uint8)}
    after, metrics = jax.eval_shape(system.step, state, batch)
    assert set(metrics) == set(system.report.metrics) and "ada_p" in metrics
    assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("stylegan2_small", {"batch_size": 6}, "minibatch_std=4: must divide batch_size=6"),
        ("progan", {"batch_size": 6, "minibatch_std": 4}, "minibatch_std=4: must divide the batch at 4 pixels, 6"),
    ],
)
def test_a_minibatch_is_divided_into_whole_groups(name, settings, named):
    with pytest.raises(UserError, match=named):
        systems.build(name, data.from_arrays(np.zeros((8, 8, 8, 3), np.uint8)), **settings)


def test_layers_are_divided_into_coarse_middle_and_fine_ones():
    for styles in (4, 8, 10, 18):
        found = [list(range(styles))[part] for part in stylegan2_outputs.layers_of_kinds(styles)]
        assert [layer for part in found for layer in part] == list(range(styles)) and all(found)


@pytest.mark.slow
def test_mixed_pictures_have_the_layers_of_the_one_at_the_left(run):
    system, state = run
    shown = system.outputs.exhibits["mixing"](state, 64, 3)
    assert shown.images.shape == (64, 8, 8, 3) and (shown.columns, shown.together, shown.apart) == (8, 4, 1)
    latent = system.outputs.latent
    ws = latent.styles(state, latent.latents(jax.random.key(3), 2 + 7))
    table = shown.images.reshape(2, 4, 8, 8, 8, 3)
    mixed = ws[2:].at[:, :2].set(ws[1, :2])  # of four layers two are coarse
    np.testing.assert_array_equal(table[1, 1, 1:], latent.images_of_styles(state, mixed))
    np.testing.assert_array_equal(table[0, 0, 1:], table[1, 0, 1:])


@pytest.mark.slow
def test_the_last_row_of_a_truncation_is_one_picture(run):
    system, state = run
    shown = system.outputs.exhibits["truncation"](state, 40, 3)
    rows = shown.images.reshape(5, 8, 8, 8, 3)
    assert len(np.unique(rows[-1].reshape(8, -1), axis=0)) == 1
    np.testing.assert_array_equal(rows[0], system.sample(state, 8, 3))
    assert shown.rows[0] == "psi = 1" and shown.rows[-1] == "psi = 0"
    assert system.outputs.exhibits["styles"](state, 16, 3).images.shape == (16, 8, 8, 3)


@pytest.mark.slow
def test_noise_changes_a_face_as_much_as_its_strength_says(run):
    system, state = run
    shown = system.outputs.exhibits["noise"](state, 16, 3)
    table = shown.images.reshape(2, 8, 8, 8, 3)
    np.testing.assert_array_equal(table[:, 0], system.sample(state, 2, 3))
    np.testing.assert_array_equal(table[:, 1:7], np.repeat(table[:, :1], 6, axis=1))  # the noise has no strength yet
    assert not table[:, 7].any() and len(shown.heads) == shown.columns == 8 and shown.heads[7].endswith("white 0")

    def strengthened(path, leaf):
        return jnp.full_like(leaf, 0.5) if path[-1].key == "noise_strength" else leaf

    latent = system.outputs.latent
    variables = jax.tree_util.tree_map_with_path(strengthened, latent.variables(state))
    noisy = dataclasses.replace(latent, variables=lambda state: variables)
    table = stylegan2_outputs.show_noise(noisy, None, state, 16, 3).images.reshape(2, 8, 8, 8, 3)
    assert len(np.unique(table[:, :7].reshape(14, -1), axis=0)) == 14
    assert table[:, 7].max() == 255 and (table[:, 7] == table[:, 7, ..., :1]).all()
    key = jax.random.split(jax.random.fold_in(jax.random.key(3), 1), 2)[1]
    ws = noisy.styles(state, noisy.latents(jax.random.key(3), 2))
    drawn = noisy.images_under_noise(state, jnp.repeat(ws[1:], stylegan2_outputs.NOISES, axis=0), key)
    deviation = drawn.std(axis=0).mean(axis=-1)
    np.testing.assert_array_equal(table[1, 1:7], drawn[:6])
    assert np.corrcoef(deviation.ravel(), table[1, 7, ..., 0].ravel())[0, 1] > 0.999


@pytest.mark.slow
def test_a_walk_among_styles_is_straight_and_closed(run):
    system, state = run
    recipe = resolve({"model": "stylegan2_small"}, ("stylegan2_small",))
    trained = TrainedRun(recipe, system, 0, state, (), "")
    assert "noise" in sample.shows(trained)
    asked = sample.Sample(show="interpolation", space="w", num=16)
    latent = system.outputs.latent
    w = latent.single_styles(state, sample._latents(trained, asked, 4))
    shown = sample._exhibit(trained, asked)
    ways = jnp.linspace(w[0::2], w[1::2], 8, axis=1).reshape(-1, 4)
    expected = latent.images_of_styles(state, latent.for_layers(state, ways))
    assert np.abs(shown.images.astype(int) - expected[: len(shown.images)]).max() <= 1 and shown.columns == 8
    walk = sample._exhibit(trained, dataclasses.replace(asked, num=48, out="walk.gif"))
    middle = latent.images_of_styles(state, latent.for_layers(state, (w[:1] + w[1:2]) / 2))
    assert len(walk.images) == 48 and np.abs(walk.images[8].astype(int) - middle[0]).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("space", ["w", "w+"])
def test_a_picture_is_projected_into_styles(run, space, tmp_path, monkeypatch, capsys):
    system, state = run
    monkeypatch.setattr(projecting, "DESCENT", 60)
    recipe = resolve({"model": "stylegan2_small"}, ("stylegan2_small",))
    trained = TrainedRun(recipe, system, 0, state, (), "unknown")
    # The second picture: the search for the first ends in a local minimum of this random network, whatever the key.
    save_png(tmp_path / "face.png", system.sample(state, 2, 5)[1])
    asked = sample.Sample(project=str(tmp_path / "face.png"), space=space, perceptual=False)
    shown = sample._projection(trained, asked)
    given, found = shown.images.astype(float)
    average = sample.with_psi(system, 0.0).sample(state, 1, 5)[0]
    assert np.abs(found - given).mean() < 0.2 * np.abs(average - given).mean()
    assert shown.heads == ("given", f"found in {space}") and f"in {space}\n" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"weights were imported.*or compare the pixels alone: "):
        sample._projection(trained, dataclasses.replace(asked, perceptual=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"space": "w"}, "space=w: is that of project or of show=interpolation"),
        ({"space": "w+", "show": "interpolation"}, r"space=w\+: is that of project; choose w"),
        ({"perceptual": False}, "noperceptual: is a choice of project in space"),
        ({"project": "x.png", "perceptual": False}, "noperceptual: is a choice of project in space"),
        ({"project": "x.png", "space": "w", "psi": 0.5}, "psi: project in space=w looks among all styles"),
    ],
)
def test_spaces_that_mean_nothing_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        sample.check(sample.Sample(**given))


def test_systems_without_styles_show_none():
    plain = systems.build("mlp_b", data.from_arrays(np.zeros((4, 8, 8, 1), np.uint8)), batch_size=4)
    trained = TrainedRun(resolve({"model": "mlp_b"}, ("mlp_b",)), plain, 0, None, (), "")
    with pytest.raises(UserError, match=r"space=w\+: mlp_b has no styles"):
        sample.check_styles(trained, "--space=w+")
    with pytest.raises(UserError, match="show=noise: this run of mlp_b has samples, "):
        sample.check_show(trained, "noise")


@pytest.mark.slow
def test_samples_are_drawn_with_psi(run):
    system, state = run
    nearer = sample.with_psi(system, 0.0)
    assert sample.with_psi(system, 0.0, 2).outputs.latent.network.cutoff == 2
    drawn = nearer.outputs.latent.images(state, np.eye(4, dtype=np.float32))
    assert len(np.unique(drawn.reshape(4, -1), axis=0)) == 1
    plain = systems.build("mlp_b", data.from_arrays(np.zeros((4, 8, 8, 1), np.uint8)), batch_size=4)
    with pytest.raises(UserError, match="psi: mlp_b has no styles"):
        sample.with_psi(plain, 0.5)


def conditional(names=("cat", "dog", "owl"), **changes):
    random = np.random.default_rng(2)
    images = random.integers(0, 256, (9, 8, 8, 3), np.uint8)
    examples = data.from_arrays(images, random.integers(0, len(names), 9), condition_names=names)
    return systems.build("stylegan2_small", examples, **(SMALL | {"conditional": True} | changes)), examples


def test_a_conditional_step_takes_conditions_and_its_networks_map_them():
    system, _ = conditional()
    assert system.inputs == {"": ("image", "condition")}
    state = jax.eval_shape(system.init, jax.random.key(0))
    assert state.generator.params["mapping"]["ScaledDense_0"]["kernel"].shape == (3, 4)
    assert state.discriminator.params["MappingNetwork_0"]["ScaledDense_0"]["kernel"].shape == (3, 4)
    batch = {
        "image": jax.ShapeDtypeStruct((1, 4, 8, 8, 3), np.uint8),
        "condition": jax.ShapeDtypeStruct((1, 4, 3), np.uint8),
    }
    after, metrics = jax.eval_shape(system.step, state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state) and set(metrics) == set(system.report.metrics)


def test_without_being_asked_conditions_are_left_alone():
    system, _ = conditional(conditional=False)
    assert system.inputs == {"": ("image",)}
    with pytest.raises(UserError, match="conditional: these pictures have no classes and no tags"):
        systems.build("stylegan2_small", data.from_arrays(np.zeros((4, 8, 8, 3), np.uint8)), conditional=True)


@pytest.mark.slow
def test_pictures_follow_their_conditions():
    system, _ = conditional()
    state = jax.jit(system.init)(jax.random.key(0))
    z = np.ones((3, 4), np.float32)
    drawn = system.outputs.latent.images(state, z, np.eye(3, dtype=np.uint8))
    assert len(np.unique(drawn.reshape(3, -1), axis=0)) == 3
    preview = system.preview.images(state)
    latents = system.outputs.latent.latents(jax.random.key(0), 1)
    assert preview.shape == (64, 8, 8, 3) and latents.shape == (1, 4)
    for name, rows in (("mixing", 64), ("truncation", 40), ("styles", 16)):
        assert system.outputs.exhibits[name](state, rows, 3).images.shape == (rows, 8, 8, 3)
    truncated = system.outputs.exhibits["truncation"](state, 40, 3).images[:8]
    np.testing.assert_array_equal(truncated, system.sample(state, 8, 3, np.eye(3, dtype=np.uint8)[np.arange(8) % 3]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "proof",
    [conformance.state_is_a_template, pytest.param(conformance.resumes_to_the_bit, marks=pytest.mark.long)],
    ids=lambda proof: proof.__name__,
)
def test_a_conditional_system_conforms(proof, tmp_path):
    system, examples = conditional(path_every=2, penalty_every=2)
    proof(system, examples, *([tmp_path] if proof is conformance.resumes_to_the_bit else []))
