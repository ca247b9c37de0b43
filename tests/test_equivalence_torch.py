"""Every system of a PyTorch tutorial at full width: outputs, losses, gradients and statistics are PyTorch's.

The running variance follows PyTorch's convention: a batch is normalised with the biased variance (divided by n), but
the running estimate takes the unbiased one (divided by n − 1).
"""

import jax
import numpy as np
import pytest
from reference import cases, comparison, jax_play
from reference.cases import CASES

from jaxgan import interop, models, ops
from jaxgan.models.layers import BatchNorm, Dropout

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="PyTorch is not installed; test_fixtures.py proves the same")

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
SYSTEMS = [name for name, case in CASES.items() if case.framework == "torch"]


# float64 is the stricter of the two; one network is proven in both, the others in float32 by hand.
BOTH = "dcgan_anime_a"
WIDTHS = [
    pytest.param(name, dtype, marks=pytest.mark.slow if dtype == "float64" or name == BOTH else pytest.mark.long)
    for name in SYSTEMS
    for dtype in TOLERANCE
]


@pytest.mark.parametrize(("name", "dtype"), WIDTHS)
def test_full_width_agrees_with_pytorch(name, dtype):
    errors = comparison.compare(CASES[name], dtype)
    assert {measured: found for measured, found in errors.items() if not found <= TOLERANCE[dtype]} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_no_unit_is_close_to_where_its_derivative_jumps(name):
    """Else float32 gradients could differ by a percent and both be right."""
    assert comparison.distance_to_jumps(CASES[name]) > 2.5e-6


@pytest.mark.parametrize("unbiased", [True, False])
def test_running_variance_is_the_unbiased_one(unbiased):
    """Of four numbers the two conventions differ by a third: the comparison sees it."""
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    norm = torch.nn.BatchNorm1d(3, momentum=0.3).train()
    norm(torch.from_numpy(x))
    layer = BatchNorm(momentum=0.7, unbiased_running_variance=unbiased)
    variables = layer.init(jax.random.key(0), x, train=False)
    _, moved = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    error = cases.error(moved["batch_stats"]["var"], norm.running_var.numpy())
    assert error < 1e-6 if unbiased else error > 1e-2


@pytest.mark.parametrize("damage", ["a kernel flipped", "a padding moved"])
def test_a_small_damage_is_caught(damage, monkeypatch):
    """The comparison fails for one kernel upside down, or a crop moved by one pixel."""
    case = CASES["dcgan_mnist_a"]
    gan = case.build(**case.narrow)
    inputs = cases.inputs(gan, count=4, seeds=(0, 0), dtype="float32")
    variables, expected = comparison.weights_and_measures(case, gan, inputs, "float32", **case.narrow)
    assert _error_of_fakes(gan, variables["generator"], inputs, expected) < 1e-5
    if damage == "a kernel flipped":
        layer = variables["generator"]["params"]["ConvTranspose_1"]
        layer["kernel"] = layer["kernel"][::-1, ::-1]
    else:
        right = ops.conv_transpose

        def wrong(x, kernel, *, stride, padding):
            return right(x, kernel, stride=stride, padding=((padding - 1, padding + 1), (padding, padding)))

        monkeypatch.setattr(ops, "conv_transpose", wrong)
    assert _error_of_fakes(gan, variables["generator"], inputs, expected) > 1e-2


def _error_of_fakes(gan, variables, inputs, expected):
    fake, _ = gan.generator.apply(variables, inputs["z"], train=True, mutable=["batch_stats"])
    return cases.error(fake, expected["fake"])


@pytest.mark.parametrize("name", ["dcgan_mnist_a", "cgan_mnist"])
def test_dropout_drops_the_same_channels_to_the_same_effect(name):
    """With the masks that this library drew put into PyTorch in place of its own."""
    from reference import torch_networks, torch_play

    sizes = CASES[name].narrow
    gan = models.build(name, **sizes)
    inputs = cases.inputs(gan, count=4, seeds=(0, 0), dtype="float32")
    given = [inputs["image"], *([inputs["condition"]] if gan.condition_dim else [])]
    _, discriminator = torch_networks.build(name, **sizes)
    torch_play.randomise(discriminator, 3, "float32")
    variables = interop.torch.import_variables(gan.discriminator, torch_play.state(discriminator))

    logits, state = gan.discriminator.apply(
        variables,
        *given,
        train=True,
        rngs={"dropout": jax.random.key(1)},
        mutable=["batch_stats", "intermediates"],
        capture_intermediates=lambda module, _: isinstance(module, Dropout),
    )
    kept = [np.asarray(state["intermediates"][f"Dropout_{index}"]["__call__"][0]) != 0 for index in range(2)]
    assert all((mask == mask[:, :1, :1]).all() and 0 < mask.mean() < 1 for mask in kept)  # whole channels

    class Masked(torch.nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.mask = torch_play.picture(mask.astype("float32"))

        def forward(self, x):
            return x * self.mask / (1 - 0.5)

    masks = iter(kept)
    for module in list(discriminator.modules()):
        for child_name, child in module.named_children():
            if isinstance(child, torch.nn.Dropout2d):
                setattr(module, child_name, Masked(next(masks)))
    with torch.no_grad():
        expected = discriminator.train()(torch_play.picture(given[0]), *map(torch.from_numpy, given[1:]))
    assert cases.error(logits, expected.numpy()) < 1e-5
    moved = interop.torch.import_variables(gan.discriminator, torch_play.state(discriminator))["batch_stats"]
    for path, values in jax_play.flatten(moved).items():
        assert cases.error(jax_play.flatten(state["batch_stats"])[path], values) < 1e-5
