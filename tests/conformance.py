"""What every system must fulfil: each proof is a function of a system and the examples that it is trained on."""

import functools
import json

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jaxgan.host.digest import digest
from jaxgan.host.errors import UserError
from jaxgan.training import parallel
from jaxgan.training.files.metrics_log import read as read_metrics
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.fitting import Devices, fit, initial_state
from jaxgan.training.input_pipeline import InputPipeline

STEPS = 4
_TRAINED = {}
_FRESH = {}
_PIPELINES = {}
KEPT = 3  # pipelines: proofs of one system follow one another, and compiled programs take memory
QUIET = {"log_every": 1, "sample_every": 2, "checkpoint_every": 2}


def pipeline_of(system, examples, *, devices, placement="device", steps_per_call=1):
    """The input pipeline of a system, and the program of its first phase."""
    phases = range(len(system.schedule.phases))
    steps = [functools.partial(system.step, phase=phase) for phase in phases] if len(phases) > 1 else [system.step]
    programs = [parallel.compile_step(step, mode=devices[0], devices=devices[1]) for step in steps]
    pipeline = InputPipeline(
        programs,
        system.sources(examples),
        inputs=system.inputs,
        schedule=system.schedule,
        seed=system.seed,
        steps_per_call=steps_per_call,
        placement=placement,
    )
    return pipeline, programs[0]


def trained(system, examples, steps=STEPS, *, mode="jit", count=1, placement="device", steps_per_call=1):
    """The state and the metrics (steps,) after some steps; computed once for each system and its arguments."""
    how = (steps, mode, count, placement, steps_per_call)
    if (id(system), *how) not in _TRAINED:
        # The system is kept, and so its id.
        _TRAINED[id(system), *how] = system, taken(system, examples, fresh(system), *how)
    return _TRAINED[id(system), *how][1]


def fresh(system):
    """The state before the first step; computed once for each system."""
    if id(system) not in _FRESH:
        _FRESH[id(system)] = system, initial_state(system)
    return _FRESH[id(system)][1]


def taken(system, examples, state, steps, mode="jit", count=1, placement="device", steps_per_call=1):
    """The state and the metrics (steps,) after steps on the first batches, whatever the step of the given state."""
    key = (id(system), id(examples), mode, count, placement, steps_per_call)
    if key not in _PIPELINES:
        while len(_PIPELINES) >= KEPT:
            del _PIPELINES[next(iter(_PIPELINES))]
        devices = (mode, jax.devices()[:count])
        made = pipeline_of(system, examples, devices=devices, placement=placement, steps_per_call=steps_per_call)
        _PIPELINES[key] = (system, examples), *made  # which are kept, and so are their ids
    _, pipeline, program = _PIPELINES[key]
    state, metrics = pipeline(program.place_state(state), 0, steps)
    return parallel.local(state), metrics


def resumes_to_the_bit(system, examples, tmp_path):
    """Half of the steps, a restart and the other half are all of them: state, metrics and grids."""
    whole = fit(system, examples, steps=STEPS, workdir=tmp_path / "whole", devices=Devices("jit"), **QUIET)
    fit(system, examples, steps=STEPS // 2, workdir=tmp_path / "parts", devices=Devices("jit"), **QUIET)
    parts = fit(system, examples, steps=STEPS, workdir=tmp_path / "parts", devices=Devices("jit"), **QUIET)
    assert digest(whole) == digest(parts)
    runs = [Workdir(tmp_path / name) for name in ("whole", "parts")]
    kept = [[_without_times(line) for line in read_metrics(run.metrics)] for run in runs]
    assert kept[0] == kept[1] and [line["step"] for line in kept[0]] == list(range(1, STEPS + 1))
    assert all(runs[0].sample(step).read_bytes() == runs[1].sample(step).read_bytes() for step in (2, STEPS))
    assert json.loads(runs[0].dataset.read_text())["sha256"]
    assert runs[0].losses.exists() and runs[0].evolution.exists()


def _without_times(line):
    return {name: value for name, value in line.items() if name not in ("images_per_sec", "data_wait")}


def any_grouping_of_steps(system, examples):
    """The state does not depend on how many steps belong to a call."""
    one, _ = trained(system, examples)
    several, _ = trained(system, examples, steps_per_call=3)
    assert digest(one) == digest(several)


def streamed_is_resident(system, examples):
    """Streamed batches are the resident ones."""
    resident, _ = trained(system, examples, 2)
    streamed, _ = trained(system, examples, 2, placement="stream")
    assert digest(resident) == digest(streamed)


def devices_agree(system, examples):
    """Two devices under pmap and under shard_map compute what one does under jit, to rounding.

    Whatever is random belongs to an example's place in the global batch.
    """
    reference, metrics = trained(system, examples, 1)
    for mode in ("pmap", "shard_map"):
        other, others = trained(system, examples, 1, mode=mode, count=2)
        close(reference, other, tolerance=2e-3)
        # One step of Adam moves a parameter by no more than the rate, whatever the gradient. The gradient itself, which
        # the optimiser's moments hold, and the metrics tell whether the devices saw the same batch and the same noise.
        close(metrics, others, tolerance=1e-4)
        for ours, theirs in zip(moments(reference), moments(other), strict=True):
            assert np.linalg.norm(ours - theirs) <= 0.01 * np.linalg.norm(ours) + 1e-7


def moments(state):
    """The first moments of all optimisers in a state, each as a vector of all parameters."""

    def is_adam(part):
        return hasattr(part, "mu")

    parts = [part for part in jax.tree.leaves(state, is_leaf=is_adam) if is_adam(part)]
    return [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part.mu)]) for part in parts]


def steps_draw_anew(system, examples):
    """A system that draws from latents draws others at another step, of the same state and the same batch."""
    if system.outputs.latent is None:
        return
    state = fresh(system)
    after = [taken(system, examples, state.replace(step=state.step + later), 1)[0] for later in (0, 1)]
    assert digest(after[0].replace(step=0)) != digest(after[1].replace(step=0))


def close(one, other, tolerance=1e-4):
    """Equal structure; equal integers and keys; floats within a tolerance of the largest of their leaf, or of 1.

    Adam divides a gradient by its own size, so a gradient that is rounding alone may move a parameter by the whole
    learning rate, in either direction: hence the absolute part.
    """
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for path, leaf in jax.tree_util.tree_leaves_with_path(one):
        match = dict(jax.tree_util.tree_leaves_with_path(other))[path]
        leaf, match = (_plain(value) for value in (leaf, match))
        if np.issubdtype(leaf.dtype, np.floating):
            bound = tolerance * max(1.0, float(np.abs(leaf).max(initial=0.0)))
            np.testing.assert_allclose(match, leaf, rtol=0, atol=bound, err_msg=jax.tree_util.keystr(path))
        else:
            np.testing.assert_array_equal(match, leaf, err_msg=jax.tree_util.keystr(path))


def _plain(leaf):
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def state_is_a_template(system, examples):
    """A step keeps the tree, the shapes and the types of the state, counts itself, and keeps the key."""
    before = fresh(system)
    after, _ = trained(system, examples, 1)
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), state) for state in (before, after)]
    assert shapes[0] == shapes[1]
    assert int(before.step) == 0 and int(after.step) == 1
    assert (jax.random.key_data(before.key) == jax.random.key_data(after.key)).all()


def metrics_are_those_declared(system, examples):
    """The step returns the metrics that the report names, finite ones, and the bar shows some of them."""
    _, metrics = trained(system, examples, 2)
    assert set(metrics) == set(system.report.metrics) and set(system.report.bar) <= set(metrics)
    assert all(values.shape == (2,) and np.isfinite(values).all() for values in map(np.asarray, metrics.values()))


def preview_has_one_shape(system, examples):
    """The preview is uint8, of one shape at every step, and full rows."""
    before = np.asarray(system.preview.images(fresh(system)))
    after = np.asarray(system.preview.images(trained(system, examples, 1)[0]))
    assert before.shape == after.shape and before.dtype == after.dtype == np.uint8
    assert len(before) % system.preview.columns == 0
    assert len(system.preview.rows) in (0, len(before) // system.preview.columns)


def seeds_decide(system, examples):
    """Equal seeds give equal states, and the state depends on the seed."""
    import dataclasses

    other = dataclasses.replace(system, seed=system.seed + 1)
    assert digest(fresh(system)) == digest(initial_state(system)) != digest(initial_state(other))


def outputs_answer_or_refuse(system, examples):
    """Each output works on a fresh state, or its absence is told in one line."""
    state, outputs = fresh(system), system.outputs
    images = np.asarray(_images(examples)[:3])
    for name in ("latent", "score", "reconstruct", "translate", "classify", "translate_to", "measure"):
        if not getattr(outputs, name):
            try:
                outputs.require(name, system.name)
            except UserError as error:
                assert system.name in str(error) and "\n" not in str(error)
            else:
                raise AssertionError(f"{name} is absent, and nothing refuses it")
    if outputs.latent is not None:
        condition_dim = outputs.latent.network.condition_dim
        conditions = np.eye(condition_dim)[[0, 0, 0]] if condition_dim else None
        drawn = system.sample(state, num=3, seed=1, condition=conditions)
        assert drawn.shape == (3, *system.image_shape) and drawn.dtype == np.uint8
        np.testing.assert_array_equal(drawn, system.sample(state, num=3, seed=1, condition=conditions))
        if outputs.score is not None:
            assert outputs.score.scores(state, drawn, conditions).shape == (3,)
    if outputs.reconstruct is not None:
        assert outputs.reconstruct(state, images).shape == images.shape
    for translate in outputs.translate.values():
        translated = translate(state, images)
        assert translated.dtype == np.uint8 and len(translated) == len(images)
    if outputs.translate_to is not None:
        conditions = np.zeros((len(images), examples.condition_dim), np.uint8)
        conditions[:, outputs.translate_to.kinds[0].start] = 1
        translated = outputs.translate_to.images(state, images, conditions)
        assert translated.dtype == np.uint8 and translated.shape == images.shape
    if outputs.classify is not None:
        probabilities = outputs.classify.probabilities(state, images)
        assert probabilities.shape == (len(images), len(outputs.classify.kind.classes))
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-4)
    if outputs.measure is not None:
        further = {name: examples.arrays[name][:3] for name in system.inputs.get("", ()) if name != "image"}
        measures = outputs.measure(state, images, jax.random.key(0), **further)
        assert measures and all(np.isfinite(measure.value) and measure.meaning for measure in measures.values())
    if outputs.measure_labelled is not None:
        measures = outputs.measure_labelled(state, images, {"class": np.arange(len(images)) % 2})
        assert measures and all(np.isfinite(measure.value) and measure.meaning for measure in measures.values())


def _images(examples):
    return (examples if hasattr(examples, "images") else next(iter(examples.values()))).images


def networks_have_sizes(system, examples):
    """The networks of a state have names and parameters."""
    networks = system.networks(fresh(system))
    assert networks and all(jax.tree.leaves(params) for params in networks.values())


def lowers_for_accelerators(system, examples):
    """The step lowers for CUDA and TPU."""
    state = jax.eval_shape(system.init, jax.random.key(0))
    for phase, _ in enumerate(system.schedule.phases):
        step = functools.partial(system.step, phase=phase) if len(system.schedule.phases) > 1 else system.step
        jax.export.export(jax.jit(step), platforms=["cuda", "tpu"])(state, batch_shapes(system, examples, phase))


def batch_shapes(system, examples, phase=0):
    """The shapes of one batch of a phase."""
    size = system.schedule.phases[phase].batch_size
    batches = system.schedule.batches_per_step

    def shape(array):
        return jax.ShapeDtypeStruct((batches, size, *array.shape[1:]), jnp.uint8)

    examples = system.sources(examples)
    sources = {"": examples} if hasattr(examples, "images") else examples
    batches = {
        source: {name: shape(sources[source].arrays[name]) for name in names} for source, names in system.inputs.items()
    }
    return batches[""] if set(batches) == {""} else batches


QUICK = (
    state_is_a_template,
    metrics_are_those_declared,
    preview_has_one_shape,
    seeds_decide,
    outputs_answer_or_refuse,
    networks_have_sizes,
)
"""Proofs that compile a system's step once, together."""

THOROUGH = (any_grouping_of_steps, streamed_is_resident, devices_agree, steps_draw_anew)
"""Proofs that compile it several times."""
