"""The generators and discriminators of the PyTorch tutorials: pictures (N, C, H, W), logits (N,) before the sigmoid.

Layers are defined in the tutorials' order. Everything is spelt out per system, so that nothing is shared with what is
being tested.
"""

import torch
from torch import nn


def build(name, **sizes):
    """(generator, discriminator) of a system; ``sizes`` are named as in ``jaxgan.models.build``."""
    return {
        "mlp_a": mlp_a,
        "mlp_b": mlp_b,
        "dcgan_mnist_a": dcgan_mnist_a,
        "dcgan_anime_a": dcgan_anime_a,
        "dcgan_anime_b": dcgan_anime_b,
        "dcgan_64": dcgan_64,
        "cgan_anime": cgan_anime,
        "cgan_mnist": cgan_mnist,
    }[name](**sizes)


def mlp_a(image_size=28, latent_dim=100, generator_width=256, discriminator_width=256):
    g, d, pixels = generator_width, discriminator_width, image_size**2
    generator = nn.Sequential(
        nn.Linear(latent_dim, g),
        nn.ReLU(),
        nn.Linear(g, 2 * g),
        nn.ReLU(),
        nn.Linear(2 * g, pixels),
        nn.Tanh(),
        nn.Unflatten(1, (1, image_size, image_size)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, 2 * d),
        nn.LeakyReLU(0.01),
        nn.Linear(2 * d, d),
        nn.LeakyReLU(0.01),
        nn.Linear(d, 1),
        nn.Flatten(0),
    )
    return generator, discriminator


def mlp_b(image_size=28, latent_dim=64, generator_width=256, discriminator_width=256):
    g, d, pixels = generator_width, discriminator_width, image_size**2
    generator = nn.Sequential(
        nn.Linear(latent_dim, g),
        nn.ReLU(),
        nn.Linear(g, g),
        nn.ReLU(),
        nn.Linear(g, pixels),
        nn.Tanh(),
        nn.Unflatten(1, (1, image_size, image_size)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, d),
        nn.LeakyReLU(0.2),
        nn.Linear(d, d),
        nn.LeakyReLU(0.2),
        nn.Linear(d, 1),
        nn.Flatten(0),
    )
    return generator, discriminator


def dcgan_mnist_a(image_size=28, latent_dim=100, generator_width=64, discriminator_width=64, dropout_rate=0.5):
    g, d, side = generator_width, discriminator_width, image_size // 4
    generator = nn.Sequential(
        nn.Linear(latent_dim, side * side * 4 * g),
        nn.ReLU(),
        nn.BatchNorm1d(side * side * 4 * g),
        nn.Unflatten(1, (4 * g, side, side)),
        nn.ConvTranspose2d(4 * g, 2 * g, 3, stride=1, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(2 * g),
        nn.ConvTranspose2d(2 * g, g, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(g),
        nn.ConvTranspose2d(g, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, d, 3, stride=2),
        nn.LeakyReLU(0.01),
        nn.Dropout2d(dropout_rate),
        nn.Conv2d(d, 2 * d, 3, stride=2),
        nn.LeakyReLU(0.01),
        nn.Dropout2d(dropout_rate),
        nn.BatchNorm2d(2 * d),
        nn.Flatten(),
        nn.LazyLinear(1),
        nn.Flatten(0),
    )
    discriminator(torch.zeros(2, 1, image_size, image_size))
    return generator, discriminator


def dcgan_anime_a(image_size=96, latent_dim=100, generator_width=64, discriminator_width=64):
    g, d, start = generator_width, discriminator_width, image_size // 16
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 8 * g, start, 2, 0, bias=False),
        nn.BatchNorm2d(8 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(8 * g, 4 * g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * g, 2 * g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * g, g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(g),
        nn.ReLU(),
        nn.ConvTranspose2d(g, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, d, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(d, 2 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * d, 4 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * d, 8 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8 * d, 1, start - 1, 2, 0, bias=False),
        nn.Flatten(0),
    )
    return generator, discriminator


def dcgan_anime_b(image_size=96, latent_dim=100, generator_width=64, discriminator_width=64):
    g, d = generator_width, discriminator_width
    if image_size != 96:
        raise ValueError("this reference makes 96×96 pictures only")
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 8 * g, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(8 * g, 4 * g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * g, 2 * g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * g, g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(g),
        nn.ReLU(),
        nn.ConvTranspose2d(g, 3, 5, 3, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, d, 5, 3, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(d, 2 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * d, 4 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * d, 8 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8 * d, 1, 4, 1, 0, bias=False),
        nn.Flatten(0),
    )
    return generator, discriminator


def dcgan_64(image_size=64, latent_dim=100, generator_width=128, discriminator_width=128):
    g, d = generator_width, discriminator_width
    if image_size != 64:
        raise ValueError("this reference makes 64×64 pictures only")
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 8 * g, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(8 * g, 4 * g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * g, 2 * g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * g),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * g, g, 4, 2, 1, bias=False),
        nn.BatchNorm2d(g),
        nn.ReLU(),
        nn.ConvTranspose2d(g, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, d, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(d, 2 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * d, 4 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * d, 8 * d, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8 * d),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8 * d, 1, 4, 1, 0, bias=False),
        nn.Flatten(0),
    )
    return generator, discriminator


def cgan_anime(image_size=64, latent_dim=62, condition_dim=23, generator_width=64, discriminator_width=64):
    return (
        AnimeGenerator(image_size // 16, latent_dim + condition_dim, generator_width),
        AnimeDiscriminator(image_size // 16, condition_dim, discriminator_width),
    )


class AnimeGenerator(nn.Module):
    def __init__(self, side, inputs, g):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, side * side * 6 * g),
            nn.BatchNorm1d(side * side * 6 * g, eps=1e-5, momentum=0.9),
            nn.Unflatten(1, (6 * g, side, side)),
            nn.ConvTranspose2d(6 * g, 4 * g, 4, 2, 1, bias=False),
            nn.BatchNorm2d(4 * g, eps=1e-5, momentum=0.9),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * g, 2 * g, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * g, eps=1e-5, momentum=0.9),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * g, g, 4, 2, 1, bias=False),
            nn.BatchNorm2d(g, eps=1e-5, momentum=0.9),
            nn.ReLU(),
            nn.ConvTranspose2d(g, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z, y):
        return self.layers(torch.cat([z, y], dim=1))


class AnimeDiscriminator(nn.Module):
    def __init__(self, side, condition_dim, d):
        super().__init__()
        self.picture = nn.Sequential(
            nn.Conv2d(3, d, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(d, 2 * d, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * d, 4 * d, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * d, 6 * d, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2),
        )
        self.both = nn.Sequential(nn.Conv2d(6 * d + condition_dim, 6 * d, 1, bias=False), nn.LeakyReLU(0.2))
        self.score = nn.Linear(side * side * 6 * d, 1)

    def forward(self, x, y):
        x = self.picture(x)
        x = x.repeat(len(y) // len(x), 1, 1, 1)  # the benchmarks also judge each picture under several conditions
        y = y[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.score(self.both(torch.cat([x, y], dim=1)).flatten(1)).flatten()


def cgan_mnist(
    image_size=28, latent_dim=100, condition_dim=10, generator_width=64, discriminator_width=64, dropout_rate=0.5
):
    discriminator = MnistDiscriminator(image_size, condition_dim, discriminator_width, dropout_rate)
    discriminator(torch.zeros(2, 1, image_size, image_size), torch.zeros(2, condition_dim))
    return MnistGenerator(image_size // 4, latent_dim, condition_dim, generator_width), discriminator


class MnistGenerator(nn.Module):
    def __init__(self, side, latent_dim, condition_dim, g):
        super().__init__()
        self.start = (2 * g, side, side)
        features = side * side * 2 * g
        self.of_noise = nn.Sequential(nn.Linear(latent_dim, features), nn.ReLU(), nn.BatchNorm1d(features))
        self.of_condition = nn.Sequential(nn.Linear(condition_dim, features), nn.ReLU(), nn.BatchNorm1d(features))
        self.picture = nn.Sequential(
            nn.ConvTranspose2d(4 * g, 2 * g, 3, stride=1, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(2 * g),
            nn.ConvTranspose2d(2 * g, g, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(g),
            nn.ConvTranspose2d(g, 1, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, z, y):
        halves = [self.of_noise(z).view(-1, *self.start), self.of_condition(y).view(-1, *self.start)]
        return self.picture(torch.cat(halves, dim=1))


class MnistDiscriminator(nn.Module):
    def __init__(self, image_size, condition_dim, d, dropout_rate):
        super().__init__()
        self.plane = nn.Sequential(
            nn.Linear(condition_dim, image_size**2), nn.LeakyReLU(0.01), nn.Unflatten(1, (1, image_size, image_size))
        )
        self.picture = nn.Sequential(
            nn.Conv2d(2, d, 3, stride=2),
            nn.LeakyReLU(0.01),
            nn.Dropout2d(dropout_rate),
            nn.Conv2d(d, 2 * d, 3, stride=2),
            nn.LeakyReLU(0.01),
            nn.Dropout2d(dropout_rate),
            nn.BatchNorm2d(2 * d),
            nn.Flatten(),
            nn.LazyLinear(1),
        )

    def forward(self, x, y):
        return self.picture(torch.cat([x, self.plane(y)], dim=1)).flatten()
