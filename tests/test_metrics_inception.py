"""Inception v3's features against PyTorch, and what a file of wrong weights is told."""

import hashlib

import numpy as np
import pytest

from jaxgan.host.errors import UserError
from jaxgan.metrics.inception_v3 import inception_v3

torch = pytest.importorskip("torch")
from reference.torch_inception import InceptionV3  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

DIVISOR = 16


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    module = InceptionV3(DIVISOR).eval()
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif name.endswith(("running_mean", "bn.bias")):
            tensor.normal_(0.0, 0.2)
        elif name.endswith("bn.weight"):
            tensor.uniform_(0.8, 1.6)
        elif name.endswith("conv.weight"):
            tensor.normal_(0.0, (2.0 / tensor[0].numel()) ** 0.5)
    return module


def stored(path, arrays):
    np.savez(path, **arrays)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def arrays_of(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("shape", [(28, 28, 1), (320, 310, 3)])
def test_features_are_those_of_pytorch(network, tmp_path, shape):
    digest = stored(tmp_path / "weights.npz", arrays_of(network))
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    colour = torch.from_numpy(np.broadcast_to(images, (*images.shape[:3], 3)).astype(np.float32) / 255)
    with torch.no_grad():
        expected = network(colour.permute(0, 3, 1, 2)).numpy()
    found = inception_v3(tmp_path / "weights.npz", sha256=digest)
    assert found.digest == digest and "inception-v3" in found.name
    features = found.apply(images).features
    assert features.shape == (3, 2048 // DIVISOR)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_other_arrays_are_refused_in_a_line(network, tmp_path):
    arrays = arrays_of(network)
    missing = {name: array for name, array in arrays.items() if not name.startswith("Mixed_6c.branch7x7_2")}
    digest = stored(tmp_path / "missing.npz", missing)
    with pytest.raises(
        UserError, match=r"missing.npz: they are not those of Inception v3: Mixed_6c.branch7x7_2\S+ is missing; docs"
    ):
        inception_v3(tmp_path / "missing.npz", sha256=digest)
    arrays["Mixed_5b.branch1x1.conv.weight"] = arrays["Mixed_5b.branch1x1.conv.weight"][:, :1]
    digest = stored(tmp_path / "other.npz", arrays)
    with pytest.raises(UserError, match="not those of Inception v3"):
        inception_v3(tmp_path / "other.npz", sha256=digest)
