"""Weights of PyTorch and Keras become the workdir of a run, which every command takes."""

import contextlib
import re
import sys

import jax
import numpy as np
import pytest
from reference.cases import random_variables
from test_interop import torch_like

from experiments import import_weights
from experiments.import_weights import ImportWeights
from experiments.run import references, start
from experiments.run.restore import load_run
from jaxgan import data, interop, models, systems
from jaxgan.host.errors import UserError
from jaxgan.systems.adversarial_settings import AdversarialSettings
from jaxgan.training.files.description import read_description

pytestmark = pytest.mark.usefixtures("compile_once")
SIZES = {"image_size": 12, "generator_width": 4, "discriminator_width": 4, "latent_dim": 3}
GAN = models.build("mlp_b", channels=3, **SIZES)


def state_dict(module):
    variables = random_variables(module)
    return variables, interop.torch.export_state_dict(module, variables, like=torch_like(module))


def asked(tmp_path, **changes):
    options = {"model": "mlp_b", "workdir": str(tmp_path / "run"), "generator": str(tmp_path / "g.npz"), **SIZES}
    return ImportWeights(**{**options, **changes})


@pytest.fixture
def generator(tmp_path):
    """The variables of a generator whose state dict is in g.npz."""
    variables, arrays = state_dict(GAN.generator)
    np.savez(tmp_path / "g.npz", **arrays)
    return variables


def assert_equal(mine, other):
    jax.tree.map(np.testing.assert_array_equal, mine, other)


def test_the_run_draws_with_the_weights(tmp_path, generator, monkeypatch):
    shown = []
    monkeypatch.setattr(import_weights.progress, "ticking", lambda what: contextlib.nullcontext(shown.append(what)))
    discriminator, arrays = state_dict(GAN.discriminator)
    np.savez(tmp_path / "d.npz", **arrays)
    said = import_weights.make(asked(tmp_path, discriminator=str(tmp_path / "d.npz")))
    assert said == f"Made {tmp_path}/run of the weights in {tmp_path}/g.npz." and shown == ["reading the weights"]
    run = load_run(str(tmp_path / "run"))
    assert run.step == 0 and run.condition_names == ()
    assert_equal(run.state.generator.params, generator["params"])
    assert_equal(run.state.discriminator.params, discriminator["params"])
    z = run.latent.latents(jax.random.key(1), 4)
    expected = np.asarray(GAN.generator.apply(generator, z, train=False))
    np.testing.assert_allclose(run.latent.images(run.state, z), np.round(expected * 127.5 + 127.5), atol=1)
    with pytest.raises(UserError, match="imported without the pictures that they were trained on; import them with"):
        references.training_pictures(run.recipe, run.pictures_digest)
    begun = start.begin_with(str(tmp_path / "run"), jax.jit(run.system.init)(jax.random.key(5)))
    assert_equal(begun.generator.params, generator["params"])


def test_of_pictures_that_are_named_training_goes_on_there(tmp_path, generator):
    images = np.random.default_rng(0).integers(0, 256, (70, 12, 12, 3), np.uint8)
    np.save(tmp_path / "p.npy", images)
    said = import_weights.make(asked(tmp_path, data_dir=str(tmp_path / "p.npy"), dataset="folder", channels=1))
    assert said.endswith("; its discriminator is initialised.")
    assert read_description(tmp_path / "run").digest == data.from_arrays(images).digest
    assert (tmp_path / "run" / "real.png").is_file()
    run = load_run(str(tmp_path / "run"))
    assert len(references.training_pictures(run.recipe, run.pictures_digest)) == 70
    with pytest.raises(UserError, match=r"workdir=.*run: holds a run already; choose another"):
        import_weights.make(asked(tmp_path))


def test_keras_lists_are_read_in_their_order(tmp_path):
    variables = random_variables(GAN.generator)
    np.savez(tmp_path / "g.npz", *interop.keras.export_weights(GAN.generator, variables))
    assert_equal(import_weights.read_weights(GAN.generator, str(tmp_path / "g.npz"), None, "generator"), variables)


def test_conditions_without_pictures_are_tags_or_numbers(tmp_path):
    for model, classes, count in (("cgan_anime", None, 23), ("cgan_anime", 4, 4), ("cgan_mnist", None, 10)):
        flags = asked(tmp_path, model=model, classes=classes, image_size=None, generator_width=None)
        names = import_weights.pictures_of(flags, import_weights.recipe_of(flags)).condition_names
        assert len(names) == count and (names[3] == "3") == (count < 23)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": None}, "--generator: is needed; name the file"),
        ({"model": None}, "--model: is needed"),
        ({"model": "vae_mlp"}, "--model=vae_mlp: is no GAN of this library; choose one of .*mlp_a"),
        ({"channels": 4}, "--channels=4: must be 1 or 3"),
        ({"classes": 1}, "--classes=1: must be at least 2"),
        ({"generator_width": 5}, "--generator=.*g.npz: main.0.weight has the shape"),
        ({"generator": "/no/such.npz"}, "--generator=/no/such.npz: cannot be read .No such file"),
        ({"generator_key": "netG"}, "--generator_key=netG: the file has no netG, but main.0.weight, main.0.bias"),
        ({"latent_dim": 0}, "--latent_dim=0"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path, generator, changes, said):
    with pytest.raises(UserError) as caught:
        import_weights.make(asked(tmp_path, **changes))
    assert re.match(said, caught.value.as_flags), caught.value.as_flags
    assert not (tmp_path / "run" / "flags.txt").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04torn", b"\x80\x04K\x01."])
def test_damaged_files_and_pickles_are_refused(tmp_path, content):
    (tmp_path / "g.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"generator=.*cannot be read as arrays"):
        import_weights.read_weights(GAN.generator, str(tmp_path / "g.npz"), None, "generator")


def test_without_pytorch_a_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "g.pt").write_bytes(b"x")
    with pytest.raises(UserError, match=r"only PyTorch reads this: pip install torch, or save a \.npz"):
        import_weights.read_weights(GAN.generator, str(tmp_path / "g.pt"), None, "generator")


def test_every_gan_of_the_registry_can_be_asked_for(tmp_path):
    for name in systems.names():
        if issubclass(systems.family_of(name).settings, AdversarialSettings):
            assert import_weights.recipe_of(ImportWeights(model=name, workdir=str(tmp_path))).model == name
