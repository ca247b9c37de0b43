"""A PyTorch tutorial trained on the inputs that this library's networks were given, step by step."""

import numpy as np
import torch

from jaxgan import interop
from reference import torch_play
from reference.torch_training import SYSTEMS


def follow(gan, generator, discriminator, batches: list[dict], calls: list[dict]) -> dict[str, np.ndarray]:
    """Losses (steps, 2) and the parameters of both networks at the end, in this library's layout."""
    system = SYSTEMS[gan.name](generator, discriminator)
    step = {"mlp_b": _mlp, "dcgan_anime_a": _dcgan, "cgan_anime": _cgan}[gan.name]
    losses = [step(system, batch, call) for batch, call in zip(batches, calls, strict=True)]
    trained = {
        "generator": interop.torch.import_variables(gan.generator, torch_play.state(generator))["params"],
        "discriminator": interop.torch.import_variables(gan.discriminator, torch_play.state(discriminator))["params"],
    }
    return {"losses": np.array(losses), **trained}


def _mlp(system, batch, calls):
    # The library draws the generator's noise first; it is another than the discriminator's.
    (generator_noise,), (discriminator_noise,) = calls["generator"]
    pictures = torch_play.picture(batch["image"][0])
    return system.step(pictures, _tensor(discriminator_noise), _tensor(generator_noise))


def _dcgan(system, batch, calls):
    ((noise,),) = calls["generator"]  # one call: the generator's step has the noise of the discriminator's
    return system.step(torch_play.picture(batch["image"][0]), _tensor(noise))


def _cgan(system, batch, calls):
    ((noise, _),) = calls["generator"]
    _, (_, wrong_conditions), (wrong_pictures, theirs), *_ = calls["discriminator"]
    return system.step(
        torch_play.picture(batch["image"][0]),
        _tensor(batch["condition"][0]),
        (torch_play.picture(wrong_pictures.astype(np.float64)), _tensor(theirs)),
        _tensor(wrong_conditions),
        _tensor(noise),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float64))
