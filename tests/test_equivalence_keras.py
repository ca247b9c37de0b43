"""Every system of a Keras tutorial: outputs, losses, gradients and statistics (biased variances) are those of Keras."""

import pytest
from reference import comparison
from reference.cases import CASES

pytest.importorskip("keras", reason="Keras comes with TensorFlow, which is not installed")

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
SYSTEMS = [name for name, case in CASES.items() if case.framework == "keras"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_narrow_networks_agree_with_keras(name):
    assert_small(comparison.compare(CASES[name], "float64", **CASES[name].narrow), 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_full_width_agrees_with_keras(name, dtype):
    assert_small(comparison.compare(CASES[name], dtype), TOLERANCE[dtype])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan_mnist_keras", "wgan_anime"])
def test_no_unit_is_close_to_where_its_derivative_jumps(name):
    """Else float32 gradients could differ by a percent and both be right."""
    assert comparison.distance_to_jumps(CASES[name]) > 2.5e-6


def assert_small(errors, tolerance):
    assert {measured: found for measured, found in errors.items() if not found <= tolerance} == {}
