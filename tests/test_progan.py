"""ProGAN: its networks by their sizes, its schedule by hand, and a run that is stopped anywhere."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data, systems
from jaxgan.data.examples import Examples
from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError
from jaxgan.models.progan import mix, progan
from jaxgan.systems import growth, progan_step
from jaxgan.systems.growth import Stage
from jaxgan.systems.progan import ProGANSettings
from jaxgan.systems.progan import build_rules as rules_of
from jaxgan.training import fit
from jaxgan.training.fitting import Devices

# Networks


def shapes_of(network):
    inputs = [jnp.zeros((2, *shape)) for shape in network.input_shapes]
    return jax.eval_shape(lambda key: network.init(key, *inputs, train=False), jax.random.key(0))["params"]


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_at_1024_pixels_are_those_of_the_source():
    gan = progan(image_size=1024)
    assert gan.latent_dim == 512 and gan.generator.widths == (512, 512, 512, 512, 256, 128, 64, 32, 16)
    params = shapes_of(gan.generator), shapes_of(gan.discriminator)
    assert [count(tree) for tree in params] == [23_079_115, 23_087_249]
    assert sum(name.startswith("to_rgb") for name in params[0]) == 9
    assert sum(name.startswith("from_rgb") for name in params[1]) == 9


@pytest.mark.parametrize("size", [8, 32])
def test_parameters_by_hand(size):
    """Of layers from the tables, with 6 channels at 4 and 8 pixels, and 4 and 2 at 16 and 32."""
    gan = progan(image_size=size, width=6, channel_base=64, channels=1, latent_dim=5)
    widths = {8: (6, 6), 32: (6, 6, 4, 2)}[size]
    assert gan.generator.widths == gan.discriminator.widths == widths

    def conv(inputs, outputs, side=3):
        return side * side * inputs * outputs + outputs

    pairs = list(itertools.pairwise(widths))
    generator = 5 * 16 * 6 + 6 + conv(6, 6) + sum(conv(w, 1, 1) for w in widths)
    generator += sum(conv(a, b) + conv(b, b) for a, b in pairs)
    discriminator = conv(6 + 1, 6) + (16 * 6 * 6 + 6) + (6 + 1) + sum(conv(1, w, 1) for w in widths)
    discriminator += sum(conv(b, b) + conv(b, a) for a, b in pairs)
    assert count(shapes_of(gan.generator)) == generator
    assert count(shapes_of(gan.discriminator)) == discriminator


@pytest.mark.parametrize("size", [4, 12, 48, 2048])
def test_other_sizes_are_refused(size):
    with pytest.raises(UserError, match=f"image_size={size}: progan makes pictures of 8, 16, 32, … or 1024 pixels"):
        progan(image_size=size)


def test_pictures_of_another_level_are_refused():
    network = progan(image_size=8, width=2).discriminator
    params = shapes_of(network)
    with pytest.raises(ValueError, match=r"pictures \(2, 8, 8, 3\) for a discriminator of 4×4 pixels"):
        jax.eval_shape(
            lambda params: network.apply({"params": params}, jnp.zeros((2, 8, 8, 3)), train=True, level=0), params
        )


def test_a_mixture_with_all_of_one_is_that_one():
    x, y = jnp.array([0.1, 1e8]), jnp.array([0.7, 3e-8])
    np.testing.assert_array_equal(mix(x, y, 0.0), x)
    np.testing.assert_array_equal(mix(x, y, 1.0), y)
    np.testing.assert_allclose(mix(x, y, 0.25), 0.75 * x + 0.25 * y)


# Schedule


def settings(**given):
    return ProGANSettings(model="progan", **{"batch_size": 128, **given})


def test_the_schedule_of_the_source_at_1024_pixels():
    stages = settings().stages(1024)
    assert [stage.size for stage in stages] == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert [stage.batch_size for stage in stages] == [128, 128, 128, 64, 32, 16, 8, 4, 4]
    assert [stage.learning_rate for stage in stages] == [1e-3] * 8 + [1.5e-3]
    schedule = growth.batch_schedule(stages)
    for number, stage in enumerate(stages[1:], 1):
        begin = 600_000 * number + 600_000 * (number - 1)
        assert schedule.examples_before(stage.first_step) == begin + stage.begun
        assert 0 < stage.begun <= stages[number - 1].batch_size
        grown = schedule.examples_before(stage.grown_step)
        assert begin + 600_000 <= grown < begin + 600_000 + stage.batch_size
    assert schedule.steps_within(12_000_000) > stages[-1].grown_step


@pytest.mark.parametrize(("stable", "fade"), [(6, 8), (8, 4), (3, 5), (0, 7), (100, 100)])
def test_a_schedule_counts_pictures_as_the_source_does(stable, fade):
    """Step after step, as its loop does it: the size, the share, and when the optimisers are reset."""
    given = settings(batch_size=4, batch_sizes="16:2", stable_kimg=stable / 1000, fade_kimg=fade / 1000)
    stages = given.stages(16)
    schedule = growth.batch_schedule(stages)
    seen, before = 0, None
    for step in range(60):
        phase = seen // (stable + fade)
        faded = max(seen - phase * (stable + fade) - stable, 0) / fade
        lod = max(2 - phase - faded, 0.0)
        size, batch = 16 >> int(lod), 2 if lod < 1 else 4
        stage = stages[schedule.at(step).phase]
        assert (stage.size, schedule.at(step).size, schedule.examples_before(step)) == (size, batch, seen), step
        np.testing.assert_allclose(stage.alpha(jnp.int32(step)), 1 - lod % 1, rtol=1e-6)
        rounded = int(lod), int(np.ceil(lod))
        assert bool(stage.is_reset(jnp.int32(step))) == (rounded != before), step
        np.testing.assert_allclose(growth.grown(stages, jnp.int32(step + 1)), 2 - lod, rtol=1e-6)
        seen, before = seen + batch, rounded


def test_without_a_fade_a_size_counts_at_once():
    stages = settings(batch_size=4, stable_kimg=0.008, fade_kimg=0.0).stages(16)
    assert [(stage.first_step, stage.grown_step) for stage in stages] == [(0, 0), (3, 3), (5, 5)]
    assert all(float(stage.alpha(jnp.int32(stage.first_step))) == 1.0 for stage in stages)


def test_a_stage_of_a_long_run_does_not_overflow():
    stage = Stage(8, 1024, 1 << 20, 1e-3, 10, begun=5, fade=600_000)
    assert float(stage.alpha(jnp.int32(2**31 - 1))) == 1.0


def test_without_growing_there_is_one_phase():
    [stage] = settings(initial_size=64).stages(64)
    assert (stage.level, stage.size, stage.batch_size) == (4, 64, 32)
    assert float(growth.grown((stage,), jnp.int32(3))) == 4.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image_size": 48}, "image_size=48: progan makes"),
        ({"initial_size": 6}, "initial_size=6: choose one of 4, 8, 16"),
        ({"image_size": 8, "initial_size": 16}, "initial_size=16: choose one of 4, 8$"),
        ({"batch_sizes": "32"}, "batch_sizes=32: give SIZE:NUMBER with commas between, not 32"),
        ({"batch_sizes": "32:0"}, "batch_sizes=32:0: must have numbers above 0"),
        ({"learning_rates": "8:x"}, "learning_rates=8:x: give SIZE:NUMBER"),
        ({"stable_kimg": -1.0}, "stable_kimg=-1.0: must be 0 or more"),
        ({"stable_kimg": 1e9}, "stable_kimg=1e.09: with fade_kimg, too many pictures"),
        ({"average_decay": 1.0}, "average_decay=1.0"),
        ({"width": 1 << 17}, "width=131072: must be at most"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        settings(**given).check()


# Pictures and steps


def test_real_pictures_are_reduced_and_fade():
    images = jnp.arange(64.0).reshape(1, 8, 8, 1)
    half = progan_step.reduced(images, Stage(0, 4, 4, 1e-3, 0), jnp.float32(1.0))
    assert half.shape == (1, 4, 4, 1) and half[0, 0, 0, 0] == np.mean([0, 1, 8, 9])
    fading = progan_step.reduced(images, Stage(0, 4, 4, 1e-3, 0, 1, 9), jnp.float32(0.25))
    coarse = np.mean(images[0, :4, :4, 0])
    np.testing.assert_allclose(fading[0, 0, 0, 0], 0.25 * half[0, 0, 0, 0] + 0.75 * coarse)
    whole = progan_step.reduced(images, Stage(1, 8, 4, 1e-3, 0, 1, 9), jnp.float32(1.0))
    np.testing.assert_array_equal(whole, images)


SMALL = {"width": 3, "latent_dim": 3, "batch_size": 4, "stable_kimg": 0.006, "fade_kimg": 0.012, "flip": True}


@functools.cache
def small():
    """A system of two phases, and pictures: 4×4 in steps 0 and 1, a fade in steps 2 to 4, 8×8 from step 5 on."""
    examples = data.from_arrays(np.random.default_rng(0).integers(0, 256, (11, 8, 8, 3), np.uint8))
    return systems.build("progan", examples, **SMALL), examples


def test_a_system_has_a_phase_for_each_size():
    described = Examples.described((8, 8, 3), (), "")
    system = systems.build("progan", described, **SMALL)
    assert [(phase.first_step, phase.batch_size) for phase in system.schedule.phases] == [(0, 4), (2, 4)]
    assert rules_of(system.settings, 3).stages[1].grown_step == 5
    assert system.report.bar[-2:] == ("size", "alpha")


@pytest.mark.slow
@pytest.mark.usefixtures("compile_once")
def test_a_run_that_is_stopped_before_and_within_a_fade_goes_on_to_the_bit(tmp_path):
    """Over the change of the phase, and over the step at which the optimisers forget their moments once more."""
    system, examples = small()
    how = {"devices": Devices("jit"), "log_every": 1, "sample_every": 3, "checkpoint_every": 1}
    whole = fit(system, examples, steps=7, workdir=tmp_path / "whole", **how)
    for steps in (1, 4, 7):
        parts = fit(system, examples, steps=steps, workdir=tmp_path / "parts", **how)
    assert digest(whole) == digest(parts)
    for step in (3, 6):
        grids = [(tmp_path / name / "samples" / f"{step:08d}.png").read_bytes() for name in ("whole", "parts")]
        assert grids[0] == grids[1]


@pytest.mark.slow
@pytest.mark.usefixtures("compile_once")
def test_pictures_have_full_size_in_all_phases():
    system, _ = small()
    state = system.init(jax.random.key(0))
    z = system.outputs.latent.latents(jax.random.key(1), 2)
    for steps, level, alpha in ((0, 0, 1.0), (2, 0, 1.0), (4, 1, 0.5), (6, 1, 1.0)):
        drawn = system.outputs.latent.images(state.replace(step=jnp.int32(steps)), z)
        network = system.outputs.latent.network
        trained = jax.jit(functools.partial(network.apply, train=True, level=level))
        made = trained({"params": state.average["params"]}, z, alpha=alpha)
        made = np.repeat(np.repeat(made, 2 - level, 1), 2 - level, 2)
        assert drawn.shape == (2, 8, 8, 3)
        assert np.abs(drawn.astype(int) - np.clip(np.round(made * 127.5 + 127.5), 0, 255)).max() <= 1
