"""The registry, and the conformance of every system in it."""

import dataclasses
import functools

import conformance
import jax
import numpy as np
import pytest
import sketches

from experiments.run import start
from jaxgan import data, systems
from jaxgan.host.errors import UserError
from jaxgan.systems.settings import Family, SystemSettings
from jaxgan.training.fitting import fit

SMALL = {
    "generator_width": 2,
    "discriminator_width": 2,
    "width": 4,
    "latent_dim": 4,
    "batch_size": 4,
    "labels_per_class": 1,
}
SIZES = {
    "dcgan_anime_a": 32,
    "dcgan_anime_b": 24,
    "wgan_anime": 32,
    "cgan_anime": 16,
    "dcgan_64": 16,
    "infogan_faces": 16,
    "sngan_32": 16,
    "sndcgan": 16,
    "pix2pix": 8,
    "cyclegan": 8,
    "progan": 8,
    "stylegan2_small": 8,
    "stylegan2": 8,
    "stylegan2_auto": 8,
    "stargan": 8,
    "style": 8,
}
STYLES = {"channel_base": 32, "channel_max": 4, "mapping_layers": 1, "path_every": 2, "penalty_every": 2}
WIDER = {
    "mlp_b": {"generator_width": 8},  # of two hidden units, both may be 0 for every latent
    "pix2pix": {"discriminator_layers": 1},
    "ssgan_mnist": {"generator_width": 8, "discriminator_width": 16},
    "ssgan_conv": {"generator_width": 2, "discriminator_width": 2},
    "cyclegan": {"discriminator_layers": 1, "blocks": 1, "width": 2, "pool_size": 3},
    "progan": {"stable_kimg": 0.003, "fade_kimg": 0.012},  # the second phase begins with step 1, and fades in
    "stylegan2_small": STYLES,
    "stylegan2": STYLES,
    "stylegan2_auto": STYLES,
    "stargan": {"discriminator_layers": 1, "blocks": 0, "width": 2, "critic_steps": 2},
    "style": {"feature_width": 2, "blocks": 0, "width": 2},
}
OF_PICTURES = 11


pytestmark = pytest.mark.usefixtures("compile_once")


@functools.cache
def small(name):
    """A small system of an id or a sketch, and examples for it."""
    if name in OTHERS:
        return getattr(sketches, name)()
    family = systems.family_of(name)
    size = SIZES.get(name, 12)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (OF_PICTURES, size, size, 3), np.uint8)
    labels = random.integers(0, 3, OF_PICTURES) if family.conditional or family.labelled else None
    inputs = 255 - images if family.paired else None
    examples = data.from_arrays(images, labels, inputs=inputs)
    if family.unpaired:
        examples = {"a": examples, "b": data.from_arrays(images[:7, ::-1])}
    known = {field.name for field in dataclasses.fields(family.settings)}
    small = SMALL | WIDER.get(name, {})
    return systems.build(name, examples, **{key: value for key, value in small.items() if key in known}), examples


OTHERS = ("two_domains", "growing")
# One of each kind is proven in every run of the tests, and that one of them resumes; all else with the slow proofs.
QUICKLY = ("mlp_b", "cgan_anime", "vae_mlp")
RESUMES = ("mlp_b",)
# Residual networks take minutes to compile.
RESIDUAL = ("resnet_gan", "sngan_32", "projection_gan", "sndcgan")
# Of the StyleGANs, which are one but for their settings, the first is proven, and in CI not thoroughly.
SAME = ("stylegan2", "stylegan2_auto")
# What these add to another id is layers and widths, which the quick proofs have: their thorough ones are run by hand.
LONG = (
    *("mlp_a", "mlp_keras", "autoencoder", "dcgan_mnist_a", "dcgan_mnist_keras", "dcgan_anime_b", "dcgan_64"),
    *("cgan_mnist", "infogan_mnist", "ssgan_conv", "resnet_gan", "sngan_32", "sndcgan", "projection_gan", *SAME),
    "progan",  # whose restarts and phases tests/test_progan.py proves
    "style",  # one network and one optimiser, as an autoencoder has
)
# These take a minute and more to compile for devices, streams and groups of steps. Their restarts are proven in CI.
# Proven thoroughly there are the sketch of two domains, which has what CycleGAN asks of the loop, and `dcgan_anime_a`,
# from which WGAN differs by its loss and by clipping each weight.
LARGE = ("stylegan2_small", "cyclegan", "stargan", "wgan_anime")
SLOW_TO_LOWER = (*RESIDUAL, "cyclegan", "stargan", "style", "progan", *systems.families()["stylegan"].models)
LOWERED = tuple(name for name in systems.names() if name not in SLOW_TO_LOWER)


def marked(chosen, others=()):
    """All names; those that are not among the chosen are slow, and some of them long."""
    marks = {name: pytest.mark.long if name in others else pytest.mark.slow for name in (*systems.names(), *OTHERS)}
    marks |= dict.fromkeys(chosen, ())
    return [pytest.param(name, marks=marks) for name, marks in marks.items()]


# The proofs of a system follow one another: they share what is compiled.
@pytest.mark.parametrize("proof", conformance.QUICK, ids=lambda proof: proof.__name__)
@pytest.mark.parametrize("name", marked(QUICKLY, SAME))
def test_every_system(name, proof):
    proof(*small(name))


@pytest.mark.parametrize("name", marked(LOWERED, SAME))
def test_every_system_lowers_for_accelerators(name):
    conformance.lowers_for_accelerators(*small(name))


@pytest.mark.parametrize("proof", conformance.THOROUGH, ids=lambda proof: proof.__name__)
@pytest.mark.parametrize("name", marked((), (*LONG, *LARGE)))
def test_every_system_thoroughly(name, proof):
    proof(*small(name))


@pytest.mark.parametrize("name", marked(RESUMES, LONG))
def test_every_system_resumes_to_the_bit(name, tmp_path):
    conformance.resumes_to_the_bit(*small(name), tmp_path)


def test_an_unknown_system_is_refused_with_the_nearest_one():
    _, examples = small("mlp_b")
    with pytest.raises(UserError, match="dcgan64: no such system; did you mean dcgan_64"):
        systems.build("dcgan64", examples)


def test_a_setting_that_a_system_does_not_have_is_refused_with_the_nearest_one():
    _, examples = small("mlp_b")
    with pytest.raises(TypeError, match="mlp_b has no setting learning_rate; did you mean generator_learning_rate"):
        systems.build("mlp_b", examples, learning_rate=1e-3)


def test_settings_that_cannot_be_are_refused():
    _, examples = small("mlp_b")
    with pytest.raises(UserError, match=r"beta1=1\.5"):
        systems.build("mlp_b", examples, beta1=1.5)


def test_pictures_that_are_not_square_are_refused():
    with pytest.raises(UserError, match=r"image_size: the pictures are 12×16 \(height×width\), and not square"):
        systems.build("mlp_b", data.from_arrays(np.zeros((8, 12, 16, 1), np.uint8)))


def test_a_family_that_is_half_declared_says_what_is_missing():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Plain(SystemSettings):
        width: int = 3

    whole = {"command": "x", "build": None, "image_size": None, "defaults": {"a": {}}, "runs": {"a": {}}}
    Family(settings=SystemSettings, **whole)
    with pytest.raises(ValueError, match=r"family x: a must stand in `defaults` and in `runs`"):
        Family(settings=SystemSettings, **whole | {"runs": {}})
    with pytest.raises(ValueError, match=r"Plain.width: declare it by option\(default, help\)"):
        Family(settings=Plain, **whole)
    with pytest.raises(ValueError, match=r"no family has the command nothing: name its module in MODULES"):
        start.main("nothing")


def test_a_metric_that_the_report_does_not_name_ends_the_run():
    system, examples = small("mlp_b")
    blind = dataclasses.replace(system, report=dataclasses.replace(system.report, panels=system.report.panels[:1]))
    with pytest.raises(
        ValueError, match=r"the step returns the metrics \['d_fake', .* panels name \['d_loss', 'g_loss'\]"
    ):
        fit(blind, examples, steps=1)


def test_another_size_than_the_pictures_is_refused():
    with pytest.raises(UserError, match="image_size=16: the pictures have 12 rows"):
        systems.build("mlp_b", data.from_arrays(np.zeros((8, 12, 12, 1), np.uint8)), image_size=16)


def test_the_pictures_decide_the_size():
    images = np.zeros((8, 16, 16, 1), np.uint8)
    system = systems.build("mlp_b", data.from_arrays(images), batch_size=4)
    assert system.image_shape == (16, 16, 1)
    state = system.init(jax.random.key(0))
    assert system.sample(state, num=2).shape == (2, 16, 16, 1)
