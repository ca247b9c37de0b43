"""Measures the PyTorch references once, for the tests that compare with them where PyTorch is not installed.

python tests/make_fixtures.py        # writes tests/fixtures/*.npz; needs PyTorch
"""

import jax
import numpy as np
from reference import cases, jax_play, jax_training, stored, torch_networks, torch_play, torch_trajectories

from jaxgan import interop
from jaxgan.models import GAN


def fixture(case: cases.Case) -> dict[str, np.ndarray]:
    """The arrays of one system's file."""
    gan = case.build(**case.narrow)
    networks = torch_networks.build(case.name, **case.narrow, **case.options)
    generator, discriminator = (
        torch_play.randomise(network, seed, "float64") for seed, network in enumerate(networks, 2)
    )
    arrays = {}
    for player, network in (("generator", generator), ("discriminator", discriminator)):
        for name, values in torch_play.state(network).items():
            arrays[f"{player}/{name}"] = values.astype(np.float32) if values.dtype == np.float64 else values

    drawn = cases.inputs(gan, count=4, seeds=(0, 0), dtype="float32")
    arrays["inputs/z"] = drawn["z"]
    arrays["inputs/image"] = np.round(drawn["image"] * 127).astype(np.int8)
    if gan.condition_dim:
        arrays["inputs/condition"] = drawn["condition"].astype(np.uint8)
    measured = torch_play.measure(gan, case.loss, generator, discriminator, stored.inputs(arrays))
    arrays |= {f"measured/{name}": values for name, values in stored.thinned(measured).items()}
    if case.name in stored.TRAINED:
        arrays |= {f"training/{name}": values for name, values in training(gan, generator, discriminator).items()}
    return arrays


def training(gan: GAN, generator, discriminator) -> dict[str, np.ndarray]:
    """PyTorch's losses and last parameters, and the random inputs of every step that it shared with this library."""
    rules = jax_training.rules_of(gan)
    with jax.enable_x64(True):
        state = jax_training.state_from(
            rules,
            interop.torch.import_variables(gan.generator, torch_play.state(generator)),
            interop.torch.import_variables(gan.discriminator, torch_play.state(discriminator)),
        )
        batches = jax_training.batches(rules, jax_training.pool(gan), steps=stored.STEPS)
        run = jax_training.run(rules, state, batches, grid=stored.NOISE_GRID)
    followed = torch_trajectories.follow(gan, generator, discriminator, batches, run.calls)
    return {**jax_play.flatten(followed), "noise": jax_training.noise_of(run)}


if __name__ == "__main__":
    stored.FOLDER.mkdir(exist_ok=True)
    for case in cases.CASES.values():
        if case.framework == "torch":
            np.savez_compressed(stored.FOLDER / f"{case.name}.npz", **fixture(case))
            print(case.name, (stored.FOLDER / f"{case.name}.npz").stat().st_size, "bytes")
