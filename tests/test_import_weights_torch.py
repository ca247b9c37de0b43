"""Files that PyTorch has saved are read by it, arrays alone."""

import pytest
from test_import_weights import GAN, assert_equal, state_dict

from experiments import import_weights
from jaxgan.host.errors import UserError

pytestmark = pytest.mark.torch


class Payload:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


def test_state_dicts_are_read_whole_or_by_their_key(tmp_path):
    torch = pytest.importorskip("torch")
    variables, arrays = state_dict(GAN.generator)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    path = str(tmp_path / "g.pt")
    for content, key in ((tensors, None), ({"nets": {"g": tensors}}, "nets.g"), ({"a.b": tensors, "e": 3}, "a.b")):
        torch.save(content, path)
        assert_equal(import_weights.read_weights(GAN.generator, path, key, "generator"), variables)
    with pytest.raises(UserError) as caught:
        import_weights.read_weights(GAN.generator, path, None, "generator")
    assert caught.value.as_flags.endswith("take it out first, as checkpoint['a.b']; name it by --generator_key")
    torch.save({"model": Payload()}, path)
    with pytest.raises(UserError, match=r"generator=.*cannot be read as weights"):
        import_weights.read_weights(GAN.generator, path, None, "generator")
