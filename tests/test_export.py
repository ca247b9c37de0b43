"""Exported runs: arrays that come back to the bit, and programs that draw the same pictures without Flax or jaxgan."""

import dataclasses
import subprocess
import sys
import types

import jax
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import load as load_arrays

from experiments import export
from experiments.run.model_card import model_card
from experiments.run.recipes import resolve
from experiments.run.restore import TrainedRun
from jaxgan.data.examples import Examples
from jaxgan.host.errors import UserError
from jaxgan.interop import onnx, safetensors, stablehlo
from jaxgan.training.fitting import initial_state

NAMES = ("hair", "eyes", "mouth")


def run_of(model, workdir="runs/nowhere", **settings):
    """A run of a small system, before its first step."""
    small = {"width": 4, "generator_width": 2, "discriminator_width": 2, "latent_dim": 4, "image_size": 16}
    source = "avatars_pairs" if model == "pix2pix" else "avatars"
    given = {"model": model, "workdir": str(workdir), "dataset": source, "data_dir": "/home/me"}
    options = {field.name for field in dataclasses.fields(resolve(given, (model,)))}
    recipe = resolve(given | {name: value for name, value in (small | settings).items() if name in options}, (model,))
    names = NAMES if recipe.family.conditional or recipe.family.labelled else ()
    system = recipe.family.build(recipe.settings, Examples.described((16, 16, 3), names, ""))
    return TrainedRun(recipe, system, 7, initial_state(system), names, "0123456789abcdef" * 4)


@pytest.fixture(scope="module", params=["cgan_mnist", "vae_mlp"])
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


def test_onnx_without_its_converter_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"format=onnx: needs the converter; run pip install 'jaxgan\[onnx\]'"):
        onnx.pack(export.program(run, "generator", "float"))


def test_what_the_converter_lacks_is_said_in_a_line(run, monkeypatch):
    def to_onnx(*arguments, **options):
        raise NotImplementedError("no plugin for this\nand more")

    monkeypatch.setitem(sys.modules, "jax2onnx", types.SimpleNamespace(to_onnx=to_onnx))
    with pytest.raises(UserError, match=r"cannot write this network \(no plugin for this\)$"):
        onnx.pack(export.program(run, "generator", "float"))


@pytest.mark.parametrize("padding", [(1, 2, 3), (-1, 0, 2), (0, -2, 1), (2, 1, 0)])
def test_zeros_between_pixels_are_put_there_by_reshaping(padding):
    x, config = np.arange(24, dtype=np.float32).reshape(2, 3, 4), [(0, 0, 0), padding, (1, 0, 1)]
    expected = jax.lax.pad(x, np.float32(7), config)
    np.testing.assert_array_equal(onnx._pad(jax.numpy.asarray(x), np.float32(7), config), expected)


def test_a_program_written_in_what_the_converter_knows_computes_the_same():
    for model in ("dcgan_mnist_keras", "stylegan2_small"):
        run = run_of(model, image_size=8)
        program = export.program(run, "generator", "float")
        z = run.latent.latents(jax.random.key(1), 2)
        text = str(jax.make_jaxpr(lambda z: onnx._simplified(program, [z]))(z))  # noqa: B023
        assert "lhs_dilation=(2" not in text and "custom_vjp" not in text
        np.testing.assert_allclose(onnx._simplified(program, [z]), program.function(z), atol=1e-5)


ONNX_SYSTEMS = (
    *("mlp_b", "dcgan_anime_b", "dcgan_mnist_keras", "cgan_anime", "cgan_mnist", "wgan", "sngan_32", "sndcgan"),
    *("projection_gan", "vae_conv", "infogan_faces", "ssgan_mnist", "progan", "stylegan2_small"),
)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the converter's own
@pytest.mark.parametrize("model", ONNX_SYSTEMS)
def test_onnx_draws_and_judges_as_the_run_does(model, tmp_path):
    pytest.importorskip("jax2onnx", reason="needs the converter: pip install 'jaxgan[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'jaxgan[onnx]'")
    run = run_of(model)
    for network in ("generator", "discriminator"):
        if (run.system.outputs.latent if network == "generator" else run.system.outputs.score) is None:
            continue
        for pixel_type in ("float", "bytes") if model == "cgan_mnist" else ("float",):
            program = export.program(run, network, pixel_type)
            session = runtime.InferenceSession(onnx.pack(program))
            assert [given.name for given in session.get_inputs()] == [name for name, _, _ in program.inputs]
            for count in (1, 3):
                key = jax.random.key(count)
                given = [
                    np.asarray(
                        jax.random.uniform(key, (count, *shape), minval=-1) * 255
                        if dtype is np.uint8
                        else jax.random.uniform(key, (count, *shape), minval=-1),
                        dtype,
                    )
                    for _, shape, dtype in program.inputs
                ]
                names = [name for name, _, _ in program.inputs]
                (found,) = session.run([program.output], dict(zip(names, given, strict=True)))
                expected = np.asarray(program.function(*map(jax.numpy.asarray, given)))
                assert found.dtype == expected.dtype and found.shape == expected.shape
                np.testing.assert_allclose(found, expected, atol=1 if found.dtype == np.uint8 else 1e-4)


def code_of(card):
    return card.partition("```python\n")[2].partition("\n```")[0]


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
