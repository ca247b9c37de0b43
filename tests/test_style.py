"""Style transfer: its losses by hand, its feature networks, the search for a picture, its settings and its command."""

import dataclasses
import functools
import io
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import sample
from experiments import style as painting
from experiments.run import translation
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import data, models, systems
from jaxgan.data import patterns
from jaxgan.data.decode import decode_whole
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.metrics.classifier_maps import classifier_maps
from jaxgan.models import feature_maps, vgg
from jaxgan.models.style_transformer import StyleTransformer, style_transformer
from jaxgan.sampling.stylisation import stylise
from jaxgan.systems import style, style_losses
from jaxgan.systems.style import StyleSettings
from jaxgan.systems.style_losses import Objective

SETTINGS = StyleSettings(model="style")


# Losses.


def test_a_gram_matrix_by_hand():
    maps = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)  # two places, two channels
    np.testing.assert_allclose(style_losses.gram_matrix(jnp.asarray(maps)), [[[10 / 4, 14 / 4], [14 / 4, 20 / 4]]])
    with pytest.raises(ValueError, match=r"\(N, H, W, C\), not \(2, 2\)"):
        style_losses.gram_matrix(jnp.ones((2, 2)))


def test_losses_by_hand():
    one, other = jnp.array([1.0, 3.0]).reshape(1, 1, 1, 2), jnp.array([1.0, 1.0]).reshape(1, 1, 1, 2)
    assert float(style_losses.content_loss(one, other)) == 2.0
    assert float(style_losses.content_loss(one, other, relative=True)) == pytest.approx(2.0)
    assert float(style_losses.content_loss(other, one, relative=True)) == pytest.approx(2 / 5)
    two = jnp.stack([jnp.eye(2), 3 * jnp.eye(2)])
    assert float(style_losses.style_loss(two, jnp.eye(2)[None])) == (0 + 2) / 2
    assert float(style_losses.style_loss(two, 2 * jnp.eye(2)[None], relative=True)) == pytest.approx(0.25)
    assert float(style_losses.style_loss(0 * two, two, relative=True)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="shapes differ"):
        style_losses.content_loss(one, two)


def test_the_total_variation_by_hand():
    image = jnp.array([[0.0, 1.0, 1.0], [0.0, 3.0, 1.0]]).reshape(1, 2, 3, 1)
    expected = (1 + 0 + 9 + 4) / 4 + (0 + 4 + 0) / 3
    assert float(style_losses.total_variation(image)) == pytest.approx(expected)
    assert float(style_losses.total_variation(jnp.ones((2, 4, 4, 3)))) == 0.0


def test_an_objective_weighs_its_terms():
    objective = Objective(("a",), ("a", "b"), content_weight=2.0, style_weight=3.0, total_variation=5.0, relative=False)
    assert objective.layers == ("a", "b")
    maps = {name: jnp.full((1, 2, 2, 1), value) for name, value in (("a", 1.0), ("b", 2.0))}
    image = jnp.array([[0.0, 1.0], [0.0, 1.0]]).reshape(1, 2, 2, 1)
    style_of = {"a": jnp.zeros((1, 1, 1)), "b": jnp.zeros((1, 1, 1))}
    total, terms = objective(maps, image, {"a": jnp.zeros((1, 2, 2, 1))}, style_of)
    assert {name: float(value) for name, value in terms.items()} == {"content": 1, "style": 17, "total_variation": 1}
    assert float(total) == 2 + 3 * 17 + 5


# Feature networks.


def test_the_layers_of_vgg_are_the_sources():
    names = vgg.layer_names(19)
    assert [sum(name.startswith("conv") for name in vgg.layer_names(depth)) for depth in (16, 19)] == [13, 16]
    assert names[:5] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1") and names[-1] == "pool5"
    maps = jnp.arange(15.0).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(vgg.pooled(maps, "max").ravel(), [6, 8])
    np.testing.assert_array_equal(vgg.pooled(maps, "average").ravel(), [3, 5])
    shapes = jax.eval_shape(functools.partial(vgg.VGG(("conv5_1",)).init, jax.random.key(0)), jnp.zeros((1, 16, 16, 3)))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == 9_995_072  # of VGG-16


def test_maps_are_those_of_the_layers_that_are_asked_for():
    features = feature_maps.build("random_vgg", (16, 16, 3), width=2)
    assert features.style == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)), jnp.float32)
    maps = features.apply(features.variables(), images, ("relu1_1", "conv2_1"))
    assert {name: part.shape for name, part in maps.items()} == {"relu1_1": (2, 16, 16, 2), "conv2_1": (2, 8, 8, 4)}
    assert float(maps["relu1_1"].min()) == 0.0 > float(maps["conv2_1"].min())
    other = feature_maps.build("random_vgg", (16, 16, 3), width=2, seed=1)
    drawn = [network.variables()["params"]["conv1_1"]["kernel"] for network in (features, other)]
    assert (drawn[0] != drawn[1]).all()
    assert feature_maps.build("random_vgg", (4, 4, 3)).style == ("relu1_1", "relu2_1", "relu3_1")  # of 1×1


def test_filters_are_at_most_half_as_large_as_the_picture():
    features = feature_maps.build("random_filters", (16, 24, 1), width=2)
    assert features.layers == ("filters3", "filters5", "filters7")
    maps = features.apply(features.variables(), jnp.ones((1, 16, 24, 1)), features.layers)
    assert {part.shape for part in maps.values()} == {(1, 16, 24, 2)}


@pytest.mark.slow
def test_the_maps_of_a_classifier_are_those_of_its_layers():
    from jaxgan.metrics.classifiers import Classifier
    from jaxgan.models.layers import BatchNorm

    network, x = Classifier(2, features=2, widths=(2, 3)), jnp.linspace(-1, 1, 16 * 16 * 3).reshape(1, 16, 16, 3)
    variables = network.init(jax.random.key(0), x, train=False)
    moved = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    _, seen = network.apply(moved, x, train=False, mutable=["intermediates"],
                            capture_intermediates=lambda module, _: isinstance(module, BatchNorm))  # fmt: skip
    flat = {"/".join(str(key.key) for key in path): np.asarray(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(moved)}  # fmt: skip
    features = classifier_maps(flat)
    assert features.layers == ("relu1", "relu2")
    maps = features.apply(features.variables(), x, features.layers)
    for number in range(2):
        expected = jax.nn.relu(seen["intermediates"][f"BatchNorm_{number}"]["__call__"][0])
        np.testing.assert_allclose(maps[f"relu{number + 1}"], expected, atol=1e-5)


def test_weights_that_are_of_no_use_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    first = {"0.weight": np.zeros((64, 3, 3, 3), np.float32), "features.0.bias": np.zeros(64, np.float32)}
    build = functools.partial(feature_maps.build, "vgg16", (16, 16, 3), weights=path)
    with pytest.raises(UserError, match=r"^features=vgg16: needs its weights"):
        build(weights=None).variables()
    with pytest.raises(UserError, match=r"feature_weights=.*cannot be read"):
        build().variables()
    for arrays, named in (
        (first, "VGG-16 .2.weight is missing"),
        (first | {"0.weight": np.zeros((64, 1, 3, 3))}, r"0.weight has the shape \(64, 1, 3, 3\), not \(64, 3, 3, 3\)"),
        (first | {"0.weight": np.full((64, 3, 3, 3), np.nan)}, "0.weight has numbers that are not finite"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(UserError, match=f"^feature_weights=.*{named}"):
            build().variables()
    with pytest.raises(UserError, match=r"has the sha256 .*, not 00"):
        build(sha256="00").variables()
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"no whole .npz file"):
        build().variables()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"features": "classifier"}, "features=classifier: is trained by experiments.style"),
        ({"feature_weights": "x"}, "feature_weights: random_filters has random weights"),
        ({"features": "vgg19", "feature_weights": "x", "feature_width": 3}, "feature_width: vgg19 has the width"),
        (
            {"content_layers": "relu9_9", "features": "random_vgg"},
            "content_layers=relu9_9: a random VGG-19 of width 32 has",
        ),
        ({"style_layers": " , "}, "style_layers="),
        ({"style_weight": -1.0}, "style_weight=-1.0"),
        ({"style_weight": 0.0, "content_weight": 0.0}, "style_weight=0.0: nothing is asked"),
        ({"blocks": -1}, "blocks=-1"),
        ({"feature_seed": -1}, "feature_seed=-1"),
        ({"feature_sha256": "0"}, "feature_sha256: is that of the weights of features=vgg16"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, named):
    examples = data.from_arrays(np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(UserError, match=f"^{named}"):
        systems.build("style", examples, **settings)


# The network.


def test_the_network_has_the_sources_number_of_parameters():
    shapes = jax.eval_shape(functools.partial(models.init, style_transformer()), jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"])) == 1_679_235


def test_a_network_keeps_the_shape_of_rectangles_and_refuses_others():
    network = StyleTransformer(width=1, blocks=1)
    run = functools.partial(network.init_with_output, train=True)
    assert jax.eval_shape(run, jax.random.key(0), jnp.zeros((2, 8, 12, 1)))[0].shape == (2, 8, 12, 1)
    with pytest.raises(UserError, match="pictures of 8×10: a style transformer takes multiples of 4"):
        jax.eval_shape(run, jax.random.key(0), jnp.zeros((1, 8, 10, 3)))
    with pytest.raises(UserError, match=r"^image_size=62: .* choose 64"):
        style_transformer(image_size=62)


def test_the_style_is_read_when_a_step_is_traced_and_not_for_painting(tmp_path):
    examples = data.from_arrays(np.zeros((2, 8, 8, 3), np.uint8))
    system = systems.build("style", examples, width=1, blocks=0, feature_width=1, style=str(tmp_path / "none.png"))
    state = jax.eval_shape(system.init, jax.random.key(0))
    assert jax.eval_shape(lambda state: system.networks(state), state).keys() == {"transformer"}
    with pytest.raises(UserError, match=r"^style=.*none.png: cannot be read as a picture"):
        jax.eval_shape(system.step, state, {"image": np.zeros((2, 8, 8, 3), np.uint8)})


def test_a_run_knows_its_style_picture_again(tmp_path):
    path = write(tmp_path / "style.png")
    begun = dataclasses.replace(SETTINGS, style=str(path)).with_digests()
    assert len(begun.style_sha256) == 64 and begun.with_digests() == begun
    kept = style.style_picture(begun, 8, 3)
    write(path, "waves")
    with pytest.raises(UserError, match=r"^style=.*style.png: is another file than at the start of the run"):
        style.style_picture(begun, 8, 3)
    other = style.style_picture(dataclasses.replace(begun, style_sha256=None), 8, 3)
    assert np.abs(other.astype(int) - kept).max() > 50
    # An exported folder has no paths: what needs the picture is refused, not measured against another style.
    with pytest.raises(UserError, match=r"^style: the style picture did not come with this run"):
        style.style_picture(dataclasses.replace(begun, style=None), 8, 3)
    weights = tmp_path / "vgg19.npz"
    weights.write_bytes(b"weights")
    vgg = dataclasses.replace(SETTINGS, features="vgg19", feature_weights=str(weights)).with_digests()
    assert len(vgg.feature_sha256) == 64
    dataclasses.replace(vgg, feature_weights=None).check()  # of an exported folder, which paints


# Patterns and pictures.


def test_patterns_are_the_same_at_every_call_and_of_any_size():
    for name in patterns.NAMES:
        drawn = patterns.draw(name, 12, 20)
        assert drawn.shape == (12, 20, 3) and drawn.dtype == np.uint8 and drawn.std() > 20
        np.testing.assert_array_equal(drawn, patterns.draw(name, 12, 20))
    np.testing.assert_array_equal(patterns.draw("waves", 24, 24)[:12, :20], patterns.draw("waves", 12, 20))
    grey = style.style_picture(dataclasses.replace(SETTINGS, pattern="tiles"), 8, 1)
    assert grey.shape == (8, 8, 1)


def test_a_whole_picture_keeps_its_proportions():
    file = io.BytesIO()
    Image.new("L", (40, 20), 9).save(file, "PNG")
    assert decode_whole(file, 10, 3).shape == (10, 20, 3)
    strip = io.BytesIO()
    Image.new("L", (40, 2), 9).save(strip, "PNG")
    with pytest.raises(ValueError, match="too long a strip"):
        decode_whole(strip, 10, 3)


# The search.


@pytest.mark.parametrize("optimizer", [pytest.param("lbfgs", marks=pytest.mark.slow), "adam"])
def test_a_search_lowers_the_loss_and_begins_where_it_is_told_to(optimizer):
    content, example = patterns.draw("tiles", 8, 12) // 4 + 191, patterns.draw("waves", 8, 12)
    features = feature_maps.build("random_filters", (8, 12, 3), width=3)
    objective = Objective(features.content, features.style, content_weight=1e-3)
    reported = []
    found = stylise(content, example, features, objective, optimizer=optimizer, steps=8, report=reported.append)
    assert found.picture.shape == (8, 12, 3) and found.before["content"] < 1e-9
    assert found.losses[-1] < 0.8 * found.losses[0] == 0.8 * reported[0] and len(reported) == 8
    assert found.after["style"] < 0.8 * found.before["style"]
    if optimizer == "adam":
        alike = stylise(content, example, features, objective, init="style", optimizer=optimizer, steps=1)
        assert alike.before["style"] < 1e-9 < alike.before["content"]
        noise = [stylise(content, example, features, objective, init="noise", optimizer=optimizer, steps=1, seed=seed)
                 for seed in (0, 0, 1)]  # fmt: skip
        np.testing.assert_array_equal(noise[0].picture, noise[1].picture)
        assert (noise[0].picture != noise[2].picture).any()


def test_what_cannot_be_searched_for_is_refused():
    content, features = patterns.draw("tiles", 8, 8), feature_maps.build("random_filters", (8, 8, 3), width=1)
    search = functools.partial(stylise, content, content, features, optimizer="adam", steps=2)
    with pytest.raises(ValueError, match="init 'x'"):
        search(Objective(features.content, features.style), init="x")
    with pytest.raises(ValueError, match="same C"):
        stylise(content, content[..., :1], features, Objective(features.content, features.style))
    with pytest.raises(UserError, match=r"^style_weight: the picture is not finite after 0 steps"):
        search(Objective(features.content, features.style, style_weight=math.inf))


# The command.


def write(path, name="tiles", shape=(20, 30)):
    Image.fromarray(patterns.draw(name, *shape)).save(path)
    return str(path)


def test_a_rectangle_is_painted_in_the_style_of_another_picture(tmp_path):
    given = {"style": write(tmp_path / "s.png", "waves"), "image_size": 8, "features": "random_filters"}
    asked = painting.Paint(content=write(tmp_path / "c.png"), num_steps=2, optimizer="adam")
    found = painting.paint(asked, painting.recipe_of({**given, "feature_width": 2}))
    assert found.picture.shape == (8, 12, 3) and found.after["style"] < found.before["style"]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"^content=.*broken.png: cannot be read as a picture"):
        painting.paint(dataclasses.replace(asked, content=str(broken)), painting.recipe_of(given))


@pytest.mark.parametrize(
    ("asked", "given", "named"),
    [
        ({"num_steps": 3}, {}, "num_steps: is of a single picture; leave it out, or name a picture"),
        ({"content": "x", "step_size": 0.1}, {}, "step_size=0.1: is of optimizer=adam"),
        ({"content": "x", "out": "nowhere/x.png"}, {}, "out=nowhere/x.png: its folder is not there"),
        ({"train": True, "content": "x"}, {}, "content: is of a single picture"),
        ({"content": "x", "num_steps": 0}, {}, "num_steps=0"),
        ({"content": "x", "step_size": 0.0}, {}, "step_size=0.0"),
        ({"content": "x", "out": "x.jpg"}, {}, "out=x.jpg: choose a file that ends with .png"),
        ({"content": "x"}, {"workdir": "y"}, "workdir: is of training; leave it out, or leave out content"),
        ({"content": "x"}, {"blocks": 3}, "blocks: is of training"),
        ({"content": "nowhere.png"}, {}, "content=nowhere.png: cannot be read as a picture"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(monkeypatch, asked, given, named):
    tables = {painting.Paint: asked, painting.start.Start: {}, painting.Cluster: {}}
    monkeypatch.setattr(painting.schema, "given_flags", lambda kind: tables.get(kind, given))
    with pytest.raises(UserError, match=f"^{named}"):
        painting.main()


@pytest.mark.parametrize("given", [{"train": True}, {}])
def test_training_is_what_the_other_commands_do(monkeypatch, given):
    begun = []
    monkeypatch.setattr(painting.schema, "given_flags", lambda kind: given)
    monkeypatch.setattr(painting.start, "train_asked", begun.append)
    painting.main()
    assert begun == ["style"]


def test_pictures_stand_above_what_is_made_of_them():
    recipe = resolve({"model": "style", "image_size": 16, "width": 1, "blocks": 0}, systems.names())
    system = recipe.family.build(recipe.settings, Examples.described((16, 16, 3), (), ""))
    outputs = dataclasses.replace(system.outputs, translate={"content_to_style": lambda state, images: 255 - images})
    run = TrainedRun(recipe, dataclasses.replace(system, outputs=outputs), 0, None, (), "")
    shown = translation.translations(run, 4, 0)
    assert shown.rows == ("input", "output") and sample.shows(run) == ("translations",)
    np.testing.assert_array_equal(shown.images[:2], 255 - shown.images[2:])
