"""What is compared: every system, its loss, its narrow sizes, and the pictures and noise that both sides get."""

import dataclasses

import numpy as np

from jaxgan import models
from jaxgan.interop import definition


@dataclasses.dataclass(frozen=True)
class Case:
    """A system to compare.

    ``loss`` is what its discriminator minimises: "minimax", "joint" (one batch of both kinds, averaged), "wasserstein"
    or "matching_aware". ``narrow`` are sizes at which it computes in no time. ``without_effect`` are biases right
    before batch normalisation, which takes them out again: their gradient is zero, and what is computed is rounding.
    ``seeds`` give the noise and the pictures at full width. The derivative of a ReLU jumps at 0; among millions of
    units some are so close to it that two float32 programs, both right to the last digits, find them on different
    sides, and gradients differ by a percent. With these seeds every unit is further than 2.5e-6 from its jump.
    """

    name: str
    framework: str
    loss: str
    narrow: dict
    without_effect: tuple[str, ...] = ()
    seeds: tuple[int, int] = (0, 0)

    @property
    def options(self) -> dict:
        """Dropout is compared on its own, with the same masks on both sides."""
        has_dropout = self.name in ("dcgan_mnist_a", "dcgan_mnist_keras", "cgan_mnist")
        return {"dropout_rate": 0.0} if has_dropout else {}

    def build(self, **sizes) -> models.GAN:
        return models.build(self.name, **sizes, **self.options)


def _narrow(generator_width: int, discriminator_width: int, **more) -> dict:
    return {"generator_width": generator_width, "discriminator_width": discriminator_width, **more}


CASES = {
    case.name: case
    for case in (
        Case("mlp_a", "torch", "minimax", _narrow(6, 5, image_size=8, latent_dim=7)),
        Case("mlp_b", "torch", "minimax", _narrow(6, 5, image_size=8, latent_dim=7)),
        Case("mlp_keras", "keras", "joint", _narrow(3, 4, image_size=8, latent_dim=7)),
        Case("dcgan_mnist_a", "torch", "minimax", _narrow(2, 3, image_size=12, latent_dim=5), seeds=(1, 0)),
        Case("dcgan_mnist_keras", "keras", "joint", _narrow(3, 2, image_size=12, latent_dim=5)),
        Case("dcgan_anime_a", "torch", "minimax", _narrow(2, 2, image_size=48, latent_dim=5), seeds=(192, 17)),
        Case("dcgan_anime_b", "torch", "minimax", _narrow(2, 2, latent_dim=5), seeds=(10, 0)),
        Case("dcgan_64", "torch", "minimax", _narrow(2, 2, latent_dim=5), seeds=(81, 72)),
        Case("wgan_anime", "keras", "wasserstein", _narrow(1, 1, image_size=64, latent_dim=5), seeds=(224, 6)),
        Case(
            "cgan_anime",
            "torch",
            "matching_aware",
            _narrow(2, 2, image_size=32, latent_dim=5, condition_dim=4),
            without_effect=("generator/params/Dense_0/bias",),
            seeds=(12, 2),
        ),
        Case(
            "cgan_mnist", "torch", "minimax", _narrow(2, 3, image_size=12, latent_dim=5, condition_dim=4), seeds=(4, 1)
        ),
    )
}


def inputs(gan: models.GAN, *, count: int, seeds: tuple[int, int], dtype: str) -> dict[str, np.ndarray]:
    """Noise, real pictures NHWC in [−1, 1], and for conditional systems conditions and wrong pictures and conditions.

    The numbers are float32's in any type. ``seeds`` are those of the noise and of the pictures.
    """
    noise, pictures = (np.random.default_rng(seed) for seed in seeds)
    arrays = {
        "z": gan.latent_std * noise.standard_normal((count, gan.latent_dim)),
        "image": np.tanh(pictures.standard_normal((count, *gan.image_shape))),
    }
    if gan.condition_dim:
        arrays["wrong_image"] = np.roll(arrays["image"], 1, axis=0)
        arrays["condition"] = np.eye(gan.condition_dim)[np.arange(count) % gan.condition_dim]
        arrays["condition"][:, -1] = 1.0  # several tags, or classes, at once: conditions are multi-hot
        arrays["wrong_condition"] = np.roll(arrays["condition"], 1, axis=0)
    return {name: values.astype("float32").astype(dtype) for name, values in arrays.items()}


def random_variables(module: models.Network, *, scale: float = 1.0, dtype: str = "float32") -> dict:
    """Variables that differ in every number, statistics too; drawn without compiling anything."""
    rng = np.random.default_rng(0)
    entries = [entry for layer in definition.layers(module) for entry in layer]
    draw = {entry: scale * rng.standard_normal(entry.shape) for entry in entries}
    positive = {entry: np.abs(values) + 0.1 if entry.name == "var" else values for entry, values in draw.items()}
    return definition.assemble({entry: values.astype(dtype) for entry, values in positive.items()})


def error(ours: np.ndarray, reference: np.ndarray) -> float:
    """The greatest difference, relative to the greatest number of the reference."""
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    if ours.shape != reference.shape:
        raise ValueError(f"{ours.shape} cannot be compared with {reference.shape}")
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def differences(case: Case, ours: dict, reference: dict) -> dict[str, float]:
    """The error of everything measured; of a gradient that is zero, its size beside that of the layer's kernel."""
    if ours.keys() != reference.keys():
        raise ValueError(f"measured on one side only: {sorted(ours.keys() ^ reference.keys())}")
    found = {}
    for name, expected in reference.items():
        if name in case.without_effect:
            kernel = np.abs(reference[name.replace("bias", "kernel")]).max()
            found[name] = max(np.abs(ours[name]).max(), np.abs(expected).max()) / kernel
        else:
            found[name] = error(ours[name], expected)
    return found
