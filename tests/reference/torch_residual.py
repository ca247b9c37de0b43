"""Residual and convolutional GANs with spectral normalisation in PyTorch, and three steps of their training."""

import copy
import itertools
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def spectral(layer):
    """PyTorch's own: one power iteration in each pass in training, from ``weight_u``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the newer form iterates u first and then v, unlike the paper
        return nn.utils.spectral_norm(layer, eps=1e-12)


class ConditionalNorm(nn.Module):
    """Batch normalisation with a scale and a shift of each class, weighted by the condition."""

    def __init__(self, classes, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=2e-5, affine=False)
        self.gain, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)

    def forward(self, x, y):
        gain = 1 + y @ (self.gain.weight - 1)
        return self.norm(x) * gain[:, :, None, None] + (y @ self.shift.weight)[:, :, None, None]


class Up(nn.Module):
    def __init__(self, before, after, classes):
        super().__init__()
        self.classes = classes
        self.norm1 = self.normalisation(before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.norm2 = self.normalisation(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def normalisation(self, channels):
        return ConditionalNorm(self.classes, channels) if self.classes else nn.BatchNorm2d(channels, eps=2e-5)

    def forward(self, x, *y):
        doubled = functional.interpolate(functional.relu(self.norm1(x, *y)), scale_factor=2, mode="nearest")
        residual = self.conv2(functional.relu(self.norm2(self.conv1(doubled), *y)))
        return residual + self.shortcut(functional.interpolate(x, scale_factor=2, mode="nearest"))


class Generator(nn.Module):
    def __init__(self, latent_dim, start, first, widths, classes=0):
        super().__init__()
        self.shape = (first, start, start)
        self.dense = nn.Linear(latent_dim, first * start * start)
        self.blocks = nn.ModuleList(
            Up(before, after, classes) for before, after in zip((first, *widths), widths, strict=False)
        )
        self.norm = nn.BatchNorm2d(widths[-1], eps=2e-5)
        self.conv = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z, *y):
        x = self.dense(z).unflatten(1, self.shape)
        for block in self.blocks:
            x = block(x, *y)
        return torch.tanh(self.conv(functional.relu(self.norm(x))))


class Block(nn.Module):
    def __init__(self, before, after, first=False, down=False):
        super().__init__()
        self.first, self.down = first, down
        hidden = after if first else before
        self.conv1 = spectral(nn.Conv2d(before, hidden, 3, padding=1))
        self.conv2 = spectral(nn.Conv2d(hidden, after, 3, padding=1))
        self.shortcut = spectral(nn.Conv2d(before, after, 1)) if down or before != after else None

    def forward(self, x):
        residual = self.conv2(functional.relu(self.conv1(x if self.first else functional.relu(x))))
        shortcut = x if self.shortcut is None else self.shortcut(x)
        if self.down:
            residual, shortcut = functional.avg_pool2d(residual, 2), functional.avg_pool2d(shortcut, 2)
        return residual + shortcut


class Discriminator(nn.Module):
    def __init__(self, widths, plain, classes=0, auxiliary=False):
        super().__init__()
        blocks = [Block(3, widths[0], first=True, down=True)]
        blocks += [Block(before, after, down=True) for before, after in itertools.pairwise(widths)]
        blocks += [Block(before, after) for before, after in zip((widths[-1], *plain), plain, strict=False)]
        self.blocks = nn.ModuleList(blocks)
        self.dense = spectral(nn.Linear(plain[-1], 1))
        self.embedding = spectral(nn.Embedding(classes, plain[-1])) if classes and not auxiliary else None
        self.classifier = spectral(nn.Linear(plain[-1], classes)) if auxiliary else None

    def forward(self, x, *y):
        for block in self.blocks:
            x = block(x)
        features = functional.relu(x).sum((2, 3))
        logits = self.dense(features)[:, 0]
        if self.classifier is not None:
            self.told = self.classifier(features)
            return logits
        if y:
            # All classes are looked up, so that a condition may be several of them.
            every = self.embedding(torch.arange(y[0].shape[1]))
            logits = logits + ((y[0] @ every) * features).sum(1)
        return logits


def convolutional(width, latent_dim, start):
    """(generator, discriminator) of the paper's table 3."""
    ups = []
    for factor in (8, 4, 2):
        up = nn.ConvTranspose2d(factor * width, factor * width // 2, 4, stride=2, padding=1)
        ups += [up, nn.BatchNorm2d(factor * width // 2), nn.ReLU()]
    generator = nn.Sequential(
        nn.Linear(latent_dim, 8 * width * start * start),
        nn.Unflatten(1, (8 * width, start, start)),
        *ups,
        nn.Conv2d(width, 3, 3, padding=1),
        nn.Tanh(),
    )
    downs, channels = [], 3
    for factor in (1, 2, 4):
        for options in ({"kernel_size": 3, "padding": 1}, {"kernel_size": 4, "stride": 2, "padding": 1}):
            downs += [spectral(nn.Conv2d(channels, factor * width, **options)), nn.LeakyReLU(0.1)]
            channels = factor * width
    downs += [spectral(nn.Conv2d(channels, 8 * width, 3, padding=1)), nn.LeakyReLU(0.1)]
    dense = spectral(nn.Linear(8 * width * start * start, 1))
    return generator, nn.Sequential(*downs, nn.Flatten(), dense, nn.Flatten(0))


def faces(width, size):
    """The discriminator of `dcgan_64` with spectral normalisation in the place of batch normalisation."""
    layers, channels = [], 3
    while size > 4:
        after = width if channels == 3 else 2 * channels
        layers += [spectral(nn.Conv2d(channels, after, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        channels, size = after, size // 2
    return nn.Sequential(*layers, spectral(nn.Conv2d(channels, 1, 4)), nn.Flatten(0))


class ConditionalFaces(nn.Module):
    """The discriminator of `cgan_anime` with spectral normalisation in every layer."""

    def __init__(self, width, size, condition_dim):
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 6 * width]
        self.picture = nn.ModuleList(
            spectral(nn.Conv2d(before, after, 4, stride=2, padding=1)) for before, after in itertools.pairwise(channels)
        )
        self.both = spectral(nn.Conv2d(6 * width + condition_dim, 6 * width, 1))
        self.last = spectral(nn.Linear(6 * width * (size // 16) ** 2, 1))

    def forward(self, x, y):
        for layer in self.picture:
            x = functional.leaky_relu(layer(x), 0.2)
        x = torch.cat([x, y[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)
        return self.last(functional.leaky_relu(self.both(x), 0.2).flatten(1))[:, 0]


def randomise(network, seed):
    """Draws every array anew, away from 0 and 1; in float64."""
    rng = np.random.default_rng(seed)
    network.double()
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("num_batches_tracked"):
            continue
        values = rng.standard_normal(tuple(tensor.shape))
        if tensor.ndim > 1:
            values /= np.sqrt(np.prod(tensor.shape[1:]) / 2)
        elif name.endswith("running_var"):
            values = np.abs(values) + 0.5
        elif not name.endswith(("_u", "_v")):
            values = 0.2 * values + float("norm" in name and name.endswith("weight"))
        tensor.data = torch.from_numpy(values)
    return network


def arrays(network, gradient=False):
    """Every array in the order of definition, named and laid out as a plain state dict has them; or the gradients."""
    found = {}

    def value(tensor):
        return (tensor.grad if gradient else tensor).detach().numpy().copy()

    for name, layer in network.named_modules():
        if isinstance(layer, ConditionalNorm):
            found[f"{name}.weight"] = value(layer.gain.weight).T - (0 if gradient else 1)
            found[f"{name}.bias"] = value(layer.shift.weight).T
            found |= _statistics(name, layer.norm)
        elif isinstance(layer, nn.Embedding):
            if hasattr(layer, "weight_orig"):
                found[f"{name}.weight"] = value(layer.weight_orig).T
        elif getattr(layer, "bias", None) is not None:
            found[f"{name}.weight"] = value(getattr(layer, "weight_orig", layer.weight))
            found[f"{name}.bias"] = value(layer.bias)
            found |= _statistics(name, layer) if isinstance(layer, nn.BatchNorm2d) else {}
    return found


def _statistics(name, norm):
    return {f"{name}.{key}": getattr(norm, key).numpy().copy() for key in ("running_mean", "running_var")}


def vectors(network):
    """The vectors u of spectral normalisation, in the order of definition."""
    return [layer.weight_u.numpy().copy() for layer in network.modules() if hasattr(layer, "weight_u")]


def hinge(real, fake):
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def train(generator, discriminator, steps, rate=2e-4, betas=(0.0, 0.9), class_weight=None):
    """Trains; each step is (critic steps of (real, z, *y), (z, *y)). Returns (d_loss, g_loss) of each."""

    def class_loss(y):
        """Of the pictures that passed last."""
        return class_weight * functional.cross_entropy(discriminator.told, y[0]) if class_weight else 0.0

    rates = {"lr": rate, "betas": betas}
    g_optimizer = torch.optim.Adam(generator.parameters(), **rates)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **rates)
    losses = []
    for critic, (z, *y) in steps:
        for real, noise, *condition in critic:
            with torch.no_grad():
                fake = copy.deepcopy(generator)(noise, *condition)  # its running statistics stay
            of_real, extra = discriminator(real, *condition), class_loss(condition)
            d_loss = hinge(of_real, discriminator(fake, *condition))
            d_optimizer.zero_grad()
            (d_loss + extra + class_loss(condition)).backward()
            d_optimizer.step()
        g_loss = -discriminator(generator(z, *y), *y).mean()
        g_optimizer.zero_grad()
        (g_loss + class_loss(y)).backward()
        g_optimizer.step()
        losses.append((d_loss.item(), g_loss.item()))
    return losses
