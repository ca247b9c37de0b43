"""State dicts of the authors' StyleGAN2-ADA: the same pictures and logits as a network with their names, both ways."""

import jax
import numpy as np
import pytest

from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.interop import stylegan2_ada
from jaxgan.models.stylegan2 import stylegan2

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch

SIDES = (4, 8, 16)
CHANNELS = {"channel_base": 64, "channel_max": 6}  # widths of 6, 6 and 4
CONDITIONS = np.eye(3, dtype=np.float32)[[0, 2, 1, 0]]


def networks(condition=0):
    """Ours, theirs with random weights, and theirs as arrays: the generator's and the discriminator's."""
    from reference import torch_stylegan2_ada

    torch.manual_seed(3)
    gan = stylegan2(image_size=16, latent_dim=7, mapping_layers=2, condition_dim=condition, **CHANNELS)
    widths = {side: gan.generator.width(side) for side in SIDES}
    theirs = (
        torch_stylegan2_ada.Generator(SIDES, widths, 7, condition, layers=2),
        torch_stylegan2_ada.Discriminator(SIDES, widths, condition),
    )
    return gan, theirs, [network.state_dict() for network in theirs]


@pytest.mark.parametrize("condition", [0, 3])
def test_their_weights_draw_and_judge_the_same(condition):
    gan, (generator, judge), states = networks(condition)
    z = np.random.default_rng(0).standard_normal((4, 7)).astype(np.float32)
    given = (CONDITIONS,) if condition else ()
    others = tuple(map(torch.from_numpy, given))
    ours = [
        stylegan2_ada.import_variables(network, state)
        for network, state in zip((gan.generator, gan.discriminator), states, strict=True)
    ]
    with torch.no_grad():
        for psi in (1.0, 0.7):
            expected = generator(torch.from_numpy(z), *others, psi=psi)
            w = gan.generator.apply(ours[0], z, *given, method="map")
            ws = gan.generator.clone(psi=psi).apply(ours[0], w, method="truncated")
            found = gan.generator.apply(ours[0], ws, method="synthesize")
            expected = expected.numpy()
            np.testing.assert_allclose(
                found, expected.transpose(0, 2, 3, 1), rtol=0, atol=1e-4 * np.abs(expected).max()
            )
        images = np.random.default_rng(1).standard_normal((4, 16, 16, 3)).astype(np.float32)
        expected = judge(torch.from_numpy(images).permute(0, 3, 1, 2), *others).numpy()
        found = gan.discriminator.apply(ours[1], images, *given, train=False)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("condition", [0, 3])
def test_what_is_exported_is_what_was_imported(condition):
    gan, theirs, states = networks(condition)
    for network, module, state in zip((gan.generator, gan.discriminator), theirs, states, strict=True):
        variables = stylegan2_ada.import_variables(network, state)
        described = jax.eval_shape(lambda key, network=network: models.init(network, key), jax.random.key(0))
        assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, described)
        exported = stylegan2_ada.export_state_dict(network, variables)
        module.load_state_dict({name: torch.from_numpy(array) for name, array in exported.items()})
        assert exported.keys() == state.keys()
        for name, array in exported.items():
            np.testing.assert_array_equal(array, state[name])


def test_what_does_not_fit_is_named():
    gan, _, (state, judge) = networks()

    def refused(message, network=gan.generator, without=None, **changes):
        given = {name: value for name, value in state.items() if name != without} | changes
        with pytest.raises(UserError, match=message):
            stylegan2_ada.import_variables(network, given)

    refused(r"lacks synthesis\.b8\.conv0\.weight \(6, 6, 3, 3\)", without="synthesis.b8.conv0.weight")
    refused(r"no place for synthesis\.b32\.const", **{"synthesis.b32.const": torch.zeros(6, 4, 4)})
    refused(r"mapping\.w_avg has the shape \(9,\), but the network needs \(7,\)", **{"mapping.w_avg": torch.zeros(9)})
    refused("another filter", **{"synthesis.b8.resample_filter": torch.ones(4, 4) / 16})
    refused("not finite", **{"synthesis.b4.const": torch.full((6, 4, 4), torch.nan)})
    refused(r"lacks b16\.fromrgb\.weight", network=gan.discriminator)
    variables = stylegan2_ada.import_variables(gan.discriminator, judge)
    del variables["params"]["ScaledDense_1"]
    with pytest.raises(UserError, match=r"lack params/ScaledDense_1/kernel"):
        stylegan2_ada.export_state_dict(gan.discriminator, variables)
    with pytest.raises(UserError, match="no residual blocks"):
        stylegan2_ada.import_variables(stylegan2(image_size=16, residual=False, **CHANNELS).discriminator, judge)
