"""Scores agree with torch-fidelity and prdc, which share no line with ours, on the same features."""

import hashlib
import sys
import types

import numpy as np
import pytest

from jaxgan import metrics
from jaxgan.metrics.inception_v3 import inception_v3
from jaxgan.metrics.kernel import squared_maximum_mean_discrepancy

torch = pytest.importorskip("torch")
prdc = pytest.importorskip("prdc")

pytestmark = pytest.mark.torch


class Unused(types.ModuleType):
    """Stands in for torchvision: torch-fidelity imports it, it fits few builds of PyTorch, nothing here calls it."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}", object)


@pytest.fixture(scope="module")
def fidelity():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("", ".datasets", ".models", ".transforms", ".transforms.functional"):
            patch.setitem(sys.modules, f"torchvision{name}", Unused(f"torchvision{name}"))
        pytest.importorskip("torch_fidelity", exc_type=ImportError)
        from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

        yield types.SimpleNamespace(fid=metric_fid, isc=metric_isc, kid=metric_kid, prc=metric_prc)


def sets(n, m, d):
    random = np.random.default_rng(n + d)
    turned = random.normal(size=(d, d))
    return random.normal(2.0, 1.0, (n, d)) @ turned, random.normal(2.2, 0.8, (m, d)) @ turned


SIZES = [(400, 300, 5), (300, 500, 32), (300, 260, 128)]


@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_frechet_distance(fidelity, n, m, d):
    real, generated = sets(n, m, d)
    theirs = fidelity.fid.fid_statistics_to_metric(
        *(fidelity.fid.fid_features_to_statistics(torch.from_numpy(part)) for part in (real, generated)), False
    )
    ours = metrics.frechet_distance(metrics.feature_statistics(real), metrics.feature_statistics(generated))
    np.testing.assert_allclose(ours, theirs["frechet_inception_distance"], rtol=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_kernel_distance(fidelity, n, m, d):
    real, generated = sets(n, m, d)
    count = min(n, m)  # theirs takes sets of one size
    theirs = fidelity.kid.kernel_mmd(real[:count], generated[:count], kid_kernel="poly")
    ours = squared_maximum_mean_discrepancy(real[:count], generated[:count])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("splits", [2, 10])
def test_inception_score(fidelity, splits):
    logits = np.random.default_rng(3).normal(0.0, 3.0, (500, 10))
    theirs = fidelity.isc.isc_features_to_metric(torch.from_numpy(logits), splits=splits, shuffle=False)
    ours = metrics.inception_score(logits, splits=splits).value
    np.testing.assert_allclose(ours, theirs["inception_score_mean"], rtol=1e-6)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_precision_recall_density_and_coverage(fidelity, n, m, d, neighbours):
    real, generated = sets(n, m, d)
    ours = metrics.manifold_scores(real, generated, neighbours=neighbours)
    theirs = prdc.compute_prdc(real_features=real, fake_features=generated, nearest_k=neighbours)
    for name in ("precision", "recall", "density", "coverage"):
        np.testing.assert_allclose(getattr(ours, name).value, theirs[name], rtol=1e-6, err_msg=name)
    both = [torch.from_numpy(part) for part in (generated, real)]
    precision, recall = fidelity.prc.calculate_precision_recall_full(*both, neighborhood=neighbours)
    np.testing.assert_allclose([ours.precision.value, ours.recall.value], [precision, recall], rtol=1e-6)


@pytest.mark.slow
def test_the_network_of_torch_fidelity_with_random_weights(fidelity, monkeypatch, tmp_path):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with monkeypatch.context() as patch:  # it insists on weights, and keeps its random ones so
        patch.setattr(torch, "load", lambda *args, **kwargs: None)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path="none")
    for name, tensor in network.state_dict().items():
        if name.endswith("conv.weight"):
            tensor.normal_(0.0, (2.0 / tensor[0].numel()) ** 0.5)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif name.endswith(("running_mean", "bn.bias")):
            tensor.normal_(0.0, 0.2)
    images = np.random.default_rng(1).integers(0, 256, (2, 299, 299, 3), np.uint8)
    (theirs,) = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    # It scales pixels to (x - 128) / 128, as TensorFlow's graph does, and ours to x / 127.5 - 1, as pytorch-fid does.
    kernel = arrays["Conv2d_1a_3x3.conv.weight"]
    arrays["Conv2d_1a_3x3.bn.running_mean"] = (
        arrays["Conv2d_1a_3x3.bn.running_mean"] + kernel.sum((1, 2, 3)) * 0.5 / 128
    )
    arrays["Conv2d_1a_3x3.conv.weight"] = kernel * (127.5 / 128)
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    ours = inception_v3(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest()).apply(images).features
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4 * np.abs(theirs.numpy()).max())
