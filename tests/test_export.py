"""Exported runs: arrays that come back to the bit, and programs that draw the same pictures without Flax or jaxgan."""

import contextlib
import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import load as load_arrays

from experiments import export
from experiments.run.model_card import model_card
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun, workdir_recipe
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.interop import safetensors, stablehlo
from jaxgan.interop.programs import Program
from jaxgan.models.minibatch import standard_deviations
from jaxgan.systems.settings import flag_lines
from jaxgan.training.fitting import initial_state

NAMES = ("hair", "eyes", "mouth")


def run_of(model, workdir="runs/nowhere", **settings):
    """A run of a small system, before its first step."""
    small = {"width": 4, "generator_width": 2, "discriminator_width": 2, "latent_dim": 4, "image_size": 16}
    source = {"pix2pix": "avatars_pairs", "cyclegan": "avatars_domains"}.get(model, "avatars")
    given = {"model": model, "workdir": str(workdir), "dataset": source, "data_dir": "/home/me"}
    options = {field.name for field in dataclasses.fields(resolve(given, (model,)))}
    recipe = resolve(given | {name: value for name, value in (small | settings).items() if name in options}, (model,))
    names = NAMES if recipe.family.conditional or recipe.family.labelled else ()
    examples = Examples.described((16, 16, 3), names, "")
    given = {"a": examples, "b": examples} if recipe.family.unpaired else examples
    system = recipe.family.build(recipe.settings, given)
    return TrainedRun(recipe, system, 7, initial_state(system), names, "0123456789abcdef" * 4)


@pytest.fixture(scope="module", params=[pytest.param("cgan_mnist", marks=pytest.mark.slow), "vae_mlp"])
def run(request):
    return run_of(request.param)


def test_arrays_come_back_to_the_bit_under_their_names(run):
    content = safetensors.pack(export.weights(run), export.facts(run))
    networks = safetensors.unpack(content)
    expected = export.weights(run)
    assert set(networks) == set(expected) and "generator" in networks
    for network, variables in networks.items():
        flat = traverse_util.flatten_dict(expected[network])
        assert traverse_util.flatten_dict(variables).keys() == flat.keys()
        for path, array in traverse_util.flatten_dict(variables).items():
            assert array.dtype == flat[path].dtype
            np.testing.assert_array_equal(array, flat[path])
    first = jax.tree_util.tree_leaves_with_path(expected["generator"])[0]
    name = jax.tree_util.keystr(first[0], simple=True, separator=".")
    np.testing.assert_array_equal(load_arrays(content)[f"generator.{name}"], first[1])


@pytest.mark.slow
def test_networks_that_neither_draw_nor_score_are_whole_too():
    networks = export.weights(run_of("pix2pix", discriminator_layers=1))
    assert set(networks) == {"generator", "discriminator"}
    assert all(set(variables) == {"params", "batch_stats"} for variables in networks.values())
    assert jax.tree.leaves(networks["generator"]["batch_stats"])


def test_other_bytes_are_refused_in_a_line():
    with pytest.raises(UserError, match="not a safetensors file"):
        safetensors.unpack(b"PK\x03\x04 nothing of the kind")


def test_programs_draw_and_judge_as_the_run_does(run):
    for pixel_type, scale in (("float", 127.5), ("bytes", 1.0)):
        generator = jax.export.deserialize(bytearray(stablehlo.pack(export.program(run, "generator", pixel_type))))
        assert set(generator.platforms) == {"cpu", "cuda", "tpu"}
        for count in (1, 3):
            z = run.latent.latents(jax.random.key(1), count)
            given = (np.eye(3, dtype=np.float32)[np.arange(count)],) if run.condition_dim else ()
            images = np.asarray(generator.call(z, *given))
            drawn = run.latent.images(run.state, z, *given)
            assert images.dtype == (np.uint8 if pixel_type == "bytes" else np.float32)
            # A half may be rounded either way, since XLA orders the sums of a whole batch and of some otherwise.
            found = images.astype(np.float32) if scale == 1.0 else (images + 1) * scale
            np.testing.assert_allclose(found, drawn, atol=1.0 if scale == 1.0 else 0.51)
    if run.system.outputs.score is None:
        with pytest.raises(UserError, match="vae_mlp has no discriminator"):
            export.program(run, "discriminator", "bytes")
    else:
        judge = jax.export.deserialize(bytearray(stablehlo.pack(export.program(run, "discriminator", "bytes"))))
        expected = run.system.outputs.score.scores(run.state, drawn, *given)
        np.testing.assert_allclose(judge.call(drawn, *given), expected, rtol=1e-4, atol=1e-5)


SMALL = {"discriminator_layers": 1, "blocks": 1}


@pytest.mark.parametrize(
    "model", ["cyclegan", *(pytest.param(name, marks=pytest.mark.slow) for name in ("style", "stargan", "pix2pix"))]
)
def test_programs_translate_as_the_run_does(model):
    run = run_of(model, **SMALL)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    for direction, translator in run.system.outputs.translators.items():
        program = export.program(run, "translator", "bytes", direction)
        given = (np.eye(3, dtype=np.float32)[[0, 2, 1]],) if translator.conditions else ()
        if given:
            expected = run.system.outputs.translate_to.images(run.state, images, given[0])
        else:
            options = {"evaluate": True} if model == "pix2pix" else {}  # a program has no dropout
            expected = run.system.outputs.translate[direction](run.state, images, **options)
        translated = np.asarray(jax.export.deserialize(bytearray(stablehlo.pack(program))).call(images, *given))
        assert translated.dtype == np.uint8 and np.ptp(translated) > 0
        # A half may be rounded either way, since XLA orders the sums of a whole batch and of some otherwise.
        np.testing.assert_allclose(translated.astype(float), expected.astype(float), atol=1.0)
        assert np.mean(translated != expected) < 0.01
    if model == "cyclegan":
        assert np.any(translated != stablehlo_of(run, "a_to_b").call(images))
    with pytest.raises(UserError, match=r"network=generator: .* translates pictures; take network=translator"):
        export.program(run, "generator", "bytes")
    with pytest.raises(UserError, match="direction=sideways: choose of"):
        export.program(run, "translator", "bytes", "sideways")


def stablehlo_of(run, direction):
    return jax.export.deserialize(bytearray(stablehlo.pack(export.program(run, "translator", "bytes", direction))))


def test_a_system_without_translations_is_refused_as_a_translator_and_so_is_an_idle_direction():
    run = run_of("vae_mlp")
    with pytest.raises(UserError, match="vae_mlp does not translate pictures"):
        export.program(run, "translator", "float")
    with pytest.raises(UserError, match="direction: is of network=translator"):
        export.program(run, "generator", "float", "a_to_b")


@pytest.mark.slow
def test_a_program_runs_without_flax_and_jaxgan(tmp_path):
    run = run_of("mlp_b")
    (tmp_path / "g.stablehlo").write_bytes(stablehlo.pack(export.program(run, "generator", "float")))
    (tmp_path / "read.py").write_text(code_of(model_card(run, "g.stablehlo", "stablehlo_generator", "float")))
    program = (
        "import sys\nsys.path.pop(0)\nexec(open('read.py').read())\n"
        "assert not {'flax', 'jaxgan', 'experiments'} & set(sys.modules)\nassert images.shape == (64, 16, 16, 3)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def code_of(card):
    return card.partition("```python\n")[2].partition("\n```")[0]


def test_a_network_that_compares_the_pictures_of_a_batch_is_refused_in_a_line():
    program = Program(lambda x: standard_deviations(x, 4), (("images", (3,), np.float32),), "logits")
    with pytest.raises(UserError, match=r"compares the pictures of a batch with each other, .*; export its weights"):
        stablehlo.pack(program)


@pytest.mark.parametrize(
    "model",
    [
        "cgan_anime",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("infogan_faces", "ssgan_mnist", "ssgan_conv")),
    ],
)
def test_every_discriminator_takes_any_number_of_pictures(model):
    program = export.program(run_of(model), "discriminator", "float")
    inputs = program.symbolic_inputs()
    assert jax.eval_shape(program.function, *inputs).shape == inputs[0].shape[:1]


def test_the_card_says_what_the_run_is_and_nothing_of_the_machine(tmp_path):
    run = run_of("cgan_mnist", workdir=tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "d_loss": 1.0, "fid": 12.5}\n{"step": 7, "d_loss": 0.5}\n')
    card = model_card(run, "g.stablehlo", "stablehlo_generator", "bytes")
    assert card.startswith("# cgan_mnist, step 7\n") and "16×16×3, digest `0123456789abcdef`" in card
    assert "hair (0), eyes (1), mouth (2)" in card and "| fid | 12.5 |" in card and "d_loss" not in card
    assert str(tmp_path) not in card and "/home/me" not in card
    assert (
        not {"workdir", "data_dir"} & set(run.recipe.values_to_share) and run.recipe.values_to_share["latent_dim"] == 4
    )
    assert "generator.call(z, condition)  # from 0 to 255, uint8" in code_of(card)
    assert "with these flags, in a file, repeats the run." in card
    plain = dataclasses.replace(run_of("dcgan_64"), condition_names=NAMES)  # avatars have conditions, asked for or not
    assert (
        "condition" not in model_card(plain, "g.stablehlo", "stablehlo_generator", "bytes").partition("## Training")[0]
    )
    of_a_program = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, dataset="arrays"))
    card = model_card(of_a_program, "g.stablehlo", "stablehlo_generator", "bytes")
    assert "in a file, and the pictures as `--data_dir` repeats the run." in card


@pytest.mark.parametrize(
    ("out", "given", "chosen"),
    [
        (None, None, "safetensors"),
        ("faces", None, "safetensors"),
        ("faces.ONNX", None, "onnx"),
        ("faces.stablehlo", None, "stablehlo"),
        ("faces.bin", "onnx", "onnx"),
        ("faces.v2", "folder", "folder"),
    ],
)
def test_the_name_of_a_file_says_the_format_where_nothing_else_does(out, given, chosen):
    assert export.chosen_format(export.Export(out=out, format=given)) == chosen


@pytest.mark.parametrize(("out", "given"), [("faces.onnx", "safetensors"), ("faces.safetensors", "folder")])
def test_a_name_that_says_another_format_is_refused(out, given):
    with pytest.raises(UserError, match=rf"^out={out}: ends in \.\w+, but format is {given}; change one"):
        export.chosen_format(export.Export(out=out, format=given))


def test_a_name_of_a_format_that_is_not_written_is_refused():
    with pytest.raises(UserError, match=r"^out=g\.PT: no \.pt is written here; choose .*\.onnx, or format="):
        export.chosen_format(export.Export(out="g.PT"))


def test_each_file_has_a_card_of_its_own(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(export.progress, "ticking", lambda what: contextlib.nullcontext(shown.append(what)))
    run = run_of("vae_mlp", workdir=tmp_path)
    for format in ("safetensors", "stablehlo"):
        export.write_file(run, tmp_path / f"v1.0.{format}", export.Export(format=format))
    said = {path.name: path.read_text() for path in tmp_path.glob("*.md")}
    assert said.keys() == {"v1.0.safetensors.md", "v1.0.stablehlo.md"}
    assert "load_file" in said["v1.0.safetensors.md"] and "deserialize" in said["v1.0.stablehlo.md"]
    assert shown == ["writing the program"]  # that of ONNX takes many seconds


def test_a_workdir_that_is_not_there_is_told_with_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # another folder than that in which the run was trained
    with pytest.raises(UserError, match=rf"workdir=runs/a: holds no run \(there is no directory {tmp_path}/runs/a\)"):
        workdir_recipe("runs/a")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds no run \(there is no flags\.txt\)"):
        workdir_recipe("runs/a")


def test_an_exported_run_of_a_folder_of_pictures_is_read_without_them(tmp_path):
    recipe = dataclasses.replace(
        run_of("pix2pix", discriminator_layers=1).recipe, dataset="folder_pairs", data_dir=None
    )
    (tmp_path / "flags.txt").write_text(flag_lines(recipe))
    with pytest.raises(UserError, match="dataset=folder_pairs: name the folder"):
        workdir_recipe(str(tmp_path))
    (tmp_path / "weights.npz").touch()
    assert workdir_recipe(str(tmp_path)).data_dir == str(tmp_path / "pictures")


@pytest.mark.torch
def test_pytorch_reads_the_weights_in_a_few_lines(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    run = run_of("mlp_b")
    (tmp_path / "mlp_b.safetensors").write_bytes(safetensors.pack(export.weights(run), {}))
    arrays = load_file(tmp_path / "mlp_b.safetensors")
    x = z = torch.from_numpy(np.array(run.latent.latents(jax.random.key(0), 5)))
    for index in range(3):
        kernel, bias = (arrays[f"generator.params.Dense_{index}.{name}"] for name in ("kernel", "bias"))
        x = x @ kernel + bias
        x = torch.relu(x) if index < 2 else torch.tanh(x)
    pictures = x.reshape(-1, 16, 16, 3).numpy()
    network = run.latent.network
    expected = network.apply(run.latent.variables(run.state), z.numpy(), train=False)
    np.testing.assert_allclose(pictures, expected, rtol=1e-4, atol=1e-5)
