"""Autoencoders, plain and variational: one step of Adam on both networks."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_networks import reference
from benchmarks.torch_steps.base import TimedStep, adam, descend, refuse
from benchmarks.workload import channels, random_pictures
from experiments.run.recipes import Recipe
from jaxgan.models import vae

torch_vae = reference("torch_vae")


class Step(TimedStep):
    """A training of an autoencoder; see `TimedStep`. Pixels are in [0, 1]."""

    def __init__(self, recipe: Recipe, *, channels_last: bool, form: str | None = None) -> None:
        super().__init__(recipe, channels_last=channels_last)
        refuse(recipe, "binarize", "kl_warmup")
        size, colours = recipe.picture_size, channels(recipe)
        given = {"latent_dim": recipe.latent_dim, "width": recipe.width}
        ours = vae.build(recipe.model, image_size=size, **{name: value for name, value in given.items() if value})
        if ours.encoder.convolutional:
            encoder, decoder = convolutional(ours, colours)
        else:
            encoder, decoder = torch_vae.fully_connected(
                ours.variational, size, colours, ours.latent_dim, ours.encoder.widths[0]
            )
        self.encoder, self.decoder = self.placed(encoder), self.placed(decoder)
        self.adam = adam([self.encoder, self.decoder], recipe.learning_rate, (0.9, 0.999))
        self.pictures = self.source(random_pictures(recipe).arrays, unit=True)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    def step(self) -> None:
        recipe, pictures = self.recipe, self.pictures.batch()["image"]
        mean, log_variance = self.encoder(pictures)
        code = mean if log_variance is None else mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        logits = self.decoder(code)
        if recipe.likelihood == "bernoulli":
            loss = functional.binary_cross_entropy_with_logits(logits, pictures, reduction="sum")
        else:
            difference = (2 / recipe.pixel_std) * (torch.sigmoid(logits) - pictures)
            loss = 0.5 * difference.square().sum()
        if log_variance is not None:
            divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum()
            loss = loss + recipe.kl_weight * divergence
        descend(self.adam, loss / len(pictures))


def convolutional(ours: vae.Autoencoder, colours: int) -> tuple[nn.Module, nn.Module]:
    """Builds (encoder, decoder) with as many halvings as the library's; the reference has two."""
    widths, side = ours.encoder.widths, ours.image_shape[0] >> len(ours.encoder.widths)
    smallest = widths[-1] * side**2
    down, up, before = [], [], colours
    for width in widths:
        down += [nn.Conv2d(before, width, 4, stride=2, padding=1), nn.ReLU()]
        up = [nn.ConvTranspose2d(width, before, 4, stride=2, padding=1), nn.ReLU(), *up]
        before = width
    body = nn.Sequential(*down, nn.Flatten())
    latent = [nn.Linear(ours.latent_dim, smallest), nn.ReLU(), nn.Unflatten(1, (widths[-1], side, side))]
    encoder = torch_vae.Encoder(body, smallest, ours.latent_dim, ours.variational)
    return encoder, nn.Sequential(*latent, *up[:-1])
