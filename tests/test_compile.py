"""What accelerators are given: every system lowered for them, and compiled where their compilers are installed."""

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import export

from benchmarks import compile as compiling
from benchmarks import compile_all, hlo, scaling, targets
from experiments.run.recipes import resolve
from jaxgan import systems
from jaxgan.host.errors import UserError
from jaxgan.training import parallel

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parent.parent
# The conformance suite lowers these in float32. `projection_gan`, below, has the layers of those with spectral
# normalisation.
BY_HAND = (
    *("mlp_a", "mlp_keras", "autoencoder", "dcgan_mnist_a", "dcgan_mnist_keras", "dcgan_anime_b", "dcgan_64"),
    *("cgan_mnist", "infogan_mnist", "ssgan_conv", "resnet_gan", "sngan_32", "sndcgan"),
    *systems.families()["stylegan"].models,
)


def lowered(model):
    recipe = compile_all.narrow(model, "bfloat16")
    what = compiling.training(recipe, pictures=8)
    state = jax.eval_shape(what.init, jax.random.key(0))
    arguments = (state, what.draws(recipe.batch_size), jax.ShapeDtypeStruct((), jnp.int32), what.data)
    return export.export(jax.jit(parallel.fuse(what.step, None)), platforms=["cuda", "tpu"])(*arguments).mlir_module()


# The conformance suite lowers every system in float32; here it is in bfloat16.
@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=pytest.mark.long if name in BY_HAND else ()) for name in systems.names()]
)
def test_every_step_is_lowered_for_accelerators_and_convolves_in_the_type_that_was_asked_for(model):
    text = lowered(model)
    assert "stablehlo.while" in text  # the loop over steps
    types = [re.findall(r"x([a-z]+\d+)>", line) for line in text.splitlines() if "stablehlo.convolution" in line]
    assert all(set(of_one) == {"bf16"} for of_one in types)
    assert bool(types) == (model not in WITHOUT_CONVOLUTIONS)
    # Without callbacks of the host: the steps of a call follow each other on the device.
    assert not re.search(r"callback|outfeed|infeed", text)


def test_faces_have_the_conditions_that_the_command_trains_under():
    recipe = dataclasses.replace(compile_all.narrow("cgan_anime", "float32"), wrong_in_one=True)
    rules = compiling.training(recipe, pictures=8).step.keywords["rules"]
    assert sum(rules.wrong_attributes) == rules.gan.condition_dim == 23


WITHOUT_CONVOLUTIONS = ("mlp_a", "mlp_b", "mlp_keras", "vae_mlp", "autoencoder", "ssgan_mnist")
TEXT = (REPOSITORY / "tests" / "fixtures" / "step.hlo").read_text(encoding="utf-8")  # A step with an inner loop.


def test_a_step_is_read_as_often_as_its_parts_run():
    program = hlo.Program(TEXT)
    forward, gradient = sorted(hlo.convolutions(program, {4}, "bf16"), key=lambda row: -row["times"])
    assert (forward["kind"], forward["layer"], forward["times"], forward["odd"]) == (
        "Forward",
        "Discriminator/Conv_0",
        5,
        [],
    )
    assert gradient["layer"] == "Generator/ConvTranspose_1 (gradient)"
    assert gradient["odd"] == ["dilated window", "window larger than any kernel", "computed in f32"]
    assert hlo.counts(program) == {
        "cudnn_calls": 6,
        "matrix_products": 0,
        "fusions": 2,
        "copies": 0,  # what stands before the loop is not part of a step
        "transposes": 1,
        "casts_to_bfloat16": 1,
        "casts_to_float32": 0,
    }
    assert hlo.collectives(program) == {"all-reduce": {"count": 1, "bytes": 48, "tensors": 2}}
    assert hlo.inner_turns(program) == [5]
    assert hlo.purposes(program) == {"convolutions": 6, "batches": 1, "casts of weights": 1, "collectives": 1}


def test_of_what_is_gathered_from_only_what_is_taken_counts():
    program = hlo.Program(TEXT)
    [batch] = [one for _, _, one in program.step() if one.name == "batch"]
    assert program.traffic("body", batch) == 4 * 8 + 4 * 8 + 4 * 4  # written; read of the data; the numbers


def test_launches_are_counted_inside_and_outside_of_command_buffers():
    text = """\
001: kCopy         [source] kCopy
003: kWhile        [prev=002]
condition:
    004: kCustomKernel [source | sink] wrapped_compare grid: [1, 1, 1]
  body:
    000: kCommandBuffer [source]
        005: kCustomKernel [source] loop_add_fusion
        006: kCopy [source] kCopy
    007: kConvolution [prev=000] kConvolution
    057: kWhile         [prev=056]
condition:
      body:
        077: kConvolution   [prev=000] kConvolution
        000: kCommandBuffer [prev=077]
            080: kCustomKernel [source] loop_add_fusion
094: kCopy [source] kCopy
"""
    found = hlo.launches(text, [5])
    assert found == {"kernels": 14, "in_command_buffers": 7, "command_buffers": 6, "submissions": 13}


@pytest.mark.parametrize("name", targets.TARGETS)
def test_every_target_is_described(name):
    target, _ = targets.parse(name)
    assert 0 < target.share <= 1 and target.rates.keys() == {"float32", "bfloat16"}
    if target.gpu:
        assert f"core_count: {target.gpu['cores']}" in targets.description(target)


@pytest.mark.parametrize("text", ["h200", "h100:2x2", "", "v6e:2x2"])
def test_an_unknown_target_is_refused(text):
    with pytest.raises(UserError, match="target"):
        targets.parse(text)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(targets, "_is_installed", lambda module: False)
    assert "'.[aot]'" in targets.missing("h100") and "libtpu" in targets.missing("v5e:2x2")


# One adversarial family, one of pairs and one of autoencoders; `benchmarks.compile_all` does all of them.
FAMILIES = ("dcgan_anime_a", "pix2pix", "vae_conv")
SPLIT = FAMILIES[1:]  # the first takes minutes to be compiled for sixteen chips
COMPILERS = os.environ.get("COMPILERS")  # a folder with the packages of the extra `aot`, beside the environment


LONGER = pytest.mark.timeout(1800)  # the first test of a target compiles for all


def run_with_compilers(*arguments):
    folders = filter(None, (COMPILERS, os.environ.get("PYTHONPATH")))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def missing(target):
    script = f"from benchmarks import targets; print(targets.missing({target!r}) or '')"
    return run_with_compilers("-c", script).stdout.strip()


@functools.cache
def compiled(target, models, *more):
    """What `benchmarks.compile_all` finds, by model."""
    if missing(target):
        pytest.skip(missing(target))
    arguments = (f"--targets={target}", f"--models={','.join(models)}", "--precisions=bfloat16", *more)
    done = run_with_compilers("-m", "benchmarks.compile_all", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row for row in rows if "error" in row] == []
    return {row["model"]: row for row in rows}


@LONGER
@pytest.mark.parametrize("model", FAMILIES)
def test_a_gpu_knows_every_convolution(model):
    row = compiled("h100", FAMILIES)[model]
    assert row["cudnn_calls"] > 20 and row["odd"] == []
    others = row["launches"]["kernels"] - row["cudnn_calls"]
    assert row["launches"]["in_command_buffers"] > others / 2  # cuDNN's calls stand outside of them
    assert sum(row["kernels_for"].values()) == pytest.approx(row["launches"]["kernels"], abs=5)


def test_a_gpu_does_not_know_those_of_plain_flax():
    if missing("h100"):
        pytest.skip(missing("h100"))
    widths = ("--generator_width=16", "--discriminator_width=16", "--batch_size=16", "--steps_per_call=2")
    done = run_with_compilers(
        "-m", "benchmarks.compile", "--target=h100", "--model=dcgan_anime_a", "--plain_flax", *widths
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["compiled"]["odd_convolutions"] >= 4


@LONGER
@pytest.mark.parametrize("model", SPLIT)
def test_a_tpu_slice_compiles_the_step_split_among_sixteen_chips(model):
    row = compiled("v5e:4x4", SPLIT, "--side=32")[model]
    assert row["chips"] == 16
    assert row["collectives"]["all-reduce"]["count"] > 0


@LONGER
def test_a_tpu_compiles_the_step_on_one_chip_whose_arguments_are_those_of_each_of_sixteen():
    one = compiled("v5e", ("vae_conv",), "--side=32")["vae_conv"]
    assert (one["chips"], one["collectives"]) == (1, {})
    each = compiled("v5e:4x4", SPLIT, "--side=32")["vae_conv"]
    assert each["arguments_mb"] == one["arguments_mb"]  # only the batch is split


FOUND = {
    "target": "v5e:2x2",
    "batch_size": 64,
    "chips": 4,
    "compiled": {"collectives": {"all-reduce": {"count": 10, "bytes": 20_000_000, "tensors": 30}}},
    "computed": {"microseconds": {"arithmetic": 100.0, "memory": 900.0, "host": 0.0, "link": 0.0}},
}


def test_scaling_adds_the_exchange_to_each_chips_work():
    simulated = scaling.simulate(FOUND)
    assert simulated["same_share"][1] == {"images_per_second": round(16 / 900e-6), "efficiency": 1.0}
    seconds = 900e-6 + 2 * 3 / 4 * 20e6 / targets.TARGETS["v5e"].link + 10 * scaling.LATENCY["v5e"]
    assert simulated["same_share"][4]["images_per_second"] == round(64 / seconds)
    assert simulated["same_share"][4]["efficiency"] == round(900e-6 / seconds, 3)
    assert max(simulated["same_batch"]) == 64  # with one example on each chip
    efficiencies = [row["efficiency"] for row in simulated["same_batch"].values()]
    assert efficiencies == sorted(efficiencies, reverse=True)


def test_the_roofline_is_its_greatest_limit():
    target, _ = targets.parse("h100")
    recipe = resolve({"model": "mlp_b", "precision": "bfloat16", "batch_size": 100}, ("mlp_b",))
    found = compiling.roofline(target, recipe, 989e12 * 2e-6, 3.352e12 * 5e-6, {"submissions": 2}, {})
    assert found["microseconds"] == {"arithmetic": 2.0, "memory": 5.0, "host": 6.0, "link": 0.0}
    assert (found["bound_by"], found["images_per_second_at_most"]) == ("host", round(100 / 6e-6))


def test_the_largest_batch_fills_the_share_of_memory_that_jax_takes():
    target, _ = targets.parse("v5e")
    assert compiling.largest_batch(target, arguments=6e9, temporary=1e9, share=64) == 640
    assert compiling.largest_batch(target, arguments=17e9, temporary=1e9, share=64) == 0
