"""What PyTorch once measured, and where it got in 25 steps, is what this library measures and where it gets."""

import jax
import numpy as np
import pytest
from reference import cases, jax_play, jax_training, stored
from reference.cases import CASES

from jaxgan import interop

AT_ONCE = ("mlp_b",)  # in every run of the tests; the others with the slow proofs
SYSTEMS = [name for name, case in CASES.items() if case.framework == "torch"]


def variables_of(gan, arrays):
    return (
        interop.torch.import_variables(gan.generator, stored.weights(arrays, "generator")),
        interop.torch.import_variables(gan.discriminator, stored.weights(arrays, "discriminator")),
    )


def marked(names):
    return [pytest.param(name, marks=() if name in AT_ONCE else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", marked(SYSTEMS))
def test_stored_measures_are_met(name):
    case, arrays = CASES[name], stored.load(name)
    gan = case.build(**case.narrow)
    with jax.enable_x64(True):
        found = jax_play.measure(gan, case.loss, *variables_of(gan, arrays), stored.inputs(arrays))
    errors = cases.differences(case, stored.thinned(found), stored.part(arrays, "measured"))
    assert {measured: error for measured, error in errors.items() if not error <= 1e-10} == {}


@pytest.mark.parametrize("name", marked(stored.TRAINED))
def test_stored_training_is_repeated(name):
    case, arrays = CASES[name], stored.load(name)
    gan = case.build(**case.narrow)
    rules = jax_training.rules_of(gan)
    expected = stored.part(arrays, "training")
    with jax.enable_x64(True):
        state = jax_training.state_from(rules, *variables_of(gan, arrays))
        batches = jax_training.batches(rules, jax_training.pool(gan), steps=stored.STEPS)
        run = jax_training.run(rules, state, batches, grid=stored.NOISE_GRID)
    np.testing.assert_array_equal(jax_training.noise_of(run), expected.pop("noise"), "the noise is not what it was")
    found = jax_play.flatten({"losses": run.losses, "generator": run.generator, "discriminator": run.discriminator})
    assert found.keys() == expected.keys()
    for path, values in expected.items():
        np.testing.assert_allclose(found[path], values, rtol=1e-8, atol=1e-8, err_msg=path)


@pytest.mark.torch
@pytest.mark.parametrize("name", SYSTEMS)
def test_pytorch_still_measures_the_same(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from reference import torch_networks, torch_play

    case, arrays = CASES[name], stored.load(name)
    networks = torch_networks.build(name, **case.narrow, **case.options)
    for network, player in zip(networks, ("generator", "discriminator"), strict=True):
        network.double()
        weights = stored.weights(arrays, player)
        network.load_state_dict({key: torch.from_numpy(np.array(values)) for key, values in weights.items()})
    found = torch_play.measure(case.build(**case.narrow), case.loss, *networks, stored.inputs(arrays))
    errors = cases.differences(case, stored.thinned(found), stored.part(arrays, "measured"))
    assert max(errors.values()) <= 1e-10
