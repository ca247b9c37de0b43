"""The autoencoders as systems: what their settings mean, what the preview shows, and what is measured of them."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from experiments import sample
from experiments.page import draw, requests
from experiments.run import exhibits
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan import data, systems
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.systems import vae, variational
from jaxgan.training.fitting import initial_state

SMALL = {"width": 8, "latent_dim": 4, "batch_size": 4}


def system_of(name, count=40, shape=(12, 12, 3), **settings):
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    return systems.build(name, data.from_arrays(images), **{**SMALL, **settings}), images


def run_of(name):
    recipe = resolve({"model": name, "dataset": "avatars", "image_size": 16, "num_examples": 30, **SMALL}, (name,))
    system = recipe.family.build(recipe.settings, Examples.described((16, 16, 3), (), ""))
    return TrainedRun(recipe, system, 0, initial_state(system), (), "digest")


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("vae_mlp", {"latent_dim": 0}, "latent_dim=0"),
        ("vae_mlp", {"pixel_std": 0.0}, "pixel_std=0.0"),
        ("vae_mlp", {"learning_rate": -1.0}, "learning_rate=-1.0"),
        ("vae_mlp", {"kl_weight": math.inf}, "kl_weight=inf"),
        ("vae_mlp", {"kl_warmup": -1}, "kl_warmup=-1"),
        ("vae_mlp", {"likelihood": "gaussian", "binarize": True}, "binarize"),
        ("autoencoder", {"kl_weight": 2.0}, "kl_weight: autoencoder draws no codes"),
        ("autoencoder", {"kl_warmup": 10}, "kl_warmup: autoencoder draws no codes"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, settings, named):
    with pytest.raises(UserError, match=f"^{named}"):
        system_of(name, **settings)


def test_a_size_that_the_convolutions_cannot_halve_is_refused():
    with pytest.raises(UserError, match=r"^image_size=30"):
        system_of("vae_conv", shape=(30, 30, 3))


def test_settings_become_rules():
    chosen = vae.VAESettings(
        model="vae_mlp", image_size=8, latent_dim=3, width=5, kl_weight=2.0, kl_warmup=7, binarize=True
    )
    rules = vae.build_rules(chosen, channels=1)
    assert rules.autoencoder.image_shape == (8, 8, 1) and rules.autoencoder.latent_dim == 3
    assert rules.autoencoder.encoder.widths == rules.autoencoder.decoder.widths == (5,)
    assert (rules.kl_weight, rules.kl_warmup, rules.binarize, rules.likelihood) == (2.0, 7, True, "bernoulli")
    half = vae.build_rules(dataclasses.replace(chosen, precision="bfloat16"), channels=1)
    assert half.autoencoder.decoder.dtype == np.dtype("bfloat16")


@pytest.mark.parametrize("count", [40, 5])
@pytest.mark.parametrize("name", ["vae_mlp", "autoencoder"])
def test_the_preview_has_pictures_above_their_reconstructions_and_samples_below(name, count):
    system, images = system_of(name, count)
    state = initial_state(system)
    shown = system.preview.images(state).reshape(8, 8, *images.shape[1:])
    pairs = system.preview.rows.count("real")
    assert system.preview.rows[:2] == ("real", "reconstruction") and len(system.preview.rows) == 8
    real = images[np.arange(8 * pairs) % count]
    np.testing.assert_array_equal(shown[: 2 * pairs : 2].reshape(real.shape), real)
    again = system.outputs.reconstruct(state, real)
    np.testing.assert_array_equal(shown[1 : 2 * pairs : 2].reshape(real.shape), again)
    assert pairs == (2 if name == "vae_mlp" else 4)


def test_reconstructions_do_not_depend_on_how_many_are_asked_for():
    system, images = system_of("vae_mlp", 70)
    state = initial_state(system)
    whole = system.outputs.reconstruct(state, images)
    assert (
        whole.dtype == np.uint8
        and np.abs(whole[65:].astype(int) - system.outputs.reconstruct(state, images[65:])).max() <= 1
    )


@pytest.mark.slow
def test_measures_are_means_over_the_pictures():
    system, images = system_of("vae_mlp", 70)
    state = initial_state(system)
    rules, params = vae.build_rules(system.settings, 3), state.autoencoder.params
    found = system.outputs.measure(state, images, jax.random.key(3))
    errors = np.asarray(variational.reconstruction_errors(rules.autoencoder, params, images))
    assert found["reconstruction_error"].value == pytest.approx(errors.mean(), rel=1e-5)
    assert found["reconstruction_error"].standard_error == pytest.approx(errors.std(ddof=1) / math.sqrt(70), rel=1e-4)
    keys = [jax.random.fold_in(jax.random.key(3), index) for index in range(2)]
    parts = [
        variational.elbo(rules, params, part, key) for part, key in zip((images[:64], images[64:]), keys, strict=True)
    ]
    assert found["elbo"].value == pytest.approx(float(np.concatenate(parts).mean()), rel=1e-5)
    assert "black or white" in found["elbo"].meaning and "of 4" in found["active_units"].meaning
    gaussian, _ = system_of("vae_mlp", likelihood="gaussian", pixel_std=0.3)
    found = gaussian.outputs.measure(initial_state(gaussian), images, jax.random.key(0))
    assert "standard deviation of 0.3" in found["elbo"].meaning
    plain, _ = system_of("autoencoder")
    assert plain.outputs.measure(initial_state(plain), images, jax.random.key(0)).keys() == {"reconstruction_error"}


def test_the_watch_looks_for_empty_codes_where_codes_are_drawn():
    (drawn, _), (plain, _) = system_of("vae_mlp", kl_weight=4.0), system_of("autoencoder")
    assert drawn.report.checks == (variational.PosteriorCollapse(kl_weight=4.0),) and not plain.report.checks
    assert "kl" in drawn.report.metrics and "kl" not in plain.report.metrics


def test_what_each_can_be_asked_for():
    drawn, plain = run_of("vae_mlp"), run_of("autoencoder")
    assert sample.shows(drawn) == ("samples", "interpolation", "neighbours", "arithmetic", "reconstructions")
    assert sample.shows(plain) == ("reconstructions",)
    pairs = exhibits.reconstructions(plain, 8, 0)
    np.testing.assert_array_equal(pairs.images[4:], plain.system.outputs.reconstruct(plain.state, pairs.images[:4]))


@pytest.mark.slow
def test_the_page_draws_or_says_why_not_in_a_line():
    asked = requests.pictures("W", None, 0, 4, 0, 1.0)
    assert draw.created(run_of("vae_mlp"), asked)[0].shape == (4, 16, 16, 3)
    way = requests.walk(None, 0, 1, 1, 1, 1.0, 0.5)
    assert draw.on_the_way(run_of("vae_mlp"), way, np.array([0.5])).shape == (1, 16, 16, 3)
    plain = run_of("autoencoder")
    for refused in (lambda: draw.created(plain, asked), lambda: draw.on_the_way(plain, way, np.array([0.5]))):
        with pytest.raises(UserError, match=r"^autoencoder draws no samples from latents$"):
            refused()
    best = requests.pictures("W", None, 0, 4, 64, 1.0)
    with pytest.raises(UserError, match=r"^vae_mlp has no discriminator that scores pictures$"):
        draw.created(run_of("vae_mlp"), best)


def test_the_figure_of_sharpness_has_a_row_and_a_caption_for_each_kind():
    from benchmarks import sharpness

    rows = {name: np.zeros((8, 4, 4, 1), np.uint8) for name in ("real", "sample")}
    assert sharpness.figure(rows).shape == (16, sharpness.CAPTION + 64, 1)
