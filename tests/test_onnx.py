"""ONNX programs: written in what the converter knows, and run by onnxruntime to the same numbers."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_export import SMALL, run_of
from test_systems import SIZES, WIDER

from experiments import export
from jaxgan.host.errors import UserError
from jaxgan.interop import onnx
from jaxgan.interop.programs import Program

PROGRAM = Program(lambda x: 2 * x, (("x", (3,), jnp.float32),), "y")
OF_EACH_FAMILY = (
    *("mlp_b", "dcgan_mnist_keras", "cgan_mnist", "vae_conv", "infogan_faces", "ssgan_mnist", "ssgan_conv"),
    *("progan", "stylegan2_small"),
)
NETWORKS = ("generator", "discriminator", "translator")
TRANSLATING = ("pix2pix", "cyclegan", "stargan", "style")


def small_run(model):
    if model in TRANSLATING:
        return run_of(model, **SMALL)
    return run_of(model, image_size=SIZES.get(model, 12), **WIDER.get(model, {}))


def test_without_the_converter_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"format=onnx: needs the converter; run pip install 'jaxgan\[onnx\]'"):
        onnx.pack(PROGRAM)


def test_what_the_converter_lacks_is_said_in_a_line(monkeypatch):
    def to_onnx(*arguments, **options):
        raise NotImplementedError("no plugin for this\nand more")

    monkeypatch.setitem(sys.modules, "jax2onnx", types.SimpleNamespace(to_onnx=to_onnx))
    with pytest.raises(UserError, match=r"cannot write this network \(no plugin for this\)$"):
        onnx.pack(PROGRAM)


@pytest.mark.parametrize("padding", [(1, 2, 3), (-1, -2, 1)])
def test_zeros_between_pixels_are_put_there_by_reshaping(padding):
    x, config = np.arange(24, dtype=np.float32).reshape(2, 3, 4), [(0, 0, 0), padding, (1, 0, 1)]
    expected = jax.lax.pad(x, np.float32(7), config)
    np.testing.assert_array_equal(onnx._pad(jax.numpy.asarray(x), np.float32(7), config), expected)


def test_a_program_written_in_what_the_converter_knows_computes_the_same():
    run = small_run("dcgan_mnist_keras")
    program = export.program(run, "generator", "float")
    written = jax.export.export(jax.jit(lambda z: onnx._simplified(program, [z])))(*program.symbolic_inputs())
    assert "custom_vjp" not in written.mlir_module() and "lhs_dilate" not in written.mlir_module()
    z = run.latent.latents(jax.random.key(1), 2)
    np.testing.assert_allclose(written.call(z), program.function(z), atol=1e-5)
    plain = jax.export.export(jax.jit(program.function))(*program.symbolic_inputs())
    assert "lhs_dilate" in plain.mlir_module()


@pytest.mark.slow
@pytest.mark.parametrize("model", (*OF_EACH_FAMILY, *TRANSLATING))
def test_onnxruntime_draws_and_judges_as_the_run_does(model):
    pytest.importorskip("jax2onnx", reason="needs the converter: pip install 'jaxgan[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'jaxgan[onnx]'")
    if jax.__version_info__ >= (0, 11):
        pytest.skip("the newest converter that accepts this Orbax, 0.13, is older than jax 0.11")
    run = small_run(model)
    compared = 0
    outputs = run.system.outputs
    for network, output in zip(NETWORKS, (outputs.latent, outputs.score, outputs.translators), strict=True):
        if not output or (network == "discriminator" and model in ("progan", "stylegan2_small")):
            continue  # the latter compare the pictures of a batch
        for pixel_type in ("float", "bytes") if model == "cgan_mnist" else ("float",):
            program = export.program(run, network, pixel_type)
            session = runtime.InferenceSession(onnx.pack(program))
            assert [one.name for one in session.get_inputs()] == [name for name, _, _ in program.inputs]
            for count in (1, 3):
                given = inputs_of(program, count)
                (found,) = session.run([program.output], given)
                expected = np.asarray(program.function(*map(jnp.asarray, given.values())))
                assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
                # A half may be rounded either way.
                np.testing.assert_allclose(found, expected, atol=1 if found.dtype == np.uint8 else 1e-4)
                compared += 1
    assert compared >= 2


def inputs_of(program, count):
    """Random inputs by name: bytes, or numbers from −1 to 1."""
    random = np.random.default_rng(count)
    return {
        name: random.integers(0, 256, (count, *shape), np.uint8)
        if dtype is jnp.uint8
        else random.uniform(-1, 1, (count, *shape)).astype(np.float32)
        for name, shape, dtype in program.inputs
    }
