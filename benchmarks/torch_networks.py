"""The generators and discriminators in PyTorch: pictures (N, C, H, W), logits (N,) before the sigmoid.

The networks of the PyTorch tutorials are those of the equivalence proofs, and so are the residual ones and that of the
paper of spectral normalisation. Here are the three that come from Keras tutorials, as a PyTorch user would write them:
padding 2 stands for "same", at the same cost.
"""

import importlib
import inspect
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jaxgan import models
from jaxgan.host.errors import UserError

# By their path, under a name of their own: installed packages, such as torch-fidelity, bring a package `tests`.
_REFERENCES = types.ModuleType("benchmarks_references")
_REFERENCES.__path__ = [str(Path(__file__).resolve().parent.parent / "tests" / "reference")]
sys.modules[_REFERENCES.__name__] = _REFERENCES


def reference(name: str) -> Any:
    """Returns a module of `tests/reference`, the networks of an equivalence proof."""
    return importlib.import_module(f"{_REFERENCES.__name__}.{name}")


TUTORIALS = vars(reference("torch_networks"))


def build(name: str, **sizes: Any) -> tuple[nn.Module, nn.Module]:
    """Builds (generator, discriminator) of a system; `sizes` as in `jaxgan.models.build`, those that it knows."""
    if name in ("resnet_gan", "sngan_32"):
        return residual(name, **sizes)
    written_here = (mlp_keras, dcgan_mnist_keras, wgan_anime, sndcgan)
    builder = {one.__name__: one for one in written_here}.get(name) or TUTORIALS.get(name)
    if builder is None:
        raise UserError(f"--model={name}: its networks are not here in PyTorch")
    known = inspect.signature(builder).parameters
    return builder(**{key: value for key, value in sizes.items() if key in known})


def residual(name: str, **sizes: Any) -> tuple[nn.Module, nn.Module]:
    """Builds the networks of residual blocks, with as many blocks of the same widths as the library's."""
    torch_residual = reference("torch_residual")
    ours = models.build(name, **{key: value for key, value in sizes.items() if key != "dropout_rate"})
    generator, judge = ours.generator, ours.discriminator
    start = ours.image_shape[0] >> len(generator.widths)
    return (
        torch_residual.Generator(ours.latent_dim, start, generator.first_width, generator.widths),
        torch_residual.Discriminator(judge.widths, judge.plain_widths),
    )


def sndcgan(
    image_size: int = 32, latent_dim: int = 128, generator_width: int = 64, discriminator_width: int = 64
) -> tuple[nn.Module, nn.Module]:
    built = [
        reference("torch_residual").convolutional(width, latent_dim, image_size // 8)
        for width in (generator_width, discriminator_width)
    ]
    return built[0][0], built[1][1]


def with_spectral_norm(discriminator: nn.Module) -> nn.Module:
    """Returns a sequence of convolutions with biases and spectral normalisation, and without batch normalisation."""
    spectral = reference("torch_residual").spectral

    def normalised(layer: nn.Module) -> nn.Module:
        if not isinstance(layer, nn.Conv2d):
            return layer
        shape = layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
        return spectral(nn.Conv2d(*shape))

    layers = [layer for layer in discriminator if not isinstance(layer, nn.BatchNorm2d)]
    return nn.Sequential(*map(normalised, layers))


class Line(nn.Module):
    """x · slope + offset: between the [0, 1] that `mlp_keras` works on and the [−1, 1] of all pictures here."""

    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope, self.offset = slope, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.slope + self.offset


def mlp_keras(
    image_size: int = 28, latent_dim: int = 30, generator_width: int = 50, discriminator_width: int = 50
) -> tuple[nn.Module, nn.Module]:
    g, d, pixels = generator_width, discriminator_width, image_size**2
    generator = nn.Sequential(
        nn.Linear(latent_dim, 2 * g),
        nn.SELU(),
        nn.Linear(2 * g, 3 * g),
        nn.SELU(),
        nn.Linear(3 * g, pixels),
        nn.Sigmoid(),
        Line(2.0, -1.0),
        nn.Unflatten(1, (1, image_size, image_size)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        Line(0.5, 0.5),
        nn.Linear(pixels, 3 * d),
        nn.SELU(),
        nn.Linear(3 * d, 2 * d),
        nn.SELU(),
        nn.Linear(2 * d, 1),
        nn.Flatten(0),
    )
    return generator, discriminator


def dcgan_mnist_keras(
    image_size: int = 28,
    latent_dim: int = 100,
    generator_width: int = 64,
    discriminator_width: int = 64,
    dropout_rate: float = 0.4,
) -> tuple[nn.Module, nn.Module]:
    g, d, side = generator_width, discriminator_width, image_size // 4
    generator = nn.Sequential(
        nn.Linear(latent_dim, side * side * 2 * g),
        nn.Unflatten(1, (2 * g, side, side)),
        nn.BatchNorm2d(2 * g),
        nn.ConvTranspose2d(2 * g, g, 5, 2, 2, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(g, 1, 5, 2, 2, output_padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, d, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Dropout(dropout_rate),
        nn.Conv2d(d, 2 * d, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Dropout(dropout_rate),
        nn.Flatten(),
        nn.Linear(2 * d * side * side, 1),
        nn.Flatten(0),
    )
    return generator, discriminator


def wgan_anime(
    image_size: int = 96, latent_dim: int = 100, generator_width: int = 64, discriminator_width: int = 64
) -> tuple[nn.Module, nn.Module]:
    g, d, start = generator_width, discriminator_width, image_size // 32
    up: list[nn.Module] = [
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 16 * g, start, 2, 0, bias=False),
    ]
    for factor in (8, 4, 2, 1):
        up += [nn.ConvTranspose2d(2 * factor * g, factor * g, 4, 2, 1, bias=False), _keras_norm(factor * g), nn.ReLU()]
    up += [nn.ConvTranspose2d(g, 3, 4, 2, 1, bias=False), nn.Tanh()]
    down: list[nn.Module] = [nn.Conv2d(3, d, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for factor in (2, 4, 8, 16):
        down += [
            nn.Conv2d(factor // 2 * d, factor * d, 4, 2, 1, bias=False),
            _keras_norm(factor * d),
            nn.LeakyReLU(0.2),
        ]
    down += [nn.Conv2d(16 * d, 1, start, 1, 0, bias=False), nn.Flatten(0)]
    return nn.Sequential(*up), nn.Sequential(*down)


def _keras_norm(features: int) -> nn.Module:
    return nn.BatchNorm2d(features, eps=1.01e-5, momentum=0.01)
