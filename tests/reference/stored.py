"""What the PyTorch references measured once, kept in files so that the comparison needs no PyTorch.

A file holds the weights of both networks ("generator/…", "discriminator/…", named as in a state dict), the inputs
("inputs/…"), everything that was measured in float64 ("measured/…", pictures thinned out), and for some systems the
course of a training ("training/…").
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "fixtures"
TRAINED = ("mlp_b", "dcgan_anime_a", "cgan_anime")
STEPS = 25
NOISE_GRID = 1 / 64  # rounded noise is the same on every machine


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of one system's file, in their order."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with the prefix, without it."""
    return {name.removeprefix(f"{prefix}/"): values for name, values in arrays.items() if name.startswith(f"{prefix}/")}


def weights(arrays: dict[str, np.ndarray], player: str) -> dict[str, np.ndarray]:
    """A player's state dict, in float64."""
    state = part(arrays, player)
    return {name: values.astype(np.float64) if values.dtype == np.float32 else values for name, values in state.items()}


def inputs(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inputs of the comparison in float64; the wrong pictures and conditions are other examples'."""
    given = {name: values.astype(np.float64) for name, values in part(arrays, "inputs").items()}
    given["image"] /= 128
    if "condition" in given:
        given |= {f"wrong_{name}": np.roll(given[name], 1, axis=0) for name in ("image", "condition")}
    return given


def thinned(measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every fifth pixel of the generated pictures, the rest as it is."""
    return {
        name: values[:, ::5, ::5] if name.startswith("fake_in") or name == "fake" else values
        for name, values in measured.items()
    }
